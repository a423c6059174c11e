import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from workbench.device_card import DeviceCard
from workbench.errors import WorkbenchError
from workbench.measurement import Latency, Measurement
from workbench.models import ZOO, build_model
from workbench.operations import Phase, _counted, operations
from workbench.roofline import ARITHMETIC_REACH, BANDWIDTH_REACH, model_error, modelled, natural_engine, parts_of

FOLDER = Path(__file__).parent.parent / "datasets" / "devices"
CARDS = [
    DeviceCard.from_mapping(json.loads(path.read_text(encoding="utf-8"))["card"])
    for path in sorted(FOLDER.glob("*.json"))
    if path.name != "schema.json"
]
GPUS = [card for card in CARDS if card.is_gpu]
H100 = next(card for card in CARDS if "H100" in card.name)
M7 = next(card for card in CARDS if card.is_microcontroller)
BATCHES = (1, 2, 8, 64, 256, 1024)
NAMED = {"ids": lambda card: card.name}


class OneConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, pictures):
        return self.convolution(pictures).mean((2, 3))


def test_a_convolution_is_counted_as_by_hand():
    (counted,) = [one for one in operations(OneConvolution(), batch_size=5) if one.name == "convolution"]
    assert counted.flops == 5 * 2 * (3 * 3 * 3) * 16 * 32 * 32
    assert counted.bytes == 4 * (5 * 3 * 32 * 32 + 16 * 3 * 3 * 3 + 16 + 5 * 16 * 32 * 32)


def test_a_linear_layer_is_counted_as_by_hand():
    names = {one.name: one for one in operations("linear", batch_size=7)}
    values = 32 * 32 * 3
    assert names["addmm"].flops == 7 * 2 * values * 10
    assert names["addmm"].bytes == 4 * (10 + 7 * values + values * 10 + 7 * 10)
    assert names["_softmax"].bytes == 4 * 2 * 7 * 10


@pytest.mark.parametrize("name", ZOO)
def test_flops_are_those_of_pytorchs_own_counter(name):
    model = build_model(name).eval()
    with FlopCounterMode(display=False) as oracle, torch.no_grad():
        model(torch.zeros(4, 3, 32, 32))
    assert sum(one.flops for one in operations(name, batch_size=4)) == oracle.get_total_flops()
    with FlopCounterMode(display=False) as oracle:
        logits = model.train()(torch.zeros(4, 3, 32, 32))
        nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.int64)).backward()
    assert sum(one.flops for one in operations(name, batch_size=4, phase="training")) == oracle.get_total_flops()


def test_fused_engines_drop_operations_and_bytes_but_no_arithmetic():
    eager, fused = operations("resnet", batch_size=4), operations("resnet", batch_size=4, engine="onnx")
    assert sum(one.flops for one in fused) == sum(one.flops for one in eager)
    assert sum(one.bytes for one in fused) < 0.6 * sum(one.bytes for one in eager)
    assert not {"native_batch_norm", "relu"} & {one.name for one in fused}
    assert operations("resnet", phase="training", engine="onnx") == operations("resnet", phase="training")


def test_a_narrower_format_moves_fewer_bytes():
    def moved(precision):
        return sum(one.bytes for one in operations("mlp", batch_size=4, precision=precision))

    pictures = 4 * 32 * 32 * 3  # stay uint8
    assert moved("bf16") - pictures == (moved("fp32") - pictures) / 2
    assert moved("int8") - pictures == (moved("fp32") - pictures) / 4


def test_counting_leaves_the_model_and_the_random_numbers_alone():
    model = OneConvolution().train()
    weights, state = model.convolution.weight.clone(), torch.get_rng_state()
    operations(model, phase="training")
    operations("mlp", batch_size=3)
    assert model.training
    assert model.convolution.weight.grad is None
    assert torch.equal(model.convolution.weight, weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_be_counted_is_a_sentence():
    for wrong in ({"phase": "sleep"}, {"engine": "steam"}, {"precision": "int4"}, {"batch_size": 0}):
        ((name, value),) = wrong.items()
        with pytest.raises(WorkbenchError, match=f"{name} = {value!r}: must be"):
            operations("mlp", **wrong)
    with pytest.raises(WorkbenchError, match="OneConvolution does not take pictures of 32×32×1"):
        operations(OneConvolution(), shape=(32, 32, 1))


@pytest.mark.parametrize("card", GPUS, **NAMED)
@pytest.mark.parametrize("phase", ["inference", "training"])
def test_one_picture_leaves_a_gpu_waiting_for_its_host(card, phase):
    alone = parts_of(card, batch_size=1, phase=phase)
    assert alone.binds in ("launches", "copies")
    assert alone.launches > 2 * (alone.arithmetic + alone.memory)
    many = parts_of(card, batch_size=1024, phase=phase)
    copied = card is H100 and phase == "inference"  # its pictures come from ordinary memory of the host, as measured
    assert many.binds in (("copies",) if copied else ("arithmetic", "memory"))


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
    with pytest.raises(WorkbenchError, match=r"no peak_flops for bf16 on its card; it has fp32, int8"):
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


@pytest.mark.parametrize("phase", ["inference", "training"])
def test_operations_at_any_batch_size_are_those_of_running_it(phase: Phase) -> None:
    for name in ("mlp", "resnet", "mobilenet_v3_small"):
        with torch.device("meta"):
            model = build_model(name)
        for size in (3, 7, 64, 1000):
            run = _counted(model, (32, 32, 3), size, phase, 4)
            assert operations(name, batch_size=size, phase=phase) == run
            assert operations(model, batch_size=size, phase=phase) == run
