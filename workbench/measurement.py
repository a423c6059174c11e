"""Measuring fairly: warmed up, synchronised, interleaved with its rivals, with its spread, and with its origin."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from numbers import Real
from typing import Any, Literal, overload

import numpy as np

from workbench.devices import Device, find_device, synchroniser
from workbench.errors import WorkbenchError
from workbench.meters import energy, meter_of, peak_memory
from workbench.sealed import shortened

# A block of calls to one engine lasts about this long before the next engine's turn: long enough for its code and
# weights to be in the caches, short enough that a noisy moment of the machine hits all of them.
BLOCK_SECONDS = 0.02
FEWEST_CALLS = 5

HERE_NOW = "here, now"

Phase = Literal["inference", "training"]
Origin = Literal["measured", "recorded", "modelled"]
Call = Callable[[], object]
Place = str | Device | Mapping[str, str | Device]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds a call took. p50, p90, p99: the median, and what the slowest tenth and hundredth of `count` calls
    exceeded; warm_up: the first call, which is not counted among them. A modelled latency has a count of 0.
    """

    p50: float
    p90: float
    p99: float
    count: int
    warm_up: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one call took, here and now.

    memory_bytes: its peak beyond what was held before, None where that is not measurable here. energy_joules: of one
    call, None without a meter. meter: "NVML", "RAPL" or "not measurable here".
    """

    latency: Latency
    memory_bytes: int | None
    energy_joules: float | None
    meter: str


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One network in one setting on one device: what a batch costs.

    model: "convnet", "mlp" … engine: what executes: "eager", "compiled", "onnx", "onnx-int8". precision: "fp32",
    "bf16", "int8". threads: processor cores it may use. batch_size: pictures at once. latency: seconds of one call,
    that is of one batch. memory_bytes, energy_joules: of one call, as in `Reading`. cold_start_seconds: from the start
    of a new process to its first answer. size_bytes: of the file the engine runs. accuracy: on the test set, 0 to 1.
    What was not, or cannot be, measured is None.
    origin: "measured" here and now, "recorded" before on the device named, or "modelled" from its data sheet; source:
    the same in words, with date and versions.
    """

    phase: Phase
    model: str
    device: str
    kind: str
    engine: str
    precision: str
    threads: int
    batch_size: int
    latency: Latency
    memory_bytes: int | None = None
    energy_joules: float | None = None
    cold_start_seconds: float | None = None
    size_bytes: int | None = None
    accuracy: float | None = None
    origin: Origin = "measured"
    source: str = HERE_NOW

    @property
    def pictures_per_second(self) -> float:
        """Throughput while batches of this size follow each other without a pause, by the median."""
        return self.batch_size / self.latency.p50

    @property
    def seconds_per_picture(self) -> float:
        """The inverse of the throughput; the latency of a picture is that of its whole batch."""
        return self.latency.p50 / self.batch_size

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Any) -> Measurement:
        """The inverse of `to_mapping`. Raises WorkbenchError naming the key whose value is missing or wrong."""
        taken = _checked(values, _MEASUREMENT_KEYS, "a measurement")
        latency = _checked(taken["latency"], _LATENCY_KEYS, "a latency")
        if not latency["p50"] <= latency["p90"] <= latency["p99"]:
            raise WorkbenchError(f"latency: p50, p90 and p99 must not fall, and are {shortened(latency)}.")
        return cls(**{**taken, "latency": Latency(**latency)})


@overload
def measure(calls: Call, *, seconds: float = 1.0, device: Place | None = None) -> Reading: ...
@overload
def measure(calls: Mapping[str, Call], *, seconds: float = 1.0, device: Place | None = None) -> dict[str, Reading]: ...
def measure(
    calls: Call | Mapping[str, Call], *, seconds: float = 1.0, device: Place | None = None
) -> Reading | dict[str, Reading]:
    """What a call takes, or what each of several takes, which then race in turns for about `seconds` each.

    The first call of each is told apart as its warm-up. At least FEWEST_CALLS calls of each are timed, however long
    they take. device: the one that works, a name, a Device or one for each call: its memory and energy are read, and it
    is waited for before the clock starts and before it stops, so that work which was only handed over is never taken
    for work done. None: the CPU's are read, and every GPU that PyTorch uses is waited for, which costs a call on the
    CPU some microseconds where there is a GPU. Raises WorkbenchError for what cannot be called; what a call raises
    comes through.
    """
    if not isinstance(calls, Mapping):
        return measure({"": calls}, seconds=seconds, device=device)[""]
    for name, call in calls.items():
        what = f"measure: {name or 'what is given'} = {shortened(repr(call))}"
        if not callable(call):
            raise WorkbenchError(f"{what} cannot be called.")
        if any(kind(call) for kind in (isgeneratorfunction, iscoroutinefunction, isasyncgenfunction)):
            raise WorkbenchError(f"{what} only hands back work to be done: give a function that does it.")
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not 0 < seconds < math.inf:
        raise WorkbenchError(f"seconds = {seconds!r}: must be a number above 0.")
    if isinstance(device, Mapping) and (lacking := sorted(map(str, calls.keys() - device.keys()))):
        raise WorkbenchError(f"measure: no device is given for {', '.join(lacking)}.")
    named = {name: device[name] if isinstance(device, Mapping) else device or "cpu" for name in calls}
    places = {name: find_device(place) if isinstance(place, str) else place for name, place in named.items()}
    first = {name: timed(call, None if device is None else places[name]) for name, call in calls.items()}
    memory = {name: peak_memory(call, places[name]) for name, call in calls.items()}
    every = synchroniser()
    times = _race(calls, {name: every if device is None else places[name].synchronize for name in calls}, seconds)
    return {
        name: Reading(
            latency=_summary(times[name], first[name]),
            memory_bytes=memory[name],
            energy_joules=energy(call, places[name]),
            meter=meter_of(places[name]),
        )
        for name, call in calls.items()
    }


def _race(calls: Mapping[str, Call], waits: Mapping[str, Call], seconds: float) -> dict[str, list[float]]:
    """The seconds of each call, in turns of about BLOCK_SECONDS, for about `seconds` a contender; warmed up before."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    settled = {name: _clocked(call, waits[name]) for name, call in calls.items()}
    for name, call in calls.items():
        if settled[name] < BLOCK_SECONDS:  # else one call was enough, and may have taken a while
            settled[name] = min(settled[name], _clocked(call, waits[name]))
    blocks = {name: max(1, round(BLOCK_SECONDS / max(value, 1e-7))) for name, value in settled.items()}
    rounds = 0
    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle of a call would be counted as the call's
    try:
        deadline = time.perf_counter() + seconds * len(calls)
        while calls and (time.perf_counter() < deadline or rounds < FEWEST_CALLS):
            rounds += 1
            for name, call in calls.items():
                if settled[name] < BLOCK_SECONDS and len(calls) > 1:
                    call()  # the caches still hold the rival's weights
                until = time.perf_counter() + 2 * BLOCK_SECONDS
                for _ in range(blocks[name]):
                    times[name].append(_clocked(call, waits[name]))
                    if time.perf_counter() > until:  # the calls have become slower than they were
                        break
    finally:
        if collecting:
            gc.enable()
    return times


def timed(call: Call, device: Device | None = None) -> float:
    """Seconds of one call, `device` waited for before and after; None: every GPU that PyTorch uses by then."""
    return _clocked(call, (lambda: synchroniser()()) if device is None else device.synchronize)


def _clocked(call: Call, wait: Call) -> float:
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def _summary(values: list[float], warm_up: float) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(values, [50, 90, 99]))
    return Latency(p50=p50, p90=p90, p99=p99, count=len(values), warm_up=warm_up)


# Reading what another machine wrote ------------------------------------------------------------------------------

_Check = Callable[[Any], bool]


def _number(low: float, high: float, *, whole: bool = False) -> _Check:
    kinds = (int,) if whole else (int, float)
    return lambda value: type(value) in kinds and low <= value <= high


def _text(*choices: str) -> _Check:
    # What is read ends up in tables and pages: one printable line of limited length.
    return lambda value: (
        value in choices if choices else isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
    )


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


_MEASUREMENT_KEYS: dict[str, tuple[_Check, str]] = {
    "phase": (_text("inference", "training"), "inference or training"),
    "model": (_text(), "a name"),
    "device": (_text(), "a name"),
    "kind": (_text(), "a name"),
    "engine": (_text(), "a name"),
    "precision": (_text(), "a name"),
    "threads": (_number(1, 2**20, whole=True), "a whole number of at least 1"),
    "batch_size": (_number(1, 2**30, whole=True), "a whole number of at least 1"),
    "latency": (lambda value: isinstance(value, Mapping), "an object"),
    "memory_bytes": (_or_none(_number(0, 2**60, whole=True)), "a number of bytes or null"),
    "energy_joules": (_or_none(_number(0, 1e12)), "joules or null"),
    "cold_start_seconds": (_or_none(_number(0, 1e9)), "seconds or null"),
    "size_bytes": (_or_none(_number(0, 2**60, whole=True)), "a number of bytes or null"),
    "accuracy": (_or_none(_number(0, 1)), "a number from 0 to 1 or null"),
    "origin": (_text("measured", "recorded", "modelled"), "measured, recorded or modelled"),
    "source": (_text(), "a line of text"),
}
_LATENCY_KEYS: dict[str, tuple[_Check, str]] = {
    "p50": (_number(1e-12, 1e9), "seconds above 0"),
    "p90": (_number(1e-12, 1e9), "seconds above 0"),
    "p99": (_number(1e-12, 1e9), "seconds above 0"),
    "count": (_number(0, 2**40, whole=True), "a whole number"),
    "warm_up": (_number(0, 1e9), "seconds"),
}


def _checked(values: Any, keys: Mapping[str, tuple[_Check, str]], what: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise WorkbenchError(f"{shortened(repr(values))} is not {what}: it must be an object.")
    odd = sorted(map(str, set(values) ^ set(keys)))
    if odd:
        raise WorkbenchError(f"{what}: the key {shortened(odd[0])!r} is {'missing' if odd[0] in keys else 'unknown'}.")
    for key, (check, wanted) in keys.items():
        if not check(values[key]):
            raise WorkbenchError(f"{what}: {key} = {shortened(repr(values[key]))} must be {wanted}.")
    return dict(values)
