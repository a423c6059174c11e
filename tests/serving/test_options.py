"""Options of the application: defaults and ranges."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.serving.options import Options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 70_000}, "port = 70000: must be a whole number from 0 to 65,535"),
        ({"workers": 0}, "workers = 0: must be a whole number from 1 to 256"),
        ({"threads": 1.5}, "threads = 1.5: must be a whole number"),
        ({"request_seconds": True}, "request_seconds = True: must be a number from 0.1 to 3,600"),
        ({"drain_seconds": -1}, "drain_seconds = -1"),
        ({"host": " "}, "host = ' '"),
        ({"engine": "eager"}, "engine = 'eager': must be one of onnx, onnx-int8"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(WorkbenchError, match=said):
        Options(**options)  # type: ignore[arg-type]


def test_the_defaults_are_valid_and_ranges_include_their_ends() -> None:
    assert Options().host == "127.0.0.1"
    assert Options(port=65_535, workers=256, drain_seconds=0, request_seconds=3600).drain_seconds == 0


def test_numpys_numbers_are_numbers() -> None:
    assert Options(workers=np.int64(2), request_seconds=np.float32(2.5)).workers == 2
