"""04-eval: answer in evaluation mode, and leave the network as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.teaching.exercises.answers import call, function_of, is_same
from workbench.teaching.exercises.exercise import Exercise, NotYet

if TYPE_CHECKING:
    from torch import Tensor, nn


def _check_eval(answer: object) -> None:
    import torch

    function = function_of(answer, "mended")
    torch.manual_seed(0)
    for training in (True, False):
        _judge_classify(function, training)


def _small_network(training: bool) -> nn.Module:
    import torch

    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        norm := torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(4 * 6 * 6, 3),
    )
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=draw) / 4)
    norm.running_mean = torch.randn(4, generator=draw)
    norm.running_var = 0.5 + torch.rand(4, generator=draw)
    return network.train(training)


def _judge_classify(function: Callable[..., Any], training: bool) -> None:
    import torch

    network = _small_network(training)
    images = _six_images()
    with torch.no_grad():
        logits = _small_network(False)(images)
    before = deepcopy(dict(network.state_dict()))
    in_training: set[str] = set()  # types of the layers that ran in training mode
    kept: list[int] = []  # bytes

    def note(module: nn.Module, _: Any) -> None:
        if module.training:
            in_training.add(type(module).__name__)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    for module in network.children():
        module.register_forward_pre_hook(note)

    given = images.clone()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = call(function, network, given, shown_as="a network, 6 images")
    if not torch.equal(given, images):
        raise NotYet("Your function changes the images passed to it.")
    answers = _probabilities(found, 6, 3)
    if not torch.allclose(answers, logits.softmax(dim=1), atol=1e-5):
        _refuse_answers(function, answers, logits, in_training, training and not network.training)
    _judge_network(network, before, training)
    _judge_gradients(found, network, sum(kept))


def _probabilities(found: Any, count: int, classes: int) -> Tensor:
    import torch

    task = f"For {count} images and {classes} classes it should return a tensor of {count} × {classes} probabilities"
    if not isinstance(found, torch.Tensor | np.ndarray):
        raise NotYet(f"{task}, not an object of type {type(found).__name__}.")
    answers = torch.as_tensor(found).detach()
    if tuple(answers.shape) != (count, classes):
        raise NotYet(f"{task}, but the shape is {tuple(answers.shape)}.")
    return answers.float()


def _refuse_answers(
    function: Callable[..., Any], answers: Tensor, logits: Tensor, in_training: set[str], late: bool
) -> None:
    import torch

    if in_training and late:
        raise NotYet("eval() comes too late: images had already passed through the network in training mode.")
    if "BatchNorm2d" in in_training:
        found = call(function, _small_network(True), _six_images()[:1], shown_as="a network, 1 image")
        alone = _probabilities(found, 1, 3)
        raise NotYet(
            "The answer still depends on the other images in the batch: the first image gets "
            f"{float(alone[0, 0]):.0%} for the first class on its own and {float(answers[0, 0]):.0%} with five others."
        )
    if "Dropout" in in_training:
        raise NotYet("Called twice, it gives two answers: batch norm is in eval mode, but dropout is still random.")
    if torch.allclose(answers, logits, atol=1e-5):
        raise NotYet("Those are the logits of the network: return probabilities, as before.")
    raise NotYet("These are not the network's probabilities for these images in eval mode.")


def _six_images() -> Tensor:
    import torch

    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def _judge_network(network: nn.Module, before: Mapping[str, Tensor], training: bool) -> None:
    if not is_same(network.state_dict(), before):
        raise NotYet(
            "The answers are right, but the call has changed weights or the statistics that batch norm collected."
        )
    if any(module.training != training for module in network.modules()):
        before_call, after_call = ("training", "eval") if training else ("eval", "training")
        raise NotYet(
            f"The answers are right, but the network was in {before_call} mode and you leave it in {after_call} mode. "
            "Remember its mode and restore it."
        )


def _judge_gradients(found: Any, network: nn.Module, kept: int) -> None:
    import torch

    if not torch.is_grad_enabled():
        raise NotYet("Your function switches gradients off globally and for good: nothing can be trained afterwards.")
    if not all(value.requires_grad for value in network.parameters()):
        raise NotYet("The answers are right, but the weights can no longer be trained: their requires_grad is gone.")
    if any(value.grad is not None for value in network.parameters()):
        raise NotYet("The answers are right, but your function leaves gradients in the weights.")
    if getattr(found, "requires_grad", False):
        raise NotYet(
            "The answers are right, but the graph for gradients is still attached: see their requires_grad and grad_fn."
        )
    if kept:
        raise NotYet(
            f"The answers are right, but PyTorch kept {kept:,} bytes for gradients that nobody needs. Detaching at the "
            "end is too late: switch gradients off before the network is called."
        )


EXERCISE = Exercise(
    id="04-eval",
    title="Fix the forgotten eval()",
    kind="fix",
    level="core",
    hints=(
        "Which layers use the whole batch, or draw at random? They have to know that this is not training.",
        "Three things: the right mode before the network is called, nothing kept for gradients while it is called, "
        "and the old mode afterwards. The lesson's `infer` shows the one in the middle.",
        "`network.training` says which mode it is in, and `network.train(…)` takes that same value. Between them come "
        "`eval()` and a block with `torch.inference_mode()`.",
    ),
    learned="The same image gets the same answer in any batch, and the network is left as it was.",
    check=_check_eval,
)
