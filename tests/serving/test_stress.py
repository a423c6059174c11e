"""Fuzzing and endurance: requests generated from the OpenAPI description, random bytes, swaps and restarts under load.

`make stress` runs all of it, `make test` a seeded sample.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from serving.application import Application, another, application, client

from workbench.bundle.manifest import read_bundle
from workbench.folders import REFERENCE

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"
BUNDLE = read_bundle(REFERENCE)
PIXELS = BUNDLE.self_test_images


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


LARGE = Image.fromarray(PIXELS[0]).resize((200, 150))
SEEDS = [
    saved(Image.fromarray(PIXELS[0]), "PNG"),
    saved(LARGE, "JPEG"),
    saved(LARGE, "JPEG", progressive=True),
    saved(LARGE.convert("CMYK"), "JPEG"),
    saved(LARGE, "WEBP"),
    saved(LARGE, "BMP"),
    saved(LARGE, "GIF", save_all=True, append_images=[LARGE.rotate(90)]),
    saved(LARGE.convert("RGBA"), "PNG"),
    saved(LARGE.convert("P"), "PNG"),
]


@pytest.mark.stress
def test_schemathesis_finds_nothing() -> None:
    """Every request, within the OpenAPI description or not, gets a response that the description lists."""
    with application(REFERENCE, "--workers", "2") as served:
        # Schemathesis reports a refused body that the description allows. But no description can say which bytes are an
        # image, nor that a list has as many numbers as its shape says.
        command = [Path(sys.executable).parent / "schemathesis", "--no-color", "run", f"{served.address}/openapi.json"]
        command += ["--max-examples", "400" if STRESS else "5", "--seed", "7", "--generation-database", "none"]
        command += ["--exclude-checks", "positive_data_acceptance"]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=3000, cwd=served.log.parent
        )
        assert done.returncode == 0, done.stdout
        (cases,) = re.findall(r"([\d,]+) generated", done.stdout)
        assert int(cases.replace(",", "")) >= (5000 if STRESS else 200)
        assert "ERROR" not in served.log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def attacked() -> Iterator[Application]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what coverage notes would count as its memory
        with application(REFERENCE) as served:
            yield served


@pytest.fixture(scope="module")
def asking(attacked: Application) -> Iterator[httpx.Client]:
    with client(attacked) as made:
        yield made


def memory_of(process: int) -> int:
    """Private memory of a process in bytes (Linux)."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


@pytest.mark.stress
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process by Linux's means")
def test_mutated_images_are_answered_or_refused_and_leave_nothing_behind(
    attacked: Application, mutated: Callable[[bytes, random.Random], bytes]
) -> None:
    count, rng, seen, sizes = 6000 if STRESS else 400, random.Random(5), Counter[int](), []
    with client(attacked) as asking:
        for _ in range(2):
            for turn in range(count // 2):
                content = SEEDS[turn % len(SEEDS)]
                for _ in range(rng.randint(1, 3)):
                    content = mutated(content, rng) if content else content
                answer = asking.post("/classify", content=content)
                seen[answer.status_code] += 1
                assert answer.status_code in (200, 413, 422), answer.text
                if answer.status_code == 200:
                    text = answer.json()["answers"][0]
                    assert abs(sum(text["probabilities"].values()) - 1) < 1e-3
            sizes.append(memory_of(attacked.workers[0]))
    assert seen[200] > count / 50
    assert seen[422] > count / 50
    assert sizes[1] - sizes[0] < 2 * 2**20, sizes


@pytest.mark.stress
@settings(
    max_examples=6000 if STRESS else 150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    path=st.sampled_from(["/classify", "/v2/models/convnet/infer"]),
    content=st.binary(max_size=2000) | st.sampled_from(SEEDS),
    kind=st.sampled_from(["image/png", "application/json", "multipart/form-data; boundary=a", "text/plain", ""]),
    before=st.sampled_from(
        [b"", b'{"inputs":', b'--a\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\n']
    ),
    length=st.none() | st.integers(-2, 3000).map(str) | st.text("0123456789abc \u00e9", max_size=6).map(str.strip),
    encoding=st.sampled_from(["", "", "", "gzip", "deflate", "br"]),
)
def test_random_bytes_are_answered_or_refused(
    asking: httpx.Client, path: str, content: bytes, kind: str, before: bytes, length: str | None, encoding: str
) -> None:
    headers = {"Content-Type": kind, "Content-Encoding": encoding}
    if length is not None:
        headers["Inference-Header-Content-Length"] = length
    sent = {name: value.encode("latin-1") for name, value in headers.items() if value}
    answer = asking.post(path, content=before + content, headers=sent)
    assert answer.status_code in (200, 400, 413, 415, 422), answer.text
    if answer.status_code != 200:
        assert answer.json()["status"] == answer.status_code


@pytest.mark.stress
def test_swaps_and_restarts_lose_no_request(tmp_path: Path) -> None:
    """Load from clients that retry when they get no answer, while bundles are swapped and the application restarts.

    A request counts as accepted once a worker has read its headers, and as lost if it then got no response, by the
    application's own count at its end. An answer is wrong if neither bundle gave it, or to another image.
    """
    seconds = 600.0 if STRESS else 15.0
    other, rng = another(tmp_path / "other"), random.Random(3)
    versions = {BUNDLE.version, other.version}
    right = BUNDLE.self_test_expected
    pngs = [saved(Image.fromarray(image), "PNG") for image in PIXELS]
    answered, again, wrong = Counter[str](), Counter[str](), []
    place, done = {"address": ""}, threading.Event()

    def ask(number: int) -> None:
        chance = random.Random(number)
        while not done.is_set():
            try:
                with httpx.Client(base_url=place["address"], timeout=30) as asking:
                    while not done.is_set():
                        which = chance.randrange(len(pngs))
                        judge(which, asking.post("/classify", content=pngs[which]).raise_for_status().json())
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                again[type(error).__name__] += 1
                time.sleep(0.05)

    def judge(which: int, text: dict[str, Any]) -> None:
        found = np.array(list(text["answers"][0]["probabilities"].values()))
        if text["model"]["version"] not in versions or np.abs(found - right[which]).max() > 1e-4:
            wrong.append(text)
        answered[text["model"]["version"]] += 1

    many = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    bundles = itertools.cycle([other.path, REFERENCE])
    lives, cut_off, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with application(REFERENCE, "--workers", "2") as served:
            place["address"] = served.address
            for thread in many if not lives else ():
                thread.start()
            lives += 1
            until = min(end, time.monotonic() + rng.uniform(4, 20 if STRESS else 6))
            while time.monotonic() < until:
                bundle = next(bundles)
                swap = [sys.executable, "-m", "workbench", "swap", str(bundle), "--port", str(served.port)]
                assert subprocess.run(swap, capture_output=True).returncode == 0
                time.sleep(rng.uniform(0, 1))
            last = time.monotonic() >= end
            if last:
                done.set()
                for thread in many:
                    thread.join()
            assert served.stop(signal.SIGTERM) == 0
            text = served.log.read_text(encoding="utf-8")
            (lost,) = re.findall(r"requests answered, ([\d,]+) cut off", text)
            cut_off += int(lost.replace(",", ""))
            assert "Traceback" not in text
    print(
        f"{sum(answered.values()):,} answered in {lives} lives, by version {dict(answered)}; asked again: {dict(again)}"
    )
    assert wrong == []
    assert cut_off == 0
    assert set(answered) == versions
    assert lives > 1
