"""Recording this machine: what is measured, and which cards are refused (whole recordings: tests/measuring)."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from conftest import int8_overflows

from workbench.comparing.recorder import machine_card, record_machine
from workbench.comparing.sweeps import Excluded
from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.machine.threads import resolve_threads


def test_it_measures_the_reference_network_in_every_setting_and_the_others_plainly() -> None:
    excluded: list[Excluded] = []
    card = machine_card(find_device("cpu"))
    steps = record_machine("cpu", batch_sizes=(1,), seconds=0.005, models=("linear",), card=card, excluded=excluded)
    seen = list(islice(steps, 3))
    steps.close()  # the rest would start processes, to time their first answers
    recording = seen[-1].recording
    # A race each for inference, training and the other networks.
    assert [(step.done, step.total) for step in seen] == [(1, 3), (2, 3), (3, 3)]
    cores = resolve_threads(None)
    found = {(m.phase, m.model, m.engine, m.precision, m.threads) for m in recording.measurements}
    inference = {("eager", "fp32"), ("eager", "bf16"), ("onnx", "fp32"), ("onnx-int8", "int8")}
    inference -= {("onnx-int8", "int8")} if int8_overflows() else set()
    assert found == {
        *(("inference", "convnet", *engine, threads) for engine in inference for threads in (1, cores)),
        *(("training", "convnet", "eager", precision, cores) for precision in ("fp32", "bf16")),
        *((phase, "linear", "eager", "fp32", cores) for phase in ("inference", "training")),
    }
    assert {each.precision for each in excluded} == ({"int8"} if int8_overflows() else set())
    assert {m.device for m in recording.measurements} == {card.name}


def test_the_machine_reports_the_memory_and_cores_of_its_card() -> None:
    place = find_device("cpu")
    card = machine_card(place)
    assert (card.name, card.cores, card.memory_bytes, card.is_gpu) == (
        place.title,
        place.cores,
        place.memory_bytes,
        False,
    )
    assert set(card.sources) == {"cores", "memory_bytes"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "data-centre GPU"}, "The card is of a data-centre GPU"),
        ({"cores": 9999}, "says cores = 9,999"),
        ({"memory_bytes": 2**20}, "says memory_bytes = 1,048,576"),
    ],
)
def test_the_card_of_another_device_is_refused_before_anything_is_measured(change: dict, sentence: str) -> None:
    with pytest.raises(WorkbenchError, match=sentence):
        next(record_machine("cpu", card=replace(machine_card(find_device("cpu")), **change)))


@pytest.mark.parametrize("sizes", [(), (0,), (2**30,), (1.5,)])
def test_impossible_batch_sizes_are_refused(sizes: tuple) -> None:
    with pytest.raises(WorkbenchError, match="batch_sizes"):
        next(record_machine("cpu", batch_sizes=sizes))
