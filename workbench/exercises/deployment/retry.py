"""05-retry: asking a server again where that helps, and giving up where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workbench.exercises.answers import function_of, one_line, shown, told_error, tried
from workbench.exercises.exercise import Exercise, NotYet, Unanswered

_Reply = tuple[int, dict[str, str], str]
_CAT: _Reply = (200, {}, "cat")
_REFUSALS = {
    400: "the request is wrong",
    422: "the picture cannot be read",
    404: "there is nothing at this place",
    500: "the server has failed at it",
}


def _busy(seconds: int | None) -> _Reply:
    return 503, {} if seconds is None else {"Retry-After": str(seconds)}, "Too much at once."


class _TooOften(BaseException):
    """Stops a function that would ask for ever; no `except Exception` holds it up."""


@dataclass
class _FakeServer:
    """Answers with its replies one after the other, the last again and again; nobody waits for real."""

    replies: tuple[_Reply, ...]
    asked: int = 0
    slept: list[Any] = field(default_factory=list)

    def send(self) -> _Reply:
        self.asked += 1
        if self.asked > 30:
            raise _TooOften
        return self.replies[min(self.asked, len(self.replies)) - 1]

    def sleep(self, seconds: Any = None) -> None:
        self.slept.append(seconds)
        if len(self.slept) > 100:
            raise _TooOften


@dataclass(frozen=True)
class _Outcome:
    """What came of asking a server: what was given back or raised, how often it was asked, and the waits."""

    found: object
    error: BaseException | None
    asked: int
    slept: list[Any]


def _check_retry(answer: object) -> None:
    function = function_of(answer, "ask")
    _expect_answer(_asked(function, 3, _CAT))
    _expect_second_try(_asked(function, 3, _busy(1), _CAT), waits=[1])
    _expect_second_try(_asked(function, 4, _busy(7), _busy(2), _CAT), waits=[7, 2])
    for status, why in _REFUSALS.items():
        _expect_refusal(_asked(function, 3, (status, {}, f"No: {why}."), _CAT), status, why)
    _expect_refusal(_asked(function, 3, (404, {"Retry-After": "1"}, "No: gone."), _CAT), 404, _REFUSALS[404])
    _expect_giving_up(_asked(function, 4, *map(_busy, (1, 2, 4, 8))), 4, waits=[1, 2, 4])
    _expect_giving_up(_asked(function, 1, _busy(3)), 1, waits=[])
    last = _asked(function, 3, _busy(1), _busy(1), _CAT)
    if last.error or last.found != "cat":
        raise NotYet("At the third of 3 tries the answer is there, and your function does not give it back.")
    unsaid = _asked(function, 3, _busy(None), _CAT)
    if unsaid.error:
        raise NotYet(f"503 without Retry-After ends in {told_error(unsaid.error)} Not every server says it: wait 1 s.")
    if unsaid.slept != [1]:
        raise NotYet(f"After a 503 without Retry-After you wait {unsaid.slept}: one second was asked for.")
    later = _asked(function, 5, _busy(1), (404, {}, "No: gone."), _CAT)
    if later.asked != 2 or not isinstance(later.error, ValueError):
        raise NotYet("First 503, then 404: there, too, 404 is the end. Look at each reply anew.")


def _asked(function: Callable[..., Any], tries: int, *replies: _Reply) -> _Outcome:
    server = _FakeServer(replies)
    try:
        found, error = tried(function, server.send, server.sleep, tries)
    except _TooOften:
        found, error = None, None
    return _Outcome(found, error, server.asked, server.slept)


def _expect_answer(outcome: _Outcome) -> None:
    if outcome.error:
        raise NotYet(f"The first reply is 200, and your function stops with {told_error(outcome.error)}")
    if outcome.found is None and outcome.asked <= 1:
        raise Unanswered("The function gives nothing back yet.")
    if outcome.asked != 1:
        raise NotYet(f"The first reply is 200, and you send {outcome.asked} times: keep the reply, do not ask anew.")
    if outcome.slept:
        raise NotYet("The first reply is 200, and you wait: nobody asked you to.")
    if outcome.found != "cat":
        raise NotYet(f"After 200 you give back {shown(outcome.found)}: only the body is the answer.")


def _expect_second_try(outcome: _Outcome, waits: list[int]) -> None:
    told = "503 says: too much at once, ask again. "
    if any(isinstance(seconds, str) for seconds in outcome.slept):
        raise NotYet("A header is text; `sleep` wants a number.")
    if outcome.error:
        raise NotYet(f"{told}Your function stops with {told_error(outcome.error)}")
    if outcome.asked == 1:
        raise NotYet(f"{told}You do not, and give back {shown(outcome.found)}.")
    if not outcome.slept:
        raise NotYet(
            told + "You ask again at once: so does everybody else, and it stays too much. (Wait with the `sleep` that "
            "you are given, and with no other.)"
        )
    if outcome.found != "cat":
        raise NotYet(f"{told}Then comes 200, and you give back {shown(outcome.found)}.")
    if outcome.slept != waits:
        raise NotYet(f"Retry-After says {waits}, one after the other, and you wait {one_line(outcome.slept, 60)}.")


def _expect_refusal(outcome: _Outcome, status: int, why: str) -> None:
    if outcome.asked > 1:
        raise NotYet(f"{status} means that {why}, and you ask again: only 503 says that it is worth another try.")
    if outcome.slept:
        raise NotYet(f"After {status} you wait: nothing comes of it.")
    if outcome.error is None:
        raise NotYet(
            f"After {status} you give back {shown(outcome.found)}: whoever asked takes it for an answer. "
            "Raise a ValueError."
        )
    if isinstance(outcome.error, KeyError):
        raise NotYet(
            f"After {status} you look for a Retry-After that is not there, as after a 503: {status} is the end."
        )
    if not isinstance(outcome.error, ValueError):
        raise NotYet(f"After {status} comes {told_error(outcome.error)} Wanted is a ValueError.")
    if "No: " not in str(outcome.error):
        raise NotYet(f"After {status} your ValueError keeps to itself what the server said: pass the body on in it.")


def _expect_giving_up(outcome: _Outcome, tries: int, waits: list[int]) -> None:
    told = f"It is 503 every time, and tries = {tries}. "
    if outcome.asked > 30 or len(outcome.slept) > 30:
        raise NotYet(told + "You never give up.")
    if outcome.asked != tries:
        raise NotYet(f"{told}You send {outcome.asked} times: the first one counts, too.")
    if outcome.error is None:
        raise NotYet(
            f"{told}In the end you give back {shown(outcome.found)}, which looks like an answer: raise a TimeoutError."
        )
    if not isinstance(outcome.error, TimeoutError):
        raise NotYet(
            f"{told}In the end comes {told_error(outcome.error)} Wanted is a TimeoutError: it may work later, and "
            "ValueError says never."
        )
    if len(outcome.slept) > len(waits):
        raise NotYet(told + "You wait once more after the last try, and nothing comes after it.")
    if outcome.slept != waits:
        raise NotYet(f"{told}Retry-After says {waits} before the next ones, and you wait {outcome.slept}.")


EXERCISE = Exercise(
    id="05-retry",
    title="Ask again, and know when to stop",
    kind="function",
    level="stretch",
    hints=(
        'Three kinds of replies: an answer, a "later" and a "never". Which of them is worth another try?',
        "A loop over the tries, that sends once each time. It ends early in two of the three cases. Headers are "
        "text, and `headers.get` takes what to use where one is missing.",
        "In the loop: 200 gives the body back; anything but 503 raises a ValueError with what the server said; and "
        "after a 503 wait, unless this was the last try. After the loop raise the TimeoutError.",
    ),
    learned="Later is worth a wait, as long as the server asks for and no more often than agreed; never is not.",
    check=_check_retry,
)
