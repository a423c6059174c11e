"""04-throughput: what a latency says of a throughput."""

from __future__ import annotations

from workbench.exercises.answers import is_close, known_mistake, number_of, parts_of, refuse_guess
from workbench.exercises.exercise import Exercise, NotYet
from workbench.exercises.inference.recorded import recorded_latencies


def _check_throughput(answer: object) -> None:
    guess, speed, times = parts_of(answer, "guess", "speed", "times")
    refuse_guess(guess, "how many times as many pictures a second")
    latency = recorded_latencies(threads=1)
    one, whole = latency[1], latency[64]
    _judge_speed(number_of(speed, "speed"), one, whole)
    _judge_times(number_of(times, "times"), one, whole)


def _judge_speed(found: float, one: float, whole: float) -> None:
    expected = 64 / whole
    if is_close(found, expected):
        return
    wrong = {
        "One over the latency counts *batches* a second. How many pictures does each of them bring?": 1 / whole,
        "That is the speed with one picture at a time; the question is what it is with 64 at once.": 1 / one,
        "That is 64 pictures in the time of one alone: look up how long the batch of 64 took.": 64 / one,
        "That is the seconds for a picture: turn it over to get pictures in a second.": whole / 64,
        "That is the latency itself: how many pictures come out in one second?": whole,
        "The right one is a thousand times that or a thousandth: the latencies are in seconds, not milliseconds.": (
            expected / 1000,
            expected * 1000,
        ),
        "These are batches, not pictures, and the latencies are in seconds, not milliseconds.": 1 / whole / 1000,
    }
    words = known_mistake(found, wrong) or "that was not recorded. 64 pictures come out after latency[64] seconds."
    raise NotYet(f"speed = {found:,.6g}: {words}")


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
    words = known_mistake(found, wrong) or "divide the speed by the pictures a second of batch 1."
    raise NotYet(f"speed is right, times = {found:,.4g} is not. {words}")


EXERCISE = Exercise(
    id="04-throughput",
    title="Is throughput one over latency?",
    kind="predict",
    level="warm-up",
    hints=(
        "A batch takes longer than a picture. How much longer, and how many pictures does it bring?",
        "`latency[64]` are the seconds that 64 pictures take together; `latency[1]` those of one alone.",
        "In one second 1 ÷ latency batches come out. Count their pictures, at 64 and at 1, and divide the one "
        "count by the other.",
    ),
    learned="Throughput is pictures over latency, and a batch brings a busy core little of it.",
    check=_check_throughput,
)
