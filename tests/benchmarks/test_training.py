"""The referee of the training race, and the line between it and a contender; no race is run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks.order import order
from benchmarks.peers.referee import Entry, available
from benchmarks.peers.train_by_hand import by_hand
from benchmarks.training import summary
from workbench.data.datasets import load_dataset
from workbench.hyperparameters import HyperParameters
from workbench.machine.threads import torch_threads
from workbench.training.loop import train
from workbench.training.models import build_model

ROOT = Path(__file__).resolve().parents[2]
CONTENDER = """
from benchmarks.peers.turns import Turns
turns = Turns()
print("what a framework prints")
turns.ready(parameters=3)
for epoch in range(2):
    for step in range(3):
        turns.step(10)
    turns.epoch(lambda: 0.5)
"""


def answers(*asked: int) -> list[dict[str, object]]:
    text = "".join(f"{steps}\n" for steps in asked)
    done = subprocess.run([sys.executable, "-c", CONTENDER], input=text, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "what a framework prints" in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_contender_takes_the_steps_it_is_asked_for() -> None:
    ready, first, second = answers(2, 3)
    assert ready["parameters"] == 3
    assert [(turn["steps"], turn["images"]) for turn in (first, second)] == [(2, 20), (3, 30)]
    assert all(turn["seconds"] >= 0 for turn in (first, second))


def test_a_contender_goes_on_to_the_end_of_its_epoch() -> None:
    _, first, second = answers(0, 0)
    assert [(turn["steps"], turn["images"], turn["accuracy"]) for turn in (first, second)] == [(3, 30, 0.5)] * 2


def test_peers_that_are_missing_are_named_and_the_others_race(capsys: pytest.CaptureFixture[str]) -> None:
    ours, there = Entry(name="ours", module="x"), Entry(name="there", module="x", package="numpy")
    gone = Entry(name="gone", module="x", package="no-such-package")
    racing, versions = available([ours, there, gone], sys.executable)
    assert racing == [ours, there]
    assert versions["numpy"]
    assert versions["no-such-package"] is None
    assert (
        capsys.readouterr().err == f"no-such-package does not race: it is not in the environment of {sys.executable}.\n"
    )


def test_without_peers_only_pytorch_races() -> None:
    ours = Entry(name="ours", module="x")
    assert available([ours, Entry(name="other", module="x", package="numpy")], None)[0] == [ours]


@pytest.mark.parametrize("peers", ["no/such/python", str(ROOT), "false"])
def test_what_is_no_python_is_refused(peers: str) -> None:
    with pytest.raises(SystemExit, match=f"--peers {peers} is not a Python that runs here"):
        available([Entry(name="other", module="x", package="numpy")], peers)


def test_a_seed_that_never_got_there_counts_as_not_reached() -> None:
    runs = {"0": {"seconds_to_target": 30.0, "epochs": 3}, "1": {"seconds_to_target": None, "epochs": 12}}
    text = summary(runs, {"0": 10.0, "1": 9.0})
    assert text["reached"] == 1
    assert text["seconds"] == {"median": 30.0, "lowest": 30.0, "highest": 30.0}
    assert text["train_is"] == {"median": 3.0, "lowest": 3.0, "highest": 3.0}
    assert summary({"1": runs["1"]}, {"1": 9.0})["seconds"] is None


@pytest.mark.parametrize("count", range(1, 8))
def test_everybody_begins_and_runs_behind_everybody_else_as_often(count: int) -> None:
    twice = 1 + count % 2 if count > 1 else 1
    rounds = [order(range(count), number) for number in range(count * twice)]
    assert all(sorted(each) == list(range(count)) for each in rounds)
    assert sorted(each[0] for each in rounds) == sorted([*range(count)] * twice)
    behind = Counter(pair for each in rounds for pair in itertools.pairwise(each))
    assert behind == {(one, other): twice for one in range(count) for other in range(count) if one != other}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_loop_by_hand_takes_the_very_steps_of_train(precision: str) -> None:
    data = load_dataset("digits")
    plan = HyperParameters(epochs=1, batch_size=128, flip=True, precision=precision)
    bare, ours = (build_model("convnet", width=0.25, shape=data.shape, seed=0) for _ in range(2))
    with torch_threads(1):
        steps = list(by_hand(bare, data, plan))
        records = list(train(ours, data, plan, device="cpu"))
    assert sum(images for images, _ in steps) == len(data.train)
    assert [place for place, (_, ended) in enumerate(steps, 1) if ended] == [len(steps)] == [records[-1].step]
    for one, other in zip(bare.state_dict().values(), ours.state_dict().values(), strict=True):
        assert torch.equal(one, other)
