"""Figures that follow a slider are those that are computed slowly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.recordings import load_recordings
from workbench.modelling.capacity import largest_batch
from workbench.modelling.cost import cost_of
from workbench.modelling.epoch_times import (
    EpochTime,
    NetworkCount,
    count_network,
    epoch_times,
)
from workbench.modelling.roofline import parts_of, roofline
from workbench.training.models import build_model

RECORDINGS = load_recordings()
EPYC = "AMD EPYC Zen 5 (2 cores)"


@pytest.fixture(scope="module")
def convnet() -> NetworkCount:
    return count_network(HyperParameters())


def at(count: NetworkCount, chosen: HyperParameters, images: int = 10_000) -> dict[str, EpochTime]:
    cost = count.cost(chosen, images=images)
    return {each.device: each for each in epoch_times(RECORDINGS, count, chosen, cost)}


@pytest.mark.parametrize(
    ("model", "width", "precision", "shape"),
    [
        ("linear", 1.0, "fp32", (28, 28, 1)),
        ("mlp", 0.3, "auto", (8, 8, 3)),
        ("convnet", 0.25, "bf16", (16, 16, 3)),
        ("resnet", 0.125, "fp32", (12, 12, 1)),
    ],
)
def test_every_figure_is_that_of_the_slow_way(
    model: str, width: float, precision: str, shape: tuple[int, int, int]
) -> None:
    plan = HyperParameters(model=model, width=width, precision=precision)
    count = count_network(plan, shape=shape, classes=4)
    network = build_model(model, width=width, shape=shape, classes=4)
    cards = [recording.card for recording in RECORDINGS if count.precision in recording.card.peak_flops]
    assert len(cards) >= 3
    for chosen in (plan.replace(batch_size=1, optimizer="adamw"), plan.replace(batch_size=1_000, momentum=0.0)):
        cost = count.cost(chosen, images=700)
        assert cost == cost_of(chosen, shape=shape, classes=4, images=700)
    step = count.step_operations(700)
    for card in cards[:3]:
        expected = parts_of(
            card, network, batch_size=700, phase="training", precision=count.precision, shape=shape, classes=4
        )
        assert roofline(card, step, batch_size=700, precision=count.precision) == expected


def test_an_epoch_is_recorded_where_exactly_this_was_measured_and_modelled_elsewhere(convnet: NetworkCount) -> None:
    plan = HyperParameters(batch_size=128)
    measured = next(
        each
        for each in next(recording for recording in RECORDINGS if recording.card.name == EPYC).measurements
        if (each.phase, each.model, each.precision, each.batch_size) == ("training", "convnet", "fp32", 128)
    )
    epoch = at(convnet, plan)[EPYC]
    assert epoch.origin == "recorded"
    assert epoch.source == measured.source
    assert epoch.seconds == pytest.approx(measured.latency.p50 * 10_000 / 128)
    assert at(convnet, plan)["NVIDIA RTX 4060 Laptop GPU"].origin == "modelled"
    for other in ({"optimizer": "adamw"}, {"batch_size": 100}, {"compile": True}, {"channels_last": False}):
        assert at(convnet, plan.replace(**other))[EPYC].origin == "modelled"


def test_the_quickest_comes_first_and_what_does_not_fit_last_with_the_reason(convnet: NetworkCount) -> None:
    plan = HyperParameters(batch_size=65_536)
    cost = convnet.cost(plan, images=100_000)
    times = epoch_times(RECORDINGS, convnet, plan, cost)
    seconds = [each.seconds for each in times if each.seconds is not None]
    assert seconds == sorted(seconds)
    assert times[-1].seconds is None
    for recording in RECORDINGS:
        most = largest_batch(recording.card, cost, phase="training")
        epoch = next(each for each in times if each.device == recording.card.name)
        assert epoch.reason.startswith("does not fit") == (most < 65_536)
    assert "does not hold even one image" in at(convnet, plan)["NUCLEO-H743ZI2 (Cortex-M7)"].reason


def test_a_card_that_does_not_tell_enough_gives_a_reason_and_no_figure(convnet: NetworkCount) -> None:
    bare = [replace(each, card=replace(each.card, launch_seconds=None), measurements=()) for each in RECORDINGS[:1]]
    plan = HyperParameters()
    (epoch,) = epoch_times(bare, convnet, plan, convnet.cost(plan, images=10_000))
    assert epoch.seconds is None
    assert epoch.reason == f"{bare[0].card.name} cannot be modelled: its card has no launch_seconds."


def test_a_network_that_does_not_take_the_images_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="at least 8×8"):
        count_network(HyperParameters(), shape=(4, 4, 3))
