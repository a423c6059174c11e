"""02-optimizer: the size of an optimizer's state."""

from __future__ import annotations

from functools import cache

from workbench.teaching.exercises.answers import check_guess, is_close, known_mistake, nearly, number_of, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet


def _check_optimizer(answer: object) -> None:
    guess, adamw, plain = parts_of(answer, "guess", "adamw", "plain")
    check_guess(guess, "how many bytes AdamW keeps for each byte of the weights")
    _judge_states(number_of(adamw, "adamw"), number_of(plain, "plain"))


def _judge_states(adamw: float, plain: float) -> None:
    """Compare with the cost model, with a tolerance of a few hundredths for buffers and step counters."""
    kept, none = _state_factor("adamw", 0.9), _state_factor("sgd", 0.0)
    with_momentum = _state_factor("sgd", 0.9)
    if is_close(plain, kept, 0.05) and adamw < kept / 2:
        raise NotYet("Your two figures seem to be swapped: adamw comes first, then plain.")
    if not is_close(adamw, kept, 0.05):
        raise NotYet(f"adamw = {adamw:g}: {_why_not_adamw(adamw, kept)}")
    if abs(plain - none) < 0.01:
        return
    if is_close(plain, with_momentum, 0.05):
        raise NotYet(
            f"plain = {plain:g}: that is SGD *with* momentum, which remembers one number for each weight. The "
            "workbench's SGD has momentum unless you set it to zero."
        )
    raise NotYet(f"plain = {plain:g}: without momentum, what does a step need to know about the steps before it?")


@cache
def _state_factor(optimizer: str, momentum: float) -> float:
    from workbench.hyperparameters import HyperParameters
    from workbench.modelling.cost import cost_of

    cost = cost_of(HyperParameters(model="linear", optimizer=optimizer, momentum=momentum, batch_size=1))
    return cost.optimizer_bytes / cost.weight_bytes


def _why_not_adamw(found: float, kept: float) -> str:
    if found < 0:
        return "bytes cannot be negative."
    if found == 0:
        return "before its first step an optimizer remembers nothing. Let it take one, then count."
    if found > 1000:
        return "that looks like bytes. Divide them by the bytes of the weights."
    wrong = {
        "that is what one number for each weight takes: SGD with momentum. Did you count AdamW's?": 1,
        "that is one too many: gradients are not part of the state, since they are computed anew at every step.": kept
        + 1,
        "that is all that does not grow with the batch, including weights and gradients. Count the state alone.": (
            kept + 2
        ),
        "that is upside down: bytes of state for each byte of weights, not the other way round.": 1 / kept,
        "that is in percent. Give it as a factor.": 100 * kept,
    }
    otherwise = "count what it remembers of earlier steps, in bytes, and divide by the bytes of the weights."
    if kept < found < kept + 1:
        otherwise = "a little much. AdamW also counts its steps, once per tensor: negligible in a larger network."
    return known_mistake(found, wrong, nearly(0.03), otherwise=otherwise)


EXERCISE = Exercise(
    id="02-optimizer",
    title="What an optimizer remembers",
    kind="predict",
    level="warm-up",
    hints=(
        "What does each optimizer remember of earlier steps? The lesson says it for AdamW and for momentum.",
        "`wb.cost_of(settings)` returns an object with `optimizer_bytes` and `weight_bytes`. The settings choose the "
        "`optimizer` and the `momentum`.",
        "Divide one by the other for two settings: `optimizer` set to adamw, and to sgd with a momentum of zero. "
        "The momentum is not zero by default.",
    ),
    learned="AdamW remembers two numbers for every weight, plain SGD none: an optimizer costs memory.",
    check=_check_optimizer,
)
