"""The root of the command line, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from workbench.errors import WorkbenchError

app = typer.Typer(
    name="workbench",
    help="Train a network on one machine, run it on another, and measure what each costs.",
    epilog="Start with:  workbench workflow",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes take a tenth of a second to load, and screen readers read them out
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
DataName = Annotated[
    str | None,
    typer.Option(
        "--data", help="animals, digits, fashion-mnist, mnist, cifar-10 or a folder of images.", show_default="animals"
    ),
]
Size = Annotated[int | None, typer.Option(help="Side of the images in pixels.", show_default="the data set's own")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run.", show_default="runs/DATA-NUMBER")]
ModelName = Annotated[str | None, typer.Option(help="linear, mlp, convnet, resnet or a torchvision classifier.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training set.")]
BatchSize = Annotated[int | None, typer.Option(help="Images per gradient step.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate of the schedule.")]
Seed = Annotated[int | None, typer.Option(help="Seed of every random number.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any hyper-parameter, as in --set weight_decay=0.001 (repeatable).")
]
SettingsFile = Annotated[Path | None, typer.Option("--hyperparameters", help="Start from this hyperparameters.json.")]
Resume = Annotated[Path | None, typer.Option(help="Resume the run in this folder.")]
FinishedRun = Annotated[Path | None, typer.Argument(help="Folder of a run.", show_default="the newest under runs/")]


def run_app(arguments: list[str]) -> object:
    """Run the command in `arguments` and return its exit code. Raises WorkbenchError if they are invalid."""
    try:
        return app(arguments or ["--help"], standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except TyperException as error:
        hint = "(see workbench --help or workbench COMMAND --help)"
        raise WorkbenchError(f"{error.format_message()} {hint}") from error
