"""05-retry: retry a request when that can help, and give up when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from workbench.teaching.exercises.answers import NOTHING_RETURNED, function_of, raises, shown, try_call
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.wording import one_line

_Reply = tuple[int, dict[str, str], str]
_CAT: _Reply = (200, {}, "cat")
_REFUSALS = {
    400: "the request is wrong",
    422: "the image cannot be read",
    404: "there is nothing at this address",
    500: "the server has failed",
}


def _busy(seconds: int | None) -> _Reply:
    return 503, {} if seconds is None else {"Retry-After": str(seconds)}, "Too many requests."


class _TooOften(BaseException):
    """Stops a function that would retry for ever; a BaseException, so that `except Exception` does not catch it."""


@dataclass
class _Session:
    """A function calling a server that sends its replies in order, then repeats the last one; no time passes.

    requests, waits: how many it sent, and its waits in seconds; returned, error: what it returned or raised.
    """

    replies: tuple[_Reply, ...]
    requests: int = 0
    waits: list[Any] = field(default_factory=list)
    returned: object = None
    error: BaseException | None = None

    def send(self) -> _Reply:
        self.requests += 1
        if self.requests > 30:
            raise _TooOften
        return self.replies[min(self.requests, len(self.replies)) - 1]

    def sleep(self, seconds: Any = None) -> None:
        self.waits.append(seconds)
        if len(self.waits) > 100:
            raise _TooOften


def _check_retry(answer: object) -> None:
    function = function_of(answer, "ask")
    _expect_answer(_run(function, 3, _CAT))
    _expect_second_try(_run(function, 3, _busy(1), _CAT), waits=[1])
    _expect_second_try(_run(function, 4, _busy(7), _busy(2), _CAT), waits=[7, 2])
    for status, why in _REFUSALS.items():
        _expect_refusal(_run(function, 3, (status, {}, f"No: {why}."), _CAT), status, why)
    _expect_refusal(_run(function, 3, (404, {"Retry-After": "1"}, "No: gone."), _CAT), 404, _REFUSALS[404])
    _expect_giving_up(_run(function, 4, *map(_busy, (1, 2, 4, 8))), 4, waits=[1, 2, 4])
    _expect_giving_up(_run(function, 1, _busy(3)), 1, waits=[])
    last = _run(function, 3, _busy(1), _busy(1), _CAT)
    if last.error or last.returned != "cat":
        raise NotYet("The third of 3 tries gets the answer, but your function does not return it.")
    unsaid = _run(function, 3, _busy(None), _CAT)
    if unsaid.error:
        raise NotYet(
            f"After a 503 without Retry-After your function {raises(unsaid.error)} Not every server sends it: wait 1 s."
        )
    if unsaid.waits != [1]:
        raise NotYet(f"After a 503 without Retry-After you wait {unsaid.waits}: wait one second.")
    later = _run(function, 5, _busy(1), (404, {}, "No: gone."), _CAT)
    if later.requests != 2 or not isinstance(later.error, ValueError):
        raise NotYet("First 503, then 404: here, too, 404 is final. Look at each reply anew.")


def _run(function: Callable[..., Any], tries: int, *replies: _Reply) -> _Session:
    session = _Session(replies)
    with suppress(_TooOften):
        session.returned, session.error = try_call(function, session.send, session.sleep, tries)
    return session


def _expect_answer(session: _Session) -> None:
    if session.error:
        raise NotYet(f"The first reply is 200, but your function {raises(session.error)}")
    if session.returned is None and session.requests <= 1:
        raise Unanswered(NOTHING_RETURNED)
    if session.requests != 1:
        raise NotYet(f"The first reply is 200, but you send {session.requests} times: keep the reply you have.")
    if session.waits:
        raise NotYet("The first reply is 200, but you wait: there is no need to.")
    if session.returned != "cat":
        raise NotYet(f"After 200 you return {shown(session.returned)}: only the body is the answer.")


def _expect_second_try(session: _Session, waits: list[int]) -> None:
    case = "503 means: too many requests, try again later. "
    if any(isinstance(seconds, str) for seconds in session.waits):
        raise NotYet("A header is a string; `sleep` takes a number.")
    if session.error:
        raise NotYet(f"{case}Your function {raises(session.error)}")
    if session.requests == 1:
        raise NotYet(f"{case}You do not, and return {shown(session.returned)}.")
    if not session.waits:
        raise NotYet(
            case + "You try again at once: so does everybody else, and there are still too many. (Wait with the "
            "`sleep` passed to you, and with no other.)"
        )
    if session.returned != "cat":
        raise NotYet(f"{case}Then comes 200, and you return {shown(session.returned)}.")
    if session.waits != waits:
        raise NotYet(f"Retry-After says {waits}, in this order, but you wait {one_line(session.waits, 60)}.")


def _expect_refusal(session: _Session, status: int, why: str) -> None:
    if session.requests > 1:
        raise NotYet(f"{status} means that {why}, but you try again: only after a 503 is that worthwhile.")
    if session.waits:
        raise NotYet(f"After {status} you wait: there is nothing to wait for.")
    if session.error is None:
        raise NotYet(
            f"After {status} you return {shown(session.returned)}: the caller takes it for an answer. "
            "Raise a ValueError."
        )
    if isinstance(session.error, KeyError):
        raise NotYet(f"After {status} you look for a Retry-After that is not there, as after a 503: {status} is final.")
    if not isinstance(session.error, ValueError):
        raise NotYet(f"After {status} your function {raises(session.error)} It should raise a ValueError.")
    if "No: " not in str(session.error):
        raise NotYet(f"After {status} your ValueError does not say what the server said: include the body in it.")


def _expect_giving_up(session: _Session, tries: int, waits: list[int]) -> None:
    case = f"The reply is 503 every time, and tries = {tries}. "
    if session.requests > 30 or len(session.waits) > 30:
        raise NotYet(case + "You never give up.")
    if session.requests != tries:
        raise NotYet(f"{case}You send {session.requests} times: the first one counts, too.")
    if session.error is None:
        raise NotYet(
            f"{case}In the end you return {shown(session.returned)}, which looks like an answer: raise a TimeoutError."
        )
    if not isinstance(session.error, TimeoutError):
        raise NotYet(
            f"{case}In the end your function {raises(session.error)} It should raise a TimeoutError: it may work "
            "later, and ValueError says never."
        )
    if len(session.waits) > len(waits):
        raise NotYet(case + "You wait once more after the last try, although no other follows.")
    if session.waits != waits:
        raise NotYet(f"{case}Retry-After says {waits} before the next tries, but you wait {session.waits}.")


EXERCISE = Exercise(
    id="05-retry",
    title="Ask again, and know when to stop",
    kind="function",
    level="stretch",
    hints=(
        'Three kinds of replies: an answer, a "later" and a "never". Which of them is worth another try?',
        "A loop over the tries that sends once each time. It ends early in two of the three cases. Headers are "
        "strings, and `headers.get` takes a default for a missing one.",
        "In the loop: after 200 return the body; after anything but 503 raise a ValueError with what the server said; "
        "after a 503 wait, unless this was the last try. After the loop raise the TimeoutError.",
    ),
    learned="“Later” is worth a wait, for as long as the server asks and no more often than agreed; “never” is not.",
    check=_check_retry,
)
