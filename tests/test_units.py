"""Numbers for people: the value can be read back to within the digits shown, and the unit is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.units import format_bytes, format_number, format_ratio, format_seconds, format_share

BYTES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def _read(text: str, units: dict[str, float]) -> float:
    words = text.replace(",", "").split("\N{NO-BREAK SPACE}")
    return sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


@given(st.integers(0, 10**15))
def test_bytes_read_back(count: int) -> None:
    assert _read(format_bytes(count), BYTES) == pytest.approx(count, rel=0.0051, abs=0.5)


@given(st.floats(1e-8, 1e6))
def test_seconds_read_back(seconds: float) -> None:
    assert _read(format_seconds(seconds), SECONDS) == pytest.approx(seconds, rel=0.0085)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_bytes(383_456), "383 kB"),
        (format_bytes(999_700), "1.00 MB"),
        (format_bytes(12), "12 bytes"),
        (format_seconds(9.3e-5), "93.0 µs"),
        (format_seconds(0.9999), "1.00 s"),
        (format_seconds(59.96), "1 min 0 s"),
        (format_seconds(3725), "1 h 2 min"),
        (format_seconds(0), "0 s"),
        (format_share(0.93124), "93.1 %"),
        (format_share(1.0), "100.0 %"),
        (format_share(0.99999), "99.9 %"),
        (format_share(0.00001), "< 0.1 %"),
        (format_share(0.0), "0.0 %"),
        (format_ratio(5.31), "5.3×"),
        (format_ratio(1234.5), "1,234×"),
        (format_number(94_762), "94,762"),
        (format_number(0.0005), "0.0005"),
        (format_number(True), "yes"),
        (format_number("sgd"), "sgd"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert text.replace("\N{NO-BREAK SPACE}", " ") == expected
