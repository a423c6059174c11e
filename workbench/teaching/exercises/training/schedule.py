"""02-schedule: the one-cycle learning rate as a formula of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from workbench.teaching.exercises.answers import call, function_of, number_of
from workbench.teaching.exercises.exercise import Exercise, NotYet

_Share = Callable[[float, float, float], float]


def _check_schedule(answer: object) -> None:
    function = function_of(answer, "rate_at")
    for steps, peak in ((40, 0.4), (100, 2.5), (30, 0.1), (7, 1.0)):
        every = range(steps) if steps < 100 else range(0, steps, 7)
        found = [number_of(call(function, step, steps, peak), f"rate_at({step}, {steps}, {peak:g})") for step in every]
        rising = [(step, rate) for step, rate in zip(every, found, strict=True) if step < steps / 4]
        falling = [(step, rate) for step, rate in zip(every, found, strict=True) if step >= steps / 4]
        _judge_rates(rising, steps, peak, _WRONG_RISES, "while it rises")
        _judge_rates(falling, steps, peak, _WRONG_FALLS, "while it falls")


def _right_rate(step: int, steps: int, peak: float) -> float:
    from workbench.hyperparameters import HyperParameters
    from workbench.training.optimization import learning_rate_at

    return learning_rate_at(step, steps, HyperParameters(learning_rate=peak, warmup=0.25, schedule="one-cycle"))


def _fall(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


# The share of the peak that a mistake produces, as a function of step, steps and the step at which the rise ends.
_WRONG_RISES: dict[str, _Share] = {
    "It starts from zero: the first step would be wasted. It should start from a 25th of the peak.": (
        lambda step, steps, top: step / top
    ),
    "You add a 25th to a full rise, so that it passes the peak. It should rise from a 25th to the peak.": (
        lambda step, steps, top: 0.04 + step / top
    ),
    "It stays at a 25th of the peak: it should climb, step by step.": lambda step, steps, top: 0.04,
    "It is at the peak from the first step on: where is the rise?": lambda step, steps, top: 1.0,
    "It falls from the first step on: that is a cosine without the rise.": lambda step, steps, top: _fall(step / steps),
    "It climbs over the whole run, not over the first quarter.": lambda step, steps, top: 0.04 + 0.96 * step / steps,
    "It rises along a cosine: it should rise in a straight line.": lambda step, steps, top: (
        1 - 0.96 * _fall(step / top)
    ),
    "It counts the steps from one: the first step is step 0.": lambda step, steps, top: 0.04 + 0.96 * (step + 1) / top,
    "The quarter is rounded to a whole step: unless steps is a multiple of four, it ends between two steps.": (
        lambda step, steps, top: 0.04 + 0.96 * step / int(top)
    ),
    "The quarter is rounded up to a whole step: unless steps is a multiple of four, it ends between two steps.": (
        lambda step, steps, top: 0.04 + 0.96 * step / math.ceil(top)
    ),
}


_WRONG_FALLS: dict[str, _Share] = {
    "It falls in a straight line: it should fall along half a cosine wave, which starts slowly and ends slowly.": (
        lambda step, steps, top: 1 - (step - top) / (steps - top)
    ),
    "Your cosine begins at step 0 of the run, so the rate jumps where the rise ends. It should begin there.": (
        lambda step, steps, top: _fall(step / steps)
    ),
    "Your cosine is stretched over all steps: it begins where the rise ends, so only the steps after that are left.": (
        lambda step, steps, top: _fall((step - top) / steps)
    ),
    "It starts to fall from twice the peak: a cosine goes from 1 to -1, and the rate from the peak to zero.": (
        lambda step, steps, top: 2 * _fall((step - top) / (steps - top))
    ),
    "It goes below zero: a cosine goes from 1 to -1, and the rate from the peak to zero.": (
        lambda step, steps, top: 2 * _fall((step - top) / (steps - top)) - 1
    ),
    "That is a quarter of a wave, which ends steeply: half a wave ends slowly.": (
        lambda step, steps, top: math.cos(math.pi / 2 * (step - top) / (steps - top))
    ),
    "math.cos takes radians: half a wave is not 1 there.": (
        lambda step, steps, top: 0.5 * (1 + math.cos((step - top) / (steps - top)))
    ),
    "math.cos takes radians: half a wave is not 180 there.": (
        lambda step, steps, top: 0.5 * (1 + math.cos(180 * (step - top) / (steps - top)))
    ),
    "It never falls: after the first quarter it stays at the peak.": lambda step, steps, top: 1.0,
    "It keeps climbing after the first quarter.": lambda step, steps, top: 0.04 + 0.96 * step / top,
    "It reaches zero one step too early, so that the last step would move nothing.": (
        lambda step, steps, top: _fall((step - top) / (steps - 1 - top))
    ),
    "It stops above zero, at about a 25th of the peak: it should go all the way down.": (
        lambda step, steps, top: 0.04 + 0.96 * _fall((step - top) / (steps - top))
    ),
    "The quarter is rounded to a whole step: unless steps is a multiple of four, it ends between two steps.": (
        lambda step, steps, top: _fall((step - int(top)) / (steps - int(top)))
    ),
    "The quarter is rounded up to a whole step: unless steps is a multiple of four, it ends between two steps.": (
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
    case = f"Step {step} of {steps}, peak {peak:g}: you return {rate:.4g}. "
    if all(abs(rate - right[step] / peak) <= 1e-6 for step, rate in found):
        raise NotYet(case + "That is the share of the peak, not the rate.")
    for hint, share in wrong.items():
        if all(abs(rate - peak * share(step, steps, steps / 4)) <= 1e-6 * peak for step, rate in found):
            raise NotYet(case + hint)
    raise NotYet(
        f"{case}It is not right {when}. Plot it for all steps: a straight line up to the peak in the first quarter, "
        "then half a wave down."
    )


EXERCISE = Exercise(
    id="02-schedule",
    title="One cycle, written down",
    kind="function",
    level="core",
    hints=(
        "Two cases: a straight line in the first quarter, a cosine after it. Begin with the first, and plot it.",
        "In each case, first compute how much of its own part has passed, from 0 to 1: of the rise, `steps / 4` "
        "steps long, or of all the steps after it.",
        "The rise goes from 0.04 to 1 with that share. For the fall, `math.cos` of pi times the share goes from 1 to "
        "-1: shift and halve it, so that it goes from 1 to 0. Multiply both by the peak.",
    ),
    learned="A schedule is a formula of the step alone, so a resumed run continues with the right rate.",
    check=_check_schedule,
)
