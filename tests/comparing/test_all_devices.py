"""All known devices in one comparison: recorded or modelled, priced, and as plain values for a page.

Covers: page_data.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from workbench.comparing.all_devices import (
    DOLLARS_A_KILOWATT_HOUR,
    LIFE_HOURS,
    compare_recordings,
    describe_model_errors,
    hourly_prices,
    known_devices,
)
from workbench.comparing.metrics import METRIC_NAMES, describe_origin
from workbench.comparing.page_data import points, rules
from workbench.errors import WorkbenchError
from workbench.measuring.recordings import Recording, load_recordings
from workbench.training.models import build_model


@pytest.fixture(scope="module")
def recordings() -> tuple[Recording, ...]:
    return load_recordings()


def test_measured_devices_are_recorded_and_the_others_modelled(recordings: tuple[Recording, ...]) -> None:
    found = known_devices(batch_sizes=(1, 64))
    origins = {m.device: m.origin for m in found.measurements}
    for recording in recordings:
        if recording.measurements:
            assert origins[recording.card.name] == "recorded"
    assert "modelled" in origins.values()
    assert found.batch_sizes == (1, 64)


def test_a_network_that_nobody_recorded_is_modelled_everywhere(recordings: tuple[Recording, ...]) -> None:
    own = build_model("mlp", classes=3, shape=(8, 8, 1))
    found = compare_recordings(
        recordings, phase="inference", model="mine", batch_sizes=(1,), network=own, shape=(8, 8, 1), classes=3
    )
    assert {m.origin for m in found.measurements} == {"modelled"}
    assert {m.model for m in found.measurements} == {"mine"}
    with pytest.raises(WorkbenchError, match="phase = 'dreaming'"):
        compare_recordings(recordings, phase="dreaming", model="convnet")  # type: ignore[arg-type]


def test_an_hour_costs_a_part_of_the_price_and_the_electricity(recordings: tuple[Recording, ...]) -> None:
    sources = {"price_dollars": "a shop", "watts": "a data sheet"}
    card = replace(recordings[0].card, price_dollars=LIFE_HOURS * 2.0, watts=1000.0, sources=sources | dict(
        recordings[0].card.sources))  # fmt: skip
    free = replace(recordings[1].card, price_dollars=None)
    given = [replace(recordings[0], card=card), replace(recordings[1], card=free)]
    assert hourly_prices(given) == {card.name: pytest.approx(2.0 + DOLLARS_A_KILOWATT_HOUR)}


def test_without_a_measured_device_there_is_no_error_to_describe(recordings: tuple[Recording, ...]) -> None:
    assert describe_model_errors([each for each in recordings if not each.measurements]) == ""
    assert "off by a factor of" in describe_model_errors(recordings)


def test_a_page_gets_plain_values(recordings: tuple[Recording, ...]) -> None:
    measurements = compare_recordings(recordings, phase="training", model="convnet", batch_sizes=(1,)).measurements
    data = json.loads(json.dumps([rules(), points(measurements)], allow_nan=False))
    assert set(data[0]["metrics"]) == set(METRIC_NAMES)
    assert [point["origin_text"] for point in data[1]] == [describe_origin(m) for m in measurements]
    assert [point["p50"] for point in data[1]] == [m.latency.p50 for m in measurements]
