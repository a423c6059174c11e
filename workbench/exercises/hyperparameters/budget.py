"""01-budget: hyper-parameters that reach a target within a budget of FLOPs, bytes and steps."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.exercises.answers import is_blank, shown
from workbench.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.hyperparameters import HyperParameters
from workbench.sealed import shortened

if TYPE_CHECKING:
    from workbench.cost import Cost
    from workbench.data import Data
    from workbench.training import Record


FLOPS, BYTES, STEPS = 6_000_000_000, 3_000_000, 200
TARGET = 0.97
_SEEDS = (12, 13)
_FEW_STEPS = 60
_LEARNED = 0.985


def _check_budget(answer: object) -> None:
    if is_blank(answer):
        raise Unanswered
    if not isinstance(answer, HyperParameters):
        raise NotYet(f"{shown(answer)} is no choice of hyper-parameters: make a wb.HyperParameters(...).")
    from workbench.data import load_dataset

    digits = load_dataset("digits")
    # One number format and one thread: on every machine the same arithmetic.
    choice = answer.replace(precision="fp32", compile=False)
    cost = _cost_within_budget(choice, digits)
    ends = [_end_of_run(choice.replace(seed=seed), digits) for seed in _SEEDS]
    reached = mean(end.validation_accuracy or 0.0 for end in ends)
    if reached < TARGET:
        told = f"Within the budget, and {reached:.1%} right on average of two seeds; {TARGET:.0%} are wanted. "
        raise NotYet(told + _why_short(choice, cost.steps_per_epoch * cost.epochs, mean(end.accuracy for end in ends)))


def _cost_within_budget(choice: HyperParameters, digits: Data) -> Cost:
    from workbench.cost import cost_of

    steps = choice.epochs * -(-len(digits.train) // choice.batch_size)
    if steps > STEPS:
        raise NotYet(
            f"That is {steps:,} gradient steps, more than {STEPS}. They follow from pictures, batch size and epochs."
        )
    try:
        cost = cost_of(choice, shape=digits.shape, classes=len(digits.labels), pictures=len(digits.train))
    except WorkbenchError as error:
        raise NotYet(shortened(f"This choice cannot be costed: {error}", 300)) from None
    if cost.run_flops > FLOPS:
        raise NotYet(
            f"The run takes {cost.run_flops / FLOPS:.2f} times the FLOPs of the budget. Which of width, epochs and "
            "batch size does their number follow from?"
        )
    if cost.training_bytes > BYTES:
        raise NotYet(
            f"The FLOPs are within the budget, but training holds {cost.training_bytes / BYTES:.2f} times its bytes. "
            "Which of the four parts is the largest, and what does it grow with?"
        )
    return cost


def _end_of_run(choice: HyperParameters, digits: Data) -> Record:
    import torch

    from workbench.models import build_model
    from workbench.training import TrainingError, train

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = build_model(
            choice.model, classes=len(digits.labels), shape=digits.shape, width=choice.width, seed=choice.seed
        )
        return list(train(model, digits, choice, device="cpu", record_every=STEPS))[-1]
    except TrainingError as error:
        raise NotYet(shortened(f"The run does not come to its end. {error}", 300)) from None
    finally:
        torch.set_num_threads(threads)


def _why_short(choice: HyperParameters, steps: int, learned: float) -> str:
    if choice.flip:
        return "Half of the digits that it learns from are in the mirror (`flip`): has a digit a left and a right?"
    if steps < _FEW_STEPS:
        return f"It was corrected {steps} times only: what would more steps at the same FLOPs take?"
    if learned < _LEARNED:
        return (
            f"By the end it had {learned:.1%} of its training pictures right: it has not learned them yet. "
            "Are the steps too short, too long, or too few?"
        )
    return "It knows its training pictures, and others less well: which network sees that a digit moved is the same?"


EXERCISE = Exercise(
    id="01-budget",
    title="The best run that the budget allows",
    kind="search",
    level="stretch",
    hints=(
        "FLOPs follow from the network and from how many pictures it looks at, not from the size of the batch. "
        "Make room with the width first.",
        "Activations are most of the bytes, and they grow with the batch. Fewer pictures in a step leave more "
        "steps, but the learning rate goes with the batch. And look at what is done to each picture.",
        "A convnet of a quarter of the width leaves several epochs. Take the smallest batch that the steps allow, "
        "a learning rate that is smaller by as much, no mirrored digits, and perhaps ones moved by a pixel.",
    ),
    learned="Costed first, then trained: a narrow network, corrected often, is the better use of a small budget.",
    check=_check_budget,
)
