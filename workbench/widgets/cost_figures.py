"""What hyper-parameters cost, for the browser: numbers, bars of bytes and devices, each figure with its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.hyperparameters import HyperParameters
from workbench.units import format_bytes, format_ratio, format_seconds

if TYPE_CHECKING:
    from workbench.modelling.cost import Cost
    from workbench.modelling.epoch_times import EpochTime

_FACTORS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def figures_of(chosen: HyperParameters, cost: Cost, before: Cost | None, times: Sequence[EpochTime]) -> dict[str, Any]:
    """Return what the browser draws: the cost, the bytes `before` the last change, and an epoch on each device."""
    ratio = format_ratio(cost.training_bytes / cost.inference_bytes)
    auto = " Precision auto is counted as fp32." if chosen.precision == "auto" else ""
    return {
        "of": asdict(chosen),
        "summary": _summary(cost, times),
        "numbers": [
            ["parameters", f"{cost.parameters:,}"],
            ["inference, an image", _flops(cost.inference_flops)],
            ["training, an image", _flops(cost.training_flops)],
        ],
        "bars": _bars(cost),
        "before": None if before is None or before == cost else [before.training_bytes, before.inference_bytes],
        "comparison": f"Training takes {ratio} the bytes of inference: {cost.batch_size:,} images against one.",
        "basis": f"An epoch: {cost.steps_per_epoch:,} steps of up to {cost.batch_size:,} images, "
        f"{cost.images:,} in all, without validation.{auto}",
        "devices": [
            {
                "device": each.device,
                "seconds": each.seconds,
                "origin": each.origin,
                "text": "–" if each.seconds is None else format_seconds(each.seconds),
                "origin_text": each.reason or each.source,
            }
            for each in times
        ],
    }


def _bars(cost: Cost) -> list[dict[str, Any]]:
    training = {
        "weights": cost.weight_bytes,
        "gradients": cost.gradient_bytes,
        "optimizer state": cost.optimizer_bytes,
        "activations": cost.activation_bytes,
    }
    inference = {"weights": cost.weight_bytes, "working memory": cost.working_bytes}
    totals = (("Training", cost.training_bytes, training), ("Inference", cost.inference_bytes, inference))
    return [
        _amount(name, total) | {"parts": [_amount(part, size) for part, size in parts.items()]}
        for name, total, parts in totals
    ]


def _amount(name: str, size: int) -> dict[str, Any]:
    return {"name": name, "bytes": size, "text": format_bytes(size)}


def _summary(cost: Cost, times: Sequence[EpochTime]) -> str:
    summary = (
        f"{cost.parameters:,} parameters; {_flops(cost.training_flops)} an image in training and "
        f"{_flops(cost.inference_flops)} in inference; {format_bytes(cost.training_bytes)} to train and "
        f"{format_bytes(cost.inference_bytes)} to infer (modelled)."
    )
    known = [(format_seconds(each.seconds), each) for each in times if each.seconds is not None]
    if not known:
        return summary
    ends = known[:1] if len(known) == 1 else [known[0], known[-1]]
    devices = " and ".join(f"{seconds} on {each.device} ({each.origin})" for seconds, each in ends)
    return f"{summary} An epoch takes {devices}."


def _flops(count: float) -> str:
    for factor, word in _FACTORS:
        if count >= 0.9995 * factor:
            return f"{count / factor:#.3g} {word} FLOPs".replace(". ", " ")
    return f"{count:,.0f} FLOPs"
