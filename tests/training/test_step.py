"""The step of training: `train` and the `TrainingStep` that is measured take the very same steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.data.datasets import Data, load_dataset
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.machine.threads import torch_threads
from workbench.training.batches import Batches
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.step import GradientStep, TrainingStep

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> Data:
    return load_dataset("digits")


def make_model(data: Data) -> nn.Module:
    return build_model("convnet", width=0.25, shape=data.shape, seed=3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_train_takes_the_steps_that_are_measured(data: Data, precision: str, channels_last: bool) -> None:
    plan = HyperParameters(
        epochs=1, schedule="constant", precision=precision, channels_last=channels_last, label_smoothing=0.1
    )
    trained, model = make_model(data), make_model(data)
    step = TrainingStep(model, plan, data.preprocessing, threads=1, precision=precision)
    with torch_threads(1):
        losses = [float(step(*batch)) for batch in Batches(data.train, plan, CPU, 10**9).epoch(0)]
        records = list(train(trained, data, plan, device="cpu", record_every=1))
    assert [record.loss for record in records[:-1]] == losses[:-1]
    assert len(records) == len(losses)
    for before, after in zip(make_model(data).parameters(), model.parameters(), strict=True):
        assert torch.equal(before, after)  # the step trains a copy


def test_choosing_a_precision_leaves_the_network_alone(data: Data) -> None:
    model = make_model(data)
    step = GradientStep(model, HyperParameters(), data.preprocessing, CPU)
    step.choose_precision(data.train.images[:16], data.train.labels[:16], lambda: None)
    assert step.precision in ("fp32", "bf16")
    fresh = make_model(data).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_compiled_network_is_trained_as_the_network_inside(data: Data) -> None:
    model = make_model(data)
    batch = data.train.images[:8], data.train.labels[:8]
    plain, compiled = (
        TrainingStep(each, HyperParameters(), data.preprocessing, threads=1) for each in (model, torch.compile(model))
    )
    assert (plain.model, plain.engine) == (compiled.model, compiled.engine) == ("convnet", "eager")
    assert float(plain(*plain.place(*batch))) == float(compiled(*compiled.place(*batch)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"precision": "fp16"}, "precision = 'fp16'"), ({"threads": 0}, "threads = 0"), ({"device": "tpu"}, "tpu")],
)
def test_what_cannot_be_measured_is_named(data: Data, options: dict[str, object], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        TrainingStep(make_model(data), HyperParameters(), data.preprocessing, **options)  # type: ignore[arg-type]
