"""Lesson 00: reading a comparison, and timing without fooling oneself."""

from __future__ import annotations

import random
from statistics import mean, median

from workbench.exercises.answers import called, function_of, is_close, known_mistake, nearly, number_of
from workbench.exercises.exercise import Exercise, NotYet

_SIZES = (1, 4, 16, 64, 256)
_GPU, _PROCESSOR = "NVIDIA H100 SXM", "AMD EPYC Zen 5 (2 cores)"
_FOLD = 3


def _check_overtake(answer: object) -> None:
    from workbench.all_devices import known_devices

    size = number_of(answer, "overtake")
    if size not in _SIZES:
        raise NotYet(f"{size:g} is none of the batch sizes that were compared: {', '.join(map(str, _SIZES))}.")
    known = known_devices(batch_sizes=_SIZES).best_of_each("throughput")
    times = {}
    for each in _SIZES:
        rates = {row.name: row.value or 0.0 for row in known.rows(each, "throughput")}
        times[each] = rates[_GPU] / rates[_PROCESSOR]
    if times[int(size)] < _FOLD:
        ahead = "ahead, but not threefold" if times[int(size)] > 1 else "not even ahead"
        raise NotYet(f"At batch {size:g} the {_GPU} is {ahead}: divide its pictures/s by those of {_PROCESSOR} there.")
    if any(times[each] >= _FOLD for each in _SIZES if each < size):
        raise NotYet(f"At batch {size:g} it is so, but not for the first time: look at the smaller batches, too.")


def _check_typical(answer: object) -> None:
    function = function_of(answer, "typical")
    draw = random.Random(0)
    for count in (8, 7, 40, 3, 2):
        seconds = [draw.uniform(0.01, 0.02) for _ in range(count)]
        seconds[0] = draw.uniform(0.5, 0.9)  # a first call, as they are
        found = called(function, seconds, told=f"{count} times", kept="the list")
        _compare(number_of(found, "what it gives back"), seconds)


def _compare(found: float, seconds: list[float]) -> None:
    rest = seconds[1:]
    if is_close(found, median(rest), 1e-5):  # in float32, too
        return
    told = f"For {len(seconds)} times, the first of them {seconds[0]:.2f} s, you give {found:.4f} s. "
    middle = sorted(rest)[len(rest) // 2], sorted(rest)[(len(rest) - 1) // 2]
    if len(rest) % 2 == 0 and any(is_close(found, each, 1e-5) for each in middle):
        raise NotYet(told + "Of an even number of calls two stand in the middle: take what lies between them.")
    wrong = {
        "That is the mean of them all, and one call alone has moved it.": mean(seconds),
        "That is the mean of the later calls: a single slow one moves it. Which figure does half of them stay below?": (
            mean(rest)
        ),
        "The first call is still among them: it does what the later ones find done.": median(seconds),
        "That is the quickest call: nearly all take longer.": min(rest),
        "That is the first call alone, the one that is not typical.": seconds[0],
    }
    words = known_mistake(found, wrong, nearly(1e-5))
    raise NotYet(told + (words or "Half of the later calls should take less than your figure, and half of them more."))


EXERCISES = (
    Exercise(
        id="00-overtake",
        title="Where does the GPU leave the processor behind?",
        kind="read",
        level="warm-up",
        hints=(
            "In the panel, set *Compare by* to *Pictures a second*: how much gets done, not how long a batch takes.",
            "`wb.known_devices(batch_sizes=…).best_of_each('throughput')` keeps each device's quickest setting. Its "
            "`rows(size, 'throughput')` then has one row a device, with `name` and `value`.",
            "Divide the value of the one by that of the other at each batch size, from the smallest on, and stop at "
            "the first that is three or more.",
        ),
        learned="One picture at a time two cores are far ahead; it takes a batch to give a large device enough to do.",
        check=_check_overtake,
    ),
    Exercise(
        id="00-typical",
        title="A stopwatch that does not fool you",
        kind="function",
        level="core",
        hints=(
            "What did the trap show about the very first call?",
            "`seconds[1:]` are the later calls. In order of size, the figure stands in their middle.",
            "Python has it ready: `statistics.median`, of the later calls alone.",
        ),
        learned="The first call apart, and the median of the rest: that is what wb.measure tells.",
        check=_check_typical,
    ),
)
