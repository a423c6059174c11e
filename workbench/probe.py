"""A look at a network before it is trained: are its weights numbers, does it take the pictures, does it give logits?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from workbench.errors import WorkbenchError


def check_weights(model: nn.Module) -> None:
    """Refuse weights that are not there, or are not numbers, before anything else is blamed for them."""
    name = type(model).__qualname__
    for key, value in (*model.named_parameters(), *model.named_buffers()):
        if value.is_meta or is_lazy(value):
            raise WorkbenchError(f"{name} has no values for {key!r} yet: initialise it, or run it once on a picture.")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WorkbenchError(f"{name} holds a value in {key!r} that is not finite: build it anew.")


def check_fits(model: nn.Module, inputs: Tensor, labels: Sequence[str]) -> None:
    """Refuse a network that does not give a logit for each label when shown `inputs`, float32 (N, C, H, W).

    The model is left in evaluation mode.
    """
    name, count = type(model).__qualname__, len(inputs)
    model.eval()
    try:
        with torch.no_grad():
            logits = model(inputs)
    except Exception as error:  # a user's network can fail in any way
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        shape = ", ".join(map(str, inputs.shape[1:]))
        raise WorkbenchError(f"{name} does not take pictures of shape (N, {shape}): {reason}") from error
    if not isinstance(logits, Tensor) or logits.shape != (count, len(labels)):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise WorkbenchError(
            f"{name} gives {given} for {count} pictures; logits of shape ({count}, {len(labels)}) are needed, one for "
            "each label."
        )
    if not logits.is_floating_point():
        raise WorkbenchError(f"{name} gives {logits.dtype}: logits are real numbers, such as torch.float32.")
