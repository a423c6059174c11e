"""Wrong and right answers to lesson 01."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from statistics import mean
from typing import Any

import numpy as np
import torch
from teaching.exercises.solved import cells, mistakes, right_answers

import workbench as wb
from workbench.teaching.exercises.checking import check
from workbench.teaching.exercises.hyperparameters.budget import BYTES, FLOPS, STEPS, TARGET
from workbench.teaching.exercises.hyperparameters.luck import made_up_runs


def costs(**changes: Any) -> tuple[wb.Cost, wb.Cost]:
    choice = wb.HyperParameters(**{"model": "mlp", "optimizer": "adamw"} | changes)
    return wb.cost_of(choice.replace(batch_size=64)), wb.cost_of(choice.replace(batch_size=512))


def factor(**changes: Any) -> float:
    small, large = costs(**changes)
    return large.training_bytes / small.training_bytes


SMALL, LARGE = costs()
DEFAULT = wb.cost_of(wb.HyperParameters(model="mlp", optimizer="adamw"))
BASE = made_up_runs()["base"]
APART = {
    name: [end - start for end, start in zip(values, BASE, strict=True)]
    for name, values in made_up_runs().items()
    if name != "base"
}
SPREAD = max(BASE) - min(BASE)
MOVED = {name for name, apart in APART.items() if abs(mean(apart)) > SPREAD and min(apart) * max(apart) > 0}
FITTING = wb.HyperParameters(width=0.25, epochs=5, batch_size=64)


def chosen(animals: Any, share: float, seed: int) -> Any:
    each = np.random.default_rng(seed).permutation(np.unique(animals))
    return np.isin(animals, each[: round(share * len(each))])


def split_of(aside: Any, images: Any) -> tuple[Any, Any, Any, Any]:
    train, validation = np.flatnonzero(~aside), np.flatnonzero(aside)
    return train, validation, images[train].mean(), images[train].std()


def mended(images: Any, animals: Any, share: float, seed: int) -> tuple[Any, Any, Any, Any]:
    return split_of(chosen(animals, share, seed), images)


def leaky(images: Any, animals: Any, share: float, seed: int) -> Any:
    order = np.random.default_rng(seed).permutation(len(images))
    cut = round(share * len(images))
    return order[cut:], order[:cut], images.mean(), images.std()


def changed(change: Callable[..., Any]) -> Callable[..., Any]:
    """The mended split, its result changed by `change(train, validation, mean, std, images, animals)`."""
    return lambda images, animals, share, seed: change(*mended(images, animals, share, seed), images, animals)


def one_of_each(images: Any, animals: Any, share: float, seed: int) -> Any:
    _, first = np.unique(animals, return_index=True)
    aside = chosen(animals, share, seed)
    train = np.array([row for row in first if not aside[row]])
    return train, np.array([row for row in first if aside[row]]), images[train].mean(), images[train].std()


def in_place(images: Any, animals: Any, share: float, seed: int) -> Any:
    found = mended(images, animals, share, seed)
    images -= found[2]
    return found


def tossing(images: Any, animals: Any, share: float, seed: int) -> Any:
    """A coin for each animal."""
    each = np.unique(animals)
    heads = np.random.default_rng(seed).random(len(each)) < share
    return split_of(np.isin(animals, each[heads]), images)


def unseeded(images: Any, animals: Any, share: float, seed: int) -> Any:
    return mended(images, animals, share, np.random.randint(1 << 30))


WRONG: list[tuple[str, Any, str]] = [
    ("01-memory", (8, 8), "divided the activations alone"),
    ("01-memory", (8, LARGE.inference_bytes / SMALL.inference_bytes), "memory of inference"),
    ("01-memory", (2, 1 / factor()), "smaller batch's memory by that of the larger"),
    ("01-memory", (2, SMALL.training_bytes / SMALL.inference_bytes), "compare training with training"),
    ("01-memory", (2, LARGE.training_bytes - SMALL.training_bytes), "growth in bytes"),
    ("01-memory", (2, factor() - 1), "the growth as a share"),
    ("01-memory", (2, factor(model="convnet")), "factor of the convnet"),
    ("01-memory", (2, factor(optimizer="sgd")), "another optimizer"),
    ("01-memory", (2, 3), "Print the four parts"),
    ("01-memory", (2, LARGE.training_bytes / DEFAULT.training_bytes), "That is 512 against 128"),
    ("01-memory", (2, "twice"), "is not a number"),
    ("01-memory", factor(), "Give 2 things"),
    ("01-steps", lambda images, size, epochs: images // size * epochs, "You leave out the images"),
    ("01-steps", lambda images, size, epochs: math.ceil(images * epochs / size), "over all epochs at once, as if"),
    ("01-steps", lambda images, size, epochs: images * epochs // size, "round down over all epochs"),
    ("01-steps", lambda images, size, epochs: images / size * epochs, "A step is whole"),
    ("01-steps", lambda images, size, epochs: round(images / size) * epochs, "round to the nearest"),
    ("01-steps", lambda images, size, epochs: (images // size + 1) * epochs, "A batch too many"),
    ("01-steps", lambda images, size, epochs: -(-images // size), "That is one epoch"),
    ("01-steps", lambda images, size, epochs: images * epochs, "number of images processed"),
    ("01-steps", lambda images, size, epochs: -1, "Count the batches of one epoch first"),
    ("01-steps", lambda images, size: 1, "raises TypeError"),
    ("01-steps", 30, "cannot be called"),
    ("01-steps", lambda *run: "x", "is not a number"),
    ("01-leak", leaky, "animals are on both sides"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, p.mean(), p.std())), "still depends on the validation images"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, m, p.std())), "still depends on the validation images"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, p[v].mean(), p[v].std())), "that of the validation images"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, s, m)), "in this order"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, 0.0, 1.0)), "that is not the mean"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, p[t].mean(0), s)), "should be one number"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (v, t, m, s)), "The sides are swapped"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (p[t], p[v], m, s)), "not the images"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (np.unique(a[t]), np.unique(a[v]), m, s)), "numbers of the animals"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, t[:9], m, s)), "Some images are on both sides"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (np.append(t, t[0]), v, m, s)), "appear twice"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, [], m, s)), "no validation row"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, m)), "Return four things"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (t, v, "x", s)), "is not a number"),
    ("01-leak", changed(lambda t, v, m, s, p, a: (7, v, m, s)), "neither an array nor a list"),
    ("01-leak", lambda p, a, share, seed: (~chosen(a, share, seed), chosen(a, share, seed), 1.0, 1.0), "are a mask"),
    ("01-leak", lambda p, a, share, seed: mended(p, a, 0.5, seed), "and yours is"),
    ("01-leak", lambda p, a, share, seed: mended(p, a, share, 0), "Every seed gives the same split"),
    ("01-leak", unseeded, "Called twice with the same seed"),
    ("01-leak", tossing, "A coin toss for each animal"),
    ("01-leak", one_of_each, "are on neither side"),
    ("01-leak", in_place, "changes the arrays"),
    ("01-leak", leaky(np.ones((10, 8, 8)), np.arange(10), 0.2, 0), "cannot be called"),
    ("01-luck", {n for n, apart in APART.items() if min(apart) * max(apart) > 0}, "That alone is not enough"),
    ("01-luck", {n for n, apart in APART.items() if abs(mean(apart)) > SPREAD}, "do they all agree"),
    ("01-luck", {n for n in MOVED if mean(APART[n]) > 0}, "A change for the worse has moved as well"),
    ("01-luck", {n for n, apart in APART.items() if max(map(abs, apart)) > SPREAD}, "itself a draw of luck"),
    ("01-luck", {n for n, apart in APART.items() if mean(apart) > 0}, "however little"),
    ("01-luck", set(APART) - MOVED, "ones that luck explains"),
    ("01-luck", {n for n in MOVED if mean(APART[n]) < 0}, "right, but not complete"),
    ("01-luck", [], "You name none"),
    ("01-memory", (4, 100 * factor()), "That is in percent"),
    ("01-luck", MOVED | {"decay × 4"}, "Measure 'decay × 4'"),
    ("01-luck", ["base"], "cannot move from itself"),
    ("01-luck", ["width"], "is not one of the changes"),
    ("01-luck", [["width × 2"]], "is not one of the changes"),
    ("01-luck", "width × 2", "Give the names in a list"),
    ("01-budget", wb.HyperParameters(), "times the FLOPs"),
    ("01-budget", wb.recommended("digits"), f"gradient steps, more than {STEPS}"),
    ("01-budget", FITTING.replace(batch_size=128), "training holds 1.74 times its bytes"),
    ("01-budget", FITTING.replace(batch_size=16), f"gradient steps, more than {STEPS}"),
    ("01-budget", FITTING, "is a mirrored digit still a digit"),
    ("01-budget", FITTING.replace(flip=False, epochs=1), "updated only 19 times"),
    ("01-budget", FITTING.replace(flip=False, batch_size=32, learning_rate=1e-4), "has not learned them yet"),
    ("01-budget", FITTING.replace(model="linear", flip=False, epochs=10), "which network"),
    ("01-budget", FITTING.replace(model="no such"), "The cost of this choice cannot be computed"),
    ("01-budget", FITTING.replace(flip=False, learning_rate=100.0, momentum=0.99), "has not learned them yet"),
    ("01-budget", {"width": 0.25}, "is not a choice of hyper-parameters"),
    ("01-budget", wb.HyperParameters, "is not a choice of hyper-parameters"),
]


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


def by_a_loop(images: int, size: int, epochs: int) -> int:
    steps = 0
    for _ in range(epochs):
        left = images
        while left > 0:
            left, steps = left - size, steps + 1
    return steps


def in_folds(images: Any, animals: Any, share: float, seed: int) -> Any:
    """One of as many parts as come nearest to the share, which meets it roughly."""
    each = np.random.default_rng(seed).permutation(np.unique(animals))
    return split_of(np.isin(animals, np.array_split(each, round(1 / share))[0]), images)


def by_torch(images: Any, animals: Any, share: float, seed: int) -> Any:
    """Animal by animal until the share is reached, all of it in torch, from its global generator."""
    torch.manual_seed(seed)
    names, owner = torch.unique(torch.from_numpy(animals), return_inverse=True)
    validation: list[int] = []
    for animal in torch.randperm(len(names)).tolist():
        if len(validation) >= share * len(images):
            break
        validation += torch.nonzero(owner == animal).flatten().tolist()
    train = torch.tensor([row for row in range(len(images)) if row not in set(validation)])
    of_train = torch.from_numpy(images)[train].float()
    return [train, validation, of_train.mean(), of_train.std()]


RIGHT: list[tuple[str, Any]] = [
    ("01-memory", (1, factor())),
    ("01-memory", [torch.tensor(8), np.float64(round(factor(), 2))]),
    ("01-steps", by_a_loop),
    ("01-steps", lambda images, size, epochs: np.ceil(images / size) * epochs),
    ("01-leak", mended),
    ("01-leak", by_torch),
    ("01-leak", in_folds),
    ("01-luck", MOVED),
    ("01-luck", np.array(sorted(MOVED, reverse=True))),
    ("01-budget", FITTING.replace(batch_size=32, learning_rate=0.1, flip=False, seed=5)),
    ("01-budget", FITTING.replace(learning_rate=0.2, flip=False)),
    ("01-budget", wb.recommended("digits").replace(width=0.25, epochs=5, batch_size=32, learning_rate=0.1)),
]


test_a_different_right_answer_passes = right_answers(RIGHT)


def test_checking_restores_random_state_and_threads() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    threads = torch.get_num_threads()
    check("01-leak", by_torch)
    check("01-budget", FITTING.replace(epochs=1))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
    assert torch.get_num_threads() == threads


def test_the_made_up_runs_are_unambiguous() -> None:
    for apart in APART.values():
        assert not 0.75 < abs(mean(apart)) / SPREAD < 1.33
        assert min(map(abs, apart)) > 0.04 * SPREAD
    assert 1 < len(MOVED) < len(APART)


def test_the_task_states_the_limits_that_are_checked() -> None:
    space: dict[str, Any] = {}
    exec(cells()["01-budget"].answer, space)
    assert space["limits"] == {"run_flops": FLOPS, "training_bytes": BYTES, "steps": STEPS}
    assert re.search(rf"at least {100 * TARGET:.0f} in a hundred", cells()["01-budget"].task)
    digits = wb.load_dataset("digits")
    assert (digits.shape, len(digits.train)) == ((16, 16, 1), 1_197)
