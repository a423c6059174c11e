"""`python -m benchmarks NAME …` runs benchmarks/NAME.py, whose last line of output is one JSON object."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.machine.threads import block_idle_threads


def main() -> None:
    """Run the benchmark that the first argument names."""
    names = [
        path.stem
        for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))
        if "\ndef main(" in path.read_text(encoding="utf-8")
    ]
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"Usage: python -m benchmarks NAME [options], where NAME is one of: {', '.join(names)}.")
    name = sys.argv.pop(1)
    block_idle_threads()
    sys.argv[0] = f"python -m benchmarks {name}"
    try:
        importlib.import_module(f"benchmarks.{name}").main()
    except WorkbenchError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
