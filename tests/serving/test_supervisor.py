"""The running application: swaps, signals, dying workers, and bundles it refuses to start with.

Covers: worker, app, service.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving.application import (
    BUNDLE,
    Application,
    another,
    application,
    children_of,
    client,
    failing,
    is_running,
    photo,
    run_command,
    served_version,
    until,
)

from workbench.folders import REFERENCE

BENCH = ("torch", "torchvision", "matplotlib", "jupyterlab", "IPython", "onnx", "optuna", "safetensors", "sklearn")


def test_nothing_of_the_bench_is_imported() -> None:
    code = "import sys; sys.path.insert(0, '.'); import workbench.serving.worker, workbench.serving.supervisor; "
    code += f"print([name for name in {BENCH!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr


def test_an_altered_bundle_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(REFERENCE, folder)
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)
    done = run_command("serve", folder, "--port", 0)
    assert (done.returncode, done.stdout) == (2, "")
    assert "model.onnx was changed (its SHA-256 is not the one in manifest.json)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_that_fails_its_self_test_is_refused(tmp_path: Path) -> None:
    done = run_command("serve", failing(tmp_path / "bundle").path, "--port", 0, "--workers", 2)
    assert (done.returncode, done.stdout) == (2, "")
    assert "fails its own self-test: onnx on cpu does not answer like the reference network" in done.stderr


def test_a_swap_reaches_every_worker_or_none(tmp_path: Path) -> None:
    """In every worker or in none; the version says which bundle answered."""
    other, bad = another(tmp_path / "other"), failing(tmp_path / "bad")
    with application(REFERENCE, "--workers", "2") as served:
        assert ask_everyone(served) == {BUNDLE.version}
        done = run_command("swap", bad.path, "--port", served.port)
        assert (done.returncode, done.stdout) == (2, "")
        assert "fails its own self-test: onnx on cpu does not answer like the reference network" in done.stderr
        assert f"{BUNDLE.version} stays in service" in done.stderr
        assert ask_everyone(served) == {BUNDLE.version}
        assert "swap refused" in served.log.read_text(encoding="utf-8")

        done = run_command("swap", other.path, "--port", served.port)
        assert done.returncode == 0, done.stderr
        assert f"{other.version} is in service now, replacing convnet {BUNDLE.version}." in done.stdout
        assert ask_everyone(served) == {other.version}
        with client(served) as asking:
            assert asking.get("/card").json()["accuracy"] == 0.5
            assert asking.get(f"/v2/models/convnet/versions/{BUNDLE.version}").status_code == 404
            text = asking.get("/metrics").text
        assert f'workbench_workers{{name="convnet",version="{other.version}"}} 2.0' in text
        assert "workbench_swaps_total 2.0" in text
        done = run_command("swap", other.path, "--port", served.port)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{other.version} was reloaded: it is the same bundle." in done.stdout

        # A worker that takes a dead one's place answers with the bundle of the others.
        victim = served.workers[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(served.workers) == 2 and victim not in served.workers)
        assert ask_everyone(served) == {other.version}
        assert f"worker {victim} died (exit code -9); replacing it" in served.log.read_text()


def ask_everyone(served: Application) -> set[str]:
    """The versions that answer on many new connections: with two workers, on both."""
    found = set()
    for _ in range(30):
        with client(served) as asking:
            found.add(served_version(asking))
    return found


def test_sighup_reloads_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(REFERENCE, folder)
    with application(folder) as served, client(served) as asking:
        assert served_version(asking) == BUNDLE.version
        changed = another(folder)
        assert served_version(asking) == BUNDLE.version
        served.process.send_signal(signal.SIGHUP)
        until(lambda: served_version(asking) == changed.version)
        (folder / "model.onnx").write_bytes(b"no network")
        served.process.send_signal(signal.SIGHUP)
        until(lambda: "swap refused" in served.log.read_text())
        assert served_version(asking) == changed.version


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_accepted_requests(number: signal.Signals) -> None:
    slow = [("image", photo(2000))] * 12  # seconds of decoding
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
        assert re.search(r"stopped: \d+ requests answered, 0 cut off", served.log.read_text())
        assert not [worker for worker in workers if is_running(worker)]
        with pytest.raises(httpx.ConnectError), client(served) as asking:
            asking.get("/v2/health/live")


def test_workers_do_not_outlive_the_supervisor() -> None:
    with application(REFERENCE, "--workers", "2") as served:
        workers = served.workers
        served.process.kill()
        served.process.wait()
        until(lambda: not [worker for worker in workers if is_running(worker)])


def test_a_worker_that_keeps_dying_ends_the_application() -> None:
    with application(REFERENCE) as served:
        for _ in range(6):
            until(lambda: children_of(served.process.pid) or served.process.poll() is not None)
            for worker in served.workers:
                os.kill(worker, signal.SIGKILL)
                until(lambda gone=worker: not is_running(gone))
        assert served.process.wait(60) == 1
        assert "workers die too often: giving up" in served.log.read_text()
