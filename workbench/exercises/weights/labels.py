"""03-labels: weights that were learned for labels in another order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from workbench.exercises.answers import called, function_of, parts_of, tensor_of
from workbench.exercises.exercise import Exercise, NotYet

if TYPE_CHECKING:
    from torch import Tensor


_ANIMALS = ("otter", "bat", "zebra", "cow", "mole", "ant", "yak", "fox", "hen", "seal", "goat", "lynx")


def _check_labels(answer: object) -> None:
    import torch

    function = function_of(answer, "mended")
    draw, seeded = random.Random(5), torch.Generator().manual_seed(5)
    for number, features in ((5, 5), (7, 12), (12, 40)):
        labels = tuple(draw.sample(_ANIMALS, number))
        # The first application sorts by name; the others have an order of their own.
        wanted = tuple(sorted(labels) if number == 5 else draw.sample(labels, number))
        layer = torch.randn(number, features, generator=seeded), torch.randn(number, generator=seeded)
        told = f"the last layer for {number} labels"
        found = called(function, *layer, labels, wanted, told=told, kept="the tensors")
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
            f"The weight had the shape {tuple(weight.shape)}: one row a label, one column a feature. "
            f"Yours has {tuple(found[0].shape)}, and its columns were moved: which axis has the labels?"
        )
    if found[1].shape != bias.shape:
        raise NotYet(f"The bias had {len(bias)} numbers, one a label; yours has the shape {tuple(found[1].shape)}.")
    raise NotYet(_layer_words(rows, numbers) or _layer_share(found, (weight, bias), labels, wanted))


def _order_of(found: Tensor, candidates: dict[str, Tensor]) -> str:
    """The name of the first candidate that is the same, or nothing."""
    same = (name for name, each in candidates.items() if each.shape == found.shape and bool((each == found).all()))
    return next(same, "")


def _layer_words(rows: str, numbers: str) -> str:
    """What fits how the rows of the weight and the numbers of the bias were ordered; nothing where it is unclear."""
    if rows == numbers == "none":
        return "Nothing has moved: the first row still answers for the first label that was learned."
    if rows == "right" and numbers == "none":
        return "The weight is right. The bias stands still in the order that was learned: it has a number a label, too."
    if rows == "none" and numbers == "right":
        return "The bias is right, and the weight has not moved: it has a row a label."
    if "inverse" in (rows, numbers):
        return (
            "You have the way back instead of the way there: row 0 of the new layer has to answer for wanted[0]. In "
            "which row of the old one does that label stand?"
        )
    if "name" in (rows, numbers):
        return "You sort by name. This application does not: its order is in wanted, whatever that is."
    return ""


def _layer_share(
    found: tuple[Tensor, Tensor], layer: tuple[Tensor, Tensor], labels: tuple[str, ...], wanted: tuple[str, ...]
) -> str:
    import torch

    features = torch.randn(200, layer[0].shape[1], generator=torch.Generator().manual_seed(0)).double()
    mine, theirs = ((features @ weight.T + bias).argmax(1).tolist() for weight, bias in (found, layer))
    hits = sum(wanted[here] == labels[there] for here, there in zip(mine, theirs, strict=True))
    return (
        f"With your layer {hits} of {len(theirs)} random inputs get the name that the network meant. Every row and its "
        "number of the bias have to move, whole and unchanged, to the place of their label."
    )


EXERCISE = Exercise(
    id="03-labels",
    title="The right weights under the wrong names",
    kind="mend",
    level="core",
    hints=(
        "Do it on paper for three labels: learned (cow, ant, bat), wanted (ant, bat, cow). Which row comes first?",
        "For each label of `wanted`, one after the other: where does it stand in `labels`? The broken function "
        "asks the other way round. And which of the layer's tensors have a row or a number for each label?",
        "Make the list of old places by going through `wanted` and looking each label up in `labels`; index the "
        "rows of the weight with it, and the bias likewise.",
    ),
    learned="Weights know no names: an order of labels belongs to them, and a change of it has to move every row.",
    check=_check_labels,
)
