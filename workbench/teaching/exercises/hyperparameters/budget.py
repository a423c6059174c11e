"""01-budget: hyper-parameters that reach a target accuracy within a budget of FLOPs, bytes and steps."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.teaching.exercises.answers import is_blank, shown
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.wording import shorten

if TYPE_CHECKING:
    from workbench.data.datasets import Data
    from workbench.modelling.cost import Cost
    from workbench.training.records import Record


FLOPS, BYTES, STEPS = 6_000_000_000, 3_000_000, 200
TARGET = 0.97
_SEEDS = (12, 13)
_FEW_STEPS = 60
_LEARNED = 0.985  # training accuracy from which the network has learned its training images


def _check_budget(answer: object) -> None:
    if is_blank(answer):
        raise Unanswered
    if not isinstance(answer, HyperParameters):
        raise NotYet(f"{shown(answer)} is not a choice of hyper-parameters: make a wb.HyperParameters(...).")
    from workbench.data.datasets import load_dataset

    digits = load_dataset("digits")
    # fp32 on one thread: the same arithmetic on every machine.
    choice = answer.replace(precision="fp32", compile=False)
    cost = _cost_within_budget(choice, digits)
    ends = [_end_of_run(choice.replace(seed=seed), digits) for seed in _SEEDS]
    reached = mean(end.validation_accuracy or 0.0 for end in ends)
    if reached < TARGET:
        result = f"Within the budget, and {reached:.1%} right on average of two seeds; the target is {TARGET:.0%}. "
        raise NotYet(
            result + _why_short(choice, cost.steps_per_epoch * cost.epochs, mean(end.accuracy for end in ends))
        )


def _cost_within_budget(choice: HyperParameters, digits: Data) -> Cost:
    from workbench.modelling.cost import cost_of

    steps = choice.epochs * -(-len(digits.train) // choice.batch_size)
    if steps > STEPS:
        raise NotYet(
            f"That is {steps:,} gradient steps, more than {STEPS}. They follow from images, batch size and epochs."
        )
    try:
        cost = cost_of(choice, shape=digits.shape, classes=len(digits.labels), images=len(digits.train))
    except WorkbenchError as error:
        raise NotYet(shorten(f"The cost of this choice cannot be computed: {error}", 300)) from None
    if cost.run_flops > FLOPS:
        raise NotYet(
            f"The run takes {cost.run_flops / FLOPS:.2f} times the FLOPs of the budget. Which of width, epochs and "
            "batch size determine their number?"
        )
    if cost.training_bytes > BYTES:
        raise NotYet(
            f"The FLOPs are within the budget, but training holds {cost.training_bytes / BYTES:.2f} times its bytes. "
            "Which of the four parts is the largest, and what does it grow with?"
        )
    return cost


def _end_of_run(choice: HyperParameters, digits: Data) -> Record:
    import torch

    from workbench.training.loop import train
    from workbench.training.models import build_model
    from workbench.training.records import TrainingError

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = build_model(
            choice.model, classes=len(digits.labels), shape=digits.shape, width=choice.width, seed=choice.seed
        )
        return list(train(model, digits, choice, device="cpu", record_every=STEPS))[-1]
    except TrainingError as error:
        raise NotYet(shorten(f"The run fails. {error}", 300)) from None
    finally:
        torch.set_num_threads(threads)


def _why_short(choice: HyperParameters, steps: int, learned: float) -> str:
    if choice.flip:
        return "Half of the digits that it learns from are mirrored (`flip`): is a mirrored digit still a digit?"
    if steps < _FEW_STEPS:
        return f"Its weights were updated only {steps} times: how could you take more steps for the same FLOPs?"
    if learned < _LEARNED:
        return (
            f"By the end it had {learned:.1%} of its training images right: it has not learned them yet. "
            "Are the steps too short, too long, or too few?"
        )
    return "It knows its training images, but others less well: which network recognises a digit that has moved?"


EXERCISE = Exercise(
    id="01-budget",
    title="The best run that the budget allows",
    kind="search",
    level="stretch",
    hints=(
        "FLOPs follow from the network and from how many images it processes, not from the size of the batch. "
        "Reduce the width first.",
        "Activations are most of the bytes, and they grow with the batch. Fewer images in a step allow more "
        "steps, but the learning rate has to shrink with the batch. And look at what is done to each image.",
        "A convnet of a quarter of the width leaves room for several epochs. Take the smallest batch that the steps "
        "allow, a learning rate smaller by the same factor, no mirrored digits, and perhaps digits shifted by a pixel.",
    ),
    learned="Cost first, training second: a narrow network, updated often, makes better use of a small budget.",
    check=_check_budget,
)
