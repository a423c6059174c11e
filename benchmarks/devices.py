"""Check the model of unmeasured devices against every measured one: docs/devices.md has the table.

Nothing is timed here: the measurements are the recordings in datasets/devices, made by `workbench record`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence

from workbench.comparing.all_devices import describe_model_errors, model_errors_by_device
from workbench.comparing.ranking import DOUBT
from workbench.measuring.recordings import Recording, load_recordings
from workbench.modelling.roofline import ModelError
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
        for name, errors in model_errors_by_device(recordings).items()
    }
    print(json.dumps({"benchmark": "devices", "origin": "modelled against recorded", "devices": result}))


def table(recordings: Sequence[Recording]) -> str:
    """Return the errors as Markdown: for each measured device the worst point, and the convnet at a few batch sizes."""
    lines = [describe_model_errors(recordings), ""]
    for name, errors in model_errors_by_device(recordings).items():
        lines += [f"### {name}", "", "| phase | network | engine | threads | batch | recorded | modelled | ratio |"]
        lines.append("| --- | --- | --- | --: | --: | --: | --: | --: |")
        convnet = [error for error in errors if error.measurement.model == "convnet"]
        chosen = sorted((error for error in convnet if error.measurement.batch_size in SHOWN), key=_sort_key)
        lines += [_line(errors[0], "**worst:** "), *map(_line, chosen), ""]
    return "\n".join(lines).strip()


def _sort_key(error: ModelError) -> tuple[str, str, str, int, int]:
    m = error.measurement
    return m.phase, m.engine, m.precision, m.threads, m.batch_size


def _line(error: ModelError, mark: str = "") -> str:
    m = error.measurement
    cells = (
        f"{mark}{m.phase}",
        m.model,
        f"{m.engine} {m.precision}",
        str(m.threads),
        f"{m.batch_size:,}",
        format_seconds(m.latency.p50),
        format_seconds(error.predicted_seconds),
        f"{error.ratio:.2f}",
    )
    return f"| {' | '.join(cells)} |".replace("\N{NO-BREAK SPACE}", " ")


if __name__ == "__main__":
    main()
