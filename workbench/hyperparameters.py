"""What is decided before a single weight is learned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.sealed import shortened


def _number(default: float, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": meaning})


def _choice(default: str, choices: tuple[str, ...], meaning: str) -> Any:
    return field(default=default, metadata={"choices": choices, "help": meaning})


def _switch(default: bool, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, kw_only=True)
class HyperParameters:
    """Every decision that shapes a training run, checked when it is made.

    The defaults train the convnet on the ten animals in about a minute and a half on two CPU cores. `describe()` lists
    each field with its range. Raises WorkbenchError, naming field, value and allowed range, for a value outside it.
    """

    model: str = field(
        default="convnet",
        metadata={"help": "network to build: linear, mlp, convnet, resnet or any torchvision classifier's name"},
    )
    width: float = _number(1.0, 0.125, 8.0, "multiplies the channels (or hidden units) of every layer")
    epochs: int = _number(12, 1, 10_000, "passes over the training set")
    batch_size: int = _number(128, 1, 65_536, "pictures in one gradient step")
    optimizer: str = _choice(
        "sgd", ("sgd", "adamw"), "sgd: with Nesterov momentum (Sutskever et al. 2013); adamw: Loshchilov & Hutter 2019"
    )
    learning_rate: float = _number(0.4, 1e-7, 100.0, "peak step size; AdamW wants about a hundredth of SGD's")
    momentum: float = _number(0.9, 0.0, 0.9999, "SGD's momentum, or AdamW's first beta")
    weight_decay: float = _number(5e-4, 0.0, 1.0, "pull of every weight matrix towards zero")
    label_smoothing: float = _number(0.0, 0.0, 0.9, "share of the target spread evenly over all classes")
    schedule: str = _choice(
        "one-cycle", ("one-cycle", "cosine", "constant"), "how the learning rate moves (one-cycle: Smith & Topin 2018)"
    )
    warmup: float = _number(0.25, 0.0, 0.9, "share of the one-cycle schedule in which the learning rate rises")
    flip: bool = _switch(True, "mirror each training picture left-right half of the time")
    shift: int = _number(0, 0, 32, "move each training picture by up to so many pixels, both ways")
    precision: str = _choice(
        "auto", ("auto", "fp32", "bf16"), "number format of the arithmetic; auto: a short race decides"
    )
    channels_last: bool = _switch(True, "keep the channels of a pixel side by side in memory")
    compile: bool = _switch(False, "let torch.compile rewrite the step (pays on a GPU, rarely on a CPU)")
    seed: int = _number(0, 0, 2**31 - 1, "start of every random number: first weights, order, augmentation")

    def __post_init__(self) -> None:
        for spec in fields(self):
            object.__setattr__(self, spec.name, _checked(spec.name, getattr(self, spec.name)))

    def replace(self, **changes: Any) -> HyperParameters:
        """A copy with some fields changed; refuses unknown names and values out of range."""
        _refuse_unknown(changes)
        return replace(self, **changes)

    def to_json(self) -> str:
        """All fields as indented JSON, in the order of the class."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> HyperParameters:
        """The inverse of `to_json`; missing fields take their defaults, unknown keys are refused."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WorkbenchError(f"The hyper-parameters are not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise WorkbenchError(f"The hyper-parameters must be a JSON object, not {type(values).__name__}.")
        return cls.from_mapping(values)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> HyperParameters:
        """Build from plain values, as read from JSON; unknown keys are refused."""
        _refuse_unknown(values)
        return cls(**values)

    def save(self, path: Path) -> None:
        """Write `to_json()` to `path`, whole or not at all."""
        write_text(Path(path), self.to_json())

    @classmethod
    def load(cls, path: Path) -> HyperParameters:
        """Read what `save` wrote; a missing or wrong file is a WorkbenchError that names it."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise WorkbenchError(f"Cannot read hyper-parameters from {path}: {error}.") from error
        except WorkbenchError as error:
            raise WorkbenchError(f"{path}: {error}") from error

    @classmethod
    def describe(cls) -> dict[str, dict[str, Any]]:
        """For each field its default, its meaning (`help`) and its `low`/`high` or `choices` where it has them."""
        return {spec.name: {"default": spec.default, **spec.metadata} for spec in fields(cls)}


# Changes to the defaults that suit a data set; digits and clothes have a left and a right, or too few pictures.
_RECOMMENDED: dict[str, dict[str, Any]] = {
    "animals": {},
    "digits": {"epochs": 30, "batch_size": 64, "learning_rate": 0.2, "flip": False, "shift": 1},
    "mnist": {"epochs": 5, "flip": False, "shift": 2},
    "fashion-mnist": {"epochs": 6},
    "cifar-10": {"epochs": 12, "shift": 2},
}


# A choice, not a measurement: with 12 steps on 61 pictures the default network did little better than guess.
_ENOUGH_STEPS = 400


def recommended(data_name: str, pictures: int = 10_000) -> HyperParameters:
    """Hyper-parameters known to work on a built-in data set; for any other, the defaults fitted to its size.

    pictures: how many there are to train on. With few of them batches shrink, the learning rate with the batches, and
    epochs grow, so that there are about as many gradient steps as learning needs.
    """
    if data_name in _RECOMMENDED:
        return HyperParameters(**_RECOMMENDED[data_name])
    defaults = HyperParameters()
    batch_size = max(8, min(defaults.batch_size, pictures // 16))
    steps_per_epoch = max(1, -(-pictures // batch_size))
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
    """The value in its field's own type, or a WorkbenchError that names field, value and what is allowed."""
    spec = HyperParameters.__dataclass_fields__[name]
    if isinstance(spec.default, bool):
        if not isinstance(value, bool):
            raise WorkbenchError(f"{name} = {value!r}: must be true or false.")
        return value
    if isinstance(spec.default, str):
        choices = spec.metadata.get("choices")
        if not isinstance(value, str) or not value or (choices and value not in choices):
            raise WorkbenchError(f"{name} = {value!r}: must be {_one_of(choices)}.")
        return value
    low, high = spec.metadata["low"], spec.metadata["high"]
    whole = isinstance(spec.default, int)
    kind = "a whole number" if whole else "a number"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (whole and value != int(value)):
        raise WorkbenchError(f"{name} = {shortened(repr(value))}: must be {kind} from {low:,} to {high:,}.")
    return int(value) if whole else float(value)


def _one_of(choices: tuple[str, ...] | None) -> str:
    return "one of " + ", ".join(choices) if choices else "a name"
