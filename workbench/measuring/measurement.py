"""Time calls fairly (warmed up, synchronised, interleaved with their rivals) and keep the result with its origin."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Literal, get_args, overload

import numpy as np

from workbench.arguments import above_zero, number, one_of, whole_number
from workbench.errors import WorkbenchError
from workbench.machine.devices import Device, find_device, synchroniser
from workbench.machine.meters import energy, peak_memory
from workbench.measuring.json_fields import Fields, check_object, json_object, line, or_none
from workbench.wording import shorten

# A block of calls to one engine lasts about this long before the next engine's turn: long enough to have its code and
# weights in the caches, short enough that a noisy moment of the machine affects all engines alike.
BLOCK_SECONDS = 0.02
FEWEST_CALLS = 5

HERE_NOW = "here, now"

Phase = Literal["inference", "training"]
Origin = Literal["measured", "recorded", "modelled"]
Call = Callable[[], object]
Devices = str | Device | Mapping[str, str | Device]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds per call.

    p50, p90, p99: median, 90th and 99th percentile of `count` calls. warm_up: the first call, reported separately. A
    modelled latency has a count of 0.

    >>> wb.Latency(p50=0.004, p90=0.005, p99=0.006, count=100, warm_up=0.01).p50
    0.004
    """

    p50: float
    p90: float
    p99: float
    count: int
    warm_up: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One call measured here and now.

    memory_bytes: its peak beyond what was held before; None where that is not measurable. energy_joules: per call; None
    without a meter. meter: "NVML", "RAPL" or "not measurable here".

    >>> reading = wb.measure(lambda: np.ones(1000).sum(), seconds=0.01)
    >>> reading.latency.count >= 5
    True
    """

    latency: Latency
    memory_bytes: int | None
    energy_joules: float | None
    meter: str


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The cost of one batch of one network in one setting on one device.

    model: "convnet", "mlp" … engine: what executes it: "eager", "compiled", "onnx", "onnx-int8". precision: "fp32",
    "bf16", "int8". threads: CPU cores it may use. batch_size: images per call. latency: seconds per call, that is per
    batch. memory_bytes, energy_joules: per call, as in `Reading`. cold_start_seconds: from the start of a new process
    to its first prediction. size_bytes: of the file the engine runs. accuracy: on the test set, 0 to 1. What was not
    measured is None. origin: "measured" here and now, "recorded" earlier on the named device, or "modelled" from its
    data sheet; source: the same in words, with date and versions.

    >>> measurement = wb.load_recordings()[0].measurements[0]
    >>> measurement.origin, measurement.batch_size, measurement.images_per_second > 0
    ('recorded', 1, True)
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
    def images_per_second(self) -> float:
        """Throughput of back-to-back batches of this size, by the median latency."""
        return self.batch_size / self.latency.p50

    @property
    def seconds_per_image(self) -> float:
        """Inverse of the throughput. (The latency of an image is that of its whole batch.)"""
        return self.latency.p50 / self.batch_size

    @property
    def setting(self) -> tuple[object, ...]:
        """What identifies it among the measurements of all devices, whenever it was made."""
        return self.phase, self.model, self.device, self.engine, self.precision, self.threads, self.batch_size

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Any) -> Measurement:
        """Build a measurement from `to_mapping`'s values. Raises WorkbenchError that names a missing or wrong key."""
        check_object(values, _FIELDS, "a measurement")
        check_object(values["latency"], _LATENCY_FIELDS, "a latency")
        latency = Latency(**values["latency"])
        if not latency.p50 <= latency.p90 <= latency.p99:
            raise WorkbenchError(f"latency: p50, p90 and p99 must not decrease, but are {shorten(values['latency'])}.")
        return cls(**{**values, "latency": latency})


@overload
def measure(calls: Call, *, seconds: float = 1.0, device: Devices | None = None) -> Reading: ...
@overload
def measure(
    calls: Mapping[str, Call], *, seconds: float = 1.0, device: Devices | None = None
) -> dict[str, Reading]: ...
def measure(
    calls: Call | Mapping[str, Call], *, seconds: float = 1.0, device: Devices | None = None
) -> Reading | dict[str, Reading]:
    """Time a call, or several calls that take turns for about `seconds` each.

    The first call of each is reported separately as warm-up. At least FEWEST_CALLS more of each are timed, however long
    they take. device: the device at work, by name or as a Device, or one for each call: its memory and energy are
    read, and it is synchronised before the clock starts and before it stops, so that queued work is never taken for
    finished work. None: those of the CPU are read, and every GPU that PyTorch uses is synchronised, which adds some
    microseconds to a call on the CPU of a machine with a GPU. Raises WorkbenchError for what cannot be called;
    exceptions of a call propagate.

    >>> readings = wb.measure({"sum": lambda: sum(range(1000)), "len": lambda: len("abc")}, seconds=0.01)
    >>> readings["sum"].latency.p50 > readings["len"].latency.p50
    True
    """
    if not isinstance(calls, Mapping):
        return measure({"": calls}, seconds=seconds, device=device)[""]
    for name, call in calls.items():
        what = f"measure: {name or 'the call'} = {shorten(repr(call))}"
        if not callable(call):
            raise WorkbenchError(f"{what} is not callable.")
        if any(is_lazy(call) for is_lazy in (isgeneratorfunction, iscoroutinefunction, isasyncgenfunction)):
            raise WorkbenchError(f"{what} returns before its work is done: give a function that does the work.")
    seconds = above_zero("seconds", seconds)
    if isinstance(device, Mapping) and (missing := sorted(map(str, calls.keys() - device.keys()))):
        raise WorkbenchError(f"measure: no device is given for {', '.join(missing)}.")
    given = {name: device[name] if isinstance(device, Mapping) else device or "cpu" for name in calls}
    devices = {name: find_device(each) if isinstance(each, str) else each for name, each in given.items()}
    warm_up = {name: time_call(call, None if device is None else devices[name]) for name, call in calls.items()}
    memory = {name: peak_memory(call, devices[name]) for name, call in calls.items()}
    every_gpu = synchroniser()
    waits = {name: every_gpu if device is None else devices[name].synchronize for name in calls}
    times = _race(calls, waits, seconds)
    return {
        name: Reading(
            latency=_summary(times[name], warm_up[name]),
            memory_bytes=memory[name],
            energy_joules=energy(call, devices[name]),
            meter=devices[name].power_meter,
        )
        for name, call in calls.items()
    }


def _race(calls: Mapping[str, Call], waits: Mapping[str, Call], seconds: float) -> dict[str, list[float]]:
    """Return the seconds of each call, timed in turns of about BLOCK_SECONDS for about `seconds` per contender."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    settled = {name: _seconds(call, waits[name]) for name, call in calls.items()}
    for name, call in calls.items():
        if settled[name] < BLOCK_SECONDS:  # longer calls are not repeated
            settled[name] = min(settled[name], _seconds(call, waits[name]))
    blocks = {name: max(1, round(BLOCK_SECONDS / max(value, 1e-7))) for name, value in settled.items()}
    rounds = 0
    collecting = gc.isenabled()
    gc.disable()  # a collection during a call would count towards the call
    try:
        deadline = time.perf_counter() + seconds * len(calls)
        while calls and (time.perf_counter() < deadline or rounds < FEWEST_CALLS):
            rounds += 1
            for name, call in calls.items():
                if settled[name] < BLOCK_SECONDS and len(calls) > 1:
                    call()  # not timed: the caches still hold the rival's weights
                block_end = time.perf_counter() + 2 * BLOCK_SECONDS
                for _ in range(blocks[name]):
                    times[name].append(_seconds(call, waits[name]))
                    if time.perf_counter() > block_end:  # the calls have slowed down since they settled
                        break
    finally:
        if collecting:
            gc.enable()
    return times


def time_call(call: Call, device: Device | None = None) -> float:
    """Return the seconds of one call, with `device` (None: every GPU in use) synchronised before and after."""
    return _seconds(call, (lambda: synchroniser()()) if device is None else device.synchronize)


def _seconds(call: Call, wait: Call) -> float:
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def _summary(values: list[float], warm_up: float) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(values, [50, 90, 99]))
    return Latency(p50=p50, p90=p90, p99=p99, count=len(values), warm_up=warm_up)


_FIELDS: Fields = {
    "phase": (one_of, get_args(Phase)),
    "model": (line, 200),
    "device": (line, 200),
    "kind": (line, 200),
    "engine": (line, 200),
    "precision": (line, 200),
    "threads": (whole_number, 1, 2**20),
    "batch_size": (whole_number, 1, 2**30),
    "latency": (json_object,),
    "memory_bytes": (or_none, whole_number, 0, 2**60),
    "energy_joules": (or_none, number, 0),
    "cold_start_seconds": (or_none, number, 0, 1e9),
    "size_bytes": (or_none, whole_number, 0, 2**60),
    "accuracy": (or_none, number, 0, 1),
    "origin": (one_of, get_args(Origin)),
    "source": (line, 200),
}
_LATENCY_FIELDS: Fields = {
    "p50": (number, 1e-12, 1e9),
    "p90": (number, 1e-12, 1e9),
    "p99": (number, 1e-12, 1e9),
    "count": (whole_number, 0, 2**40),
    "warm_up": (number, 0, 1e9),
}
