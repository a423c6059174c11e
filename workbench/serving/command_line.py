"""`workbench serve`: its arguments, and the start of the application.

Read by argparse: in production a start counts, and Typer, which reads all other commands, would be a third of what it
imports.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from workbench.errors import WorkbenchError
from workbench.runs import latest_run
from workbench.serving.options import Options

_NEEDED = ("starlette", "uvicorn", "httptools", "orjson", "python_multipart", "prometheus_client")
_ABOUT = """\
Serve a bundle over HTTP, without PyTorch: a page, /classify, the Open Inference Protocol, /metrics, /docs.

SIGTERM or Ctrl+C finishes what was accepted. `workbench swap` takes another bundle, SIGHUP this folder's again."""
_HELP = {
    "host": "127.0.0.1: this machine only; 0.0.0.0: whoever can reach it",
    "port": "where it listens; 0 takes any that is free",
    "workers": "processes that answer; one for each core is plenty",
    "threads": "cores that one worker computes with",
    "engine": "onnx or onnx-int8",
    "max_body_bytes": "of one request",
    "max_pixels": "of one picture",
    "max_pictures": "of one request",
    "max_waiting": "requests waiting in one worker; more get 503",
    "max_connections": "open connections of one worker",
    "request_seconds": "a client may take to send a request",
    "drain_seconds": "given to accepted requests at the end",
}


def serve(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Do what `workbench serve ARGUMENTS` does; its exit code. say: told the lines of the result.

    Raises WorkbenchError for arguments that cannot be, for what is not installed, and as `supervisor.serve` does.
    """
    given = vars(_parser().parse_args(arguments))
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WorkbenchError(f"The application needs {', '.join(missing)}: pip install '.[serve]' brings them.")
    bundle, with_stdin = given.pop("bundle"), given.pop("stop_with_stdin")
    options = Options(**given)
    # NumPy computes nothing here; its threads would only take memory from every worker.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from workbench.serving import supervisor

    return supervisor.serve(bundle_folder(bundle), options, say, sys.stdin if with_stdin else None)


def bundle_folder(named: Path | None) -> Path:
    """The bundle that a command names, by itself or by its run; without a name, that of the newest run."""
    folder = named or latest_run("bundle").bundle
    return folder / "bundle" if (folder / "bundle").is_dir() else folder


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WorkbenchError(f"{message} (workbench serve --help tells what there is)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="workbench serve",
        description=_ABOUT,
        epilog="Example:  workbench serve runs/animals-1/bundle --workers 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", nargs="?", type=Path, help="a bundle; by default that of the newest run under runs/")
    for field in fields(Options):
        told = f"{_HELP[field.name]} (default: {field.default})"
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=type(field.default), default=field.default, help=told)
    parser.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="stop when standard input closes: whoever started it has gone",
    )
    return parser
