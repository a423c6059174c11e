"""Figures that follow a slider are those that are computed slowly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.capacity import largest_batch
from workbench.cost import cost_of
from workbench.epoch_times import (
    EpochTime,
    NetworkCount,
    cost_at,
    count_network,
    epoch_times,
    step_seconds,
    told_change,
)
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.models import build_model
from workbench.recordings import load_recordings
from workbench.roofline import modelled

RECORDINGS = load_recordings()
EPYC = "AMD EPYC Zen 5 (2 cores)"


@pytest.fixture(scope="module")
def convnet() -> NetworkCount:
    return count_network(HyperParameters())


def at(count: NetworkCount, chosen: HyperParameters, pictures: int = 10_000) -> dict[str, EpochTime]:
    cost = cost_at(count, chosen, pictures=pictures)
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
        cost = cost_at(count, chosen, pictures=700)
        assert cost == cost_of(chosen, shape=shape, classes=4, pictures=700)
    for card in cards[:3]:
        (expected,) = modelled(
            card, network, phase="training", batch_sizes=(700,), precision=count.precision, shape=shape, classes=4
        )
        assert step_seconds(card, count, 700) == pytest.approx(expected.latency.p50, rel=1e-9)


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
    cost = cost_at(convnet, plan, pictures=100_000)
    times = epoch_times(RECORDINGS, convnet, plan, cost)
    seconds = [each.seconds for each in times if each.seconds is not None]
    assert seconds == sorted(seconds)
    assert times[-1].seconds is None
    for recording in RECORDINGS:
        most = largest_batch(recording.card, cost, phase="training")
        epoch = next(each for each in times if each.device == recording.card.name)
        assert epoch.reason.startswith("does not fit") == (most < 65_536)
    assert "no room even for one picture" in at(convnet, plan)["NUCLEO-H743ZI2 (Cortex-M7)"].reason


def test_a_card_that_does_not_tell_enough_gives_a_reason_and_no_figure(convnet: NetworkCount) -> None:
    bare = [replace(each, card=replace(each.card, launch_seconds=None), measurements=()) for each in RECORDINGS[:1]]
    plan = HyperParameters()
    (epoch,) = epoch_times(bare, convnet, plan, cost_at(convnet, plan, pictures=10_000))
    assert epoch.seconds is None
    assert epoch.reason == "cannot be modelled: its card does not tell enough to be modelled"


def test_a_network_that_does_not_take_the_pictures_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="at least 8×8"):
        count_network(HyperParameters(), shape=(4, 4, 3))


def test_a_change_is_told_by_what_it_does(convnet: NetworkCount) -> None:
    plan = HyperParameters()

    def told(**changes: object) -> str:
        after = plan.replace(**changes)
        was, now = (cost_at(convnet, each, pictures=10_000) for each in (plan, after))
        return told_change(plan, after, was, now)

    assert told() == ""
    assert told(batch_size=256) == (
        "Twice the batch size: 2.0× the bytes of training and 40 steps in an epoch instead of 79 (modelled)."
    )
    assert told(epochs=3) == "Epochs 3 instead of 12: 0.25× the FLOPs of the whole run (modelled)."
    assert told(learning_rate=0.2) == (
        "Half the learning rate: the cost stays the same. What is learned changes: run it to see."
    )
    assert "has to be measured" in told(compile=True)
    assert told(seed=1, momentum=0.8, warmup=0.5, flip=False).startswith("4 hyper-parameters changed: ")
    half = count_network(plan.replace(width=0.5))
    was, now = cost_at(half, plan.replace(width=0.5), pictures=100), cost_at(convnet, plan, pictures=100)
    sentence = told_change(plan.replace(width=0.5), plan, was, now)
    assert sentence.startswith("Twice the width: 3.8× the FLOPs, ")
    assert "the weights grow to 381\N{NO-BREAK SPACE}kB" in sentence
