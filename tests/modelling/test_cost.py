import pytest
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.modelling.cost import _LiveBytes, cost_of
from workbench.training.models import build_model, parameter_count

MODELS = ["linear", "mlp", "convnet", "resnet", "mobilenet_v3_small"]


def test_the_mlp_by_hand():
    cost = cost_of(HyperParameters(model="mlp", batch_size=64), shape=(8, 8, 3), classes=5, images=1000)
    weights = [(192, 256), (256, 256), (256, 5)]
    assert cost.parameters == sum((inputs + 1) * outputs for inputs, outputs in weights)
    assert cost.inference_flops == sum(2 * inputs * outputs for inputs, outputs in weights)
    # Backward: one product for the gradient of each matrix, one for its input, which the first layer does not need.
    assert cost.training_flops == 3 * cost.inference_flops - 2 * 192 * 256
    assert cost.weight_bytes == cost.gradient_bytes == cost.optimizer_bytes == 4 * cost.parameters
    # Kept for the backward pass: each layer's input, and what cross-entropy needs (log-probabilities, labels, a sum).
    layers = 64 * 4 * (192 + 256 + 256)
    assert layers <= cost.activation_bytes <= layers + 64 * (4 * 5 + 8) + 8
    assert cost.working_bytes == 4 * (192 + 256 + 256)  # the image, and the input and output of the middle layer
    assert (cost.steps_per_epoch, cost.batch_size) == (16, 64)
    assert cost.run_flops == cost.training_flops * 1000 * 12


def test_the_convnet_of_the_lessons_by_hand():
    cost = cost_of(HyperParameters())
    kernels = [(3, 32, 32), (32, 64, 16), (64, 128, 8)]
    assert cost.inference_flops == sum(2 * 9 * a * b * side * side for a, b, side in kernels) + 2 * 128 * 10
    assert cost.parameters == 94_762
    # DESIGN: small enough to become C for a microcontroller: at int8 a quarter of fp32's working memory.
    assert cost.parameters <= 100_000
    assert cost.working_bytes / 4 <= 256_000


@pytest.mark.parametrize("name", MODELS)
def test_a_network_costs_what_its_name_costs(name):
    """The training steps of a network that is given run on fake tensors, of one that is named on the meta device."""
    assert cost_of(HyperParameters(model=name), network=build_model(name)) == cost_of(HyperParameters(model=name))


@pytest.mark.parametrize("name", MODELS)
def test_activations_are_what_autograd_really_keeps(name):
    cost = cost_of(HyperParameters(model=name, batch_size=8), shape=(32, 32, 3))
    model = build_model(name).train()
    assert cost.parameters == parameter_count(model)
    own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(torch.randn(8, 3, 32, 32))
        nn.functional.cross_entropy(logits, torch.zeros(8, dtype=torch.int64)).backward()
    assert cost.activation_bytes == pytest.approx(sum(storage.nbytes() for storage in kept.values()), rel=0.01)


def test_what_moves_the_bytes():
    plain = cost_of(HyperParameters())
    assert cost_of(HyperParameters(optimizer="adamw")).optimizer_bytes == 2 * plain.optimizer_bytes
    assert cost_of(HyperParameters(momentum=0)).optimizer_bytes == 0
    assert cost_of(HyperParameters(batch_size=256)).activation_bytes == pytest.approx(
        2 * plain.activation_bytes, rel=0.01
    )
    assert cost_of(HyperParameters(precision="bf16")).activation_bytes < 0.65 * plain.activation_bytes
    assert cost_of(HyperParameters(width=2)).parameters == parameter_count(build_model("convnet", width=2))
    assert plain.training_bytes > 50 * plain.inference_bytes


def test_a_batch_is_never_more_than_there_is():
    assert cost_of(HyperParameters(batch_size=128), images=10).batch_size == 10


def test_what_cannot_be_built_is_a_sentence():
    with pytest.raises(WorkbenchError, match="at least 8×8"):
        cost_of(HyperParameters(), shape=(4, 4, 3))
    with pytest.raises(WorkbenchError, match="alexnet does not take images of 16×16×3"):
        cost_of(HyperParameters(model="alexnet"), shape=(16, 16, 3))
    with pytest.raises(WorkbenchError, match="Unknown model 'convent'"):
        cost_of(HyperParameters(model="convent"))


@pytest.mark.parametrize("name", MODELS)
def test_working_memory_is_what_a_real_answer_holds(name):
    model, image = build_model(name).eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad(), _LiveBytes(ignored=[*model.parameters(), *model.buffers()]) as live:
        live.add(image)
        model(image)
    assert cost_of(HyperParameters(model=name)).working_bytes == live.peak
