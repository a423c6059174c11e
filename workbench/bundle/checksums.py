"""JSON with checksums of its own content, for the metadata of weights files and bundles. No torch.

Checksums detect every accident and every careless edit, and name the key. They are not a signature: anyone who can
write the file can recompute them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from workbench.errors import WorkbenchError
from workbench.wording import shorten

_KEY_HASHES, _CHECKSUM = "sha256", "checksum"


class ChecksumError(WorkbenchError):
    """Why text with checksums is refused, as a clause without its subject ("lacks its 'checksum' …")."""


def add_checksums(values: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return `values` as canonical JSON with a SHA-256 of each value (in "sha256") and of everything (in "checksum").

    Raises WorkbenchError for what JSON cannot represent: infinities, NaN, other types.

    >>> verify_checksums(add_checksums({"labels": ["cat", "dog"]}))
    {'labels': ['cat', 'dog']}
    """
    try:
        hashes = {key: _hash(value) for key, value in values.items()}
        hashed = {**values, _KEY_HASHES: hashes}
        return _canonical({**hashed, _CHECKSUM: _hash(hashed)}, indent)
    except (TypeError, ValueError, RecursionError) as error:
        raise WorkbenchError(f"Only plain, finite values can be written to a file: {error}.") from error


def verify_checksums(text: str, *, indent: int | None = None) -> dict[str, Any]:
    """Return the values that `add_checksums` wrote. Any other spelling of the same values is refused, too.

    Raises ChecksumError, naming the key if only one was changed.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ChecksumError(f"is not valid JSON ({shorten(error)})") from error
    if not isinstance(values, dict) or _CHECKSUM not in values or not isinstance(values.get(_KEY_HASHES), dict):
        raise ChecksumError(f"lacks its {_CHECKSUM!r} or its {_KEY_HASHES!r}")
    stated = values.pop(_CHECKSUM)
    hashes = values[_KEY_HASHES]
    content = {key: value for key, value in values.items() if key != _KEY_HASHES}
    for key in sorted(content.keys() ^ hashes.keys()):
        raise ChecksumError(f"has its key {shorten(key)!r} {'removed' if key in hashes else 'added'}")
    try:
        for key, value in content.items():
            if _hash(value) != hashes[key]:
                raise ChecksumError(f"has its key {shorten(key)!r} changed (the SHA-256 does not match)")
        if _hash(values) != stated:
            raise ChecksumError(f"has its {_CHECKSUM!r} changed (the SHA-256 does not match)")
        if _canonical({**values, _CHECKSUM: stated}, indent) != text:
            raise ChecksumError("is spelled differently from how it was written (white space, order or a repeated key)")
    except (ValueError, RecursionError) as error:
        raise ChecksumError(f"holds a value that cannot have been written ({shorten(error)})") from error
    return content


def _canonical(value: Any, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    text.encode("utf-8")  # refuses half a surrogate pair: a str in Python, but not text anywhere else
    return text


def _hash(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode("utf-8")).hexdigest()
