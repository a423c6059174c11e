"""The checks of JSON objects."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.arguments import number, whole_number
from workbench.errors import WorkbenchError
from workbench.measuring.json_fields import check_names, check_object, line, mapping_of, or_none

FIELDS = {
    "name": (line, 5),
    "cores": (whole_number, 1, 8),
    "watts": (or_none, number, 0),
    "peaks": (mapping_of, ("fp32", "int8"), number, 1),
}
GOOD: dict[str, Any] = {"name": "board", "cores": 4, "watts": None, "peaks": {"fp32": 2.5}}


def test_what_passes_its_checks_is_accepted() -> None:
    check_object(GOOD, FIELDS, "a board")
    check_object(GOOD | {"watts": 0, "peaks": {}}, FIELDS, "a board")
    check_names({"name": "board"}, FIELDS, "a board", required=["name"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "boards"}, r"a board: name = 'boards': must be a line of 1 to 5"),
        ({"name": " "}, "a board: name = ' '"),
        ({"name": "a\nb"}, "a board: name"),
        ({"cores": True}, "a board: cores = True: must be a whole number from 1 to 8"),
        ({"watts": float("nan")}, "a board: watts = nan"),
        ({"peaks": [1]}, r"a board: peaks = \[1\]: must be an object"),
        ({"peaks": {"fp32": 0}}, "a board: peaks: fp32 = 0"),
        ({"peaks": {"fp64": 1}}, "a board: peaks = .* among fp32, int8"),
        ({"peaks": {7: 1}}, "a key of a board: peaks = 7"),
        ({"colour": 1, "zebra": 2}, "a board: the key 'colour' is unknown. Known are: name, cores, watts, peaks"),
    ],
)
def test_the_first_wrong_field_is_named_with_its_value(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorkbenchError, match=sentence):
        check_object(GOOD | change, FIELDS, "a board")


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_field_is_named(name: str) -> None:
    given = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(WorkbenchError, match=f"the key {name!r} is missing"):
        check_object(given, FIELDS, "a board")
