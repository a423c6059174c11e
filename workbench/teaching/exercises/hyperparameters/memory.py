"""01-memory: which parts of training memory grow with the batch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from workbench.hyperparameters import HyperParameters
from workbench.teaching.exercises.answers import check_guess, is_close, known_mistake, number_of, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet

if TYPE_CHECKING:
    from workbench.modelling.cost import Cost


_SMALL, _LARGE = 64, 512
_CHOICE = HyperParameters(model="mlp", optimizer="adamw", batch_size=_SMALL)
_DEFAULT_BATCH_SIZE = HyperParameters().batch_size


def _check_memory(answer: object) -> None:
    guess, factor = parts_of(answer, "guess", "factor")
    check_guess(guess, "how many times as much memory")
    found = number_of(factor, "factor")
    if not is_close(found, _factor(_CHOICE)):
        raise NotYet(_memory_mistake(found, *_costs(_CHOICE)))


def _memory_mistake(found: float, small: Cost, large: Cost) -> str:
    growth = large.training_bytes - small.training_bytes
    default = _cost(_CHOICE, _DEFAULT_BATCH_SIZE).training_bytes
    wrong = {
        "You may have divided the activations alone, or the batch sizes: training holds three more things. "
        "Do they grow with the batch?": large.activation_bytes / small.activation_bytes,
        "That is the memory of inference, which is for one image whatever the batch size: take the memory of "
        "training.": large.inference_bytes / small.inference_bytes,
        "You have divided the smaller batch's memory by that of the larger one: by what factor does it grow?": (
            small.training_bytes / large.training_bytes
        ),
        "That is training over inference at one batch size: compare training with training.": (
            small.training_bytes / small.inference_bytes
        ),
        "That is training over inference at the larger batch: compare training with training.": (
            large.training_bytes / large.inference_bytes
        ),
        "That is in percent: give the factor itself.": 100 * large.training_bytes / small.training_bytes,
        "That is the growth in bytes; the factor says how many times as much it is.": growth,
        "That is the growth as a share; the factor includes the memory of the smaller batch.": (
            growth / small.training_bytes
        ),
        f"That is {_LARGE} against {_DEFAULT_BATCH_SIZE}, the default: the cell has {_SMALL}.": (
            large.training_bytes / default
        ),
        "That is the factor of the convnet, which is the default: use the network in the cell.": (
            _factor(HyperParameters())
        ),
        "That is the factor with another optimizer, whose state is smaller: keep the one in the cell.": (
            _factor(_CHOICE.replace(optimizer="sgd"))
        ),
    }
    otherwise = (
        f"{found:.6g} is not the ratio of training memory at batch {_LARGE} to that at batch {_SMALL}. "
        "Print the four parts of each, and see which of them differ."
    )
    return known_mistake(found, wrong, otherwise=otherwise)


def _factor(choice: HyperParameters) -> float:
    small, large = _costs(choice)
    return large.training_bytes / small.training_bytes


def _costs(choice: HyperParameters) -> tuple[Cost, Cost]:
    return _cost(choice, _SMALL), _cost(choice, _LARGE)


@cache
def _cost(choice: HyperParameters, batch_size: int) -> Cost:
    from workbench.modelling.cost import cost_of

    return cost_of(choice.replace(batch_size=batch_size))


EXERCISE = Exercise(
    id="01-memory",
    title="Eight times the batch, how many times the memory?",
    kind="predict",
    level="warm-up",
    hints=(
        "Training holds four things in memory. Which of them depend on how many images a step processes?",
        "`wb.cost_of` takes hyper-parameters; `plain.replace(batch_size=…)` makes those of another batch size.",
        "The cost has `training_bytes`, all four parts together: take it at both batch sizes, and divide the "
        "larger by the smaller.",
    ),
    learned="Only the activations grow with the batch; what depends on the weights alone stays the same.",
    check=_check_memory,
)
