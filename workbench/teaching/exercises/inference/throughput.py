"""04-throughput: compute throughput from latency."""

from __future__ import annotations

from workbench.teaching.exercises.answers import check_guess, is_close, known_mistake, number_of, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet
from workbench.teaching.exercises.inference.latencies import recorded_latencies


def _check_throughput(answer: object) -> None:
    guess, speed, times = parts_of(answer, "guess", "speed", "times")
    check_guess(guess, "how many times as many images a second")
    latency = recorded_latencies(threads=1)
    one, whole = latency[1], latency[64]
    _judge_speed(number_of(speed, "speed"), one, whole)
    _judge_times(number_of(times, "times"), one, whole)


def _judge_speed(found: float, one: float, whole: float) -> None:
    expected = 64 / whole
    if is_close(found, expected):
        return
    wrong = {
        "One over the latency counts *batches* a second. How many images does each of them hold?": 1 / whole,
        "That is the speed with one image at a time; the question is about 64 at once.": 1 / one,
        "That is 64 images in the time of a single one: look up how long the batch of 64 takes.": 64 / one,
        "That is the seconds per image: invert it to get images a second.": whole / 64,
        "That is the latency itself: how many images come out in one second?": whole,
        "You are off by a factor of a thousand: the latencies are in seconds, not milliseconds.": (
            expected / 1000,
            expected * 1000,
        ),
        "These are batches, not images, and the latencies are in seconds, not milliseconds.": 1 / whole / 1000,
    }
    otherwise = "That does not fit the recording. 64 images come out after latency[64] seconds."
    raise NotYet(f"speed = {found:,.6g}. {known_mistake(found, wrong, otherwise=otherwise)}")


def _judge_times(found: float, one: float, whole: float) -> None:
    expected = 64 * one / whole
    if is_close(found, expected):
        return
    wrong = {
        "It would be 64 if the batch took no longer than a single image. Compare the two throughputs.": 64.0,
        "That is how many times as *long* the batch takes. In that time it answers 64 images, not one.": whole / one,
        "You have compared one over latency with one over latency: the batch holds 64 images, not one.": one / whole,
        "That is the other way round: divide the throughput at 64 by that of one image at a time.": 1 / expected,
        "That is the difference of the two: the question is how many *times* as many.": 64 / whole - 1 / one,
        "That is the increase as a share: the question is how many *times* as many it is.": expected - 1,
    }
    otherwise = "Divide the speed by the images a second of batch 1."
    raise NotYet(f"speed is right, times = {found:,.4g} is not. {known_mistake(found, wrong, otherwise=otherwise)}")


EXERCISE = Exercise(
    id="04-throughput",
    title="Is throughput one over latency?",
    kind="predict",
    level="warm-up",
    hints=(
        "A batch takes longer than an image. How much longer, and how many images does it hold?",
        "`latency[64]` is how many seconds 64 images take together; `latency[1]`, how many a single one takes.",
        "In one second 1 ÷ latency batches come out. Count their images, at 64 and at 1, and divide one count by the "
        "other.",
    ),
    learned="Throughput is images over latency, and a batch adds little to it on a busy core.",
    check=_check_throughput,
)
