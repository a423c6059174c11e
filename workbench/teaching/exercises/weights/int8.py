"""03-int8: quantise a matrix to int8 with one scale per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.teaching.exercises.answers import call, function_of, parts_of, tensor_of
from workbench.teaching.exercises.exercise import Exercise, NotYet

if TYPE_CHECKING:
    from torch import Tensor


def _check_int8(answer: object) -> None:
    import torch

    function = function_of(answer, "quantise")
    for detail, matrix in _matrices():
        shown_as = f"a matrix of {matrix.shape[0]} rows{detail}"
        found = call(function, matrix, shown_as=shown_as, unchanged="the matrix")
        numbers, scales = parts_of(found, "int8 matrix", "scales")
        _compare_int8(torch.as_tensor(numbers), tensor_of(scales, "scales"), matrix)


def _matrices() -> list[tuple[str, Tensor]]:
    """Matrices, each exposing another mistake, and a detail in words. No row's extremes are equally far from zero."""
    import torch

    seeded = torch.Generator().manual_seed(7)

    def drawn(rows: int, columns: int) -> Tensor:
        return torch.rand(rows, columns, generator=seeded) * 1.4 - 0.6

    sizes = torch.tensor([[0.1], [1.0], [10.0], [100.0]])
    positive = drawn(4, 7)
    positive[:, 2] = 0.9
    large = drawn(33, 70) * torch.rand(33, 1, generator=seeded)
    zero = drawn(3, 5)
    zero[1] = 0
    return [
        ("", positive * sizes),
        (", in each the number furthest from zero is negative", -positive * sizes),
        (", one of them all zeros", zero),
        (", one of them of tiny numbers", drawn(2, 6) * torch.tensor([[1.0], [1e-4]])),
        ("", large),
    ]


def _compare_int8(numbers: Tensor, scales: Tensor, matrix: Tensor) -> None:
    import torch

    _refuse_form(numbers, scales, matrix)
    scales, exact = scales.reshape(-1, 1), matrix.double()
    furthest = exact.abs().amax(1, keepdim=True)
    empty = furthest == 0
    if not bool((torch.isfinite(scales) & (scales > 0))[empty].all()):
        raise NotYet("The row of zeros gets a scale that you cannot divide by: every scale has to be above zero.")
    if not bool((torch.isfinite(scales) & (scales > 0)).all()):
        raise NotYet("A scale is the width of a step: every one has to be finite and above zero.")
    off = (numbers.double() * scales - exact).abs()
    if bool((off <= 1.01 * furthest / 254).all()):
        return
    hint = _int8_hint(numbers, scales, exact, furthest)
    row, column = divmod(int((off - furthest / 254).argmax()), matrix.shape[1])
    before, after = float(exact[row, column]), float(numbers[row, column] * scales[row])
    raise NotYet(f"{before:.3g} in row {row} comes back as {after:.3g}, more than half a step off. {hint}")


def _refuse_form(numbers: Tensor, scales: Tensor, matrix: Tensor) -> None:
    import torch

    rows, columns = matrix.shape
    if numbers.dtype != torch.int8:
        raise NotYet(f"The numbers come back as {numbers.dtype}: they should be int8, one byte each.")
    if numbers.shape != matrix.shape:
        raise NotYet(f"A matrix of the shape {(rows, columns)} comes back as {tuple(numbers.shape)}.")
    if scales.numel() == 1:
        raise NotYet("There is one scale for all rows: it leaves a row of small numbers hardly any steps.")
    if scales.numel() == columns:
        raise NotYet(
            "You return a scale for each column: along which axis did you look for the number furthest from zero?"
        )
    if scales.numel() != rows:
        raise NotYet(f"You return {scales.numel()} scales for {rows} rows: return one for each row.")


def _int8_hint(numbers: Tensor, scales: Tensor, exact: Tensor, furthest: Tensor) -> str:
    """The hint for the mistake, recognised by the scales first and then by the numbers."""
    import torch

    def scales_are(expected: Tensor) -> bool:
        return bool(torch.isclose(scales, expected, rtol=0.002, atol=0.0)[furthest > 0].all())

    if bool((scales == scales[0]).all()):
        return "All rows have the same scale: it leaves a row of small numbers hardly any steps."
    if scales_are(furthest / 127):
        # The number furthest from zero is 127 scales, or just below that, as float32 and float64 may differ.
        inner = exact.abs() < furthest
        cuts = (cut(exact / scales) for cut in (torch.trunc, torch.floor))
        if any(bool((numbers == cut)[inner].all()) for cut in cuts):
            return "You cut off the fraction, as a conversion to int8 does: the nearest step may be the next one."
        return "Your scales are right: which step is nearest to each weight?"
    highest, lowest = exact.amax(1, keepdim=True), exact.amin(1, keepdim=True)
    if scales_are(highest / 127):
        return "Your scale comes from the largest number; the one furthest from zero may lie below it."
    if scales_are(furthest / 128):
        return "Your largest step is 128, but int8 goes only from -128 to 127."
    if scales_are(127 / furthest):
        return "Your scales are upside down: a number times its row's scale has to give the weight."
    if scales_are(furthest / 255) or scales_are((highest - lowest) / 255):
        return "You use more steps than fit on either side of zero: int8 goes from -128 to 127."
    if bool((scales > 1.02 * furthest / 127)[furthest > 0].any()):
        return "A row's steps are wider than necessary: its number furthest from zero should use the last of them."
    return "Which step is nearest to each weight, and does the row's scale convert it back?"


EXERCISE = Exercise(
    id="03-int8",
    title="A quarter of the bytes",
    kind="function",
    level="stretch",
    hints=(
        "`to_int8` of lesson 03, under the heading “Fewer bits, the same weights”, has the idea, but it returns floats "
        "and divides by zero if a row is all zeros.",
        "A row's scale is the width of a step: the number furthest from zero, on either side, uses step 127. "
        "Divide, round to the nearest whole number, and only then change the dtype.",
        "Take `abs()`, then the largest of each row with its axis kept, over 127; put 1 where that is 0. Divide "
        "the matrix by it, `round()`, convert to `torch.int8`, and return that and the scales.",
    ),
    learned="One scale per row and the nearest step: no weight moves by more than half a step of its row.",
    check=_check_int8,
)
