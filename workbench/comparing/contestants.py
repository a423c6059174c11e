"""Who can run a network here: the engines, precisions and thread counts of each device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.comparing.networks import Network
from workbench.comparing.sweeps import Contestant, Excluded
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference.predictor import TORCH_ENGINES, Predictor, self_test_failure
from workbench.machine.devices import find_device
from workbench.machine.threads import resolve_threads
from workbench.measuring.measurement import Phase
from workbench.training.step import TrainingStep
from workbench.wording import one_line


def find_contestants(
    network: Network, phase: Phase, devices: Sequence[str], *, engine: str = "", precision: str = ""
) -> Iterator[Contestant | Excluded]:
    """Yield every setting in which `network` can run on these devices ("cpu", "cuda"), or why it cannot.

    engine, precision: only this one, unless empty. Inference on a CPU runs on one core and on all of them. An engine
    that fails the self-test of the network's bundle is excluded: on a processor without the instructions for int8, for
    example, sums of 8-bit products overflow.

    >>> from workbench.comparing import find_contestants, find_network
    >>> found = find_contestants(find_network("convnet"), "inference", ["cpu"], engine="onnx")
    >>> {(each.engine, each.precision) for each in found}
    {('onnx', 'fp32')}
    """
    for device in devices:
        for name, number_format, threads in _settings(network, phase, device):
            if engine not in ("", name) or precision not in ("", number_format):
                continue
            try:
                yield _contestant(network, phase, device, name, number_format, threads)
            except Exception as error:  # a user's network may fail in any way; the others go on
                yield Excluded(
                    phase=phase,
                    model=network.name,
                    device=_title(device),
                    engine=name,
                    precision=number_format,
                    threads=threads,
                    reason=one_line(error, 300) or type(error).__name__,
                )


def _settings(network: Network, phase: Phase, device: str) -> Iterator[tuple[str, str, int]]:
    """Yield engine, precision and threads. A GPU needs one thread, which hands over the work."""
    is_cpu = device.partition(":")[0] == "cpu"
    every_core = resolve_threads(None) if is_cpu else 1
    for threads in dict.fromkeys((1, every_core) if phase == "inference" else (every_core,)):
        yield "eager", "fp32", threads
        yield "eager", "bf16", threads
        if phase == "inference" and is_cpu:
            yield "onnx", "fp32", threads
            if network.bundle is not None and "onnx-int8" in network.bundle.engines:
                yield "onnx-int8", "int8", threads


def _contestant(network: Network, phase: Phase, device: str, engine: str, precision: str, threads: int) -> Contestant:
    if phase == "training":
        found: Contestant = TrainingStep(
            network.model,
            HyperParameters(),
            network.preprocessing,
            device=device,
            threads=threads,
            precision=precision,
        )
    elif network.bundle is not None:
        is_torch = engine in TORCH_ENGINES
        found = Predictor.from_bundle(
            network.bundle, engine, device=device, threads=threads, precision=precision if is_torch else "fp32"
        )
        if failure := self_test_failure(found):
            raise WorkbenchError(failure)
    elif engine == "eager":
        found = Predictor.from_model(
            network.model, network.preprocessing, network.labels, device=device, threads=threads, precision=precision
        )
    else:
        # Imported here: `workbench record` runs without the onnx package.
        from workbench.inference.onnx_export import export_onnx

        content = export_onnx(network.model, network.preprocessing)
        found = Predictor.from_onnx(content, network.preprocessing, network.labels, threads=threads)
    found.model = network.name
    return found


def _title(device: str) -> str:
    try:
        return find_device(device).title
    except WorkbenchError:
        return device
