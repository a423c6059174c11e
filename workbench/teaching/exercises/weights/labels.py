"""03-labels: move a trained last layer to another order of labels."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from workbench.teaching.exercises.answers import call, function_of, parts_of, tensor_of
from workbench.teaching.exercises.exercise import Exercise, NotYet

if TYPE_CHECKING:
    from torch import Tensor


_ANIMALS = ("otter", "bat", "zebra", "cow", "mole", "ant", "yak", "fox", "hen", "seal", "goat", "lynx")


def _check_labels(answer: object) -> None:
    import torch

    function = function_of(answer, "mended")
    draw, seeded = random.Random(5), torch.Generator().manual_seed(5)
    for number, features in ((5, 5), (7, 12), (12, 40)):
        labels = tuple(draw.sample(_ANIMALS, number))
        # The first application sorts by name; the others use an arbitrary order.
        wanted = tuple(sorted(labels) if number == 5 else draw.sample(labels, number))
        layer = torch.randn(number, features, generator=seeded), torch.randn(number, generator=seeded)
        shown_as = f"the last layer for {number} labels"
        found = call(function, *layer, labels, wanted, shown_as=shown_as, unchanged="the tensors")
        weight, bias = parts_of(found, "weight", "bias")
        _compare_layer((tensor_of(weight, "weight"), tensor_of(bias, "bias")), layer, labels, wanted)


def _compare_layer(
    found: tuple[Tensor, Tensor], layer: tuple[Tensor, Tensor], labels: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    weight, bias = (tensor.double() for tensor in layer)
    orders = {
        "right": [labels.index(label) for label in wanted],
        "inverse": [wanted.index(label) for label in labels],
        "none": list(range(len(labels))),
        "name": [labels.index(label) for label in sorted(labels)],
    }
    rows = _order_of(found[0], {name: weight[order] for name, order in orders.items()})
    numbers = _order_of(found[1], {name: bias[order] for name, order in orders.items()})
    if rows == numbers == "right":
        return
    columns = {name: weight[:, orders[name]] for name in ("right", "inverse")}
    if found[0].shape != weight.shape or _order_of(found[0], columns):
        raise NotYet(
            f"The weight had the shape {tuple(weight.shape)}: a row for each label, a column for each feature. "
            f"Yours has {tuple(found[0].shape)}, and its columns were moved: which axis has the labels?"
        )
    if found[1].shape != bias.shape:
        raise NotYet(
            f"The bias had {len(bias)} numbers, one for each label; yours has the shape {tuple(found[1].shape)}."
        )
    raise NotYet(_layer_hint(rows, numbers) or _layer_share(found, (weight, bias), labels, wanted))


def _order_of(found: Tensor, candidates: dict[str, Tensor]) -> str:
    """The name of the first candidate that equals the tensor found, or ""."""
    same = (name for name, each in candidates.items() if each.shape == found.shape and bool((each == found).all()))
    return next(same, "")


def _layer_hint(rows: str, numbers: str) -> str:
    """The hint for the orders of the weight's rows and of the bias's numbers; "" if they match no known mistake."""
    if rows == numbers == "none":
        return "Nothing has moved: the first row still belongs to the first label that was learned."
    if rows == "right" and numbers == "none":
        return (
            "The weight is right. The bias is still in the order that was learned: it has a number for each label, too."
        )
    if rows == "none" and numbers == "right":
        return "The bias is right, but the weight has not moved: it has a row for each label."
    if "inverse" in (rows, numbers):
        return (
            "You have the inverse order: row 0 of the new layer has to belong to wanted[0]. Which row of the old layer "
            "belongs to that label?"
        )
    if "name" in (rows, numbers):
        return "You sort by name. This application does not: its order is `wanted`, whatever that is."
    return ""


def _layer_share(
    found: tuple[Tensor, Tensor], layer: tuple[Tensor, Tensor], labels: tuple[str, ...], wanted: tuple[str, ...]
) -> str:
    import torch

    features = torch.randn(200, layer[0].shape[1], generator=torch.Generator().manual_seed(0)).double()
    mine, theirs = ((features @ weight.T + bias).argmax(1).tolist() for weight, bias in (found, layer))
    hits = sum(wanted[new] == labels[old] for new, old in zip(mine, theirs, strict=True))
    return (
        f"With your layer {hits} of {len(theirs)} random inputs get the label that the network meant. Every row and "
        "its bias have to move, whole and unchanged, to the position of their label."
    )


EXERCISE = Exercise(
    id="03-labels",
    title="The right weights under the wrong names",
    kind="fix",
    level="core",
    hints=(
        "Do it on paper for three labels: learned (cow, ant, bat), wanted (ant, bat, cow). Which row comes first?",
        "For each label of `wanted`, in order: where is it in `labels`? The broken function asks the other way "
        "round. And which of the layer's tensors have a row or a number for each label?",
        "Make a list of old positions by looking up each label of `wanted` in `labels`; index the rows of the weight "
        "with it, and the bias likewise.",
    ),
    learned="Weights know no names: the order of the labels belongs to them, and a new order moves every row.",
    check=_check_labels,
)
