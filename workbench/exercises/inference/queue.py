"""04-queue: the smallest batch that keeps up, and how old its oldest picture is."""

from __future__ import annotations

import random
from collections.abc import Mapping

from workbench.exercises.answers import called, function_of, is_close, known_mistake, nearly, number_of, parts_of
from workbench.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.exercises.inference.recorded import recorded_latencies

_NOT_ONE = "yet one does. A batch brings as many pictures as it has, not one."


def _check_queue(answer: object) -> None:
    function = function_of(answer, "keeping_up")
    for place, (arriving, latency) in enumerate(_queues()):
        told = f"{arriving:,} pictures a second and batches {list(latency)}"
        try:
            found = called(function, arriving, latency, told=told, kept="the latencies")
            size, oldest = parts_of(found, "size", "oldest")
        except Unanswered:
            if not place:
                raise
            raise NotYet(f"With {told} your function finds none, {_NOT_ONE}") from None
        except NotYet as mistake:
            if "empty" not in str(mistake):  # min() of nothing
                raise
            raise NotYet(f"With {told} you find no size that keeps up, {_NOT_ONE}") from None
        _judge_size(number_of(size, "size"), arriving, latency)
        _judge_oldest(number_of(oldest, "oldest"), arriving, latency)


def _queues() -> list[tuple[int, dict[int, float]]]:
    """Pictures a second, and seconds a batch by its size: an easy one, recorded ones, and drawn ones in any order."""
    easy = 3, {2: 0.15, 64: 3.0, 8: 0.3, 1: 0.1}
    recorded = recorded_latencies(threads=2)
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
    words = known_mistake(found, wrong, nearly(1e-6))
    raise NotYet(told + (words or "It waits while the others arrive, and then for the answer: add up the two."))


EXERCISE = Exercise(
    id="04-queue",
    title="The smallest batch that keeps up",
    kind="function",
    level="core",
    hints=(
        "To keep up, more pictures must come out in a second than come in.",
        "Look at the lesson's cell with `arriving`: what is `speed` there, and what is added up in `oldest`?",
        "Keep the sizes whose size ÷ latency is above `arriving`, and take the smallest. Its first picture waits "
        "for all the others to arrive, one every 1 ÷ `arriving` seconds, and then for the latency.",
    ),
    learned="A batch buys throughput, and the oldest picture pays: it waits for the others and for the answer.",
    check=_check_queue,
)
