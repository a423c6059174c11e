"""The one exception a user of the workbench is meant to read."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Something the user gave, or the machine lacks, stops the work.

    Its text is one clear sentence that names the thing, the value and the way out. The command line prints it
    without a traceback and ends with exit code 2; a notebook shows it as the last line of the cell.
    """
