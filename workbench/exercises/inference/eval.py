"""04-eval: a network that answers in the mode in which it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.exercises.answers import called, function_of, is_same
from workbench.exercises.exercise import Exercise, NotYet

if TYPE_CHECKING:
    from torch import Tensor, nn


def _check_eval(answer: object) -> None:
    import torch

    function = function_of(answer, "mended")
    # What a learner's function switches off, or draws, must end with the check.
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(True):
        torch.manual_seed(0)
        for learning in (True, False):
            _judge_classify(function, learning)


def _small_network(learning: bool) -> nn.Module:
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
    return network.train(learning)


def _judge_classify(function: Callable[..., Any], learning: bool) -> None:
    import torch

    network = _small_network(learning)
    pictures = _six_pictures()
    with torch.no_grad():
        logits = _small_network(False)(pictures)
    before = deepcopy(dict(network.state_dict()))
    learned: set[str] = set()
    kept: list[int] = []

    def note(module: nn.Module, _: Any) -> None:
        if module.training:
            learned.add(type(module).__name__)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    for module in network.children():
        module.register_forward_pre_hook(note)

    given = pictures.clone()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = called(function, network, given, told="a network, 6 pictures")
    if not torch.equal(given, pictures):
        raise NotYet("Your function changes the pictures that it is given.")
    answers = _probabilities(found, 6, 3)
    if not torch.allclose(answers, logits.softmax(dim=1), atol=1e-5):
        _refuse_answers(function, answers, logits, learned, learning and not network.training)
    _judge_network(network, before, learning)
    _judge_gradients(found, network, sum(kept))


def _probabilities(found: Any, count: int, kinds: int) -> Tensor:
    import torch

    wanted = f"For {count} pictures of {kinds} kinds it should give a tensor of {count} × {kinds} probabilities"
    if not isinstance(found, torch.Tensor | np.ndarray):
        raise NotYet(f"{wanted}, and gives a {type(found).__name__}.")
    answers = torch.as_tensor(found).detach()
    if tuple(answers.shape) != (count, kinds):
        raise NotYet(f"{wanted}, and what it gives has the shape {tuple(answers.shape)}.")
    return answers.float()


def _refuse_answers(
    function: Callable[..., Any], answers: Tensor, logits: Tensor, learned: set[str], late: bool
) -> None:
    import torch

    if learned and late:
        raise NotYet("eval() comes too late: when it was called, pictures had already gone through as while learning.")
    if "BatchNorm2d" in learned:
        asked = called(function, _small_network(True), _six_pictures()[:1], told="a network, 1 picture")
        alone = _probabilities(asked, 1, 3)
        raise NotYet(
            "The answer still depends on the company: the first picture is of the first kind with "
            f"{float(alone[0, 0]):.0%} when asked alone, and with {float(answers[0, 0]):.0%} beside five others."
        )
    if "Dropout" in learned:
        raise NotYet("Asked twice, it gives two answers: batch norm rests, but dropout still draws what it leaves out.")
    if torch.allclose(answers, logits, atol=1e-5):
        raise NotYet("Those are the logits of the network: as before, give back probabilities.")
    raise NotYet("These are not the probabilities that the network gives for these pictures when nothing is learned.")


def _six_pictures() -> Tensor:
    import torch

    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def _judge_network(network: nn.Module, before: Mapping[str, Tensor], learning: bool) -> None:
    if not is_same(network.state_dict(), before):
        raise NotYet("The answers are right, but asking has changed the values that batch norm collected, or weights.")
    if any(module.training != learning for module in network.modules()):
        came, goes = ("training", "eval") if learning else ("eval", "training")
        raise NotYet(
            f"The answers are right, but the network came in {came} mode and you return it in {goes} mode. Remember "
            "its mode and restore it."
        )


def _judge_gradients(found: Any, network: nn.Module, kept: int) -> None:
    import torch

    if not torch.is_grad_enabled():
        raise NotYet("Your function switches gradients off for everybody, for good: nothing can be learned afterwards.")
    if not all(value.requires_grad for value in network.parameters()):
        raise NotYet("The answers are right, but the weights can no longer learn: their requires_grad is gone.")
    if any(value.grad is not None for value in network.parameters()):
        raise NotYet("The answers are right, but your function leaves gradients in the weights.")
    if getattr(found, "requires_grad", False):
        raise NotYet("The answers are right, but the way back hangs on them: see their requires_grad, and grad_fn.")
    if kept:
        raise NotYet(
            f"The answers are right, but on the way there PyTorch kept {kept:,} bytes for gradients that nobody asks "
            "for. Cutting them off at the end is late: say so before the network is called."
        )


EXERCISE = Exercise(
    id="04-eval",
    title="Mend the forgotten eval()",
    kind="mend",
    level="core",
    hints=(
        "Which layers look at the batch, or draw at random? They have to be told that nothing is learned now.",
        "Three things: the mode before the network is called, nothing kept for gradients while it is called, and "
        "the old mode afterwards. The lesson's `infer` shows the one in the middle.",
        "`network.training` says which mode it is in, and `network.train(…)` takes that very value. Between them "
        "stand `eval()` and a block with `torch.inference_mode()`.",
    ),
    learned="The same picture gets the same answer in any company, and the network goes back as it came.",
    check=_check_eval,
)
