"""What all benchmarks share: options, the spread of a figure over the rounds, and the machine it was measured on."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from workbench.machine.processor import processor_features, processor_name, usable_cores
from workbench.wording import now, versions

MIN_ROUNDS = 5


def option_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose --help shows the docstring of a benchmark verbatim."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def check_rounds(parser: argparse.ArgumentParser, rounds: int, option: str = "--rounds") -> None:
    """End the program with a sentence if there are too few rounds for a spread."""
    if rounds < MIN_ROUNDS:
        parser.error(f"{option}: at least {MIN_ROUNDS}, because the spread of fewer means nothing")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the lowest and the highest value."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ours over theirs in each round, in which the machine was in the same state for both."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def format_range(values: Mapping[str, float], form: str) -> str:
    """Return a spread as text, such as "2,310 (2,250 – 2,400)"."""
    return f"{values['median']:{form}} ({values['lowest']:{form}} – {values['highest']:{form}})"


def machine() -> dict[str, Any]:
    """Return what figures are measured on: processor, system, versions, and the load of the machine."""
    return {
        "measured": now(),
        "processor": processor_name(),
        "features": list(processor_features()),
        "usable_cores": usable_cores(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions("torch", "onnxruntime", "onnx", "numpy"),
        "onnxruntime_build": onnxruntime.get_device(),
    }
