"""02-schedule: one cycle of the learning rate as a formula of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from workbench.exercises.answers import called, function_of, number_of
from workbench.exercises.exercise import Exercise, NotYet

_Share = Callable[[float, float, float], float]


def _check_schedule(answer: object) -> None:
    function = function_of(answer, "rate_at")
    for steps, peak in ((40, 0.4), (100, 2.5), (30, 0.1), (7, 1.0)):
        every = range(steps) if steps < 100 else range(0, steps, 7)
        found = [
            number_of(called(function, step, steps, peak), f"rate_at({step}, {steps}, {peak:g})") for step in every
        ]
        rising = [(step, rate) for step, rate in zip(every, found, strict=True) if step < steps / 4]
        falling = [(step, rate) for step, rate in zip(every, found, strict=True) if step >= steps / 4]
        _judge_rates(rising, steps, peak, _WRONG_RISES, "while it rises")
        _judge_rates(falling, steps, peak, _WRONG_FALLS, "while it falls")


def _right_rate(step: int, steps: int, peak: float) -> float:
    from workbench.hyperparameters import HyperParameters
    from workbench.optimization import learning_rate_at

    return learning_rate_at(step, steps, HyperParameters(learning_rate=peak, warmup=0.25, schedule="one-cycle"))


def _fall(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


# Of the step, the steps and the last step of the rise: the share of the peak that a mistake would give.
_WRONG_RISES: dict[str, _Share] = {
    "It starts from zero: the first step would be lost. It should start from a 25th of the peak.": (
        lambda step, steps, top: step / top
    ),
    "A 25th is added to a rise that goes all the way: it then passes the peak. The rise is what is left up to it.": (
        lambda step, steps, top: 0.04 + step / top
    ),
    "It stays at a 25th of the peak: it should climb, step by step.": lambda step, steps, top: 0.04,
    "It is at the peak from the first step on: where is the rise?": lambda step, steps, top: 1.0,
    "It falls from the first step on: that is a cosine without the rise.": lambda step, steps, top: _fall(step / steps),
    "It climbs over the whole run, not over the first quarter.": lambda step, steps, top: 0.04 + 0.96 * step / steps,
    "It rises along a cosine: a straight line is asked.": lambda step, steps, top: 1 - 0.96 * _fall(step / top),
    "It counts the steps from one: the first step is step 0.": lambda step, steps, top: 0.04 + 0.96 * (step + 1) / top,
    "The quarter is rounded to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: 0.04 + 0.96 * step / int(top)
    ),
    "The quarter is rounded up to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: 0.04 + 0.96 * step / math.ceil(top)
    ),
}


_WRONG_FALLS: dict[str, _Share] = {
    "It falls in a straight line: half a cosine wave is asked, which leaves the peak slowly and lands slowly.": (
        lambda step, steps, top: 1 - (step - top) / (steps - top)
    ),
    "Your cosine begins at step 0 of the run, so that the rate jumps where the rise ends. It should begin there.": (
        lambda step, steps, top: _fall(step / steps)
    ),
    "Your cosine is stretched over all steps: it begins where the rise ends, but only the steps after it are left.": (
        lambda step, steps, top: _fall((step - top) / steps)
    ),
    "Where the rise ends, it is at twice the peak: a cosine goes from 1 to -1, and the rate from the peak to zero.": (
        lambda step, steps, top: 2 * _fall((step - top) / (steps - top))
    ),
    "It goes below zero: a cosine goes from 1 to -1, and the rate from the peak to zero.": (
        lambda step, steps, top: 2 * _fall((step - top) / (steps - top)) - 1
    ),
    "That is a quarter of a wave, which hits zero steeply: half a wave lands slowly.": (
        lambda step, steps, top: math.cos(math.pi / 2 * (step - top) / (steps - top))
    ),
    "math.cos takes radians: half a wave is no 1 there.": (
        lambda step, steps, top: 0.5 * (1 + math.cos((step - top) / (steps - top)))
    ),
    "math.cos takes radians: half a wave is no 180 there.": (
        lambda step, steps, top: 0.5 * (1 + math.cos(180 * (step - top) / (steps - top)))
    ),
    "It never falls: after the first quarter it stays at the peak.": lambda step, steps, top: 1.0,
    "It goes on climbing after the first quarter.": lambda step, steps, top: 0.04 + 0.96 * step / top,
    "It reaches zero one step too early, so that the last step would move nothing.": (
        lambda step, steps, top: _fall((step - top) / (steps - 1 - top))
    ),
    "It stops above zero, at a 25th of the peak or the like: it should go all the way down.": (
        lambda step, steps, top: 0.04 + 0.96 * _fall((step - top) / (steps - top))
    ),
    "The quarter is rounded to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: _fall((step - int(top)) / (steps - int(top)))
    ),
    "The quarter is rounded up to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: _fall((step - math.ceil(top)) / (steps - math.ceil(top)))
    ),
}


def _judge_rates(
    found: list[tuple[int, float]],
    steps: int,
    peak: float,
    wrong: dict[str, _Share],
    when: str,
) -> None:
    right = {step: _right_rate(step, steps, peak) for step, _ in found}
    off = [(step, rate) for step, rate in found if abs(rate - right[step]) > 1e-6 * peak]
    if not off:
        return
    step, rate = off[0]
    told = f"Step {step} of {steps}, peak {peak:g}: you give {rate:.4g}. "
    if all(abs(rate - right[step] / peak) <= 1e-6 for step, rate in found):
        raise NotYet(told + "That is the share of the peak, not the rate.")
    for words, share in wrong.items():
        if all(abs(rate - peak * share(step, steps, steps / 4)) <= 1e-6 * peak for step, rate in found):
            raise NotYet(told + words)
    raise NotYet(
        f"{told}It is not right {when}. Draw it for all steps: a straight line up to the peak in the first quarter, "
        "then half a wave down."
    )


EXERCISE = Exercise(
    id="02-schedule",
    title="One cycle, written down",
    kind="function",
    level="core",
    hints=(
        "Two cases: in the first quarter a straight line, after it a cosine. Begin with the first, and draw it.",
        "In each case compute first which share of its own stretch is behind the step, from 0 to 1: of the rise, "
        "`steps / 4` steps long, or of all that comes after it.",
        "The rise goes from 0.04 to 1 by that share. For the fall, `math.cos` of pi times the share goes from 1 to "
        "-1: shift and halve it, so that it goes from 1 to 0. The peak scales both.",
    ),
    learned="A schedule is a formula of the step alone, so a run that is resumed finds its rate again.",
    check=_check_schedule,
)
