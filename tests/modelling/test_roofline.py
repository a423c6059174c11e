import json
from dataclasses import replace

import pytest

from workbench.errors import WorkbenchError
from workbench.folders import DEVICES
from workbench.measuring.device_card import DeviceCard
from workbench.measuring.measurement import Latency, Measurement
from workbench.modelling.operations import operations
from workbench.modelling.roofline import (
    ARITHMETIC_REACH,
    BANDWIDTH_REACH,
    model_error,
    modelled,
    natural_engine,
    parts_of,
)

CARDS = [
    DeviceCard.from_mapping(json.loads(path.read_text(encoding="utf-8"))["card"])
    for path in sorted(DEVICES.glob("*.json"))
    if path.name != "schema.json"
]
GPUS = [card for card in CARDS if card.is_gpu]
H100 = next(card for card in CARDS if "H100" in card.name)
M7 = next(card for card in CARDS if card.is_microcontroller)
BATCHES = (1, 2, 8, 64, 256, 1024)
NAMED = {"ids": lambda card: card.name}


@pytest.mark.parametrize("card", GPUS, **NAMED)
@pytest.mark.parametrize("phase", ["inference", "training"])
def test_one_image_leaves_a_gpu_waiting_for_its_host(card, phase):
    alone = parts_of(card, batch_size=1, phase=phase)
    assert alone.bottleneck in ("launches", "copies")
    assert alone.launches > 2 * (alone.arithmetic + alone.memory)
    many = parts_of(card, batch_size=1024, phase=phase)
    copied = card is H100 and phase == "inference"  # its images come from ordinary memory of the host, as measured
    assert many.bottleneck in (("copies",) if copied else ("arithmetic", "memory"))


def test_a_gpu_with_its_own_memory_pays_for_copies_and_a_shared_one_does_not():
    assert parts_of(H100).copies > 2 * H100.copy_seconds
    assert parts_of(next(card for card in CARDS if "Jetson" in card.name)).copies == 0
    assert parts_of(H100, phase="training").copies == 0


@pytest.mark.parametrize("card", CARDS, **NAMED)
@pytest.mark.parametrize("phase", ["inference", "training"])
def test_time_never_falls_and_throughput_never_passes_the_peak(card, phase):
    engine, precision = natural_engine(card, phase)
    points = modelled(card, phase=phase, batch_sizes=BATCHES)
    seconds = [point.latency.p50 for point in points]
    assert seconds == sorted(seconds)
    for point in points:
        counted = operations("convnet", batch_size=point.batch_size, phase=phase, engine=engine, precision=precision)
        assert sum(one.flops for one in counted) / point.latency.p50 <= ARITHMETIC_REACH * card.peak_flops[precision]
        assert (point.engine, point.precision) == (engine, precision)


def test_the_parts_add_up():
    cpu = parts_of(next(card for card in CARDS if "Raspberry" in card.name), batch_size=8)
    assert cpu.seconds == pytest.approx(cpu.copies + cpu.launches + cpu.arithmetic + cpu.memory)
    gpu = parts_of(H100, batch_size=8)
    assert gpu.seconds == pytest.approx(gpu.copies + max(gpu.launches, gpu.arithmetic + gpu.memory))


def test_a_roofline_by_hand():
    card = replace(M7, launch_seconds=1e-3)
    counted = operations("linear", batch_size=2, engine="c", precision="int8")
    by_hand = sum(
        max(one.flops / (1.92e9 * ARITHMETIC_REACH), one.bytes / (1.92e9 * BANDWIDTH_REACH)) for one in counted
    )
    assert parts_of(card, "linear", batch_size=2).seconds == pytest.approx(by_hand + 1e-3 * len(counted))


def test_half_the_threads_double_a_processors_arithmetic():
    board = next(card for card in CARDS if "UP Squared" in card.name)
    whole, half = parts_of(board, batch_size=64), parts_of(board, batch_size=64, threads=4)
    assert half.seconds > whole.seconds
    assert half.arithmetic >= 2 * whole.arithmetic
    assert parts_of(H100, batch_size=64, threads=1) == parts_of(H100, batch_size=64)


def test_modelled_points_say_so_and_energy_is_the_most_there_can_be():
    (point,) = modelled(H100, batch_sizes=(64,))
    assert (point.origin, point.latency.count) == ("modelled", 0)
    assert "modelled" in point.source
    assert point.energy_joules == pytest.approx(700 * point.latency.p50)
    assert Measurement.from_mapping(point.to_mapping()) == point
    assert modelled(M7)[0].energy_joules is None


def test_what_a_card_does_not_tell_is_named():
    bare = replace(H100, memory_bandwidth=None)
    with pytest.raises(WorkbenchError, match="NVIDIA H100 SXM cannot be modelled: its card has no memory_bandwidth"):
        modelled(bare)
    with pytest.raises(WorkbenchError, match=r"cannot be modelled in bf16: its card has peak_flops for fp32, int8"):
        modelled(M7, engine="c", precision="bf16")
    for odd in ({"threads": 0}, {"classes": 0}, {"shape": (32, 32)}):
        with pytest.raises(WorkbenchError, match=f"{next(iter(odd))} = .*must be"):
            parts_of(H100, **odd)
    with pytest.raises(WorkbenchError, match="runs engine c, not 'eager'"):
        modelled(M7, engine="eager", precision="fp32")


def test_the_models_error_is_predicted_over_measured():
    (point,) = modelled(H100, batch_sizes=(8,))
    seconds = point.latency.p50 / 2
    measured = replace(
        point,
        origin="recorded",
        latency=Latency(p50=seconds, p90=seconds, p99=seconds, count=9, warm_up=1.0),
    )
    unknown = (replace(measured, model="mine"), replace(measured, precision="int4"), replace(measured, engine="steam"))
    slower = replace(measured, latency=replace(measured.latency, p50=16 * seconds))
    worst, other = model_error([measured, slower, point, *unknown], H100)
    assert worst.ratio == pytest.approx(1 / 8)
    assert worst.factor == pytest.approx(8)
    assert other.ratio == other.factor == pytest.approx(2)
