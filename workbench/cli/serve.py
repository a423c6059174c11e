"""The commands of the production application: serve, swap."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import app
from workbench.cli.console import echo
from workbench.errors import WorkbenchError
from workbench.serving.options import Options

Bundle = Annotated[Path | None, typer.Argument(help="A bundle.", show_default="that of the newest run under runs/")]


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(context: typer.Context) -> None:
    """Serve a bundle over HTTP, without PyTorch: a page, /classify, the Open Inference Protocol, /metrics, /docs."""
    from workbench.serving import command_line

    raise typer.Exit(command_line.serve(context.args, echo))


@app.command(epilog="Example:  workbench swap runs/animals-2/bundle --port 8000")
def swap(
    bundle: Bundle = None,
    port: Annotated[int, typer.Option(help="Port the application listens on.")] = Options().port,
) -> None:
    """Switch a running application to another bundle, provided it passes its self-test in every worker."""
    from workbench.serving import control
    from workbench.serving.command_line import bundle_folder

    answer = control.send_command(port, {"swap": str(bundle_folder(bundle).absolute())})
    if "done" not in answer:
        raise WorkbenchError(f"Not swapped: {answer.get('refused')}")
    echo(str(answer["done"]))
