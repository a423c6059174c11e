"""What hyper-parameters cost, as a page shows it: numbers, bars of bytes, devices; every figure in words beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.hyperparameters import HyperParameters
from workbench.units import format_bytes, format_ratio, format_seconds

if TYPE_CHECKING:
    from workbench.cost import Cost


def figures_of(chosen: HyperParameters, cost: Cost, was: Cost | None, times: Sequence[Any]) -> dict[str, Any]:
    """What the browser draws, with every figure in words beside it."""
    bars = [
        {"name": name, "bytes": total, "text": format_bytes(total), "parts": [
            {"name": part, "bytes": size, "text": format_bytes(size)} for part, size in parts.items()
        ]}
        for name, total, parts in (
            ("Training", cost.training_bytes, {
                "weights": cost.weight_bytes, "gradients": cost.gradient_bytes,
                "optimizer state": cost.optimizer_bytes, "activations": cost.activation_bytes,
            }),
            ("Inference", cost.inference_bytes, {"weights": cost.weight_bytes, "working memory": cost.working_bytes}),
        )
    ]  # fmt: skip
    ratio = format_ratio(cost.training_bytes / cost.inference_bytes)
    able = [each for each in times if each.seconds is not None]
    summary = (
        f"{cost.parameters:,} parameters; {_flops(cost.training_flops)} a picture in training and "
        f"{_flops(cost.inference_flops)} in inference; {format_bytes(cost.training_bytes)} to train and "
        f"{format_bytes(cost.inference_bytes)} to infer (modelled)."
    )
    if able:
        quick, slow = able[0], able[-1]
        summary += f" An epoch takes {format_seconds(quick.seconds)} on {quick.device} ({quick.origin})"
        summary += (
            f" and {format_seconds(slow.seconds)} on {slow.device} ({slow.origin})." if slow is not quick else "."
        )
    auto = " Precision auto is counted as fp32." if chosen.precision == "auto" else ""
    return {
        "of": asdict(chosen),
        "summary": summary,
        "numbers": [
            ["parameters", f"{cost.parameters:,}"],
            ["inference, a picture", _flops(cost.inference_flops)],
            ["training, a picture", _flops(cost.training_flops)],
        ],
        "bars": bars,
        "before": None if was is None or was == cost else [was.training_bytes, was.inference_bytes],
        "beside": f"Training holds {ratio} the bytes of inference: a batch of {cost.batch_size:,} against one picture.",
        "basis": f"An epoch: {cost.steps_per_epoch:,} steps of up to {cost.batch_size:,} pictures, "
        f"{cost.pictures:,} in all, without validation.{auto}",
        "devices": [
            {
                "device": each.device, "seconds": each.seconds, "origin": each.origin,
                "text": "–" if each.seconds is None else format_seconds(each.seconds),
                "told": each.reason or each.source,
            }
            for each in times
        ],
    }  # fmt: skip


def _flops(count: float) -> str:
    for factor, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if count >= 0.9995 * factor:
            return f"{count / factor:#.3g} {word} FLOPs".replace(". ", " ")
    return f"{count:,.0f} FLOPs"
