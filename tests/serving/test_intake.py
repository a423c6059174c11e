"""Admission control and compressed bodies."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from serving.application import (
    application,
    client,
    photo,
)
from starlette.requests import Request

from workbench.folders import REFERENCE
from workbench.serving.intake import ClientGone, Intake, decompress
from workbench.serving.options import Options
from workbench.serving.problems import Problem


def test_overload_is_refused_and_answers_stay_right() -> None:
    """Some are told to come back; whoever is answered is answered rightly."""
    image = photo(1200)
    with application(REFERENCE, "--max-waiting", "2") as served:

        def ask(_: int) -> httpx.Response:
            with client(served) as asking:
                return asking.post("/classify", content=image)

        with ThreadPoolExecutor(16) as many:
            answers = list(many.map(ask, range(32)))
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["detail"] == "2 requests are waiting already. Ask again in a second."
        assert len({str(answer.json()["answers"]) for answer in answers if answer.status_code == 200}) == 1


OPTIONS = Options(max_body_bytes=2000, max_waiting=2)


def new_intake() -> Intake:
    return Intake(OPTIONS, Gauge("waiting", "…", registry=CollectorRegistry()))


def request_of(*messages: dict[str, object], headers: tuple[tuple[bytes, bytes], ...] = ()) -> Request:
    """A request whose body arrives in these ASGI messages."""
    waiting = list(messages)

    async def receive() -> dict[str, object]:
        return waiting.pop(0)

    return Request({"type": "http", "headers": list(headers)}, receive)  # type: ignore[arg-type]


def part(content: bytes, more: bool = False) -> dict[str, object]:
    return {"type": "http.request", "body": content, "more_body": more}


def test_admitted_bodies_are_counted_until_they_are_released() -> None:
    async def admit() -> None:
        intake = new_intake()
        first = await intake.admit(request_of(part(b"one", True), part(b"two")))
        second = await intake.admit(request_of(part(b"three")))
        assert (first, second) == (b"onetwo", b"three")
        assert (intake.receiving, intake.waiting) == (11, 2)
        with pytest.raises(Problem, match="2 requests are waiting already"):
            await intake.admit(request_of(part(b"four")))
        intake.release(first)
        intake.release(await intake.admit(request_of(part(b"four"))))
        intake.release(second)
        assert (intake.receiving, intake.waiting) == (0, 0)

    asyncio.run(admit())


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (request_of(headers=((b"content-length", b"2001"),)), Problem, "larger than the limit"),
        (request_of(part(bytes(1000), True), part(bytes(1001))), Problem, "larger than the limit"),
        (request_of(part(bytes(1000), True), {"type": "http.disconnect"}), ClientGone, "^$"),
    ],
    ids=["stated", "sent", "disconnected"],
)
def test_refused_bodies_leave_nothing_behind(request_: Request, error: type[Exception], message: str) -> None:
    intake = new_intake()
    with pytest.raises(error, match=message):
        asyncio.run(intake.admit(request_))
    assert (intake.receiving, intake.waiting) == (0, 0)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3000))
def test_compressed_bodies_come_back_up_to_the_limit(content: bytes) -> None:
    for compressed, encoding in ((gzip.compress(content), "gzip"), (zlib.compress(content), "deflate")):
        if len(content) <= 2000:
            assert decompress(compressed, encoding, 2000) == content
        else:
            with pytest.raises(Problem, match="larger than the limit"):
                decompress(compressed, encoding, 2000)
        with pytest.raises(Problem, match=r"is not valid|larger than the limit"):
            decompress(compressed[:-1], encoding, 2000)
