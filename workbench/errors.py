"""The exception whose text users read."""

from __future__ import annotations


class WorkbenchError(Exception):
    """An error that the user can fix: an invalid argument, a damaged file, something this machine lacks.

    The message is one sentence that names the thing, its value and the way out. The command line prints it without a
    traceback and exits with code 2; a notebook shows it as the last line of the cell.

    >>> try:
    ...     wb.HyperParameters(epochs=0)
    ... except wb.WorkbenchError as error:
    ...     print(error)
    epochs = 0: must be a whole number from 1 to 10,000.
    """
