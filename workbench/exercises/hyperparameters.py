"""Lesson 01: what a run costs before it starts, a split that does not leak, luck, and a run within a budget."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.exercises.exercise import (
    Exercise,
    NotYet,
    Unanswered,
    called,
    function_of,
    is_blank,
    is_close,
    number_of,
    parts_of,
)
from workbench.hyperparameters import HyperParameters
from workbench.sealed import shortened

if TYPE_CHECKING:
    from workbench.cost import Cost
    from workbench.data import Data
    from workbench.training import Record

# 01-memory -----------------------------------------------------------------------------------------------------------

_SMALL, _LARGE = 64, 512
_PLAIN = HyperParameters(model="mlp", optimizer="adamw")


def _check_memory(answer: object) -> None:
    guess, factor = parts_of(answer, "guess", "factor")
    if number_of(guess, "guess") <= 0:
        raise NotYet("A guess is a number above 0: how many times as much memory. Any such number will do.")
    found = number_of(factor, "factor")
    small, large = _costs(_PLAIN)
    if is_close(found, large.training_bytes / small.training_bytes):
        return
    raise NotYet(_memory_mistake(found, small, large))


def _memory_mistake(found: float, small: Cost, large: Cost) -> str:
    grown = large.training_bytes - small.training_bytes
    wrong = {
        "You may have divided the activations alone, or the batch sizes: training holds three more things. "
        "Do they grow with the batch?": large.activation_bytes / small.activation_bytes,
        "That would be the memory of inference, which looks at one picture whatever the batch size: "
        "take what training needs.": large.inference_bytes / small.inference_bytes,
        "You have divided the smaller batch's memory by that of the larger one: by what factor does it grow?": (
            small.training_bytes / large.training_bytes
        ),
        "That is training beside inference at one batch size: compare training with training.": (
            small.training_bytes / small.inference_bytes
        ),
        "That is training beside inference, at the larger batch: compare training with training.": (
            large.training_bytes / large.inference_bytes
        ),
        "That is the growth in bytes; as a factor it says how many times as much.": grown,
        "That is by what share it grows; the factor has the memory of the smaller batch in it, too.": (
            grown / small.training_bytes
        ),
    }
    for words, value in wrong.items():
        if is_close(found, value):
            return words
    return _memory_of_another(found) or (
        f"{found:.6g} is not the quotient of what training holds at batch {_LARGE} and at batch {_SMALL}. "
        "Print the four parts of each, and see which of them differ."
    )


def _memory_of_another(found: float) -> str:
    others = {
        "That is the factor of the convnet, which is the default: ask for the network in the cell.": (
            HyperParameters()
        ),
        "That is the factor with another optimizer, whose state is smaller: keep the one in the cell.": (
            _PLAIN.replace(optimizer="sgd")
        ),
    }
    for words, choice in others.items():
        small, large = _costs(choice)
        if is_close(found, large.training_bytes / small.training_bytes):
            return words
    return ""


@cache
def _costs(choice: HyperParameters) -> tuple[Cost, Cost]:
    from workbench.cost import cost_of

    return cost_of(choice.replace(batch_size=_SMALL)), cost_of(choice.replace(batch_size=_LARGE))


# 01-steps ------------------------------------------------------------------------------------------------------------


def _check_steps(answer: object) -> None:
    function = function_of(answer, "gradient_steps")
    draw = random.Random(1)
    # The first divides exactly; the next two leave a large and a small remainder, so that mistakes can be told apart.
    runs = [(1_000, 100, 3), (1_060, 100, 3), (1_040, 100, 4), (30, 64, 5)]
    runs += [(draw.randint(1, 5_000), draw.randint(1, 300), draw.randint(1, 12)) for _ in range(12)]
    for pictures, size, epochs in runs:
        found = number_of(called(function, pictures, size, epochs), "what it gives back")
        if found != -(-pictures // size) * epochs:
            told = f"{pictures:,} pictures, batch size {size}, epochs {epochs}: you give {found:,.6g}. "
            raise NotYet(told + _steps_mistake(found, pictures, size, epochs))


def _steps_mistake(found: float, pictures: int, size: int, epochs: int) -> str:
    wrong = {
        "A step is whole: what happens to the pictures that do not fill a batch?": pictures * epochs / size,
        "That is one epoch.": -(-pictures // size),
        "You round over all epochs at once, as if a batch could begin in one epoch and end in the next.": (
            -(-pictures * epochs // size)
        ),
        "You round down over all epochs at once: an epoch ends with its own last batch, and that is a step as well.": (
            pictures * epochs // size
        ),
        "You round to the nearest: a few pictures left over are learned from as well.": round(pictures / size) * epochs,
        "You leave out the pictures that do not fill a batch. Does wb.train?": pictures // size * epochs,
        "A batch too many in each epoch: here the pictures fill all batches, and nothing is left over.": (
            (pictures // size + 1) * epochs
        ),
        "Those are the pictures looked at; a step looks at a whole batch of them.": pictures * epochs,
    }
    for words, value in wrong.items():
        if is_close(found, value, 1e-9):
            return words
    return "Count the batches of one epoch first, the one that is not full among them."


# 01-leak -------------------------------------------------------------------------------------------------------------

_Array = NDArray[Any]
_SHARE_OFF = 0.1


class _Split(NamedTuple):
    """What a learner's split gave back, made plain."""

    train: _Array
    validation: _Array
    mean: float
    std: float


def _check_leak(answer: object) -> None:
    function = function_of(answer, "mended_split")
    draw = np.random.default_rng(7)
    with _random_state_kept():
        for share, seed in ((0.2, 0), (0.3, 5), (0.25, 1)):
            pictures, animals = _photographed(draw)
            split = _split_by(function, pictures, animals, share, seed)
            _judge_rows(split, animals, share)
            _judge_statistics(split, pictures)
            _judge_seed(function, split, pictures, animals, share, seed)


def _photographed(draw: np.random.Generator) -> tuple[_Array, _Array]:
    """Pictures (N, 8, 8) of animals of their own brightness, each taken 1 to 5 times, mixed; and whose each is."""
    names = draw.choice(10_000, 80, replace=False)
    animals = draw.permutation(np.repeat(names, draw.integers(1, 6, 80)))
    brightness = dict(zip(names.tolist(), draw.uniform(20, 235, 80).tolist(), strict=True))
    light = np.array([brightness[animal] for animal in animals.tolist()])
    return light[:, None, None] + draw.normal(0, 6, (len(animals), 8, 8)), animals


def _split_by(function: Callable[..., Any], pictures: _Array, animals: _Array, share: float, seed: int) -> _Split:
    given = pictures.copy(), animals.copy()
    found = called(function, *given, share, seed, told=f"{len(pictures)} pictures, share {share}, seed {seed}")
    if not (np.array_equal(given[0], pictures) and np.array_equal(given[1], animals)):
        raise NotYet("Your function changes the arrays that it is given: work on copies of them.")
    if not isinstance(found, tuple | list) or len(found) != 4:
        raise NotYet("Give back four things, in this order: training rows, validation rows, mean, std.")
    if any(part is None for part in found):
        raise Unanswered("Of the four things that the function gives back, some are still None.")
    train, validation = (_rows(part, name) for part, name in zip(found[:2], ("training", "validation"), strict=True))
    return _Split(train, validation, _one_number(found[2], "mean"), _one_number(found[3], "std"))


def _rows(part: object, name: str) -> _Array:
    try:
        rows = np.asarray(part if hasattr(part, "__array__") else list(part))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise NotYet(f"The {name} rows are no array and no list: {shortened(repr(part), 60)}") from None
    if rows.ndim == 1 and not len(rows):
        raise NotYet(f"There is no {name} row at all: each side should get its share.")
    if rows.dtype == bool:
        raise NotYet(f"The {name} rows are a mask of True and False: np.flatnonzero makes rows of it.")
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise NotYet(f"The {name} rows should be whole numbers, one after the other: which pictures, not the pictures.")
    return rows


def _one_number(part: Any, name: str) -> float:
    if np.asarray(part).size != 1:
        raise NotYet(f"{name} should be one number, over all pixels of all its pictures.")
    return number_of(part, name)


def _judge_rows(split: _Split, animals: _Array, share: float) -> None:
    count = len(animals)
    rows = np.concatenate([split.train, split.validation])
    if rows.min() < 0 or rows.max() >= count:
        told = f"Rows go from 0 to {count - 1}, and yours from {rows.min()} to {rows.max()}: "
        raise NotYet(told + "rows are asked for, not the numbers of the animals.")
    if np.intersect1d(split.train, split.validation).size:
        raise NotYet("Some pictures are on both sides: nothing that is learned from may judge.")
    if len(np.unique(rows)) < len(rows):
        raise NotYet("Some rows are there twice on one side: each picture once.")
    shared = np.intersect1d(animals[split.train], animals[split.validation])
    if len(rows) < count:
        raise NotYet(
            f"{count - len(rows)} of {count} pictures are on neither side: further pictures of an animal need not go, "
            "they need to stay together."
        )
    if len(shared):
        raise NotYet(
            f"{len(shared)} animals are on both sides: the network is asked about animals that it has learned from. "
            "What is it that has to go to one side whole?"
        )
    part = len(split.validation) / count
    if abs(part - share) > _SHARE_OFF:
        if abs(1 - part - share) <= _SHARE_OFF:
            raise NotYet("The sides are swapped: the training rows come first, and share is what validation gets.")
        raise NotYet(f"Asked for a share of {share:.0%} for validation, you set {part:.0%} of the pictures apart.")


def _judge_statistics(split: _Split, pictures: _Array) -> None:
    def is_of(pixels: _Array, close: float = 2e-4) -> tuple[bool, bool]:
        return is_close(split.mean, float(pixels.mean()), close), is_close(split.std, float(pixels.std()), close)

    own = pictures[split.train]
    if all(is_of(own)):
        return
    if any(is_of(pictures)):
        raise NotYet(
            "Nobody is on both sides any more, but mean or std still knows the validation pictures: "
            "of which pictures may they be taken?"
        )
    if any(is_of(pictures[split.validation])):
        raise NotYet("mean or std is that of the validation pictures, the very ones that must not take part.")
    if is_close(split.mean, float(own.std()), 2e-4) or is_close(split.std, float(own.var()), 2e-4):
        raise NotYet("Is mean the mean, and std the standard deviation, in this order?")
    raise NotYet(
        f"mean = {split.mean:.4g}, std = {split.std:.4g}: that is not the mean and the standard deviation of all "
        "pixels of the training pictures."
    )


def _judge_seed(
    function: Callable[..., Any], split: _Split, pictures: _Array, animals: _Array, share: float, seed: int
) -> None:
    def sides(other: int) -> frozenset[int]:
        return frozenset(_split_by(function, pictures, animals, share, other).validation.tolist())

    first = frozenset(split.validation.tolist())
    if sides(seed) != first:
        raise NotYet("Called twice with the same seed, it splits in two ways: draw from a generator made of the seed.")
    if sides(seed + 1) == first and sides(seed + 2) == first:
        raise NotYet("Every seed gives the same split: it is drawn by nothing, or not by the seed.")


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """A learner's function may seed what everyone draws from."""
    import torch

    ours, numpys = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)


# 01-luck -------------------------------------------------------------------------------------------------------------

# How far each run lies from the base of the same seed, in spreads of the base.
_MOVED = {
    "rate × 0.5": (1.35, 1.6, 1.85),
    "width × 2": (0.35, 0.5, 0.65),
    "batch × 4": (-2.6, -1.9, -2.3),
    "momentum 0.95": (1.75, 0.2, 0.1),
    "smoothing 0.1": (4.6, -0.25, 0.5),
    "decay × 4": (-0.6, 0.2, -0.1),
}


def made_up_runs() -> dict[str, tuple[float, ...]]:
    """Validation accuracies of the seeds 0, 1 and 2, made up but always the same: of "base", and of each change."""
    draw = random.Random(3)
    base = tuple(0.78 + step + draw.uniform(-0.001, 0.001) for step in (0.004, -0.008, 0.006))
    spread = max(base) - min(base)
    runs = {"base": base}
    for name, moved in _MOVED.items():
        noise = [draw.uniform(-0.04, 0.04) for _ in base]
        runs[name] = tuple(start + spread * (far + more) for start, far, more in zip(base, moved, noise, strict=True))
    return {name: tuple(round(value, 4) for value in values) for name, values in runs.items()}


def _check_luck(answer: object) -> None:
    if is_blank(answer) and answer != []:  # that none moved more would be an answer
        raise Unanswered
    runs = made_up_runs()
    base = runs.pop("base")
    given = _names(answer, tuple(runs))
    spread = max(base) - min(base)
    apart = {name: [end - start for end, start in zip(values, base, strict=True)] for name, values in runs.items()}
    far = {name for name, each in apart.items() if abs(mean(each)) > spread}
    agreed = {name for name, each in apart.items() if min(each) * max(each) > 0}
    right = far & agreed
    if given == right:
        return
    wrong = {
        "Those are all whose three runs point the same way. That alone is not enough: how far do they move, beside "
        "the base's own runs?": agreed,
        "Those are all whose mean lies far enough away. Now look at each one's three runs, beside the base of the same "
        "seed: does every one of them say the same?": far,
        "You have found those for the better. A change for the worse is moved as well.": {
            name for name in right if mean(apart[name]) > 0
        },
        "Those are all with one run far away. One run is a draw of luck itself: compare the means.": {
            name for name, each in apart.items() if max(map(abs, each)) > spread
        },
        "Those are all whose mean is better than the base's, by whatever little. What do the base's own runs tell of "
        "so little?": {name for name, each in apart.items() if mean(each) > 0},
        "Those are the ones that luck explains; the others are asked for.": set(runs) - right,
    }
    for words, names in wrong.items():
        if given == names:
            raise NotYet(words)
    raise NotYet(_luck_of_one(given, right, far))


def _luck_of_one(given: set[str], right: set[str], far: set[str]) -> str:
    for name in sorted(given - right):
        if name in far:
            return f"Look at '{name}' run by run, each beside the base of the same seed: do all three agree?"
        return f"Hold '{name}' to the yardstick: its mean from the base's mean, beside the base's best from its worst."
    return f"What you have is right, and not all: {len(given)} so far. A change may also be for the worse."


def _names(answer: object, known: tuple[str, ...]) -> set[str]:
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if not isinstance(answer, list | tuple | set | frozenset):
        raise NotYet('Give the names in a list, such as ["width × 2", …].')
    for name in answer:
        if name == "base":
            raise NotYet("'base' is what the changes are held against: it cannot move from itself.")
        if name not in known:
            told = ", ".join(map(repr, known))
            raise NotYet(f"{shortened(repr(name), 60)} is none of the changes: {told}.")
    return set(answer)


# 01-budget -----------------------------------------------------------------------------------------------------------

FLOPS, BYTES, STEPS = 6_000_000_000, 3_000_000, 200
TARGET = 0.97
_SEEDS = (12, 13)
_FEW_STEPS = 60
_LEARNED = 0.985


def _check_budget(answer: object) -> None:
    if is_blank(answer):
        raise Unanswered
    if not isinstance(answer, HyperParameters):
        raise NotYet(f"{shortened(repr(answer), 60)} is no choice of hyper-parameters: make a wb.HyperParameters(...).")
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
        return "Half of the digits that it learns from are in the mirror: has a digit a left and a right?"
    if steps < _FEW_STEPS:
        return f"It was corrected {steps} times only: what would more steps at the same FLOPs take?"
    if learned < _LEARNED:
        return (
            f"By the end it had {learned:.1%} of its training pictures right: it has not learned them yet. "
            "Are the steps too short, too long, or too few?"
        )
    return "It knows its training pictures, and others less well: which network sees that a digit moved is the same?"


EXERCISES = (
    Exercise(
        id="01-memory",
        title="Eight times the batch, how many times the memory?",
        kind="predict",
        level="warm-up",
        points=1,
        hints=(
            "Four things are held while a network learns. Which of them depend on how many pictures a step looks at?",
            "`wb.cost_of` takes hyper-parameters; `plain.replace(batch_size=…)` makes those of another batch size.",
            "The cost has `training_bytes`, all four parts together: take it at both batch sizes, and divide the "
            "larger by the smaller.",
        ),
        learned="Only the activations grow with the batch; what depends on the weights alone stays as it is.",
        check=_check_memory,
    ),
    Exercise(
        id="01-steps",
        title="How often are the weights corrected?",
        kind="function",
        level="warm-up",
        points=1,
        hints=(
            "Take 10 pictures and a batch size of 4. How many batches does an epoch have if no picture is left out?",
            "`wb.cost_of(…, pictures=…).steps_per_epoch` tells what wb.train does with a remainder: with a batch size "
            "of 100, try 100, 101 and 199 pictures.",
            "Pictures over batch size, rounded up (`math.ceil` does it): that is one epoch. Only then come the epochs.",
        ),
        learned="Each epoch ends with a step of its own: a larger batch means fewer corrections for the same pictures.",
        check=_check_steps,
    ),
    Exercise(
        id="01-leak",
        title="A split that leaks",
        kind="mend",
        level="core",
        points=2,
        hints=(
            "What could the network know of a validation picture, beside what it learned from other animals? "
            "There are two such things.",
            "Draw from the animals, not from the pictures: `np.unique(animals)` has each once. And ask of each line "
            "whether it looks at pictures that are to judge.",
            "Shuffle the animals by the seed, give the first share of them to validation; `np.isin(animals, chosen)` "
            "marks their pictures. Take mean and std last, of the training rows.",
        ),
        learned="What belongs together stays on one side, and every number is taken from the training pictures alone.",
        check=_check_leak,
    ),
    Exercise(
        id="01-luck",
        title="What moved more than luck?",
        kind="read",
        level="core",
        points=2,
        hints=(
            "How far apart are the three runs of the base, where nothing but the seed was changed?",
            "Two questions for each change: is its mean further from the base's mean than that, up or down; and does "
            "each of its runs lie on the same side of the base of its own seed?",
            "The spread is `max(base) - min(base)`. For each change, subtract the base from it seed by seed: the mean "
            "of the three differences has to be larger than the spread, and all three of one sign.",
        ),
        learned="A mean beyond the spread of the seeds, and every seed says the same: that is more than luck.",
        check=_check_luck,
    ),
    Exercise(
        id="01-budget",
        title="The best run that the budget allows",
        kind="search",
        level="stretch",
        points=3,
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
    ),
)
