"""JSON that carries its own hashes: what a weights file and a bundle say about themselves. No torch.

A seal finds every accident and every careless edit, and names the key. It is no signature: whoever can write the file
can also seal it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.errors import WorkbenchError

_KEY_HASHES, _SEAL = "sha256", "seal"


class SealError(WorkbenchError):
    """Why a sealed text is refused, as a clause without its subject ("its labels were changed …")."""


def seal(values: Mapping[str, Any], *, indent: int | None = None) -> str:
    """`values` as canonical JSON with a SHA-256 of each key (under "sha256") and of everything (under "seal").

    Raises WorkbenchError for what JSON cannot carry: an infinite or undefined number, a foreign type.
    """
    try:
        hashes = {key: _hash(value) for key, value in values.items()}
        sealed = {**values, _KEY_HASHES: hashes}
        return _canonical({**sealed, _SEAL: _hash(sealed)}, indent)
    except (TypeError, ValueError, RecursionError) as error:
        raise WorkbenchError(f"Only plain, finite values can be written to a file: {error}.") from error


def unseal(text: str, *, indent: int | None = None) -> dict[str, Any]:
    """The inverse of `seal`, byte for byte: any other spelling of the same values is refused too.

    Raises SealError naming the key that was changed, where one key alone was.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SealError(f"is not valid JSON ({shortened(error)})") from error
    if not isinstance(values, dict) or _SEAL not in values or not isinstance(values.get(_KEY_HASHES), dict):
        raise SealError(f"lacks its {_SEAL!r} or its {_KEY_HASHES!r}")
    stated = values.pop(_SEAL)
    hashes = values[_KEY_HASHES]
    content = {key: value for key, value in values.items() if key != _KEY_HASHES}
    for key in sorted(content.keys() ^ hashes.keys()):
        raise SealError(f"has its key {shortened(key)!r} {'removed' if key in hashes else 'added'}")
    try:
        for key, value in content.items():
            if _hash(value) != hashes[key]:
                raise SealError(f"has its key {shortened(key)!r} changed (the SHA-256 does not match)")
        if _hash(values) != stated:
            raise SealError(f"has its {_SEAL!r} changed (the SHA-256 does not match)")
        if _canonical({**values, _SEAL: stated}, indent) != text:
            raise SealError("is spelled differently than it was written (white space, order or a repeated key)")
    except (ValueError, RecursionError) as error:
        raise SealError(f"holds a value that was never written ({shortened(error)})") from error
    return content


def versions(*packages: str) -> dict[str, str]:
    """Installed version of each package, and of the workbench; "unknown" where it runs without being installed."""
    # Only here, as it loads email and zipfile, which `workbench --help` does without.
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("workbench", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def shortened(value: object, length: int = 120) -> str:
    """`value` as text fit for a sentence, however long and strange a hostile file made it."""
    text = "".join(letter if letter.isprintable() else "�" for letter in str(value)[: length + 1])
    return text if len(text) <= length else text[: length - 1] + "…"


def _canonical(value: Any, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    text.encode("utf-8")  # half a surrogate pair is a str in Python and no text anywhere else
    return text


def _hash(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode("utf-8")).hexdigest()
