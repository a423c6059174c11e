"""The command line of `workbench serve`.

It uses argparse: the start time counts in production, and Typer, which reads all other commands, would be a third of
what it imports.
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

_REQUIRED = ("starlette", "uvicorn", "httptools", "orjson", "python_multipart", "prometheus_client")
_DESCRIPTION = """\
Serve a bundle over HTTP, without PyTorch: a page, /classify, the Open Inference Protocol, /metrics, /docs.

SIGTERM or Ctrl+C finishes accepted requests first. `workbench swap` switches to another bundle, SIGHUP reloads this
one's folder."""
_HELP = {
    "host": "127.0.0.1: this machine only; 0.0.0.0: every network it is on",
    "port": "port to listen on; 0 takes any free one",
    "workers": "processes that answer; one per core is plenty",
    "threads": "cores one worker computes on",
    "engine": "onnx or onnx-int8",
    "max_body_bytes": "largest request body",
    "max_pixels": "largest image",
    "max_images": "most images in one request",
    "max_waiting": "most requests waiting in one worker; further ones get 503",
    "max_connections": "most open connections of one worker",
    "request_seconds": "time a client may take to send a request",
    "drain_seconds": "grace period for accepted requests at the end",
}


def serve(arguments: Sequence[str], echo: Callable[[str], None]) -> int:
    """Run `workbench serve ARGUMENTS` and return its exit code; `echo` prints lines of the result.

    Raises WorkbenchError for invalid arguments, for missing packages, and as `supervisor.serve` does.
    """
    values = vars(_parser().parse_args(arguments))
    missing = [name for name in _REQUIRED if find_spec(name) is None]
    if missing:
        raise WorkbenchError(f"The application needs {', '.join(missing)}: pip install '.[serve]' brings them.")
    bundle, with_stdin = values.pop("bundle"), values.pop("stop_with_stdin")
    options = Options(**values)
    # NumPy does no linear algebra here; OpenBLAS's threads would only take memory in every worker.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from workbench.serving import supervisor

    return supervisor.serve(bundle_folder(bundle), options, echo, sys.stdin if with_stdin else None)


def bundle_folder(path: Path | None) -> Path:
    """Return the bundle at `path`, which may also be a run that holds one; by default the newest run's."""
    folder = path or latest_run("bundle").bundle
    return folder / "bundle" if (folder / "bundle").is_dir() else folder


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WorkbenchError(f"{message} (see workbench serve --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="workbench serve",
        description=_DESCRIPTION,
        epilog="Example:  workbench serve runs/animals-1/bundle --workers 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", nargs="?", type=Path, help="a bundle; by default that of the newest run under runs/")
    for field in fields(Options):
        help_text = f"{_HELP[field.name]} (default: {field.default})"
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=type(field.default), default=field.default, help=help_text)
    parser.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="stop when standard input closes, which means that the parent process has ended",
    )
    return parser
