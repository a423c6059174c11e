"""What a weights file holds, tensor by tensor, and what fewer bits would change."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import traitlets

from workbench.arguments import path as path_of
from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.sealed import shortened
from workbench.units import format_bytes, format_share
from workbench.weights_format import WeightsError
from workbench.weights_summary import (
    SCALE_BYTES,
    TensorSummary,
    WeightsSummary,
    resume_parts,
    summarise_weights,
    told_resume,
)
from workbench.widgets.view import View

_ROUNDING = (
    "bf16 and int8 round every tensor of two or more dimensions; int8 keeps one scale for each row, its largest number "
    f"divided by 127, in {SCALE_BYTES} bytes. The other tensors stay as they are. Bytes are modelled: counted from the "
    "shapes, nothing was written. Errors are measured: here, on these numbers."
)


class WeightsInspector(View):
    """The tensors of a weights file, their histograms at three precisions, and what its resume point holds more.

        wb.WeightsInspector("runs/animals-1/weights.safetensors")
        wb.WeightsInspector(run)

    source: the path of a weights file or of the folder of a run, or a Run: its resume point, where there is one, is
    shown too. resume_point: the path of another. tensors: a plain table, one mapping each. chosen: the name of the
    tensor that is looked at. Raises WorkbenchError, as `load_weights` does, for a file that is no sound weights file.
    """

    module = "weights_inspector"
    title = "What the weights file holds"

    tensors = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    details = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    name = traitlets.Unicode(read_only=True).tag(sync=True)
    sentence = traitlets.Unicode(read_only=True).tag(sync=True)
    rounding = traitlets.Unicode(_ROUNDING, read_only=True).tag(sync=True)
    precisions = traitlets.Dict(read_only=True).tag(sync=True)
    files: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    facts: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)

    def __init__(self, source: Path | str | Run, *, resume_point: Path | str | None = None) -> None:
        weights, beside = _paths(source)
        summary = summarise_weights(weights)
        parts = None
        if resume_point is not None or (beside is not None and beside.is_file()):
            parts = resume_parts(beside or Path() if resume_point is None else path_of("resume_point", resume_point))
        told = [f"{summary.told()}"] + ([told_resume(parts, summary.file_bytes)] if parts else [])
        super().__init__(
            tensors=[tensor.to_mapping() for tensor in summary.tensors],
            details=[_detail(tensor) for tensor in summary.tensors],
            chosen=_largest(summary),
            name=str(weights),
            sentence=" ".join(told),
            precisions=dict(summary.precisions),
            files=_files(summary, parts),
            facts=[list(fact) for fact in summary.facts()],
        )

    def select(self, name: str) -> None:
        """Look at the tensor called `name`, as a click on it does; a WorkbenchError where there is none."""
        self.chosen = name

    @traitlets.validate("chosen")
    def _known(self, proposal: Any) -> str:
        names = [tensor["name"] for tensor in self.tensors]
        if names and proposal["value"] not in names:
            near = get_close_matches(str(proposal["value"]), names, 3, 0.3) or names[:3]
            raise WorkbenchError(
                f"{self.name} has no tensor {shortened(repr(proposal['value']))}. It has {', '.join(near)}"
                f"{' and others: see .tensors' if len(names) > len(near) else ''}."
            )
        return str(proposal["value"])

    def told(self) -> str:
        """What the file holds, in sentences."""
        return self.sentence

    def fallback(self) -> Iterable[Any]:
        """The sentence and the table of tensors."""
        from workbench.page import table

        rows = [
            (
                each["name"],
                _shape(each["shape"]),
                each["dtype"],
                format_bytes(each["bytes"]),
                format_share(each["share"]),
            )
            for each in self.tensors
        ]
        return [
            *super().fallback(),
            table("Tensors", ["name", "shape", "dtype", "bytes", "share"], rows, numeric=(3, 4)),
        ]


def _paths(source: Path | str | Run) -> tuple[Path, Path | None]:
    if isinstance(source, Run):
        return source.weights, source.resume_point
    if not isinstance(source, Path | str):
        raise WorkbenchError(
            f"A WeightsInspector needs the path of a weights file or a Run, not {shortened(source)!r}."
        )
    path = path_of("source", source)
    try:
        return (Run(path).weights, Run(path).resume_point) if path.is_dir() else (path, None)
    except (OSError, ValueError) as error:
        raise WeightsError(f"Cannot read the weights file {shortened(source)!r}: {error}.") from error


def _largest(summary: WeightsSummary) -> str:
    return max(summary.tensors, key=lambda tensor: tensor.bytes).name if summary.tensors else ""


def _detail(tensor: TensorSummary) -> dict[str, Any]:
    """What the browser shows of the tensor that is chosen."""
    kinds = {
        name: {
            "bytes": kind.bytes,
            "largest": f"{kind.largest_error:.2g}",
            "mean": f"{kind.mean_error:.2g}",
            "counts": list(kind.counts),
        }
        for name, kind in tensor.precisions.items()
    }
    about = f"Mean {tensor.mean:.3g}, standard deviation {tensor.std:.3g} (measured). "
    about += f"Its SHA-256 begins {tensor.sha256[:16]}; it was checked."
    told = {"told": tensor.told(), "about": about, "share": format_share(tensor.share), "shape": _shape(tensor.shape)}
    return {**told, "precisions": kinds}


def _files(summary: WeightsSummary, parts: dict[str, int] | None) -> list[Any]:
    """Each file with its parts in bytes, for two bars on one scale."""
    held = {"weights": summary.file_bytes - summary.text_bytes, "text": summary.text_bytes}
    return [["weights file", held], *([["resume point", parts]] if parts else [])]


def _shape(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "one number"
