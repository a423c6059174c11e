"""Format values and errors for messages, and the time and installed versions for files."""

from __future__ import annotations

from datetime import UTC, datetime


def shorten(value: object, length: int = 120) -> str:
    """Return `value` as printable text of at most `length` characters, however hostile the file it came from.

    >>> shorten("a" * 200, length=8)
    'aaaaaaa…'
    """
    text = "".join(letter if letter.isprintable() else "�" for letter in str(value)[: length + 1])
    return text if len(text) <= length else text[: length - 1] + "…"


def one_line(value: object, length: int = 120) -> str:
    """Return `value` as text on one line: whitespace collapsed, then shortened.

    >>> one_line("a table\\n  of numbers")
    'a table of numbers'
    """
    return shorten(" ".join(str(value).split()), length)


def describe_error(error: BaseException, length: int = 120) -> str:
    """Return an exception as "type: message" on one line, with a message of at most `length` characters.

    >>> describe_error(ValueError("too\\nlarge"))
    'ValueError: too large'
    """
    message = one_line(error, length)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def now() -> str:
    """Return the time in UTC to the second, in ISO 8601.

    >>> len(now())
    25
    """
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package and of the workbench; "unknown" for what is not installed.

    >>> sorted(versions("numpy"))
    ['numpy', 'workbench']
    """
    # Imported here because it loads email and zipfile, which `workbench --help` does not need.
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("workbench", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
