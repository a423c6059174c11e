"""Wrong and right answers to lesson 04."""

from __future__ import annotations

import copy
import io
import math
import random
import zlib
from collections.abc import Callable
from statistics import mean, median, quantiles
from typing import Any, ClassVar

import numpy as np
import torch
from teaching.exercises.solved import mistakes, right_answers
from torch import Tensor, nn

from workbench.teaching.exercises.checking import check
from workbench.teaching.exercises.inference.latencies import recorded_latencies

LATENCY = recorded_latencies(threads=1)
ONE, WHOLE = LATENCY[1], LATENCY[64]
SPEED, TIMES = 64 / WHOLE, 64 * ONE / WHOLE

State = dict[str, Any]
Classify = Callable[[nn.Module, Tensor], Any]


# The forgotten eval() ---------------------------------------------------------------------------------------------


def forgotten(network: nn.Module, images: Tensor) -> Any:
    return network(images).softmax(dim=1)


def forgotten_without_gradients(network: nn.Module, images: Tensor) -> Any:
    with torch.inference_mode():
        return network(images).softmax(dim=1)


def too_late(network: nn.Module, images: Tensor) -> Any:
    answers = network(images).softmax(dim=1)
    network.eval()
    return answers


def asked_again_after_eval(network: nn.Module, images: Tensor) -> Any:
    network(images)
    network.eval()
    return network(images).softmax(dim=1)


def only_norm(network: nn.Module, images: Tensor) -> Any:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        return network(images).softmax(dim=1)


def left_answering(network: nn.Module, images: Tensor) -> Any:
    network.eval()
    with torch.inference_mode():
        return network(images).softmax(dim=1)


def always_back_to_training(network: nn.Module, images: Tensor) -> Any:
    answers = left_answering(network, images)
    network.train()
    return answers


def restoring(answer: Classify) -> Classify:
    def mended(network: nn.Module, images: Tensor) -> Any:
        learning = network.training
        found = answer(network.eval(), images)
        network.train(learning)
        return found

    return mended


def logits(network: nn.Module, images: Tensor) -> Any:
    with torch.no_grad():
        return network(images)


def switched_off(network: nn.Module, images: Tensor) -> Any:
    torch.set_grad_enabled(False)
    return network(images).softmax(dim=1)


def frozen(network: nn.Module, images: Tensor) -> Any:
    return network.requires_grad_(False)(images).softmax(dim=1)


def gradients_left(network: nn.Module, images: Tensor) -> Any:
    network(images).sum().backward()
    with torch.no_grad():
        return network(images).softmax(dim=1)


def collected_reset(network: nn.Module, images: Tensor) -> Any:
    with torch.no_grad():
        answers = network(images).softmax(dim=1)
        network.train()(images)
    return answers


def images_changed(network: nn.Module, images: Tensor) -> Any:
    with torch.no_grad():
        return network(images.mul_(2)).softmax(dim=1)


def copied(network: nn.Module, images: Tensor) -> Any:
    with torch.no_grad():
        return copy.deepcopy(network).eval()(images).softmax(dim=1)


def one_by_one(network: nn.Module, images: Tensor) -> Any:
    modes = {module: module.training for module in network.modules()}
    network.eval()
    with torch.no_grad():
        rows = [nn.functional.softmax(network(image[None]), dim=1)[0] for image in images]
    for module, mode in modes.items():
        module.training = mode
    return torch.stack(rows)


def as_array(network: nn.Module, images: Tensor) -> Any:
    return forgotten_without_gradients(network, images).numpy()


EVAL_WRONG: list[tuple[Any, str]] = [
    (forgotten, "depends on the other images in the batch"),
    (forgotten_without_gradients, "depends on the other images in the batch"),
    (too_late, "eval() comes too late"),
    (asked_again_after_eval, "eval() comes too late"),
    (only_norm, "dropout is still random"),
    (left_answering, "was in training mode and you leave it in eval mode"),
    (always_back_to_training, "was in eval mode and you leave it in training mode"),
    (restoring(logits), "the logits"),
    (lambda network, images: logits(network.eval(), images), "the logits"),
    (restoring(forgotten), "the graph for gradients is still attached"),
    (restoring(lambda network, images: forgotten(network, images).detach()), "Detaching at the end is too late"),
    (restoring(switched_off), "globally and for good"),
    (restoring(frozen), "can no longer be trained"),
    (restoring(gradients_left), "leaves gradients in the weights"),
    (restoring(collected_reset), "the call has changed weights or the statistics"),
    (restoring(images_changed), "changes the images"),
    (restoring(lambda network, images: logits(network, images).argmax(dim=1)), "the shape is (6,)"),
    (restoring(lambda network, images: torch.zeros(6, 3)), "not the network's probabilities"),
    (lambda network, images: [0.5] * 6, "not an object of type list"),
    (lambda network: network, "raises TypeError"),
    (nn.Identity, "not an object of type Identity"),
    (0.5, "cannot be called"),
]


# The tail ---------------------------------------------------------------------------------------------------------


def share(seconds: list[float], deadline: float) -> float:
    return sum(each > deadline for each in seconds[1:]) / (len(seconds) - 1)


def with_p99(figure: Callable[[list[float]], Any]) -> Any:
    return lambda seconds, deadline: (figure(seconds), share(seconds, deadline))


def with_late(figure: Callable[[list[float], float], Any]) -> Any:
    return lambda seconds, deadline: (np.percentile(seconds[1:], 99), figure(seconds, deadline))


def first_call_in(seconds: list[float], deadline: float) -> tuple[Any, float]:
    return np.percentile(seconds, 99), mean(each > deadline for each in seconds)


def nearest_rank(seconds: list[float]) -> float:
    later = sorted(seconds[1:])
    return later[math.ceil(0.99 * len(later)) - 1]


def sorting_in_place(seconds: list[float], deadline: float) -> Any:
    late = share(seconds, deadline)
    seconds.sort()
    return np.percentile(seconds[:-1], 99), late


TAIL_WRONG: list[tuple[Any, str]] = [
    (lambda seconds, deadline: (share(seconds, deadline), np.percentile(seconds[1:], 99)), "are swapped"),
    (with_p99(lambda seconds: mean(seconds[1:])), "That is the mean"),
    (with_p99(mean), "That is the mean"),
    (with_p99(lambda seconds: median(seconds[1:])), "That is the median"),
    (with_p99(max), "That is the first call, the warm-up"),
    (with_p99(lambda seconds: max(seconds[1:])), "the slowest call of all"),
    (with_p99(lambda seconds: np.percentile(seconds, 99)), "the warm-up is still among them"),
    (with_p99(lambda seconds: np.percentile(seconds[1:], 90)), "That is p90"),
    (with_p99(lambda seconds: np.percentile(seconds[1:], 0.99)), "at the other end"),
    (with_p99(lambda seconds: sorted(seconds[1:], reverse=True)[int(0.99 * (len(seconds) - 1))]), "at the other end"),
    (with_p99(lambda seconds: seconds[1:][int(0.99 * (len(seconds) - 1))]), "at that position in time"),
    (with_p99(lambda seconds: np.percentile(seconds[1:], 95)), "are slower than that"),
    (with_p99(lambda seconds: 1000 * np.percentile(seconds[1:], 99)), "return seconds"),
    (with_late(lambda seconds, deadline: sum(each > deadline for each in seconds[1:])), "of how many?"),
    (with_late(lambda seconds, deadline: 100 * share(seconds, deadline)), "in percent"),
    (with_late(lambda seconds, deadline: 1 - share(seconds, deadline)), "in time"),
    (with_late(lambda seconds, deadline: mean(each >= deadline for each in seconds[1:])), "exactly as long as"),
    (with_late(lambda seconds, deadline: mean(each > deadline for each in seconds)), "The first call is still among"),
    (first_call_in, "the warm-up is still among them"),
    (with_late(lambda seconds, deadline: 0.5), "divide by how many"),
    (sorting_in_place, "changes the list"),
    (lambda seconds, deadline: np.percentile(seconds[1:], 99), "Give 2 things"),
    (lambda seconds, deadline: ("slow", 0.1), "is not a number"),
    (0.1, "cannot be called"),
]


# The queue --------------------------------------------------------------------------------------------------------


def able(arriving: float, latency: dict[int, float]) -> list[int]:
    return [size for size in latency if size / latency[size] > arriving]


def choosing(choose: Callable[[float, dict[int, float]], int]) -> Any:
    def keeping_up(arriving: float, latency: dict[int, float]) -> Any:
        size = choose(arriving, latency)
        return size, (size - 1) / arriving + latency[size]

    return keeping_up


def ageing(age: Callable[[float, float, int], float]) -> Any:
    def keeping_up(arriving: float, latency: dict[int, float]) -> Any:
        size = min(able(arriving, latency))
        return size, age(arriving, latency[size], size)

    return keeping_up


def one_over_latency(arriving: float, latency: dict[int, float]) -> Any:
    for size in sorted(latency):
        if 1 / latency[size] > arriving:
            return size, (size - 1) / arriving + latency[size]
    return None


def step_by_step(arriving: float, latency: dict[int, float]) -> Any:
    for size in sorted(latency):
        if latency[size] < size / arriving:
            arrivals = [place / arriving for place in range(size)]
            return np.int64(size), np.float64(max(arrivals) + latency[size] - arrivals[0])
    return None


QUEUE_WRONG: list[tuple[Any, str]] = [
    (choosing(lambda arriving, latency: min(latency)), "no more than arrive: the queue never ends"),
    (choosing(lambda arriving, latency: min(n for n in latency if 1 / latency[n] > arriving)), "you find no size"),
    (choosing(lambda arriving, latency: max(latency)), "the largest that keeps up"),
    (choosing(lambda arriving, latency: max(able(arriving, latency))), "the largest that keeps up"),
    (choosing(lambda arriving, latency: max(latency, key=lambda size: size / latency[size])), "highest throughput"),
    (choosing(lambda arriving, latency: able(arriving, latency)[0]), "comes first in the table"),
    (one_over_latency, "not one"),
    (ageing(lambda arriving, seconds, size: size / arriving + seconds), "one image too many"),
    (ageing(lambda arriving, seconds, size: seconds), "the latency alone"),
    (ageing(lambda arriving, seconds, size: (size - 1) / arriving), "the time to fill the batch"),
    (ageing(lambda arriving, seconds, size: size / arriving), "look at when the first one comes"),
    (ageing(lambda arriving, seconds, size: (size - 1) / arriving / 2 + seconds), "the mean age"),
    (ageing(lambda arriving, seconds, size: (size - 1) / arriving + seconds / size), "do not divide the latency"),
    (ageing(lambda arriving, seconds, size: size * seconds), "they go through together"),
    (ageing(lambda arriving, seconds, size: 1000 * ((size - 1) / arriving + seconds)), "in milliseconds"),
    (ageing(lambda arriving, seconds, size: 7.0), "add up the two"),
    (lambda arriving, latency: (latency[1], 1), "not one of the sizes"),
    (lambda arriving, latency: (latency.pop(1), 1), "changes the latencies"),
    (lambda arriving, latency: 1, "Give 2 things"),
    (16, "cannot be called"),
]


# Fewer bits -------------------------------------------------------------------------------------------------------


def saved(parts: Any) -> bytes:
    torch.save(parts, file := io.BytesIO())
    return file.getvalue()


def loaded(packed: bytes) -> Any:
    return torch.load(io.BytesIO(packed), weights_only=True)


def squeezed(parts: Any) -> bytes:
    return zlib.compress(saved(parts), 9)


def widened(packed: bytes) -> Any:
    return loaded(zlib.decompress(packed))


def rounding(levels: int, *, small_too: bool = False, each_channel: bool = True) -> Any:
    """pack and unpack with so many levels on either side of zero."""

    def pack(state: State) -> bytes:
        parts: State = {}
        for name, tensor in state.items():
            if not tensor.is_floating_point() or (tensor.dim() < 2 and not small_too):
                parts[name] = tensor
                continue
            rows = tensor.abs().flatten(1 if each_channel and tensor.dim() > 1 else 0)
            largest = rows.amax(dim=-1).clamp(min=1e-12).view(-1, *[1] * (tensor.dim() - 1))
            parts[name] = (tensor / largest * levels).round().to(torch.int8), largest / levels
        return squeezed(parts)

    def unpack(packed: bytes) -> State:
        parts = widened(packed)
        return {name: part[0] * part[1] if isinstance(part, tuple) else part for name, part in parts.items()}

    return pack, unpack


def changed(change: Callable[[str, Tensor], Any]) -> Any:
    """As it should be, but for one thing."""
    pack, unpack = rounding(31)
    return pack, lambda packed: {name: change(name, tensor) for name, tensor in unpack(packed).items()}


def spoiling_pack(state: State) -> bytes:
    return next(iter(state.values())).zero_() is not None and b"x" * 9000


def kept_elsewhere(*, first: bool, padding: int) -> Any:
    kept: list[State] = []

    def pack(state: State) -> bytes:
        kept.append(state)
        return len(kept).to_bytes(2, "big") * padding

    return pack, lambda packed: kept[0 if first else -1]


def indexed(padding: bytes = b"", *, found_by_function: bool = True) -> Any:
    pack, _ = kept_elsewhere(first=True, padding=1)
    kept: dict[bytes, State] = {}

    def remembering(state: State) -> bytes:
        kept[name := padding + pack(state)] = dict(state)
        return name

    return remembering, (lambda packed: kept[packed]) if found_by_function else kept.__getitem__


class Shelf:
    """Where a function can put things aside that even a copy of it finds again."""

    kept: ClassVar[dict[bytes, State]] = {}


def shelved(padding: bytes) -> Any:
    def pack(state: State) -> bytes:
        Shelf.kept[name := padding + len(Shelf.kept).to_bytes(2, "big")] = dict(state)
        return name

    return pack, lambda packed: Shelf.kept[packed]


def shapes_put_aside() -> Any:
    """All of the values travel, and how they are cut stays here."""
    sound, unpack = rounding(31)
    names: list[str] = []

    def pack(state: State) -> bytes:
        names[:] = list(state)
        return sound({str(place): value for place, value in enumerate(state.values())})

    return pack, lambda packed: dict(zip(names, unpack(packed).values(), strict=True))


def bits_in_a_row() -> Any:
    """NumPy, six bits a weight, one after the other, without compression."""
    shapes: list[tuple[str, tuple[int, ...]]] = []
    from workbench.training.models import build_model

    for name, tensor in build_model("convnet").state_dict().items():
        shapes.append((name, tuple(tensor.shape)))

    def pack(state: State) -> bytes:
        parts = []
        for name, shape in shapes:
            values = state[name].numpy()
            if len(shape) < 2:
                parts.append(values.astype(np.float32).tobytes())
                continue
            low, high = float(values.min()), float(values.max())
            levels = np.rint((values.ravel() - low) / (high - low) * 63).astype(np.uint8)
            bits = np.unpackbits(levels[:, None], axis=1)[:, 2:]
            parts += [np.float32([low, high]).tobytes(), np.packbits(bits).tobytes()]
        return b"".join(parts)

    def unpack(packed: bytes) -> State:
        state, place = {}, 0

        def taken(count: int) -> bytes:
            nonlocal place
            place += count
            return packed[place - count : place]

        for name, shape in shapes:
            count = math.prod(shape)
            if len(shape) < 2:
                values = np.frombuffer(taken(4 * count), np.float32).reshape(shape)
                state[name] = torch.tensor(values.astype(np.int64 if name.endswith("tracked") else np.float32))
                continue
            low, high = np.frombuffer(taken(8), np.float32)
            bits = np.unpackbits(np.frombuffer(taken(-(-6 * count // 8)), np.uint8))[: 6 * count].reshape(-1, 6)
            levels = bits @ np.array([32, 16, 8, 4, 2, 1])
            state[name] = torch.tensor((low + levels / 63 * (high - low)).astype(np.float32).reshape(shape))
        return state

    return pack, unpack


SHRINK_WRONG: list[tuple[Any, str]] = [
    ((saved, loaded), "last digits of trained weights look random"),
    ((squeezed, widened), "last digits of trained weights look random"),
    ((lambda state: saved({name: each.half() for name, each in state.items()}), loaded), "16 bits per weight"),
    (rounding(127), "A whole byte for each weight"),
    (rounding(4), "Too coarse"),
    (rounding(2), "Too coarse"),
    (rounding(7, each_channel=False), "Too coarse"),
    (rounding(10, small_too=True), "the biases and batch norm"),
    (changed(lambda name, each: each / each.max() * each.max() if each.dim() == 1 else each), "It is all zeros"),
    (changed(lambda name, each: each.flatten()), "comes back with the shape"),
    (changed(lambda name, each: each.float()), "but was torch.int64"),
    (changed(lambda name, each: each.half()), "comes back as torch.float16"),
    (changed(lambda name, each: each * 31 if each.dim() > 1 else each), "but not their distance"),
    (changed(lambda name, each: each.numpy()), "make it a tensor again"),
    ((rounding(31)[0], lambda packed: {"1": 2}), "other names"),
    ((rounding(31)[0], lambda packed: [1]), "unpack returns a list"),
    ((rounding(31)[0], widened), "make it a tensor again"),
    (kept_elsewhere(first=True, padding=9000), "does not travel"),
    (kept_elsewhere(first=False, padding=9000), "does not travel"),
    (indexed(), "does not travel"),
    (indexed(bytes(9000)), "does not travel"),
    (indexed(random.Random(1).randbytes(9000)), "does not travel"),
    (indexed(random.Random(1).randbytes(9000), found_by_function=False), "does not travel"),
    (shelved(bytes(9000)), "most of them are padding"),
    (shapes_put_aside(), "does not travel"),
    ((lambda state: bytes(9000), lambda packed: Shelf.kept), "other names"),
    ((lambda state: state, lambda packed: packed), "pack returns a dict"),
    ((spoiling_pack, loaded), "changes the tensors"),
    ((rounding(31)[0], 3), "cannot be called"),
    (rounding(31)[0], "Give 2 things"),
]


WRONG: list[tuple[str, Any, str]] = [
    ("04-throughput", (64, 1 / WHOLE, TIMES), "counts *batches* a second"),
    ("04-throughput", (64, 1 / ONE, TIMES), "the speed with one image at a time"),
    ("04-throughput", (64, 64 / ONE, TIMES), "64 images in the time of a single one"),
    ("04-throughput", (64, WHOLE / 64, TIMES), "invert it"),
    ("04-throughput", (64, WHOLE, TIMES), "the latency itself"),
    ("04-throughput", (64, SPEED / 1000, TIMES), "in seconds, not milliseconds"),
    ("04-throughput", (64, 1000 * SPEED, TIMES), "in seconds, not milliseconds"),
    ("04-throughput", (64, 1 / WHOLE / 1000, TIMES), "batches, not images"),
    ("04-throughput", (64, 0.9 * SPEED, TIMES), "does not fit the recording"),
    ("04-throughput", (64, SPEED, 64), "It would be 64 if"),
    ("04-throughput", (64, SPEED, WHOLE / ONE), "as *long*"),
    ("04-throughput", (64, SPEED, ONE / WHOLE), "one over latency with one over latency"),
    ("04-throughput", (64, SPEED, 1 / TIMES), "the other way round"),
    ("04-throughput", (64, SPEED, SPEED - 1 / ONE), "the difference"),
    ("04-throughput", (64, SPEED, TIMES - 1), "the increase as a share"),
    ("04-throughput", (64, SPEED, 3 * TIMES), "Divide the speed by"),
    ("04-throughput", (64, f"{SPEED} images/s", TIMES), "is not a number"),
    ("04-throughput", SPEED, "Give 3 things"),
    *(("04-eval", answer, said) for answer, said in EVAL_WRONG),
    *(("04-tail", answer, said) for answer, said in TAIL_WRONG),
    *(("04-queue", answer, said) for answer, said in QUEUE_WRONG),
    *(("04-shrink", answer, said) for answer, said in SHRINK_WRONG),
]

RIGHT: list[tuple[str, Any]] = [
    ("04-throughput", [1, np.float64(SPEED), torch.tensor(TIMES)]),
    ("04-throughput", (0.5, round(SPEED), round(TIMES, 2))),
    ("04-eval", copied),
    ("04-eval", one_by_one),
    ("04-eval", restoring(forgotten_without_gradients)),
    ("04-eval", restoring(as_array)),
    ("04-tail", with_p99(nearest_rank)),
    ("04-tail", with_p99(lambda seconds: float(torch.tensor(seconds[1:], dtype=torch.float64).quantile(0.99)))),
    ("04-tail", with_p99(lambda seconds: quantiles(seconds[1:], n=100, method="inclusive")[98])),
    ("04-tail", with_p99(lambda seconds: sorted(seconds[1:])[int(0.99 * (len(seconds) - 1))])),
    ("04-queue", step_by_step),
    ("04-shrink", rounding(31)),
    ("04-shrink", rounding(15)),
    ("04-shrink", rounding(31, small_too=True)),
    ("04-shrink", bits_in_a_row()),
]


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


test_a_different_right_answer_passes = right_answers(RIGHT)


def test_checking_restores_the_state_of_torch() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for answer in (restoring(switched_off), forgotten):
        check("04-eval", answer)
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_function_that_returns_nothing_is_not_answered_yet() -> None:
    for id in ("04-eval", "04-tail", "04-queue"):
        assert check(id, lambda *given: None).state == "not answered yet"
    assert check("04-shrink", (rounding(31)[0], lambda packed: None)).state == "not answered yet"
    assert "speed" in check("04-throughput", (64, None, None)).message
