"""Checksums name the key that was changed, and accept only what was written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.bundle.checksums import ChecksumError, add_checksums, verify_checksums
from workbench.errors import WorkbenchError

VALUES = {"labels": ["cat", "dög"], "accuracy": 0.9, "about": {"epochs": 3}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('abc×"\\'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1), JSON, max_size=4), st.sampled_from([None, 2]))
def test_what_was_written_is_read_back(values: dict, indent: int | None) -> None:
    assert verify_checksums(add_checksums(values, indent=indent), indent=indent) == values


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("0.9", "0.8", "has its key 'accuracy' changed"),
        ('"epochs":3', '"epochs":4', "has its key 'about' changed"),
        ('"accuracy":0.9,', "", "has its key 'accuracy' removed"),
        ('{"labels"', '{"new":1,"labels"', "has its key 'new' added"),
        ('"checksum":"', '"checksum":"0', "has its 'checksum' changed"),
        ('"checksum"', '"seal"', "lacks its 'checksum'"),
        ('{"labels"', '{ "labels"', "is spelled differently"),
        ("0.9", "0.90", "is spelled differently"),
        ("0.9", "NaN", "holds a value that cannot have been written"),
        ("}", "", "is not valid JSON"),
    ],
)
def test_every_change_is_refused_with_its_reason(old: str, new: str, reason: str) -> None:
    text = add_checksums(VALUES)
    assert old in text
    with pytest.raises(ChecksumError, match=reason):
        verify_checksums(text.replace(old, new, 1))


@pytest.mark.parametrize("value", [math.inf, math.nan, {1, 2}, b"bytes", "\ud800"])
def test_what_json_cannot_represent_is_refused(value: object) -> None:
    with pytest.raises(WorkbenchError, match="Only plain, finite values"):
        add_checksums({"value": value})
