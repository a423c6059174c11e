"""The application under load, beside LitServe, BentoML and FastAPI with eager PyTorch: same network, same pictures.

    python -m benchmarks serving --peers PYTHON

PYTHON: of an environment that has the peers (`pip install litserve bentoml onnxruntime numpy pillow`); without it only
those that need nothing more race. Every server has the same number of workers. They take turns, a few seconds each, in
several rounds, the others stopped in the meantime (one of them is busy even when nobody asks); a figure is the median
over the rounds, with the lowest and the highest as its spread. The load comes from this process, on the same cores: it
takes its share from all alike.

Then more than the application can carry: what the requests that it accepts have to wait, and how many it refuses.
Whoever is refused asks again at once, so that refusing takes its share of the cores, too.

Last tensors: requests of 32 pictures and of one, as bytes, beside a bare loop over the ONNX Runtime session in as many
processes, which is all that this network can do on these cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference import machine
from benchmarks.order import order
from workbench.bundle import read_bundle
from workbench.onnx_session import OnnxSession
from workbench.recordings import REFERENCE

ROOT = Path(__file__).resolve().parents[1]
OURS = "workbench"
OVERLOAD = (16, 64, 256, 1024)  # requests at once


@dataclass
class Load:
    """Answers of one turn: seconds of each, and how many requests got none (not 200)."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    wall: float = 0.0


class Client(asyncio.Protocol):
    """Asks the same again and again on one connection, the next as soon as the last is answered."""

    def __init__(self, request: bytes, load: Load, deadline: float, done: asyncio.Future[None]) -> None:
        self.request, self.load, self.deadline, self.done = request, load, deadline, done
        self.received, self.asked = bytearray(), 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        if time.perf_counter() >= self.deadline:
            self.transport.close()
            return
        self.asked = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return
        place = self.received.lower().find(b"content-length:")
        if not 0 <= place < head:
            raise SystemExit(f"an answer without a length: {bytes(self.received[:200])!r}")
        length = int(self.received[place + 15 : self.received.find(b"\r", place)])
        if len(self.received) < head + 4 + length:
            return
        if self.received.startswith(b"HTTP/1.1 200"):
            self.load.seconds.append(time.perf_counter() - self.asked)
        else:
            self.load.failed += 1
        self.received.clear()
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _press(port: int, request: bytes, at_once: int, seconds: float) -> Load:
    load, loop = Load(), asyncio.get_running_loop()
    start = time.perf_counter()
    ends = []
    for _ in range(at_once):
        done = loop.create_future()
        await loop.create_connection(lambda d=done: Client(request, load, start + seconds, d), "127.0.0.1", port)
        ends.append(done)
    await asyncio.gather(*ends)
    load.wall = time.perf_counter() - start
    return load


def press(port: int, request: bytes, at_once: int, seconds: float) -> Load:
    """`at_once` clients that ask for `seconds`."""
    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_press(port, request, at_once, seconds))
    except ImportError:
        return asyncio.run(_press(port, request, at_once, seconds))


def post(path: str, body: bytes, kind: str, **headers: str) -> bytes:
    """A request, as it goes over the line."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def request_of(name: str) -> bytes:
    """One picture as a PNG, as the server takes it: as the body, or (LitServe) in a form."""
    picture = (REFERENCE / "self_test" / "00.png").read_bytes()
    if name != "litserve":
        return post("/classify", picture, "image/png")
    head = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="0.png"\r\n\r\n'
    return post("/classify", head + picture + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")


def tensor_request(pictures: np.ndarray) -> bytes:
    """Pictures as a binary tensor of the Open Inference Protocol; the answer comes as bytes, too."""
    tensor = {"name": "pictures", "datatype": "UINT8", "shape": list(pictures.shape)}
    tensor["parameters"] = {"binary_data_size": pictures.nbytes}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    body = head + pictures.tobytes()
    return post(
        "/v2/models/convnet/infer",
        body,
        "application/octet-stream",
        Inference_Header_Content_Length=str(len(head)),
    )


def servers(peers: str | None, workers: int) -> dict[str, tuple[list[str], dict[str, str]]]:
    """How each is started: its command and its environment; PORT stands for the port."""
    environment = {"PYTHONPATH": str(ROOT), "WORKERS": str(workers), "REFERENCE": str(REFERENCE)}
    environment |= {"BENTOML_DO_NOT_TRACK": "True"}
    own, count = [sys.executable, "-m"], str(workers)
    found = {
        OURS: ([*own, "workbench", "serve", str(REFERENCE), "--port", "PORT", "--workers", count], environment),
        "fastapi + torch": ([*own, "benchmarks.peers.fastapi_torch", "PORT", count], environment),
    }
    if peers:
        found["litserve"] = (
            [peers, "-m", "benchmarks.peers.litserve_onnx", "PORT", count, str(REFERENCE)],
            environment,
        )
        bento = str(Path(peers).parent / "bentoml")
        found["bentoml"] = ([bento, "serve", "benchmarks.peers.bentoml_onnx:Classify", "--port", "PORT"], environment)
    return found


@contextlib.contextmanager
def running(found: dict[str, tuple[list[str], dict[str, str]]]) -> Iterator[dict[str, tuple[int, int]]]:
    """All servers, each with its port and process, once each has answered."""
    processes: dict[str, tuple[int, int]] = {}
    started = []
    try:
        for place, (name, (command, environment)) in enumerate(found.items()):
            port = 18_400 + place
            words = [str(port) if word == "PORT" else word for word in command]
            process = subprocess.Popen(
                words,
                env=os.environ | environment,
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
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def awake(process: int) -> Iterator[None]:
    """Let one of the servers run."""
    os.killpg(process, signal.SIGCONT)
    try:
        yield
    finally:
        os.killpg(process, signal.SIGSTOP)


def _await_answer(name: str, port: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            load = press(port, request_of(name), 1, 0.2)
            if load.seconds and not load.failed:
                return
        time.sleep(0.5)
    raise SystemExit(f"{name} did not answer rightly within two minutes.")


def cold_start() -> float:
    """Seconds from the start of the application's Python to its first answer."""
    command = [sys.executable, "-m", "workbench", "serve", str(REFERENCE), "--port", "0"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    assert process.stdout is not None
    port = int(process.stdout.readline().split("http://127.0.0.1:")[1].split()[0])
    line = HTTPConnection("127.0.0.1", port)
    line.request("POST", "/classify", (REFERENCE / "self_test" / "00.png").read_bytes())
    assert line.getresponse().status == 200
    taken = time.perf_counter() - start
    line.close()
    process.terminate()
    process.wait()
    process.stdout.close()
    return taken


def bare_loop(content: bytes, pictures: np.ndarray, seconds: float, counted: Any) -> None:
    """Call the session again and again; adds the pictures answered to `counted`."""
    session, done = OnnxSession(content, 1), 0
    session(pictures)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        session(pictures)
        done += len(pictures)
    with counted.get_lock():
        counted.value += done


def bare(content: bytes, pictures: np.ndarray, seconds: float, workers: int) -> float:
    """Pictures a second of a bare loop in `workers` processes."""
    context = multiprocessing.get_context("spawn")
    counted = context.Value("q", 0)
    many = [context.Process(target=bare_loop, args=(content, pictures, seconds, counted)) for _ in range(workers)]
    for one in many:
        one.start()
    for one in many:
        one.join()
    return float(counted.value) / seconds


def memory(parent: int) -> list[int]:
    """PSS in bytes of a process and of all that it started, the largest first (Linux)."""
    found, waiting = [], [parent]
    while waiting:
        process = waiting.pop()
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            found.append(int(text.split("Pss:")[1].split()[0]) * 1024)
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return sorted(found, reverse=True)


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def main() -> None:
    """Race, then print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="the Python of an environment with litserve and bentoml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    bundle = read_bundle(REFERENCE)
    starts = [cold_start() for _ in range(options.rounds)]
    found = servers(options.peers, options.workers)
    turns: dict[tuple[str, int], list[Load]] = {}
    pressed: dict[int, list[Load]] = {}
    tensors: dict[str, list[float]] = {}
    with running(found) as ready:
        for number in range(options.rounds):
            for at_once in (1, 16):
                for name, (port, process) in order(ready.items(), number):
                    with awake(process):
                        press(port, request_of(name), at_once, options.seconds / 4)
                        load = press(port, request_of(name), at_once, options.seconds)
                    turns.setdefault((name, at_once), []).append(load)
            with awake(ready[OURS][1]):
                for at_once in OVERLOAD:
                    load = press(ready[OURS][0], request_of(OURS), at_once, options.seconds)
                    pressed.setdefault(at_once, []).append(load)
            for count in (1, 32):
                pictures = np.resize(bundle.self_test_pictures, (count, *bundle.self_test_pictures.shape[1:]))
                port, process = ready[OURS]
                with awake(process):
                    load = press(port, tensor_request(pictures), 16, options.seconds)
                assert not load.failed
                tensors.setdefault(f"served, {count}", []).append(count * len(load.seconds) / load.wall)
                alone = bare(bundle.engines["onnx"].content, pictures, options.seconds, options.workers)
                tensors.setdefault(f"bare loop, {count}", []).append(alone)
        sizes = {name: memory(process) for name, (_, process) in ready.items()}

    rows = []
    for (name, at_once), loads in turns.items():
        row: dict[str, Any] = {"server": name, "at_once": at_once, "failed": sum(load.failed for load in loads)}
        row["requests_per_second"] = spread([len(load.seconds) / load.wall for load in loads])
        for share in (50, 99):
            row[f"p{share}_ms"] = spread([1e3 * float(np.percentile(load.seconds, share)) for load in loads])
        rows.append(row)
    best = max(
        (row for row in rows if row["at_once"] == 16 and row["server"] != OURS),
        key=lambda row: row["requests_per_second"]["median"],
    )
    ours = next(row for row in rows if row["at_once"] == 16 and row["server"] == OURS)
    ratio = ours["requests_per_second"]["median"] / best["requests_per_second"]["median"]
    for row in rows:
        told = "  ".join(
            f"{row[key]['median']:>8,.1f} ({row[key]['low']:,.1f}–{row[key]['high']:,.1f})"
            for key in ("requests_per_second", "p50_ms", "p99_ms")
        )
        print(f"{row['server']:16} {row['at_once']:>3} at once  {told}  failed {row['failed']}")
    print(f"at 16 at once: {ratio:.2f} times the requests/s of {best['server']}")
    overload = [
        {
            "at_once": at_once,
            "answered_per_second": spread([len(load.seconds) / load.wall for load in loads]),
            "refused_per_second": spread([load.failed / load.wall for load in loads]),
            "p50_ms": spread([1e3 * float(np.percentile(load.seconds, 50)) for load in loads]),
            "p99_ms": spread([1e3 * float(np.percentile(load.seconds, 99)) for load in loads]),
        }
        for at_once, loads in pressed.items()
    ]
    for row in overload:
        told = "  ".join(
            f"{row[key]['median']:>8,.1f} ({row[key]['low']:,.1f}–{row[key]['high']:,.1f})"
            for key in row
            if key != "at_once"
        )
        print(f"{OURS} alone {row['at_once']:>5} at once  {told}")
    shares = {}
    for count in (1, 32):
        served, alone = (statistics.median(tensors[f"{way}, {count}"]) for way in ("served", "bare loop"))
        shares[count] = served / alone
        print(f"tensors of {count}: {served:,.0f} pictures/s served, {alone:,.0f} in a bare loop: {served / alone:.0%}")
    print(f"cold start to the first answer: {statistics.median(starts):.2f} s ({min(starts):.2f}–{max(starts):.2f})")
    for name, each in sizes.items():
        print(f"{name}: {sum(each) / 1e6:.0f} MB in {len(each)} processes; the largest {each[0] / 1e6:.0f} MB (PSS)")
    result = {
        "benchmark": "serving",
        "machine": machine(),
        "workers": options.workers,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "servers": rows,
        "ratio_to_best_peer": ratio,
        "best_peer": best["server"],
        "overload": overload,
        "tensors": {name: spread(values) for name, values in tensors.items()},
        "share_of_bare_loop": shares,
        "cold_start_seconds": spread(starts),
        "pss_bytes": sizes,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
