"""Save and load weights files, which are shared, and resume points, which stay on this machine."""

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
from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.training.models import ModelSpec, build_from_spec, spec_of, uncompiled
from workbench.training.weights_format import WeightsError, pack, read_file, unpack
from workbench.wording import now, shorten, versions

_KEYS = ("class_name", "created", "hyperparameters", "labels", "metrics", "model", "preprocessing", "versions")
_RESUME_MAGIC = b"workbench resume point 2\n"


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A trained network and everything needed to use it.

    model: in evaluation mode, on the CPU unless the caller's own module is elsewhere. spec: how to build it, None for
    a user's own module. metrics: measured when it was saved, as plain values.

    >>> from workbench.folders import REFERENCE
    >>> weights = wb.load_weights(REFERENCE / "weights.safetensors")
    >>> weights.labels[:3], weights.preprocessing.shape
    (('cat', 'dog', 'horse'), (32, 32, 3))
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
    """Write the state of `model` and its description to one safetensors file, atomically.

    Tensors are copied to the CPU first, so that a file written on a GPU loads on a machine without one. The header
    holds labels, preprocessing, hyper-parameters and metrics, with a SHA-256 of each of them and of each tensor.
    Raises WorkbenchError where the labels or the preprocessing do not fit the model, or a value cannot be stored.

    >>> from pathlib import Path
    >>> data = wb.load_dataset("digits")
    >>> model, plan = wb.build_model("mlp", shape=data.shape), wb.HyperParameters(model="mlp")
    >>> about = {"labels": data.labels, "preprocessing": data.preprocessing, "hyperparameters": plan}
    >>> wb.save_weights(Path("weights.safetensors"), model, **about, metrics={"test_accuracy": 0.9})
    """
    model = uncompiled(model)
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
    """Read a weights file and build its network, or fill the caller's own `model` in place.

    With `labels`, a file with other labels, or in another order, is refused. Every byte is verified before a network is
    built or changed. Raises WeightsError, naming the tensor or the key, for a file that is missing, truncated, altered,
    of another model, a pickle, or not written by this version of the workbench.

    >>> from workbench.folders import REFERENCE
    >>> wb.load_weights(REFERENCE / "weights.safetensors").spec.name
    'convnet'
    """
    path = Path(path)
    return weights_from_bytes(read_file(path, "weights file"), path, model, labels=labels)


def weights_from_bytes(
    content: bytes, path: Path, model: nn.Module | None = None, *, labels: Sequence[str] | None = None
) -> Weights:
    """Load weights as `load_weights` does, from bytes already read; `path` appears in error messages."""
    metadata, tensors = _checked(content, path)
    file_labels = tuple(metadata["labels"])
    if labels is not None and tuple(labels) != file_labels:
        raise WeightsError(f"{path}: {_label_difference(file_labels, tuple(labels))}")
    spec = metadata["model"]
    if model is None:
        model = _built(path, spec, tensors, metadata["class_name"])
    else:
        _refuse_other_model(path, uncompiled(model), spec, tensors)
    uncompiled(model).load_state_dict(tensors)
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
    """Initialise `model` from a weights file for fine-tuning: copy each tensor whose name and shape match.

    Returns the names of the tensors left as they were, in the order of the model: usually the last layer, where the
    labels differ. Raises WeightsError, leaving the model unchanged, for a damaged file, or where no tensor of two or
    more dimensions matches.

    >>> from workbench.folders import REFERENCE
    >>> wb.initial_weights(REFERENCE / "weights.safetensors", wb.build_model("convnet", classes=3))
    ('14.weight', '14.bias')
    """
    path = Path(path)
    _, tensors = _checked(read_file(path, "weights file"), path)
    bare = uncompiled(model)
    state = bare.state_dict()
    fitting = {name for name, tensor in state.items() if name in tensors and tensors[name].shape == tensor.shape}
    # Biases and step counters match in many networks and carry nothing that was learned.
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
    """Write plain values and tensors, nested in dicts, lists and tuples, to `path`, atomically.

    Tensors are copied to the CPU and keep their strides. Raises WorkbenchError naming an entry of any other type.
    """
    buffer = io.BytesIO()
    torch.save(_plain(state, "state"), buffer)
    content = buffer.getbuffer()
    digest = hashlib.sha256(content).hexdigest().encode()
    write_bytes(Path(path), b"".join((_RESUME_MAGIC, digest, b"\n", content)))


def load_resume_point(path: Path) -> dict[str, Any]:
    """Read what `save_resume_point` wrote, with tensors on the CPU.

    The SHA-256 is verified first, and torch.load runs with weights_only=True, so that no code in the file can run.
    Raises WeightsError for a file that is missing, damaged, or not a resume point.
    """
    path = Path(path)
    content = read_file(path, "resume point")
    start = len(_RESUME_MAGIC) + 65
    if not content.startswith(_RESUME_MAGIC):
        raise WeightsError(
            f"{path} is not a resume point of this version of the workbench. Train again, or give the run's own file."
        )
    body = memoryview(content)[start:]
    if content[len(_RESUME_MAGIC) : start] != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise WeightsError(f"{path} is damaged: its SHA-256 does not match. Delete it and train again.")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes provoke
        raise WeightsError(f"{path} holds more than plain values and tensors ({shorten(error)}).") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is not a resume point: it holds a {type(state).__name__}.")
    return state


def _refuse_misfit(spec: ModelSpec | None, labels: Sequence[str], preprocessing: Preprocessing) -> None:
    """Raise WorkbenchError for labels that are not distinct names, and labels or image shapes that do not fit."""
    names = all(isinstance(label, str) and label for label in labels)
    if not labels or not names or len(set(labels)) != len(labels):
        raise WorkbenchError(f"The labels must be different, non-empty names, not {shorten(list(labels))}.")
    if spec is None:
        return
    if spec.classes != len(labels):
        raise WorkbenchError(f"The model has {spec.classes} classes and {len(labels)} labels were given.")
    shape = preprocessing.shape
    if (spec.height, spec.pixel_width, spec.channels) != shape:
        raise WorkbenchError(
            f"The model takes {spec.height}×{spec.pixel_width}×{spec.channels} images and the preprocessing makes "
            f"{shape[0]}×{shape[1]}×{shape[2]}."
        )


def _checked(content: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return metadata and tensors of an undamaged file: model, preprocessing and hyper-parameters as their types."""
    metadata, tensors = unpack(content, path)
    if tuple(sorted(metadata)) != _KEYS:
        odd = sorted(set(_KEYS) ^ set(metadata))
        raise WeightsError(f"{path}: its key {shorten(odd[0])!r} is missing or unknown.")
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
        return f"it has {len(found)} labels and {len(expected)} were expected."
    index = next(index for index, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other)
    return f"its label {index} is {shorten(found[index])!r} where {shorten(expected[index])!r} was expected."


def _built(path: Path, spec: ModelSpec | None, tensors: Mapping[str, Tensor], class_name: str) -> nn.Module:
    if spec is None:
        name = shorten(class_name)
        raise WeightsError(
            f"{path} holds the weights of your own network class {name!r}, which the workbench cannot build. "
            f"Make one and pass it: load_weights(path, model={name}(…))."
        )
    try:
        # Nothing is allocated on the meta device: a spec of absurd size is caught by its shapes.
        with torch.device("meta"):
            sketch = build_from_spec(spec)
    except (WorkbenchError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise WeightsError(f"{path}: its key 'model' describes no network. {shorten(error, 300)}") from error
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
    expected = model.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise WeightsError(f"{path} is of another model: it has no tensor {name!r}.")
        for what in ("shape", "dtype"):
            found, own = getattr(tensors[name], what), getattr(tensor, what)
            if found != own:
                found, own = (tuple(found), tuple(own)) if what == "shape" else (found, own)
                raise WeightsError(
                    f"{path} is of another model: its tensor {name!r} has {what} {found}, and the model needs {own}."
                )
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise WeightsError(f"{path} is of another model: its tensor {extra[0]!r} does not exist there.")


def _plain(value: Any, where: str) -> Any:
    """Rebuild `value` from plain types, so that torch.load with weights_only=True can read it."""
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
