"""The commands about this machine: doctor, devices, lab."""

from typing import Annotated

import typer

from workbench.cli import console
from workbench.cli.app import AsJson, app
from workbench.cli.console import echo, print_json


@app.command(epilog="Example:  workbench doctor")
def doctor(as_json: AsJson = False) -> None:
    """Check this machine: what works, what is missing, how to fix it. Exits with 1 if something does not work."""
    from workbench.machine.doctor import examine

    findings = examine()
    signs = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print_json({"problems": problems, "findings": [finding.to_mapping() for finding in findings]})
    else:
        for finding in findings:
            echo(f"{signs[finding.level]}  {finding.subject}: {finding.message}")
            if finding.fix:
                echo(f"         fix: {finding.fix}")
    raise typer.Exit(1 if problems else 0)


@app.command(epilog="Example:  workbench devices --json")
def devices(as_json: AsJson = False) -> None:
    """List the devices of this machine that can run a network."""
    from workbench.machine.devices import list_devices
    from workbench.units import format_bytes

    found = list_devices()
    if as_json:
        print_json({"devices": [device.to_mapping() for device in found]})
        return
    table = console.make_table(
        "Devices of this machine", "device", "what", "cores", "memory", "energy", right=("cores", "memory")
    )
    for device in found:
        features = f" ({', '.join(device.features)})" if device.features else ""
        cores = str(device.cores or "–")
        memory = format_bytes(device.memory_bytes)
        table.add_row(device.name, device.description + features, cores, memory, device.power_meter)
    console.show_table(table)


@app.command(epilog="Example:  workbench lab --no-browser")
def lab(
    notebook: Annotated[str, typer.Argument(help="Notebook to open.")] = "notebooks/00_start_here.ipynb",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open no browser.")] = False,
) -> None:
    """Open JupyterLab on the first notebook, for this machine only (127.0.0.1) and with a token."""
    from workbench.teaching.lab import open_lab

    raise typer.Exit(open_lab(notebook, browser=not no_browser))
