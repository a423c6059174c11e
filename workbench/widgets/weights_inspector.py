"""`WeightsInspector`: the content of a weights file, tensor by tensor, and the effect of fewer bits."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import traitlets

from workbench.arguments import path as path_of
from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.training.weights_format import WeightsError
from workbench.training.weights_summary import (
    SCALE_BYTES,
    TensorSummary,
    WeightsSummary,
    describe_resume_point,
    resume_parts,
    summarise_weights,
)
from workbench.units import format_bytes, format_share
from workbench.widgets.view import View
from workbench.wording import shorten

_ROUNDING = (
    "bf16 and int8 round every tensor of two or more dimensions; int8 keeps one scale for each row, its largest number "
    f"divided by 127, in {SCALE_BYTES} bytes. The other tensors stay unchanged. Bytes are modelled: counted from the "
    "shapes, nothing was written. Errors are measured: here, on these numbers."
)


class WeightsInspector(View):
    """The tensors of a weights file, their histograms at three precisions, and the size of its resume point.

    source: the path of a weights file, or a Run or its folder, whose resume point is shown too, if there is one.
    resume_point: the path of another one. tensors: a mapping of plain values each. chosen: the name of the tensor that
    is shown. Raises WorkbenchError, as `load_weights` does, for a file that is not a valid weights file.

    >>> from workbench.folders import REFERENCE
    >>> inspector = wb.WeightsInspector(REFERENCE / "weights.safetensors")
    >>> inspector.chosen, inspector.tensors[0]["shape"]
    ('8.weight', [32, 3, 3, 3])
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
        weights, own_resume_point = _paths(source)
        summary = summarise_weights(weights)
        if resume_point is not None:
            own_resume_point = path_of("resume_point", resume_point)
        parts = None if own_resume_point is None else resume_parts(own_resume_point)
        sentences = [summary.describe(), *([describe_resume_point(parts, summary.file_bytes)] if parts else [])]
        super().__init__(
            tensors=[tensor.to_mapping() for tensor in summary.tensors],
            details=[_detail(tensor) for tensor in summary.tensors],
            chosen=_largest(summary),
            name=str(weights),
            sentence=" ".join(sentences),
            precisions=dict(summary.precisions),
            files=_files(summary, parts),
            facts=[list(fact) for fact in summary.facts()],
        )

    def select(self, name: str) -> None:
        """Show the tensor `name`, as a click on it does; raise WorkbenchError if there is none."""
        self.chosen = name

    @traitlets.validate("chosen")
    def _known(self, proposal: Any) -> str:
        names = [tensor["name"] for tensor in self.tensors]
        if names and proposal["value"] not in names:
            near = get_close_matches(str(proposal["value"]), names, 3, 0.3) or names[:3]
            raise WorkbenchError(
                f"{self.name} has no tensor {shorten(repr(proposal['value']))}. It has {', '.join(near)}"
                f"{' and others: see .tensors' if len(names) > len(near) else ''}."
            )
        return str(proposal["value"])

    def describe(self) -> str:
        """Describe what the file holds."""
        return self.sentence

    def fallback(self) -> Iterable[Any]:
        """Return the description and the table of tensors."""
        from workbench.pages.html import table

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
        return source.weights, _existing(source.resume_point)
    if not isinstance(source, Path | str):
        raise WorkbenchError(f"A WeightsInspector needs the path of a weights file or a Run, not {shorten(source)!r}.")
    path = path_of("source", source)
    try:
        return (Run(path).weights, _existing(Run(path).resume_point)) if path.is_dir() else (path, None)
    except (OSError, ValueError) as error:
        raise WeightsError(f"Cannot read the weights file {shorten(source)!r}: {error}.") from error


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _largest(summary: WeightsSummary) -> str:
    return max(summary.tensors, key=lambda tensor: tensor.bytes).name if summary.tensors else ""


def _detail(tensor: TensorSummary) -> dict[str, Any]:
    """Return what the browser shows of a chosen tensor."""
    precisions = {
        name: {
            "bytes": rounded.bytes,
            "largest": f"{rounded.largest_error:.2g}",
            "mean": f"{rounded.mean_error:.2g}",
            "counts": list(rounded.counts),
        }
        for name, rounded in tensor.precisions.items()
    }
    about = f"Mean {tensor.mean:.3g}, standard deviation {tensor.std:.3g} (measured). "
    about += f"Its SHA-256 starts with {tensor.sha256[:16]} and was verified."
    return {
        "text": tensor.describe(),
        "about": about,
        "share": format_share(tensor.share),
        "shape": _shape(tensor.shape),
        "precisions": precisions,
    }


def _files(summary: WeightsSummary, parts: dict[str, int] | None) -> list[Any]:
    """Return each file with the bytes of its parts, for two bars on one scale."""
    sizes = {"weights": summary.file_bytes - summary.text_bytes, "text": summary.text_bytes}
    return [["weights file", sizes], *([["resume point", parts]] if parts else [])]


def _shape(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "one number"
