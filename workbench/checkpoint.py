"""What is kept of a training run: weights files, which travel, and resume points, which stay on the bench."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.atomic import write_bytes
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.models import ModelSpec, build_from_spec, spec_of
from workbench.preprocessing import Preprocessing
from workbench.sealed import now, shortened, versions
from workbench.weights_format import WeightsError, pack, read_file, unpack

__all__ = [
    "Weights",
    "WeightsError",
    "initial_weights",
    "load_resume_point",
    "load_weights",
    "save_resume_point",
    "save_weights",
    "weights_from_bytes",
]

_KEYS = (
    "class_name",
    "created",
    "hyperparameters",
    "labels",
    "metrics",
    "model",
    "preprocessing",
    "versions",
)
_RESUME_MAGIC = b"workbench resume point 1\n"


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A trained network and all that is needed to use it.

    model: in eval mode, on the CPU unless the caller's own module lives elsewhere. spec: how to build it, None for a
    user's own module. metrics: what was measured when it was saved, as plain values.
    """

    path: Path
    model: nn.Module
    spec: ModelSpec | None
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    hyperparameters: HyperParameters
    metrics: Mapping[str, Any]


def save_weights(
    path: Path,
    model: nn.Module,
    *,
    labels: Sequence[str],
    preprocessing: Preprocessing,
    hyperparameters: HyperParameters,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write every tensor of `model.state_dict()` and what belongs to it as one safetensors file, whole or not at all.

    The tensors are stored as they are on the CPU, so that a file written on a GPU loads on a machine without one. The
    header holds labels, preprocessing, hyper-parameters and metrics, and a SHA-256 of each of them and of each tensor.
    Raises WorkbenchError where the labels or the preprocessing do not fit the model, or a value cannot be stored.
    """
    model = _bare(model)
    spec = spec_of(model)
    _refuse_misfit(spec, labels, preprocessing)
    metadata = {
        "class_name": type(model).__qualname__,
        "created": now(),
        "hyperparameters": asdict(hyperparameters),
        "labels": list(labels),
        "metrics": dict(metrics or {}),
        "model": None if spec is None else spec.to_mapping(),
        "preprocessing": preprocessing.to_mapping(),
        "versions": versions("torch"),
    }
    write_bytes(Path(path), pack(model.state_dict(), metadata))


def load_weights(path: Path, model: nn.Module | None = None, *, labels: Sequence[str] | None = None) -> Weights:
    """Read what `save_weights` wrote: build the network, or fill the caller's own `model` in place.

    With `labels`, a file with other labels (or another order of them) is refused. Every byte is checked before a
    network is built or touched: raises WeightsError naming the tensor or the key for a file that is missing, cut,
    altered, of another model, not written by the workbench, or a pickle.
    """
    path = Path(path)
    return weights_from_bytes(read_file(path, "weights file"), path, model, labels=labels)


def weights_from_bytes(
    content: bytes, path: Path, model: nn.Module | None = None, *, labels: Sequence[str] | None = None
) -> Weights:
    """As `load_weights`, from bytes that were read already; `path` is for the sentences."""
    metadata, tensors = _checked(content, path)
    file_labels = tuple(metadata["labels"])
    if labels is not None and tuple(labels) != file_labels:
        raise WeightsError(f"{path}: {_label_difference(file_labels, tuple(labels))}")
    spec = metadata["model"]
    if model is None:
        model = _built(path, spec, tensors, metadata["class_name"])
    else:
        _refuse_other_model(path, _bare(model), spec, tensors)
    _bare(model).load_state_dict(tensors)
    return Weights(
        path=path,
        model=model.eval(),
        spec=spec,
        labels=file_labels,
        preprocessing=metadata["preprocessing"],
        hyperparameters=metadata["hyperparameters"],
        metrics=metadata["metrics"],
    )


def initial_weights(path: Path, model: nn.Module) -> tuple[str, ...]:
    """Start `model` from the weights in `path`, for fine-tuning: copy each tensor that fits by name and shape.

    Returns the names of the tensors left fresh, in the order of the model: usually the last layer, when the labels
    are others. Raises WeightsError, with the model untouched, for a damaged file, or where no weight of two or
    more dimensions fits.
    """
    path = Path(path)
    _, tensors = _checked(read_file(path, "weights file"), path)
    bare = _bare(model)
    state = bare.state_dict()
    fitting = {name for name, tensor in state.items() if name in tensors and tensors[name].shape == tensor.shape}
    # A bias or a step counter fits many networks and carries nothing of what was learned.
    if not any(name in fitting and parameter.dim() > 1 for name, parameter in bare.named_parameters()):
        raise WeightsError(
            f"{path}: none of its weight tensors fits this {type(bare).__qualname__} by name and shape. "
            "Fine-tune a model of the same kind and width as the one that was saved."
        )
    with torch.no_grad():
        for name in fitting:
            state[name].copy_(tensors[name])
    return tuple(name for name in state if name not in fitting)


def save_resume_point(path: Path, state: Mapping[str, Any]) -> None:
    """Write plain values and tensors (nested in dicts, lists and tuples) to `path`, whole or not at all.

    Tensors are moved to the CPU and keep their strides. Raises WorkbenchError naming the entry of any other type.
    """
    buffer = io.BytesIO()
    torch.save(_plain(state, "state"), buffer)
    content = buffer.getbuffer()
    digest = hashlib.sha256(content).hexdigest().encode()
    write_bytes(Path(path), b"".join((_RESUME_MAGIC, digest, b"\n", content)))


def load_resume_point(path: Path) -> dict[str, Any]:
    """Read what `save_resume_point` wrote, tensors on the CPU.

    The SHA-256 is checked first and torch.load runs with weights_only=True, so that no code in the file can run.
    Raises WeightsError for a file that is missing, damaged, or no resume point.
    """
    path = Path(path)
    content = read_file(path, "resume point")
    start = len(_RESUME_MAGIC) + 65
    if not content.startswith(_RESUME_MAGIC):
        raise WeightsError(f"{path} is not a resume point of this workbench. Train again, or give the run's own file.")
    body = memoryview(content)[start:]
    if content[len(_RESUME_MAGIC) : start] != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise WeightsError(f"{path} is damaged: its SHA-256 does not match. Delete it and train again.")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes provoke
        raise WeightsError(f"{path} holds more than plain values and tensors ({shortened(error)}).") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is not a resume point: it holds a {type(state).__name__}.")
    return state


def _bare(model: nn.Module) -> nn.Module:
    # torch.compile wraps the module and would put `_orig_mod.` before every name.
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, nn.Module) else model


def _refuse_misfit(spec: ModelSpec | None, labels: Sequence[str], preprocessing: Preprocessing) -> None:
    """Refuse labels that are no labels, and labels or picture shapes that are not the model's."""
    names = all(isinstance(label, str) and label for label in labels)
    if not labels or not names or len(set(labels)) != len(labels):
        raise WorkbenchError(f"The labels must be different, non-empty names, not {shortened(list(labels))}.")
    if spec is None:
        return
    if spec.classes != len(labels):
        raise WorkbenchError(f"The model tells {spec.classes} classes apart and {len(labels)} labels were given.")
    shape = (preprocessing.height, preprocessing.width, preprocessing.channels)
    if (spec.height, spec.pixel_width, spec.channels) != shape:
        raise WorkbenchError(
            f"The model takes {spec.height}×{spec.pixel_width}×{spec.channels} pictures and the preprocessing makes "
            f"{shape[0]}×{shape[1]}×{shape[2]}."
        )


def _checked(content: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata (model, labels, preprocessing and hyper-parameters in their own types) and tensors of a sound file."""
    metadata, tensors = unpack(content, path)
    if tuple(sorted(metadata)) != _KEYS:
        odd = sorted(set(_KEYS) ^ set(metadata))
        raise WeightsError(f"{path}: its key {shortened(odd[0])!r} is missing or unknown.")
    parsers = {
        "hyperparameters": HyperParameters.from_mapping,
        "model": lambda values: None if values is None else ModelSpec.from_mapping(values),
        "preprocessing": Preprocessing.from_mapping,
    }
    for key, parse in parsers.items():
        try:
            metadata[key] = parse(metadata[key])
        except (WorkbenchError, TypeError, ValueError, OverflowError) as error:
            raise WeightsError(f"{path}: its key {key!r} is wrong. {error}") from error
    if not isinstance(metadata["metrics"], dict) or not isinstance(metadata["labels"], list):
        raise WeightsError(f"{path}: its key 'metrics' or 'labels' has the wrong type.")
    try:
        _refuse_misfit(metadata["model"], metadata["labels"], metadata["preprocessing"])
    except (WorkbenchError, TypeError) as error:
        raise WeightsError(f"{path}: its key 'labels' is wrong. {error}") from error
    return metadata, tensors


def _label_difference(found: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if len(found) != len(expected):
        return f"it tells {len(found)} labels apart and {len(expected)} were expected."
    place = next(index for index, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
    return f"its label {place} is {shortened(found[place])!r} where {shortened(expected[place])!r} was expected."


def _built(path: Path, spec: ModelSpec | None, tensors: Mapping[str, Tensor], class_name: str) -> nn.Module:
    if spec is None:
        name = shortened(class_name)
        raise WeightsError(
            f"{path} holds the weights of your own network class {name!r}, which the workbench cannot build. "
            f"Make one and pass it: load_weights(path, model={name}(…))."
        )
    try:
        # On the meta device nothing is allocated: a spec of absurd size is found out by its shapes.
        with torch.device("meta"):
            sketch = build_from_spec(spec)
    except (
        WorkbenchError,
        RuntimeError,
        ValueError,
        TypeError,
        OverflowError,
    ) as error:
        raise WeightsError(f"{path}: its key 'model' describes no network. {shortened(error, 300)}") from error
    _refuse_other_tensors(path, sketch, tensors)
    return build_from_spec(spec)


def _refuse_other_model(path: Path, model: nn.Module, spec: ModelSpec | None, tensors: Mapping[str, Tensor]) -> None:
    own = spec_of(model)
    if spec is not None and own is not None and spec != own:
        key = next(key for key, value in spec.to_mapping().items() if value != own.to_mapping()[key])
        raise WeightsError(
            f"{path} is of another model: its {key} is {spec.to_mapping()[key]!r} and your model's is "
            f"{own.to_mapping()[key]!r}."
        )
    _refuse_other_tensors(path, model, tensors)


def _refuse_other_tensors(path: Path, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            raise WeightsError(f"{path} is of another model: it has no tensor {name!r}.")
        for what in ("shape", "dtype"):
            found, own = getattr(tensors[name], what), getattr(tensor, what)
            if found != own:
                found, own = (tuple(found), tuple(own)) if what == "shape" else (found, own)
                raise WeightsError(
                    f"{path} is of another model: its tensor {name!r} has {what} {found}, and the model wants {own}."
                )
    extra = sorted(set(tensors) - set(wanted))
    if extra:
        raise WeightsError(f"{path} is of another model: its tensor {extra[0]!r} has no place there.")


def _plain(value: Any, where: str) -> Any:
    """`value` rebuilt from plain types, so that weights_only=True is sure to read it again."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        # A view is saved with all of the storage behind it: a slice of the training set would carry the whole set.
        return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor
    if isinstance(value, Mapping):
        return {_plain(key, f"{where} key"): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item, f"{where}[{index}]") for index, item in enumerate(value))
    raise WorkbenchError(
        f"{where} is a {type(value).__qualname__}: a resume point holds only plain values and tensors. Convert it."
    )
