"""Check a network before training: its weights are finite, it takes the images, and it gives one logit per class."""

from __future__ import annotations

from torch import Tensor, nn, no_grad
from torch.nn.parameter import is_lazy

from workbench.errors import WorkbenchError


def check_weights(model: nn.Module) -> None:
    """Raise WorkbenchError for weights that are missing or not finite, before anything else is blamed for them."""
    name = type(model).__qualname__
    for key, value in (*model.named_parameters(), *model.named_buffers()):
        if value.is_meta or is_lazy(value):
            raise WorkbenchError(f"{name} has no values for {key!r} yet: initialise it, or run it once on an image.")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WorkbenchError(f"{name} holds a value in {key!r} that is not finite: build it anew.")


def check_fits(model: nn.Module, inputs: Tensor, classes: int) -> None:
    """Raise WorkbenchError unless `model` gives a logit per class for `inputs`, float32 (N, C, H, W).

    The model is left in evaluation mode.
    """
    name, count = type(model).__qualname__, len(inputs)
    model.eval()
    try:
        with no_grad():
            logits = model(inputs)
    except Exception as error:  # a user's network can fail in any way
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        shape = ", ".join(map(str, inputs.shape[1:]))
        raise WorkbenchError(f"{name} does not take images of shape (N, {shape}): {reason}") from error
    if not isinstance(logits, Tensor) or logits.shape != (count, classes):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise WorkbenchError(
            f"{name} gives {given} for {count} images; logits of shape ({count}, {classes}) are needed, one for each "
            "label."
        )
    if not logits.is_floating_point():
        raise WorkbenchError(f"{name} gives {logits.dtype}: logits are real numbers, such as torch.float32.")
