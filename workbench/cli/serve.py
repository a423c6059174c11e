"""Commands of the production application: serve, swap."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import app
from workbench.cli.console import say
from workbench.errors import WorkbenchError
from workbench.serving.options import Options

_NEEDED = ("starlette", "uvicorn", "httptools", "orjson", "python_multipart", "prometheus_client")
_USUAL = Options()

Bundle = Annotated[Path | None, typer.Argument(help="A bundle; by default that of the newest run under runs/.")]
Port = Annotated[int, typer.Option(help="Where it listens; 0 takes any that is free.")]


@app.command(epilog="Example:  workbench serve runs/animals-1/bundle --workers 2")
def serve(
    bundle: Bundle = None,
    host: Annotated[
        str, typer.Option(help="127.0.0.1: this machine only; 0.0.0.0: whoever can reach it.")
    ] = _USUAL.host,
    port: Port = _USUAL.port,
    workers: Annotated[int, typer.Option(help="Processes that answer; one for each core is plenty.")] = _USUAL.workers,
    threads: Annotated[int, typer.Option(help="Cores that one worker computes with.")] = _USUAL.threads,
    engine: Annotated[str, typer.Option(help="onnx or onnx-int8.")] = _USUAL.engine,
    max_body_bytes: Annotated[int, typer.Option(help="Of one request.")] = _USUAL.max_body_bytes,
    max_pixels: Annotated[int, typer.Option(help="Of one picture.")] = _USUAL.max_pixels,
    max_pictures: Annotated[int, typer.Option(help="Of one request.")] = _USUAL.max_pictures,
    max_waiting: Annotated[
        int, typer.Option(help="Requests waiting in one worker; more get 503.")
    ] = _USUAL.max_waiting,
    max_connections: Annotated[int, typer.Option(help="Open connections of one worker.")] = _USUAL.max_connections,
    request_seconds: Annotated[
        float, typer.Option(help="A client may take to send a request.")
    ] = _USUAL.request_seconds,
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", help="Stop when standard input closes: whoever started it has gone.")
    ] = False,
    drain_seconds: Annotated[float, typer.Option(help="Given to accepted requests at the end.")] = _USUAL.drain_seconds,
) -> None:
    """Serve a bundle over HTTP, without PyTorch: a page, /classify, the Open Inference Protocol, /metrics, /docs.

    SIGTERM or Ctrl+C finishes what was accepted. `workbench swap` takes another bundle, SIGHUP this folder's again.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WorkbenchError(f"The application needs {', '.join(missing)}: pip install '.[serve]' brings them.")
    # NumPy computes nothing here; its threads would only take memory from every worker.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from workbench.serving import supervisor

    options = Options(
        host=host,
        port=port,
        workers=workers,
        threads=threads,
        engine=engine,
        max_body_bytes=max_body_bytes,
        max_pixels=max_pixels,
        max_pictures=max_pictures,
        max_waiting=max_waiting,
        max_connections=max_connections,
        request_seconds=request_seconds,
        drain_seconds=drain_seconds,
    )
    code = supervisor.serve(_folder(bundle), options, say, sys.stdin if stop_with_stdin else None)
    if code:
        raise typer.Exit(code)


@app.command(epilog="Example:  workbench swap runs/animals-2/bundle --port 8000")
def swap(bundle: Bundle = None, port: Port = _USUAL.port) -> None:
    """Have a running application answer with another bundle, if that one passes its self-test in every worker."""
    from workbench.serving import control

    told = control.ask(port, {"swap": str(_folder(bundle).absolute())})
    if "done" not in told:
        raise WorkbenchError(f"Not swapped: {told.get('refused')}")
    say(str(told["done"]))


def _folder(bundle: Path | None) -> Path:
    from workbench.runs import latest_run

    folder = bundle or latest_run("bundle").bundle
    return folder / "bundle" if (folder / "bundle").is_dir() else folder  # the folder of a run was named
