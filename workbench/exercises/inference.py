"""Lesson 04: what a latency says of a throughput, of the slow few and of a queue; eval(), and fewer bits."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.exercises.exercise import (
    Exercise,
    NotYet,
    Unanswered,
    called,
    function_of,
    is_close,
    number_of,
    parts_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

_RECORDING = "amd-epyc-zen5-2-cores"
_SHARE = 0.2  # of the bytes: eight bits a weight are too many, and fewer must be packed or compressed
_LEAST_SHARE = 0.025  # less than a bit a weight: nobody gets two networks back from that
_SAME_OF_100 = 95


def _recorded_latencies(threads: int) -> dict[int, float]:
    """Seconds a batch by its size, as recorded of the convnet in ONNX Runtime."""
    from workbench.recordings import FOLDER, read_recording

    wanted = ("inference", "convnet", "onnx", threads)
    rows = read_recording(FOLDER / f"{_RECORDING}.json").measurements
    return {m.batch_size: m.latency.p50 for m in rows if (m.phase, m.model, m.engine, m.threads) == wanted}


# Throughput -------------------------------------------------------------------------------------------------------


def _check_throughput(answer: object) -> None:
    guess, speed, times = parts_of(answer, "guess", "speed", "times")
    if number_of(guess, "guess") <= 0:
        raise NotYet("Your guess says how many times as many pictures a second: a number above 0.")
    latency = _recorded_latencies(threads=1)
    one, whole = latency[1], latency[64]
    _judge_speed(number_of(speed, "speed"), one, whole)
    _judge_times(number_of(times, "times"), one, whole)


def _judge_speed(found: float, one: float, whole: float) -> None:
    expected = 64 / whole
    if is_close(found, expected):
        return
    wrong = {
        "One over the latency counts *batches* a second. How many pictures does each of them bring?": (1 / whole,),
        "That is the speed with one picture at a time; the question is what it is with 64 at once.": (1 / one,),
        "That is 64 pictures in the time of one alone: look up how long the batch of 64 took.": (64 / one,),
        "That is the seconds for a picture: turn it over to get pictures in a second.": (whole / 64,),
        "That is the latency itself: how many pictures come out in one second?": (whole,),
        "The right one is a thousand times that or a thousandth: the latencies are in seconds, not milliseconds.": (
            expected / 1000,
            expected * 1000,
        ),
        "These are batches, not pictures, and the latencies are in seconds, not milliseconds.": (1 / whole / 1000,),
    }
    for words, values in wrong.items():
        if any(is_close(found, value) for value in values):
            raise NotYet(f"speed = {found:,.6g}: {words}")
    raise NotYet(f"speed = {found:,.6g} is not what was recorded: 64 pictures come out after latency[64] seconds.")


def _judge_times(found: float, one: float, whole: float) -> None:
    expected = 64 * one / whole
    if is_close(found, expected):
        return
    wrong = {
        "It would be 64 if the batch took no longer than one picture alone. Compare the two throughputs.": 64.0,
        "That is how many times as *long* the batch takes. In that time it brings 64 pictures, not one.": whole / one,
        "You have compared one over latency with one over latency: the batch brings 64 pictures, not one.": one / whole,
        "That is the other way round: divide the throughput at 64 by that of one picture at a time.": 1 / expected,
        "That is the difference of the two: the question is how many *times* as many.": 64 / whole - 1 / one,
        "That is how much is added, as a share: the question is how many *times* as many it is.": expected - 1,
    }
    for words, value in wrong.items():
        if is_close(found, value):
            raise NotYet(f"speed is right. times = {found:,.4g}: {words}")
    raise NotYet(f"speed is right. times = {found:,.4g} is not: divide it by the pictures a second of batch 1.")


# The forgotten eval() ---------------------------------------------------------------------------------------------


def _check_eval(answer: object) -> None:
    import torch

    function = function_of(answer, "mended")
    # What a learner's function switches off, or draws, must end with the check.
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(True):
        torch.manual_seed(0)
        for learning in (True, False):
            _judge_classify(function, learning)


def _small_network(learning: bool) -> nn.Module:
    import torch

    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        norm := torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(4 * 6 * 6, 3),
    )
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=draw) / 4)
    norm.running_mean = torch.randn(4, generator=draw)
    norm.running_var = 0.5 + torch.rand(4, generator=draw)
    return network.train(learning)


def _judge_classify(function: Callable[..., Any], learning: bool) -> None:
    import torch

    network = _small_network(learning)
    pictures = _six_pictures()
    with torch.no_grad():
        logits = _small_network(False)(pictures)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learned: set[str] = set()
    kept: list[int] = []

    def note(module: nn.Module, _: Any) -> None:
        if module.training:
            learned.add(type(module).__name__)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    for module in network.children():
        module.register_forward_pre_hook(note)

    given = pictures.clone()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = called(function, network, given, told="a network, 6 pictures")
    if not torch.equal(given, pictures):
        raise NotYet("Your function changes the pictures that it is given.")
    answers = _probabilities(found, 6, 3)
    if not torch.allclose(answers, logits.softmax(dim=1), atol=1e-5):
        _refuse_answers(function, answers, logits, learned, learning and not network.training)
    _judge_network(network, before, learning)
    _judge_gradients(found, network, sum(kept))


def _probabilities(found: Any, count: int, kinds: int) -> Tensor:
    import torch

    wanted = f"For {count} pictures of {kinds} kinds it should give a tensor of {count} × {kinds} probabilities"
    if not isinstance(found, torch.Tensor | np.ndarray):
        raise NotYet(f"{wanted}, and gives a {type(found).__name__}.")
    answers = torch.as_tensor(found).detach()
    if tuple(answers.shape) != (count, kinds):
        raise NotYet(f"{wanted}, and what it gives has the shape {tuple(answers.shape)}.")
    return answers.float()


def _refuse_answers(
    function: Callable[..., Any], answers: Tensor, logits: Tensor, learned: set[str], late: bool
) -> None:
    import torch

    if learned and late:
        raise NotYet("eval() comes too late: when it was called, pictures had already gone through as while learning.")
    if "BatchNorm2d" in learned:
        asked = called(function, _small_network(True), _six_pictures()[:1], told="a network, 1 picture")
        alone = _probabilities(asked, 1, 3)
        raise NotYet(
            "The answer still depends on the company: the first picture is of the first kind with "
            f"{float(alone[0, 0]):.0%} when asked alone, and with {float(answers[0, 0]):.0%} beside five others."
        )
    if "Dropout" in learned:
        raise NotYet("Asked twice, it gives two answers: batch norm rests, but dropout still draws what it leaves out.")
    if torch.allclose(answers, logits, atol=1e-5):
        raise NotYet("Those are the logits of the network: as before, give back probabilities.")
    raise NotYet("These are not the probabilities that the network gives for these pictures when nothing is learned.")


def _six_pictures() -> Tensor:
    import torch

    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def _judge_network(network: nn.Module, before: Mapping[str, Tensor], learning: bool) -> None:
    import torch

    after = network.state_dict()
    if not all(torch.equal(value, after[name]) for name, value in before.items()):
        raise NotYet("The answers are right, but asking has changed the values that batch norm collected, or weights.")
    if any(module.training != learning for module in network.modules()):
        came, goes = ("learning", "answering") if learning else ("answering", "learning")
        raise NotYet(
            f"The answers are right, but the network came in the mode for {came} and goes back in that for {goes}: "
            "whoever gave it to you goes on with it. Look up its mode before you change it."
        )


def _judge_gradients(found: Any, network: nn.Module, kept: int) -> None:
    import torch

    if not torch.is_grad_enabled():
        raise NotYet("Your function switches gradients off for everybody, for good: nothing can be learned afterwards.")
    if not all(value.requires_grad for value in network.parameters()):
        raise NotYet("The answers are right, but the weights can no longer learn: their requires_grad is gone.")
    if any(value.grad is not None for value in network.parameters()):
        raise NotYet("The answers are right, but your function leaves gradients in the weights.")
    if getattr(found, "requires_grad", False):
        raise NotYet("The answers are right, but the way back hangs on them: see their requires_grad, and grad_fn.")
    if kept:
        raise NotYet(
            f"The answers are right, but on the way there PyTorch kept {kept:,} bytes for gradients that nobody asks "
            "for. Cutting them off at the end is late: say so before the network is called."
        )


# The tail ---------------------------------------------------------------------------------------------------------


def _check_tail(answer: object) -> None:
    function = function_of(answer, "tail")
    draw = random.Random(4)
    for count in (250, 20, 1000):
        rest = [0.002 * draw.lognormvariate(0, 0.4) for _ in range(count)]
        for place in draw.sample(range(count), count // 50):
            rest[place] *= 40  # the tail that a deadline is about, and no outlier to be thrown away
        # On time to the last bit: the deadline is one of the times.
        deadline = sorted(rest)[round(0.9 * count)]
        seconds = [0.5 + draw.random(), *rest]
        given = list(seconds)
        found = called(function, given, deadline, told=f"{count + 1} times, a deadline")
        if given != seconds:
            raise NotYet("Your function changes the list that it is given: work on a copy.")
        p99, late = parts_of(found, "p99", "late")
        _judge_p99(number_of(p99, "p99"), seconds)
        _judge_late(number_of(late, "late"), seconds, deadline)


def _judge_p99(found: float, seconds: list[float]) -> None:
    rest = seconds[1:]
    ranked, count = sorted(rest), len(rest)
    # Between two calls there is room for more than one definition of a percentile: all of those in use are right.
    low, high = math.floor(0.99 * (count - 1)), min(count, math.ceil(0.99 * (count + 1))) - 1
    if ranked[low] * (1 - 1e-9) <= found <= ranked[high] * (1 + 1e-9):
        return
    told = f"Of {len(seconds)} times you give p99 = {found:.5f} s. "
    place = min(int(0.99 * count), count - 1)
    wrong = {
        "That is the mean: it says nothing of the slow ones.": (mean(rest), mean(seconds)),
        "That is the median: half of the calls are slower.": (median(rest), median(seconds)),
        "That is the first call, the warm-up: it is not one of those that follow.": (seconds[0],),
        "That is the slowest call of all: 99 of 100 should stay below p99, not every one.": (ranked[-1],),
        "That is p90, for the slowest tenth.": tuple(float(np.percentile(each, 90)) for each in (rest, seconds)),
        "That is the call that came at that place in time: bring them into the order of their length.": (
            *rest[place - 2 : place + 3],
        ),
    }
    for words, values in wrong.items():
        if any(is_close(found, value, 1e-9) for value in values):
            raise NotYet(told + words)
    if found > seconds[0]:
        raise NotYet(told + "No call took so long: give seconds, as you were given.")
    if found > ranked[-1]:
        raise NotYet(told + "No call after the first took so long: the warm-up is still among them.")
    if found <= ranked[count // 50]:
        raise NotYet(told + "That is at the other end: nearly all are *slower*. Does your function want 99, or 0.99?")
    slower = sum(value > found for value in rest)
    raise NotYet(
        told + f"After the first call {slower} of {count} are slower than that: it should be one in a hundred."
    )


def _judge_late(found: float, seconds: list[float], deadline: float) -> None:
    rest = seconds[1:]
    slow = sum(value > deadline for value in rest)
    expected = slow / len(rest)
    if is_close(found, expected, 1e-9):
        return
    edge = (slow + 1) / len(rest)
    wrong = {
        "That is how many are late: of how many?": (slow, slow + 1),
        "That is in percent: give a share, from 0 to 1.": (100 * expected, 100 * edge),
        "That is the share that comes in time.": (1 - expected, 1 - edge),
        "An answer that takes exactly as long as the deadline allows is in time.": (edge,),
        "The first call is still among them: it is no sample of those that follow.": (
            (slow + 1) / len(seconds),
            (slow + 2) / len(seconds),
        ),
        "You count without the first call, and divide by the number with it.": (slow / len(seconds),),
    }
    told = f"p99 is right. Of {len(seconds)} times you call the share {found:.5g} late. "
    for words, values in wrong.items():
        if any(is_close(found, value, 1e-9) for value in values):
            raise NotYet(told + words)
    raise NotYet(told + "Count those after the first that take longer than the deadline, and divide by how many it is.")


# The queue --------------------------------------------------------------------------------------------------------


def _check_queue(answer: object) -> None:
    function = function_of(answer, "keeping_up")
    for place, (arriving, latency) in enumerate(_queues()):
        given = dict(latency)
        told = f"{arriving:,} pictures a second and batches {list(latency)}"
        try:
            size, oldest = parts_of(called(function, arriving, given, told=told), "size", "oldest")
        except Unanswered:
            if not place:
                raise
            words = "yet one keeps up. A batch brings as many pictures as it has, not one."
            raise NotYet(f"With {told} your function finds none, {words}") from None
        if given != latency:
            raise NotYet("Your function changes the latencies that it is given: work on a copy.")
        _judge_size(number_of(size, "size"), arriving, latency)
        _judge_oldest(number_of(oldest, "oldest"), arriving, latency)


def _queues() -> list[tuple[int, dict[int, float]]]:
    """Pictures a second, and seconds a batch by its size: an easy one, recorded ones, and drawn ones in any order."""
    easy = 3, {2: 0.15, 64: 3.0, 8: 0.3, 1: 0.1}
    recorded = _recorded_latencies(threads=2)
    # Half-way from what one at a time does to the best: neither the first size nor the last will do.
    speeds = {size: size / seconds for size, seconds in recorded.items()}
    tie = 10, {1: 0.1, 8: 0.3}
    found = [easy, tie, (round((speeds[1] + max(speeds.values())) / 2), recorded)]
    draw = random.Random(5)
    for wanted in (16, 4, 64, 2):
        slope, start = draw.uniform(1e-3, 2e-3), draw.uniform(0.01, 0.02)
        sizes = [1, 2, 4, 8, 16, 32, 64, 128]
        drawn = {size: start + slope * size for size in sizes}
        # Beyond what fits into its caches a device gets slower again.
        drawn[128] *= 3
        arriving = round((wanted / drawn[wanted] + wanted / 2 / drawn[wanted // 2]) / 2)
        draw.shuffle(sizes)
        found.append((arriving, {size: drawn[size] for size in sizes}))
    return found


def _judge_size(found: float, arriving: int, latency: Mapping[int, float]) -> None:
    able = [size for size, seconds in latency.items() if size / seconds > arriving]
    if found == min(able):
        return
    told = f"With {arriving:,} pictures a second and batches {list(latency)} you choose {found:g}. "
    if found not in latency:
        raise NotYet(told + "That is none of the sizes: what is asked for first is the batch size.")
    if found not in able:
        speed = found / latency[int(found)]
        raise NotYet(told + f"It answers {speed:,.0f} pictures a second, no more than arrive: the queue never ends.")
    by_speed = max(latency, key=lambda size: size / latency[size])
    if found == by_speed:
        raise NotYet(told + "That has the highest throughput. A smaller one keeps up as well, and waits less to fill.")
    if found == max(able):
        raise NotYet(
            told + "That is the largest that keeps up: its oldest picture waits longest. Which is the smallest?"
        )
    if found == next(size for size in latency if size in able):
        raise NotYet(told + "It keeps up, and stands first in the table: the sizes need not be in order.")
    raise NotYet(told + "It keeps up, but so does a smaller one.")


def _judge_oldest(found: float, arriving: int, latency: Mapping[int, float]) -> None:
    able = [size for size, seconds in latency.items() if size / seconds > arriving]
    size = min(able)
    seconds = latency[size]
    expected = (size - 1) / arriving + seconds
    if is_close(found, expected, 1e-6):
        return
    fill = (size - 1) / arriving
    wrong = {
        "You wait for one picture too many: the first one need not wait for itself.": size / arriving + seconds,
        "That is the latency alone: before it, the batch has to fill.": seconds,
        "That is the time to fill the batch: then it has to be answered, too.": fill,
        "So long it takes for so many to arrive: look at when the first one comes, and at the latency.": (
            size / arriving
        ),
        "That waits for one more picture only: how many come after the oldest?": 1 / arriving + seconds,
        "That is the mean age: the oldest picture waits for all of the others.": fill / 2 + seconds,
        "Every picture waits for its whole batch: do not share the latency out.": fill + seconds / size,
        "So long it takes to answer them one after the other: they go through at once.": size * seconds,
        "That is in milliseconds: give seconds.": 1000 * expected,
    }
    told = f"Batch {size} is right. With {arriving:,} pictures a second its oldest picture is not {found:.5g} s old. "
    for words, value in wrong.items():
        if is_close(found, value, 1e-6):
            raise NotYet(told + words)
    raise NotYet(told + "It waits while the others arrive, and then for the answer: add up the two.")


# Fewer bits -------------------------------------------------------------------------------------------------------


def _check_shrink(answer: object) -> None:
    import torch

    given = parts_of(answer, "pack", "unpack")
    pack, unpack = (function_of(each, name) for each, name in zip(given, ("pack", "unpack"), strict=True))
    reference = _reference()
    fresh = _fresh()
    with torch.random.fork_rng(devices=[]):
        packed = _packed(pack, reference, "the trained weights")
        _judge_bytes(len(packed), sum(value.nbytes for value in reference.values()))
        # Packed in between, and unpacked in the same order: what is kept outside of the bytes is the wrong one.
        other = _packed(pack, fresh, "fresh weights")
        found = _unpacked(unpack, packed, reference)
        again = _unpacked(unpack, other, fresh)
    least = _LEAST_SHARE * sum(value.nbytes for value in reference.values())
    swapped = _alike(found, fresh) > 0.98 or _alike(again, reference) > 0.98
    if packed == other or min(len(packed), len(other)) < least or swapped:
        raise NotYet(
            "Two networks were packed, and then the bytes of each unpacked: these bytes do not hold the one or the "
            "other. What your functions keep elsewhere does not travel; the other machine has the bytes alone."
        )
    for back, original in ((found, reference), (again, fresh)):
        _judge_scale(back, original)
    _judge_agreement(found, reference)
    if _alike(again, fresh) < 0.9:
        raise NotYet("The trained weights survive, but those of another network do not: do not rely on their values.")


def _reference() -> dict[str, Tensor]:
    from workbench.bundle import WEIGHTS
    from workbench.checkpoint import load_weights
    from workbench.recordings import REFERENCE

    return dict(load_weights(REFERENCE / WEIGHTS).model.state_dict())


def _fresh() -> dict[str, Tensor]:
    """Other weights of the same shapes; some of their tensors hold nothing but zeros."""
    from workbench.models import build_model

    return dict(build_model("convnet", seed=1).state_dict())


def _packed(pack: Callable[..., Any], state: Mapping[str, Tensor], told: str) -> bytes:
    import torch

    given = {name: value.clone() for name, value in state.items()}
    packed = called(pack, given, told=told)
    if not isinstance(packed, bytes | bytearray):
        raise NotYet(f"pack gives a {type(packed).__name__}: what travels is `bytes`, one after the other.")
    if given.keys() != state.keys() or not all(torch.equal(value, given[name]) for name, value in state.items()):
        raise NotYet("pack changes the tensors that it is given: work on copies.")
    return bytes(packed)


def _judge_bytes(count: int, whole: int) -> None:
    share = count / whole
    if share <= _SHARE:
        return
    told = f"pack gives {count:,} bytes, {share:.1%} of the {whole:,} of the tensors, and {_SHARE:.0%} are allowed. "
    if share > 0.6:
        raise NotYet(told + "Compressing alone finds little: the last digits of trained weights look like chance.")
    if share > 0.4:
        raise NotYet(told + "That is what 16 bits a weight take: the answers bear far fewer.")
    if share > 0.23:
        raise NotYet(told + "A whole byte for each weight is a quarter: use fewer levels, and let no bit lie idle.")
    raise NotYet(told + "You are close: use a few levels less, or look at what names and formats take.")


def _unpacked(unpack: Callable[..., Any], packed: bytes, original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    import torch

    found = called(unpack, packed, told=f"{len(packed):,} bytes")
    if not isinstance(found, Mapping):
        raise NotYet(f"unpack gives a {type(found).__name__}: give a mapping from names to tensors, as it was.")
    odd = sorted(map(str, found.keys() ^ original.keys()))
    if odd:
        raise NotYet(f"unpack gives other names than pack was given: see {', '.join(odd[:3])}.")
    for name, value in original.items():
        if not isinstance(found[name], torch.Tensor):
            raise NotYet(f"unpack gives a {type(found[name]).__name__} as {name}: make it a tensor again.")
        back = found[name]
        if back.shape != value.shape:
            raise NotYet(f"{name} comes back with the shape {tuple(back.shape)}, and had {tuple(value.shape)}.")
        if back.dtype != value.dtype:
            raise NotYet(f"{name} comes back as {back.dtype}, and was {value.dtype}: not every tensor is alike.")
        if not torch.isfinite(back).all():
            what = "It is all zeros: what is its largest value, by which you divide?" if not value.any() else ""
            raise NotYet(f"{name} comes back with values that are no numbers (nan or inf). {what}".rstrip())
    return {name: found[name].detach().cpu().clone() for name in original}


def _flat(state: Mapping[str, Tensor]) -> Tensor:
    """All that is a weight of a layer, each tensor as large as the other."""
    import torch

    parts = [value.float().flatten() for value in state.values() if value.dim() > 1]
    return torch.cat([part / part.norm().clamp(min=1e-12) for part in parts])


def _alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The cosine between the weights of two networks: 1 for the same ones, about 0 for others."""
    import torch

    return float(torch.nn.functional.cosine_similarity(_flat(one), _flat(other), dim=0))


def _judge_scale(found: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> None:
    if _alike(found, original) < 0.9:
        return
    for name, value in original.items():
        if value.dim() > 1 and not 0.5 < float(found[name].norm() / value.norm()) < 2:
            times = float(found[name].norm() / value.norm())
            raise NotYet(
                f"{name} comes back {times:.3g} times as large: the levels are there, but not how far apart they stand."
            )


def _judge_agreement(found: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> None:
    right, answers = (_answers(state).argmax(dim=1) for state in (reference, found))
    same = int((right == answers).sum())
    if same >= _SAME_OF_100:
        return
    told = f"Of 100 answers {same} are what they were, and {_SAME_OF_100} should be. "
    mended = {name: reference[name] if value.dim() < 2 else value for name, value in found.items()}
    if int((right == _answers(mended).argmax(dim=1)).sum()) >= _SAME_OF_100:
        raise NotYet(
            told + "It is the biases and what batch norm holds: they are few, and rounding them saves nothing."
        )
    raise NotYet(told + "Too coarse: use more levels, or a distance between them that is each channel's own.")


def _answers(state: Mapping[str, Tensor]) -> Tensor:
    """Of the convnet with these weights: the reference bundle's self-test pictures, mirrored and shifted too."""
    import torch

    from workbench.bundle import read_bundle
    from workbench.models import Classifier, build_model
    from workbench.recordings import REFERENCE

    bundle = read_bundle(REFERENCE)
    network = build_model("convnet")
    network.load_state_dict(dict(state))
    plain = torch.from_numpy(bundle.self_test_pictures)
    moves = ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))
    pictures = torch.cat([each.roll(move, (1, 2)) for each in (plain, plain.flip(2)) for move in moves])
    with torch.inference_mode():
        return Classifier(network, bundle.preprocessing).eval()(pictures)


EXERCISES = (
    Exercise(
        id="04-throughput",
        title="Is throughput one over latency?",
        kind="predict",
        level="warm-up",
        points=1,
        hints=(
            "A batch takes longer than a picture. How much longer, and how many pictures does it bring?",
            "`latency[64]` are the seconds that 64 pictures take together; `latency[1]` those of one alone.",
            "In one second 1 ÷ latency batches come out. Count their pictures, at 64 and at 1, and divide the one "
            "count by the other.",
        ),
        learned="Throughput is pictures over latency, and a batch brings a busy core little more of it.",
        check=_check_throughput,
    ),
    Exercise(
        id="04-eval",
        title="Mend the forgotten eval()",
        kind="mend",
        level="core",
        points=2,
        hints=(
            "Which layers look at the batch, or draw at random? They have to be told that nothing is learned now.",
            "Three things: the mode before the network is called, nothing kept for gradients while it is called, and "
            "the old mode afterwards. The lesson's `infer` shows the one in the middle.",
            "`network.training` says which mode it is in, and `network.train(…)` takes that very value. Between them "
            "stand `eval()` and a block with `torch.inference_mode()`.",
        ),
        learned="The same picture gets the same answer in any company, and the network goes back as it came.",
        check=_check_eval,
    ),
    Exercise(
        id="04-tail",
        title="The slow few",
        kind="function",
        level="core",
        points=2,
        hints=(
            "Which single call does not belong to those that follow? And which calls break a deadline: the usual ones?",
            "`seconds[1:]`, brought into order: where in that list do 99 of 100 lie before you?",
            "NumPy has `np.percentile` for the first. For the second count those above the deadline, and divide by "
            "the number of the calls that you looked at.",
        ),
        learned="A deadline is broken by the tail: p99 and the share that is late tell it, mean and median do not.",
        check=_check_tail,
    ),
    Exercise(
        id="04-queue",
        title="The smallest batch that keeps up",
        kind="function",
        level="core",
        points=2,
        hints=(
            "To keep up, more pictures must come out in a second than come in.",
            "Look at the lesson's cell with `arriving`: what is `speed` there, and what is added up in `oldest`?",
            "Keep the sizes whose size ÷ latency is above `arriving`, and take the smallest. Its first picture waits "
            "for all the others to arrive, one every 1 ÷ `arriving` seconds, and then for the latency.",
        ),
        learned="A batch buys throughput, and the oldest picture pays: it waits for the others and for the answer.",
        check=_check_queue,
    ),
    Exercise(
        id="04-shrink",
        title="A network in a fifth of its bytes",
        kind="shrink",
        level="stretch",
        points=3,
        hints=(
            "How many levels does a weight need? Nearly all the bytes are in the tensors of two or more dimensions.",
            "Divide each channel by its largest value, round it to so many levels on either side of zero, and keep "
            "these as `torch.int8` beside what you divided by. Leave the small tensors as they are.",
            "About 31 levels on either side leave bits of each byte idle. `torch.save` into an `io.BytesIO`, and "
            "`zlib.compress` what it holds; the way back is the same in reverse, and multiplies.",
        ),
        learned="Six bits a weight are enough: trained weights have more digits than their answers need.",
        check=_check_shrink,
    ),
)
