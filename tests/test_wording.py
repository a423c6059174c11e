"""Words for messages: short, on one line, printable; and the versions noted in files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.wording import describe_error, now, one_line, shorten, versions


@given(st.text(), st.integers(1, 200))
def test_short_text_is_printable(value: str, length: int) -> None:
    text = shorten(value, length)
    assert len(text) <= length
    assert text.isprintable()
    assert not value.isprintable() or len(value) > length or text == value


def test_a_line_has_no_breaks() -> None:
    assert one_line("  first\n\tsecond  ") == "first second"
    assert one_line("a" * 300, 10) == "a" * 9 + "…"


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("too\nlarge"), "ValueError: too large"), (KeyError("x"), "KeyError: 'x'"), (OSError(), "OSError")],
)
def test_errors_are_described_by_type_and_message(error: BaseException, text: str) -> None:
    assert describe_error(error) == text


def test_the_time_is_utc() -> None:
    assert abs(datetime.now(UTC) - datetime.fromisoformat(now())) < timedelta(minutes=1)


def test_versions_are_those_installed_and_the_rest_is_unknown() -> None:
    """The application also starts from a checkout that was never installed, and then notes "unknown" for itself."""
    assert versions("numpy", "never-installed") == {
        "workbench": version("workbench"),
        "numpy": version("numpy"),
        "never-installed": "unknown",
    }
