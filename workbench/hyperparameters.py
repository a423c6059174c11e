"""The decisions that shape a training run: names, defaults, ranges, and values known to work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from workbench.arguments import boolean, number, one_of, plain, text, whole_number
from workbench.atomic import write_text
from workbench.errors import WorkbenchError


def _number(default: float, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": meaning})


def _choice(default: str, choices: tuple[str, ...], meaning: str) -> Any:
    return field(default=default, metadata={"choices": choices, "help": meaning})


def _switch(default: bool, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, kw_only=True)
class HyperParameters:
    """The hyper-parameters of a training run, validated on construction.

    The defaults train the convnet on the ten animals in about a minute and a half on two CPU cores. `describe()` lists
    each field with its range. Raises WorkbenchError, naming the field, its value and its range, for an invalid value.

    >>> wb.HyperParameters(epochs=3).learning_rate
    0.4
    >>> wb.HyperParameters.describe()["momentum"]["high"]
    0.9999
    """

    model: str = field(
        default="convnet",
        metadata={"help": "network to build: linear, mlp, convnet, resnet or any torchvision classifier's name"},
    )
    width: float = _number(1.0, 0.125, 8.0, "multiplies the channels (or hidden units) of every layer")
    epochs: int = _number(12, 1, 10_000, "passes over the training set")
    batch_size: int = _number(128, 1, 65_536, "images in one gradient step")
    optimizer: str = _choice(
        "sgd", ("sgd", "adamw"), "sgd: with Nesterov momentum (Sutskever et al. 2013); adamw: Loshchilov & Hutter 2019"
    )
    learning_rate: float = _number(0.4, 1e-7, 100.0, "peak step size; AdamW needs about a hundredth of SGD's")
    momentum: float = _number(0.9, 0.0, 0.9999, "SGD's momentum, or AdamW's first beta")
    weight_decay: float = _number(5e-4, 0.0, 1.0, "pull of every weight matrix towards zero")
    label_smoothing: float = _number(0.0, 0.0, 0.9, "share of the target distributed evenly over all classes")
    schedule: str = _choice(
        "one-cycle", ("one-cycle", "cosine", "constant"), "how the learning rate moves (one-cycle: Smith & Topin 2018)"
    )
    warmup: float = _number(0.25, 0.0, 0.9, "share of the one-cycle schedule in which the learning rate rises")
    flip: bool = _switch(True, "mirror each training image left-right half of the time")
    shift: int = _number(0, 0, 32, "move each training image by up to this many pixels in each direction")
    precision: str = _choice(
        "auto", ("auto", "fp32", "bf16"), "number format of the arithmetic; auto: the faster of the two in a short race"
    )
    channels_last: bool = _switch(True, "keep the channels of a pixel side by side in memory")
    compile: bool = _switch(False, "compile the step with torch.compile (pays on a GPU, rarely on a CPU)")
    seed: int = _number(0, 0, 2**31 - 1, "seed of all random numbers: initial weights, order, augmentation")

    def __post_init__(self) -> None:
        for spec in fields(self):
            object.__setattr__(self, spec.name, _checked(spec.name, getattr(self, spec.name)))

    def replace(self, **changes: Any) -> HyperParameters:
        """Return a copy with some fields changed. Raises WorkbenchError for unknown names and invalid values."""
        _refuse_unknown(changes)
        return replace(self, **changes)

    def to_json(self) -> str:
        """Return all fields as indented JSON, in the order of the class."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, content: str) -> HyperParameters:
        """Read `to_json()` back; missing fields take their defaults. Raises WorkbenchError for anything else."""
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise WorkbenchError(f"The hyper-parameters are not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise WorkbenchError(f"The hyper-parameters must be a JSON object, not {type(values).__name__}.")
        return cls.from_mapping(values)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> HyperParameters:
        """Build from plain values, as read from JSON. Raises WorkbenchError for unknown keys and invalid values."""
        _refuse_unknown(values)
        return cls(**values)

    def save(self, path: Path) -> None:
        """Write `to_json()` to `path` atomically."""
        write_text(Path(path), self.to_json())

    @classmethod
    def load(cls, path: Path) -> HyperParameters:
        """Read what `save` wrote. Raises WorkbenchError, naming the file, if it is missing or invalid."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise WorkbenchError(f"Cannot read hyper-parameters from {path}: {error}.") from error
        except WorkbenchError as error:
            raise WorkbenchError(f"{path}: {error}") from error

    @classmethod
    def describe(cls) -> dict[str, dict[str, Any]]:
        """Return for each field its `default`, its meaning (`help`) and its `low` and `high` or `choices`, if any."""
        return {spec.name: {"default": spec.default, **spec.metadata} for spec in fields(cls)}


# How each data set differs from the defaults: digits must not be mirrored, and small or easy sets need other epochs.
_RECOMMENDED: dict[str, dict[str, Any]] = {
    "animals": {},
    "digits": {"epochs": 30, "batch_size": 64, "learning_rate": 0.2, "flip": False, "shift": 1},
    "mnist": {"epochs": 5, "flip": False, "shift": 2},
    "fashion-mnist": {"epochs": 6},
    "cifar-10": {"epochs": 12, "shift": 2},
}


# Chosen, not measured: after 12 steps on 61 images the default network did little better than chance.
_ENOUGH_STEPS = 400


def recommended(data_name: str, images: int = 10_000) -> HyperParameters:
    """Return hyper-parameters known to work on a built-in data set, or else the defaults adapted to its size.

    images: number of training images. For few of them the batches are smaller, the learning rate shrinks with the
    batches, and the epochs grow so that there are about 400 gradient steps.

    >>> wb.recommended("mnist").epochs
    5
    >>> wb.recommended("my mugs", images=61).batch_size
    8
    """
    images = whole_number("images", images, 0)
    if text("data_name", data_name) in _RECOMMENDED:
        return HyperParameters(**_RECOMMENDED[data_name])
    defaults = HyperParameters()
    batch_size = max(8, min(defaults.batch_size, images // 16))
    steps_per_epoch = max(1, -(-images // batch_size))
    return defaults.replace(
        batch_size=batch_size,
        learning_rate=defaults.learning_rate * batch_size / defaults.batch_size,
        epochs=max(defaults.epochs, min(100, -(-_ENOUGH_STEPS // steps_per_epoch))),
    )


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    known = [spec.name for spec in fields(HyperParameters)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise WorkbenchError(f"Unknown hyper-parameter {unknown[0]!r}. The known ones are: {', '.join(known)}.")


def _checked(name: str, value: Any) -> Any:
    """Return `value` in the type of its field. Raises WorkbenchError with the field, the value and what is allowed."""
    spec = HyperParameters.__dataclass_fields__[name]
    default, limits = spec.default, spec.metadata
    if isinstance(default, bool):
        return boolean(name, value)
    if isinstance(default, str):
        return one_of(name, value, limits["choices"]) if "choices" in limits else text(name, value)
    value = plain(value)
    if isinstance(default, int):
        whole = isinstance(value, float) and value.is_integer()  # JSON may spell 3 as 3.0
        return whole_number(name, int(value) if whole else value, limits["low"], limits["high"])
    return number(name, value, limits["low"], limits["high"])
