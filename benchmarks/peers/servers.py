"""The servers of the serving benchmark: their commands, requests, processes and memory. POSIX only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.http_load import post, run_load_test
from workbench.folders import REFERENCE

ROOT = Path(__file__).resolve().parents[2]
OURS = "workbench"
FIRST_PORT = 18_400
IMAGE = REFERENCE / "self_test" / "00.png"
_START_SECONDS, _STOP_SECONDS = 120, 20


def server_commands(peers: str | None, workers: int) -> dict[str, list[str]]:
    """Return the command of each server; "PORT" in it stands for the port."""
    own, count = [sys.executable, "-m"], str(workers)
    commands = {
        OURS: [*own, "workbench", "serve", str(REFERENCE), "--port", "PORT", "--workers", count],
        "fastapi + torch": [*own, "benchmarks.peers.fastapi_torch", "PORT", count],
    }
    if peers:
        bento = str(Path(peers).parent / "bentoml")
        commands["litserve"] = [peers, "-m", "benchmarks.peers.litserve_onnx", "PORT", count, str(REFERENCE)]
        commands["bentoml"] = [bento, "serve", "benchmarks.peers.bentoml_onnx:Classify", "--port", "PORT"]
    return commands


def image_request(server: str) -> bytes:
    """Return the request for one PNG image: as the body, or in a form for LitServe."""
    image = IMAGE.read_bytes()
    if server != "litserve":
        return post("/classify", image, "image/png")
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="0.png"\r\n\r\n'
    return post("/classify", head + image + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")


@contextlib.contextmanager
def running(commands: Mapping[str, list[str]], workers: int) -> Iterator[dict[str, tuple[int, int]]]:
    """Start all servers; once each has answered, yield their ports and process ids, with all of them stopped."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WORKERS": str(workers), "REFERENCE": str(REFERENCE)}
    environment |= {"BENTOML_DO_NOT_TRACK": "True"}
    processes: dict[str, tuple[int, int]] = {}
    started = []
    try:
        for port, (name, command) in enumerate(commands.items(), FIRST_PORT):
            process = subprocess.Popen(
                [str(port) if word == "PORT" else word for word in command],
                env=environment,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            started.append(process)
            processes[name] = (port, process.pid)
        for name, (port, process_id) in processes.items():
            _await_answer(name, port)
            os.killpg(process_id, signal.SIGSTOP)
        yield processes
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _await_answer(name: str, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            load = run_load_test(port, image_request(name), 1, 0.2)
            if load.seconds and not load.failed:
                return
        time.sleep(0.5)
    raise SystemExit(f"{name} gave no valid answer within two minutes.")


@contextlib.contextmanager
def resumed(process: int) -> Iterator[None]:
    """Let a stopped server run."""
    os.killpg(process, signal.SIGCONT)
    try:
        yield
    finally:
        os.killpg(process, signal.SIGSTOP)


def cold_start() -> float:
    """Return the seconds from the start of the application's Python to its first answer."""
    command = [sys.executable, "-m", "workbench", "serve", str(REFERENCE), "--port", "0"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    assert process.stdout is not None
    port = int(process.stdout.readline().split("http://127.0.0.1:")[1].split()[0])
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/classify", IMAGE.read_bytes())
    assert connection.getresponse().status == 200
    seconds = time.perf_counter() - start
    connection.close()
    process.terminate()
    process.wait()
    process.stdout.close()
    return seconds


def memory(parent: int) -> list[int]:
    """Return the PSS in bytes of a process and of all its descendants, the largest first (Linux)."""
    found, waiting = [], [parent]
    while waiting:
        process = waiting.pop()
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            found.append(int(rollup.split("Pss:")[1].split()[0]) * 1024)
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return sorted(found, reverse=True)
