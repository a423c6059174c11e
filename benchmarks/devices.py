"""The model of devices that nobody measured, set against every device that somebody did: docs/devices.md has the table.

Nothing is timed here: the measured side are the recordings in datasets/devices, made by `workbench record`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence

from workbench.all_devices import errors_of_the_model, told_errors
from workbench.ranking import DOUBT
from workbench.recordings import Recording, load_recordings
from workbench.roofline import ModelError
from workbench.units import format_seconds

SHOWN = (1, 16, 128, 1024)


def main() -> None:
    """Print the table and one line of JSON."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    recordings = load_recordings()
    print(table(recordings))
    result = {
        name: {
            "points": len(errors),
            "median_factor": statistics.median(error.factor for error in errors),
            "worst_factor": errors[0].factor,
            "share_beyond_doubt": sum(error.factor > DOUBT for error in errors) / len(errors),
        }
        for name, errors in errors_of_the_model(recordings).items()
    }
    print(json.dumps({"benchmark": "devices", "origin": "modelled against recorded", "devices": result}))


def table(recordings: Sequence[Recording]) -> str:
    """The errors as Markdown: for each measured device its worst point, and the convnet at a few batch sizes."""
    lines = [told_errors(recordings), ""]
    for name, errors in errors_of_the_model(recordings).items():
        lines += [f"### {name}", "", "| phase | network | engine | threads | batch | recorded | modelled | ratio |"]
        lines.append("| --- | --- | --- | --: | --: | --: | --: | --: |")
        chosen = [error for error in errors if error.measurement.model == "convnet"]
        chosen = [error for error in chosen if error.measurement.batch_size in SHOWN]
        chosen.sort(key=_order)
        lines += [_line(errors[0], "**worst:** "), *map(_line, chosen), ""]
    return "\n".join(lines).strip()


def _order(error: ModelError) -> tuple[str, str, str, int, int]:
    found = error.measurement
    return found.phase, found.engine, found.precision, found.threads, found.batch_size


def _line(error: ModelError, mark: str = "") -> str:
    found = error.measurement
    cells = (
        f"{mark}{found.phase}",
        found.model,
        f"{found.engine} {found.precision}",
        str(found.threads),
        f"{found.batch_size:,}",
        format_seconds(found.latency.p50),
        format_seconds(error.predicted_seconds),
        f"{error.ratio:.2f}",
    )
    return f"| {' | '.join(cells)} |".replace("\N{NO-BREAK SPACE}", " ")


if __name__ == "__main__":
    main()
