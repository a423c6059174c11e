"""The application while it runs: swaps, signals, deaths, overload, slow clients; and what it does not start with."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from serving.application import Application, another, application, children_of, client, failing, is_running

from workbench.bundle import read_bundle
from workbench.errors import WorkbenchError
from workbench.recordings import REFERENCE
from workbench.serving.options import Options

BUNDLE = read_bundle(REFERENCE)
PNG = (REFERENCE / "self_test" / "00.png").read_bytes()
BENCH = ("torch", "torchvision", "matplotlib", "jupyterlab", "IPython", "onnx", "optuna", "safetensors", "sklearn")


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *map(str, words)], capture_output=True, text=True, timeout=120
    )


def version(asking: httpx.Client) -> str:
    return str(asking.post("/classify", content=PNG).json()["model"]["version"])


def test_it_never_loads_what_is_left_on_the_bench() -> None:
    code = "import sys; sys.path.insert(0, '.'); import workbench.serving.worker, workbench.serving.supervisor; "
    code += f"print([name for name in {BENCH!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr


def test_its_start_does_not_wait_for_what_other_commands_are_read_with() -> None:
    code = "import atexit, sys; from workbench.cli import main; "
    code += "atexit.register(lambda: print({'typer', 'rich', 'pydantic'} & set(sys.modules))); main()"
    words = [sys.executable, "-c", code, "serve", str(REFERENCE), "--port", "0", "--stop-with-stdin"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    served, loaded = done.stdout.splitlines()
    assert served.startswith("Serving convnet "), done.stderr
    assert loaded == "set()"


def test_its_help_names_every_option() -> None:
    printed = " ".join(command("serve", "--help").stdout.split())
    for field in fields(Options):
        assert f"--{field.name.replace('_', '-')} " in printed
        assert f"(default: {field.default})" in printed


def test_a_bundle_that_was_altered_does_not_start(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(REFERENCE, folder)
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)
    done = command("serve", folder, "--port", 0)
    assert (done.returncode, done.stdout) == (2, "")
    assert "model.onnx was changed (its SHA-256 is not the one in manifest.json)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_that_fails_its_self_test_does_not_start(tmp_path: Path) -> None:
    done = command("serve", failing(tmp_path / "bundle").path, "--port", 0, "--workers", 2)
    assert (done.returncode, done.stdout) == (2, "")
    assert "fails its own self-test: onnx on cpu does not answer as the reference network should" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-folder"], "no-such-folder does not exist"),
        ([REFERENCE, "--host", "no.such.host.invalid"], "no.such.host.invalid, port 8000"),
        ([REFERENCE, "--max-body-bytes", "many"], "argument --max-body-bytes: invalid int value: 'many'"),
        ([REFERENCE, "--max-body", "9"], "unrecognized arguments: --max-body 9"),
        ([REFERENCE, "--workers", "0"], "workers = 0: must be a whole number from 1 to 256"),
    ],
)
def test_what_it_refuses_to_start_with(words: list[str], said: str) -> None:
    done = command("serve", *words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 70_000}, "port = 70000: must be a whole number from 0 to 65,535"),
        ({"workers": 0}, "workers = 0: must be a whole number from 1 to 256"),
        ({"threads": 1.5}, "threads = 1.5: must be a whole number"),
        ({"request_seconds": True}, "request_seconds = True: must be a number from 0.1 to 3,600"),
        ({"drain_seconds": -1}, "drain_seconds = -1"),
        ({"host": " "}, "host = ' '"),
        ({"engine": "eager"}, "engine = 'eager': choose onnx or onnx-int8"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], said: str) -> None:
    with pytest.raises(WorkbenchError, match=said):
        Options(**options)  # type: ignore[arg-type]


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("serve", REFERENCE, "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "something listens there already: choose another --port, 0 for any" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over sockets that share a port")
def test_connections_are_spread_over_the_workers() -> None:
    with application(REFERENCE, "--workers", "2") as served:
        lines = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(24)]
        for line in lines:
            line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n")
            assert line.recv(4096).startswith(b"HTTP/1.1 200")
        held = [len(os.listdir(f"/proc/{worker}/fd")) for worker in served.workers]
        for line in lines:
            line.close()
        until(lambda: sum(len(os.listdir(f"/proc/{worker}/fd")) for worker in served.workers) <= sum(held) - 24)
        after = [len(os.listdir(f"/proc/{worker}/fd")) for worker in served.workers]
        assert sum(held) - sum(after) == 24
        assert all(before - now > 0 for before, now in zip(held, after, strict=True))


def test_swapping(tmp_path: Path) -> None:
    """In every worker or in none; the version says which bundle answered."""
    other, bad = another(tmp_path / "other"), failing(tmp_path / "bad")
    with application(REFERENCE, "--workers", "2") as served:
        assert ask_everyone(served) == {BUNDLE.version}
        done = command("swap", bad.path, "--port", served.port)
        assert (done.returncode, done.stdout) == (2, "")
        assert "fails its own self-test: onnx on cpu does not answer as the reference network should" in done.stderr
        assert f"{BUNDLE.version} goes on" in done.stderr
        assert ask_everyone(served) == {BUNDLE.version}
        assert "swap refused" in served.log.read_text(encoding="utf-8")

        done = command("swap", other.path, "--port", served.port)
        assert done.returncode == 0, done.stderr
        assert f"{other.version} answers from now on, in place of convnet {BUNDLE.version}" in done.stdout
        assert ask_everyone(served) == {other.version}
        with client(served) as asking:
            assert asking.get("/card").json()["accuracy"] == 0.5
            assert asking.get(f"/v2/models/convnet/versions/{BUNDLE.version}").status_code == 404
            told = asking.get("/metrics").text
        assert f'workbench_workers{{name="convnet",version="{other.version}"}} 2.0' in told
        assert "workbench_swaps_total 2.0" in told
        done = command("swap", other.path, "--port", served.port)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{other.version} answers from now on, loaded anew: it is the same bundle." in done.stdout

        # A worker that takes a dead one's place answers with the bundle of the others.
        victim = served.workers[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(served.workers) == 2 and victim not in served.workers)
        assert ask_everyone(served) == {other.version}
        assert f"worker {victim} died (exit code -9); another takes its place" in served.log.read_text()


def test_hanging_up_reads_the_folder_again(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(REFERENCE, folder)
    with application(folder) as served, client(served) as asking:
        assert version(asking) == BUNDLE.version
        changed = another(folder)
        assert version(asking) == BUNDLE.version
        served.process.send_signal(signal.SIGHUP)
        until(lambda: version(asking) == changed.version)
        (folder / "model.onnx").write_bytes(b"no network")
        served.process.send_signal(signal.SIGHUP)
        until(lambda: "swap refused" in served.log.read_text())
        assert version(asking) == changed.version


def ask_everyone(served: Application) -> set[str]:
    """The versions that answer on many new connections: with two workers, on both."""
    found = set()
    for _ in range(30):
        with client(served) as asking:
            found.add(version(asking))
    return found


def test_swapping_where_nothing_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = command("swap", REFERENCE, "--port", port)
    assert done.returncode == 2
    assert f"No application of yours listens on port {port}" in done.stderr


def photo(side: int) -> bytes:
    noise = np.random.default_rng(side).integers(0, 255, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=80)
    return file.getvalue()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_what_was_accepted(number: signal.Signals) -> None:
    slow = [("picture", photo(2000))] * 12  # seconds of decoding
    with application(REFERENCE, "--workers", "2", "--max-body-bytes", "100000000") as served:
        workers = served.workers

        def ask() -> int:
            with client(served) as asking:
                return asking.post("/classify", files=slow).status_code

        with ThreadPoolExecutor(4) as many:
            asked = [many.submit(ask) for _ in range(4)]
            with client(served) as asking:
                until(lambda: "workbench_waiting 4.0" in asking.get("/metrics").text)
            served.process.send_signal(number)
            assert [each.result() for each in asked] == [200] * 4
        assert served.process.wait(60) == 0
        assert not [worker for worker in workers if is_running(worker)]
        with pytest.raises(httpx.ConnectError), client(served) as asking:
            asking.get("/v2/health/live")


def test_workers_do_not_outlive_the_one_that_started_them() -> None:
    with application(REFERENCE, "--workers", "2") as served:
        workers = served.workers
        served.process.kill()
        served.process.wait()
        until(lambda: not [worker for worker in workers if is_running(worker)])


def test_a_worker_that_dies_again_and_again() -> None:
    with application(REFERENCE) as served:
        for _ in range(6):
            until(lambda: children_of(served.process.pid) or served.process.poll() is not None)
            for worker in served.workers:
                os.kill(worker, signal.SIGKILL)
                until(lambda gone=worker: not is_running(gone))
        assert served.process.wait(60) == 1
        assert "workers die too often: giving up" in served.log.read_text()


def test_more_than_it_can_carry() -> None:
    """Some are told to come back; whoever is answered is answered rightly."""
    picture = photo(1200)
    with application(REFERENCE, "--max-waiting", "2") as served:

        def ask(_: int) -> httpx.Response:
            with client(served) as asking:
                return asking.post("/classify", content=picture)

        with ThreadPoolExecutor(16) as many:
            answers = list(many.map(ask, range(32)))
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["detail"] == "2 requests are waiting already. Ask again in a second."
        assert len({str(answer.json()["answers"]) for answer in answers if answer.status_code == 200}) == 1


def test_nobody_starves_while_others_ask_without_end() -> None:
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PNG)}\r\n\r\n".encode()

    async def ask(port: int, counts: list[int], end: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        place = len(counts)
        counts.append(0)
        while not end.is_set():
            writer.write(head + PNG)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer)[1]))  # type: ignore[index]
            counts[place] += 1
        writer.close()

    async def many(port: int) -> list[int]:
        counts: list[int] = []
        end = asyncio.Event()
        asking = [asyncio.create_task(ask(port, counts, end)) for _ in range(48)]
        while sum(counts) < 48 * 20:
            await asyncio.sleep(0.05)
        end.set()
        await asyncio.gather(*asking)
        return counts

    with application() as served:
        counts = asyncio.run(many(served.port))
    assert min(counts) > max(counts) / 2, counts


def test_slow_clients_are_cut_off() -> None:
    """Whoever sends nothing, half a head, or half a body; the others do not notice."""
    head = b"POST /classify HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n"
    with application(REFERENCE, "--request-seconds", "1") as served, client(served) as asking:
        for sent in (b"", head[:30], head, head + bytes(500)):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
                slow.sendall(sent)
                assert version(asking) == BUNDLE.version
                said = slow.recv(4096)
                assert said.startswith(b"HTTP/1.1 408 Request Timeout"), said
                assert b"did not arrive within 1 s" in said
                assert slow.recv(4096) == b""
        whole = b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n"
        for sent, then in ((whole + head[:30], b""), (whole + head, b""), (whole, head[:30]), (whole, head)):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
                slow.sendall(sent)
                assert slow.recv(4096).endswith(b'{"live":true}')  # head and body in one piece
                slow.sendall(then)
                assert slow.recv(4096).startswith(b"HTTP/1.1 408 Request Timeout")


def test_a_client_that_has_said_all_is_answered() -> None:
    """It closes its own half of the connection (`nc -N`), and waits."""
    with application() as served:
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
                line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n")
                line.shutdown(socket.SHUT_WR)
                assert line.recv(4096).endswith(b'{"live":true}')


def test_too_many_connections_and_too_long_a_head() -> None:
    with application(REFERENCE, "--max-connections", "3") as served:
        lines = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(4)]
        assert lines[3].recv(4096).startswith(b"HTTP/1.1 503 Service Unavailable")
        lines[0].sendall(b"GET / HTTP/1.1\r\nX: " + bytes([97]) * 200_000)
        assert lines[0].recv(4096).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
        lines[1].sendall(b"not http at all\r\n\r\n")
        assert re.match(rb"HTTP/1.1 400 Bad Request.*problem\+json", lines[1].recv(4096), re.DOTALL)
        lines[2].sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n" * 3)  # one after the other on one line
        received = b""
        while received.count(b'{"live":true}') < 3:
            part = lines[2].recv(4096)
            assert part
            received += part
        for line in lines:
            line.close()


def test_metrics_count_for_all_workers() -> None:
    with application(REFERENCE, "--workers", "2") as served:
        for _ in range(20):
            with client(served) as asking:
                asking.post("/classify", content=PNG)
        with client(served) as asking:
            asking.post("/classify", content=b"no picture")
            told = asking.get("/metrics").text
        assert 'workbench_requests_total{route="classify",status="200"} 20.0' in told
        assert 'workbench_requests_total{route="classify",status="422"} 1.0' in told
        right = BUNDLE.labels[int(BUNDLE.self_test_expected[0].argmax())]
        assert f'workbench_answers_total{{label="{right}"}} 20.0' in told
        assert "workbench_inference_seconds_count 20.0" in told


def test_the_example_pictures_travel_with_the_bundle() -> None:
    with application() as served, client(served) as asking:
        told = asking.get("/card").json()
        assert told["version"] == served.version == BUNDLE.version
        assert len(told["examples"]) == len(BUNDLE.self_test_pictures)
        for place, entry in enumerate(told["examples"]):
            content = asking.get(entry["picture"]).content
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), BUNDLE.self_test_pictures[place])
        for place in ("10", "-1", "x", "99999999999"):
            assert asking.get(f"/examples/{place}.png").status_code == 404


def test_it_stops_with_whoever_started_it() -> None:
    """However that one ends: its end of the pipe closes."""
    command = [sys.executable, "-m", "workbench", "serve", str(REFERENCE), "--port", "0", "--stop-with-stdin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert "Serving" in process.stdout.readline()
    workers = children_of(process.pid)
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    assert not [worker for worker in workers if is_running(worker)]
