"""04-queue: the smallest batch size that keeps up, and the age of its oldest image."""

from __future__ import annotations

import random
from collections.abc import Mapping

from workbench.teaching.exercises.answers import (
    call,
    function_of,
    is_close,
    known_mistake,
    nearly,
    number_of,
    parts_of,
)
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.teaching.exercises.inference.latencies import recorded_latencies

_ONE_DOES = "but one does. A batch answers as many images as it holds, not one."


def _check_queue(answer: object) -> None:
    function = function_of(answer, "keeping_up")
    for index, (arriving, latency) in enumerate(_queues()):
        case = f"{arriving:,} images a second and batches {list(latency)}"
        try:
            found = call(function, arriving, latency, shown_as=case, unchanged="the latencies")
            size, oldest = parts_of(found, "size", "oldest")
        except Unanswered:
            if not index:
                raise
            raise NotYet(f"With {case} your function finds none, {_ONE_DOES}") from None
        except NotYet as mistake:
            if "empty" not in str(mistake):  # min() of nothing
                raise
            raise NotYet(f"With {case} you find no size that keeps up, {_ONE_DOES}") from None
        _judge_size(number_of(size, "size"), arriving, latency)
        _judge_oldest(number_of(oldest, "oldest"), arriving, latency)


def _queues() -> list[tuple[int, dict[int, float]]]:
    """Images per second, and seconds per batch by size: an easy case, a recorded one, and random ones out of order."""
    easy = 3, {2: 0.15, 64: 3.0, 8: 0.3, 1: 0.1}
    recorded = recorded_latencies(threads=2)
    # Halfway between the throughput of one at a time and the best: neither the first nor the last size is right.
    speeds = {size: size / seconds for size, seconds in recorded.items()}
    tie = 10, {1: 0.1, 8: 0.3}
    found = [easy, tie, (round((speeds[1] + max(speeds.values())) / 2), recorded)]
    draw = random.Random(5)
    for right in (16, 4, 64, 2):
        slope, start = draw.uniform(1e-3, 2e-3), draw.uniform(0.01, 0.02)
        sizes = [1, 2, 4, 8, 16, 32, 64, 128]
        drawn = {size: start + slope * size for size in sizes}
        # A batch that no longer fits into the caches is slower per image.
        drawn[128] *= 3
        arriving = round((right / drawn[right] + right / 2 / drawn[right // 2]) / 2)
        draw.shuffle(sizes)
        found.append((arriving, {size: drawn[size] for size in sizes}))
    return found


def _judge_size(found: float, arriving: int, latency: Mapping[int, float]) -> None:
    able = [size for size, seconds in latency.items() if size / seconds > arriving]
    if found == min(able):
        return
    case = f"With {arriving:,} images a second and batches {list(latency)} you choose {found:g}. "
    if found not in latency:
        raise NotYet(case + "That is not one of the sizes: return the batch size first.")
    if found not in able:
        speed = found / latency[int(found)]
        raise NotYet(case + f"It answers {speed:,.0f} images a second, no more than arrive: the queue never ends.")
    fastest = max(latency, key=lambda size: size / latency[size])
    if found == fastest:
        raise NotYet(case + "That has the highest throughput. A smaller one keeps up as well, and fills sooner.")
    if found == max(able):
        raise NotYet(case + "That is the largest that keeps up: its oldest image waits longest. Which is the smallest?")
    if found == next(size for size in latency if size in able):
        raise NotYet(case + "It keeps up, and comes first in the table: the sizes need not be in order.")
    raise NotYet(case + "It keeps up, but so does a smaller one.")


def _judge_oldest(found: float, arriving: int, latency: Mapping[int, float]) -> None:
    able = [size for size, seconds in latency.items() if size / seconds > arriving]
    size = min(able)
    seconds = latency[size]
    expected = (size - 1) / arriving + seconds
    if is_close(found, expected, 1e-6):
        return
    fill = (size - 1) / arriving
    wrong = {
        "You wait for one image too many: the first one need not wait for itself.": size / arriving + seconds,
        "That is the latency alone: before it, the batch has to fill.": seconds,
        "That is the time to fill the batch: after that it has to be answered.": fill,
        "That is how long so many take to arrive: look at when the first one comes, and at the latency.": (
            size / arriving
        ),
        "That waits for only one more image: how many come after the oldest?": 1 / arriving + seconds,
        "That is the mean age: the oldest image waits for all of the others.": fill / 2 + seconds,
        "Every image waits for its whole batch: do not divide the latency among them.": fill + seconds / size,
        "That is how long it takes to answer them one after the other: they go through together.": size * seconds,
        "That is in milliseconds: return seconds.": 1000 * expected,
    }
    case = f"Batch {size} is right. With {arriving:,} images a second its oldest image is not {found:.5g} s old. "
    otherwise = "It waits while the others arrive, and then for the answer: add up the two."
    raise NotYet(case + known_mistake(found, wrong, nearly(1e-6), otherwise=otherwise))


EXERCISE = Exercise(
    id="04-queue",
    title="The smallest batch that keeps up",
    kind="function",
    level="core",
    hints=(
        "To keep up, more images must come out each second than come in.",
        "Look at the lesson's cell with `arriving`: what is `speed` there, and what is added up in `oldest`?",
        "Keep the sizes whose size ÷ latency is above `arriving`, and take the smallest. Its first image waits for "
        "all the others to arrive, one every 1 ÷ `arriving` seconds, and then for the latency.",
    ),
    learned="A batch buys throughput, and the oldest image pays: it waits for the others and for the answer.",
    check=_check_queue,
)
