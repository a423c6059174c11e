"""The command line's root, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from workbench.errors import WorkbenchError

app = typer.Typer(
    name="workbench",
    help="Train a network on one machine, run it on another, and measure what each costs.",
    epilog="Begin with:  workbench workflow",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes cost a tenth of a second, and screen readers read them out
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
DataName = Annotated[
    str | None,
    typer.Option(
        "--data", help="animals (the default), digits, fashion-mnist, mnist, cifar-10, or a folder of pictures."
    ),
]
Size = Annotated[int | None, typer.Option(help="Side of the pictures in pixels; by default the data set's own.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/DATA-NUMBER.")]
ModelName = Annotated[str | None, typer.Option(help="linear, mlp, convnet, resnet, or a torchvision classifier.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training set.")]
BatchSize = Annotated[int | None, typer.Option(help="Pictures in one gradient step.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak of the schedule.")]
Seed = Annotated[int | None, typer.Option(help="Start of every random number.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any hyper-parameter: --set weight_decay=0.001 (repeatable).")
]
SettingsFile = Annotated[Path | None, typer.Option("--hyperparameters", help="A hyperparameters.json to start from.")]
Resume = Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")]
Inexact = Annotated[bool, typer.Option("--inexact", help="Resume on another device or with other threads as well.")]


def run_app(arguments: list[str]) -> object:
    """Run the command that the arguments name; its exit code. Raises WorkbenchError for arguments that cannot be."""
    try:
        return app(arguments or ["--help"], standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except TyperException as error:
        told = "(workbench --help, or workbench COMMAND --help, tells what there is)"
        raise WorkbenchError(f"{error.format_message()} {told}") from error
