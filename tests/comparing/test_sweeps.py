"""Networks measured over batch sizes: all engines and precisions answer alike, and what fails is excluded."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Exported
from torch import nn

from workbench.comparing.sweeps import Excluded, remaining, sweep
from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference.export import export_bundle
from workbench.inference.predictor import Predictor
from workbench.machine.devices import find_device
from workbench.modelling.cost import cost_of
from workbench.training.checkpoint import save_weights
from workbench.training.models import ZOO, Normalise, build_model
from workbench.training.optimization import make_optimizer
from workbench.training.step import TrainingStep


def test_each_contestant_is_measured_at_each_batch_size(exported: Exported):
    data = exported.data
    contestants = [
        Predictor.from_bundle(exported.bundle, "eager", threads=1),
        Predictor.from_bundle(exported.bundle, "onnx", threads=1),
        TrainingStep(exported.model, HyperParameters(), data.preprocessing, threads=1),
    ]
    found = list(sweep(contestants, data.test.images, data.test.labels, batch_sizes=(1, 4), seconds=0.02))
    assert [(m.phase, m.engine, m.batch_size) for m in found] == [
        (phase, engine, size)
        for size in (1, 4)
        for phase, engine in (("inference", "eager"), ("inference", "onnx"), ("training", "eager"))
    ]
    eager, onnx, step = found[:3]
    assert (eager.model, onnx.model, step.model) == ("convnet",) * 3
    assert eager.accuracy == exported.bundle.accuracy
    assert onnx.accuracy == exported.bundle.engines["onnx"].accuracy
    assert onnx.size_bytes == len(exported.bundle.engines["onnx"].content)
    assert step.size_bytes is None
    assert {m.origin for m in found} == {"measured"}
    assert all(m.latency.count >= 5 for m in found)


def test_a_training_step_needs_the_memory_of_its_activations(exported: Exported) -> None:
    """An inference keeps nothing for a backward pass; so the deeper the network, the more its step needs beside it."""
    data, plan = exported.data, HyperParameters(batch_size=128)
    layers = [layer for _ in range(8) for layer in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())]
    deep = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    )
    contestants = [
        Predictor.from_model(deep, data.preprocessing, data.labels, threads=1),
        TrainingStep(deep, plan, data.preprocessing, threads=1),
    ]
    least = [math.inf] * 2  # what else touches a page meanwhile only adds to a reading
    for _ in range(3):
        found = list(sweep(contestants, data.test.images, data.test.labels, batch_sizes=(128,), seconds=0.02))
        if found[0].memory_bytes is None:
            pytest.skip("the memory of a call is not measurable on this system")
        least = [min(low, m.memory_bytes) for low, m in zip(least, found, strict=True)]
    assert least[1] >= cost_of(plan, network=deep, shape=(16, 16, 3), classes=4).activation_bytes
    assert least[1] > 2 * least[0]


def test_the_images_are_repeated_where_the_batch_is_larger(exported: Exported):
    seen: list[int] = []

    class Watching(Predictor):
        def __call__(self, images):  # type: ignore[no-untyped-def]
            seen.append(len(images))
            return super().__call__(images)

    watching = Watching.from_bundle(exported.bundle, "onnx", threads=1)
    list(sweep([watching], exported.data.test.images[:3], batch_sizes=(7,), seconds=0.01))
    assert set(seen) == {7}


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device here"))])  # fmt: skip
def test_engines_and_precisions_answer_alike(name: str, device: str, make_data: Callable[..., Data]):
    """Every network of the zoo: fp32 within 1e-4 of float64 on the same weights, bf16 within 16-bit rounding."""
    data = make_data()
    model = build_model(name, classes=4, shape=data.shape)
    images = data.test.images[:64]
    exact = build_model(name, classes=4, shape=data.shape).double().eval()
    exact.load_state_dict({key: value.double() for key, value in model.state_dict().items()})
    with torch.inference_mode():
        inputs = Normalise(data.preprocessing)(images).double()
        truth = exact(inputs).softmax(dim=1).numpy()
    tolerance = {"fp32": 1e-4 if device == "cpu" else 5e-3, "bf16": 0.03}
    for precision, allowed in tolerance.items():
        made = Predictor.from_model(
            model, data.preprocessing, data.labels, device=device, threads=1, precision=precision
        )
        assert made.precision == precision
        assert np.abs(made(images) - truth).max() < allowed


@pytest.mark.parametrize("name", ZOO)
def test_every_engine_of_every_network_answers_within_its_tolerance(
    name: str, make_data: Callable[..., Data], trained: Callable[..., nn.Module], tmp_path: Path
):
    """Trained, exported, and run by each engine: fp32 within 1e-4 of eager, int8 as close as its bundle says."""
    data = make_data()
    model = trained(build_model(name, classes=4, shape=data.shape, width=0.25), data, epochs=2)
    weights, hyperparameters = tmp_path / "weights.safetensors", HyperParameters()
    about = {"labels": data.labels, "preprocessing": data.preprocessing, "hyperparameters": hyperparameters}
    save_weights(weights, model, **about)
    bundle = export_bundle(
        tmp_path / "bundle", model, data, hyperparameters=hyperparameters, weights=weights, threads=1
    )
    images = data.test.images
    eager = Predictor.from_bundle(bundle, "eager", threads=1)(images)
    assert {*bundle.engines, *bundle.left_out} == {"onnx", "onnx-int8"}
    for engine in ("compiled", *bundle.engines):
        answers = Predictor.from_bundle(bundle, engine, threads=1)(images)
        allowed = bundle.engines[engine].parity["largest_difference"] + 1e-6 if engine == "onnx-int8" else 1e-4
        assert np.abs(answers - eager).max() <= allowed
        if engine == "onnx-int8":
            assert (answers.argmax(axis=1) == eager.argmax(axis=1)).mean() >= 0.99


def test_a_step_changes_the_weights_as_pytorch_alone_would(exported: Exported):
    data, hyperparameters = exported.data, HyperParameters(channels_last=False)
    model = build_model("mlp", classes=4, shape=data.shape)
    step = TrainingStep(model, hyperparameters, data.preprocessing, threads=1)
    batch, labels = data.train.images[:32], data.train.labels[:32]
    losses = [float(step(*step.place(batch, labels))) for _ in range(3)]

    torch.manual_seed(0)
    plain = build_model("mlp", classes=4, shape=data.shape).train()
    optimizer = make_optimizer(plain, hyperparameters, torch.device("cpu"))
    expected = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(plain(Normalise(data.preprocessing)(batch)), labels)
        loss.backward()
        optimizer.step()
        expected.append(float(loss.detach()))
    assert losses == pytest.approx(expected, rel=1e-5)
    assert torch.equal(model[1].weight, build_model("mlp", classes=4, shape=data.shape)[1].weight)  # a copy learned


def test_a_contestant_that_fails_is_excluded_with_a_reason_and_the_others_go_on(exported: Exported):
    class Picky(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) > 2:
                raise RuntimeError("no room for more than two")
            return images.mean(dim=(1, 2, 3), keepdim=False)[:, None].expand(-1, 4)

    data = exported.data
    picky = Predictor.from_model(Picky(), data.preprocessing, data.labels, threads=1)
    good = Predictor.from_bundle(exported.bundle, "onnx", threads=1)
    excluded: list[Excluded] = []
    found = list(sweep([picky, good], data.test.images, batch_sizes=(1, 4, 8), seconds=0.01, excluded=excluded))
    assert [(m.model, m.batch_size) for m in found] == [("Picky", 1), ("convnet", 1), ("convnet", 4), ("convnet", 8)]
    assert excluded == [
        Excluded(
            phase="inference",
            model="Picky",
            device=find_device("cpu").title,
            engine="eager",
            precision="fp32",
            threads=1,
            reason="no room for more than two",
            batch_size=4,
        )
    ]
    assert remaining([picky, good], excluded) == [good]
    with pytest.raises(RuntimeError, match="no room"):
        list(sweep([picky], data.test.images, batch_sizes=(4,), seconds=0.01))


def test_a_contestant_that_fails_in_the_race_is_excluded_and_the_rest_is_measured(exported: Exported):
    class Tiring(nn.Module):
        calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls > 4:
                raise MemoryError
            return images.mean(dim=(1, 2, 3))[:, None].expand(-1, 4)

    data = exported.data
    tiring = Predictor.from_model(Tiring(), data.preprocessing, data.labels, threads=1)
    good = Predictor.from_bundle(exported.bundle, "onnx", threads=1)
    excluded: list[Excluded] = []
    found = list(sweep([tiring, good], data.test.images, batch_sizes=iter((1, 4)), seconds=0.01, excluded=excluded))
    assert [(m.model, m.batch_size) for m in found] == [("convnet", 1), ("convnet", 4)]
    assert [(each.model, each.batch_size, each.reason) for each in excluded] == [("Tiring", 1, "MemoryError")]
    assert list(sweep(tiring, data.test.images, batch_sizes=(1, 2), seconds=0.01, excluded=excluded)) == []


def test_invalid_arguments_are_refused_in_a_sentence(exported: Exported):
    data = exported.data
    good = Predictor.from_bundle(exported.bundle, "onnx", threads=1)
    step = TrainingStep(exported.model, HyperParameters(), data.preprocessing, threads=1)
    cases = [
        (([good], data.test.images.float()), {}, "uint8"),
        (([good], "cats"), {}, "not str"),
        (([good], data.test.images[:0]), {}, "at least one"),
        (([], data.test.images), {}, "needs at least one Predictor"),
        ((["onnx"], data.test.images), {}, "takes Predictors and TrainingSteps, not 'onnx'"),
        (([good], data.test.images), {"batch_sizes": (0,)}, "batch_sizes"),
        (
            ([good], data.test.images),
            {"batch_sizes": (2**30,)},
            "batch_sizes = 1073741824: must be a whole number from 1 to 65,536",
        ),
        (([step], data.test.images, ["cat"]), {}, "Labels must be whole numbers"),
        (([good], data.test.images), {"batch_sizes": ()}, "batch_sizes"),
        (([step], data.test.images), {}, "learns from labels"),
        (([step], data.test.images, data.test.labels[:3]), {}, "need 300 labels"),
    ]
    for arguments, options, sentence in cases:
        with pytest.raises(WorkbenchError, match=sentence):
            list(sweep(*arguments, **options))
    for make in (
        lambda: TrainingStep(exported.model, HyperParameters(), data.preprocessing, precision="fp8"),
        lambda: Predictor.from_model(exported.model, data.preprocessing, data.labels, precision="int8"),
        lambda: Predictor.from_bundle(exported.bundle, "onnx", precision="bf16"),
        lambda: TrainingStep(exported.model, HyperParameters(), data.preprocessing, threads=4096),
        lambda: TrainingStep(exported.model, HyperParameters(), data.preprocessing, device="tpu"),
    ):
        with pytest.raises(WorkbenchError, match=r"precision|threads|no device"):
            make()
