"""The training loop: equal to one in plain PyTorch, and resumable to the bit.

Covers: interrupts, probe, records, resume, run.
"""

import itertools
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.data.datasets import Data, Split
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.training.batches import plan_epoch
from workbench.training.checkpoint import load_resume_point
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.optimization import learning_rate_at
from workbench.training.records import TrainingError
from workbench.training.resume import history

QUICK = HyperParameters(epochs=2, batch_size=16, learning_rate=0.1, precision="fp32", shift=1)


def make_data(count=100, seed=0):
    """Two classes of noisy 12×12 images: bright above, or bright below."""
    generator = torch.Generator().manual_seed(seed)
    splits = {}
    for name, size in (("train", count), ("validation", 40), ("test", 40), ("new", 10)):
        labels = torch.arange(size) % 2
        images = torch.randint(0, 200, (size, 12, 12, 3), dtype=torch.uint8, generator=generator)
        images[labels == 0, :6] += 55
        images[labels == 1, 6:] += 55
        splits[name] = Split(name, images, labels)
    preprocessing = Preprocessing(height=12, width=12, channels=3, mean=(0.4,) * 3, std=(0.25,) * 3)
    return Data(name="halves", labels=("above", "below"), preprocessing=preprocessing, **splits)


DATA = make_data()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """A network this small trains faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_model(seed=0):
    model = build_model("convnet", classes=2, shape=(12, 12, 3), width=0.25, seed=seed)
    return nn.Sequential(model, nn.Dropout(0.2))  # dropout draws random numbers in every step


def weights_after(hyperparameters=QUICK, **options):
    model = make_model()
    for _ in train(model, DATA, hyperparameters, device="cpu", **options):
        pass
    return model.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.fixture(scope="module")
def uninterrupted():
    return weights_after()


def test_it_is_the_loop_one_would_write_in_plain_pytorch():
    """Same images, same order, float64 beside float32: losses and weights agree."""
    hyperparameters = QUICK.replace(shift=0, momentum=0.9)
    model = build_model("convnet", classes=2, shape=(12, 12, 3), width=0.25)
    records = list(train(model, DATA, hyperparameters, device="cpu", record_every=1))
    oracle = build_model("convnet", classes=2, shape=(12, 12, 3), width=0.25).double()
    decayed = [p for p in oracle.parameters() if p.ndim > 1]
    others = [p for p in oracle.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    images = (DATA.train.images.double() / 255 - 0.4) / 0.25
    step = 0
    for epoch in range(2):
        plan = plan_epoch(100, hyperparameters, epoch)
        losses = []
        for begin, end in [(100 * k // 7, 100 * (k + 1) // 7) for k in range(7)]:
            batch = images[plan.order[begin:end]].permute(0, 3, 1, 2)
            batch = torch.where(plan.flips[begin:end, None, None, None], batch.flip(3), batch)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, 14, hyperparameters)
            loss = nn.functional.cross_entropy(oracle(batch), DATA.train.labels[plan.order[begin:end]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append((loss.item(), end - begin))
            step += 1
            if records[step - 1].kind == "step":
                assert records[step - 1].loss == pytest.approx(loss.item(), rel=1e-4)
        assert records[step - 1].loss == pytest.approx(sum(a * b for a, b in losses) / 100, rel=1e-4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value.double(), oracle.state_dict()[name].double(), rtol=1e-3, atol=1e-4)


def test_it_learns_and_its_records_say_so():
    model = build_model("mlp", classes=2, shape=(12, 12, 3))
    records = list(train(model, DATA, QUICK.replace(epochs=4), device="cpu", record_every=3))
    assert [record.step for record in records] == [3, 6, 7, 10, 13, 14, 17, 20, 21, 24, 27, 28]
    assert [record.kind for record in records[:3]] == ["step", "step", "epoch"]
    last = records[-1]
    assert (last.epoch, last.epochs, last.step, last.steps) == (4, 4, 28, 28)
    assert last.validation_accuracy > 0.9
    assert last.validation_loss < records[2].validation_loss
    assert records[0].validation_accuracy is None
    assert (last.device, last.precision) == ("cpu", "fp32")
    assert last.memory_bytes > 10**7
    assert all(later.seconds > earlier.seconds > 0 for earlier, later in itertools.pairwise(records))
    assert not model.training


def test_the_same_seed_gives_the_same_weights_whatever_the_user_draws_between(uninterrupted):
    torch.manual_seed(123)
    model, drawn = make_model(), []
    for _ in train(model, DATA, QUICK, device="cpu", record_every=2):
        drawn.append(torch.rand(3))
    assert same(model.state_dict(), uninterrupted)
    torch.manual_seed(123)
    assert all(torch.equal(numbers, torch.rand(3)) for numbers in drawn)
    assert not same(weights_after(QUICK.replace(seed=1)), uninterrupted)


@pytest.mark.parametrize("stop", range(0, 14))
def test_closed_anywhere_and_resumed_ends_bit_identical(tmp_path, uninterrupted, stop):
    point = tmp_path / "resume.pt"
    run = train(make_model(), DATA, QUICK, device="cpu", resume_point=point, record_every=1)
    for _ in range(stop):
        next(run)
    run.close()
    if stop == 0:
        assert not point.exists()  # a generator never begun has done nothing
        return
    model = make_model(seed=7)
    records = list(train(model, DATA, QUICK, device="cpu", resume_point=point, resume=True, record_every=4))
    assert records[0].step > stop
    assert same(model.state_dict(), uninterrupted)
    kept = history(point)
    assert [record.step for record in kept[:stop]] == list(range(1, stop + 1))
    assert kept[-1] == records[-1]
    epochs = [record for record in kept if record.kind == "epoch"]
    assert [record.epoch for record in epochs] == [1, 2]


@pytest.mark.parametrize(
    "changes", [{"optimizer": "adamw", "learning_rate": 0.01}, {"precision": "bf16"}, {"schedule": "cosine"}]
)
def test_exact_for_every_optimizer_and_precision(tmp_path, changes):
    hyperparameters = QUICK.replace(**changes)
    run = train(make_model(), DATA, hyperparameters, device="cpu", resume_point=tmp_path / "r", record_every=5)
    next(run)
    run.close()
    model = make_model(seed=7)
    list(train(model, DATA, hyperparameters, device="cpu", resume_point=tmp_path / "r", resume=True))
    assert same(model.state_dict(), weights_after(hyperparameters))


def test_a_resume_point_without_all_of_its_entries_is_refused(tmp_path):
    """As another version of the workbench might have written it."""
    from workbench.training.checkpoint import save_resume_point

    point = tmp_path / "resume.pt"
    run = train(make_model(), DATA, QUICK, device="cpu", resume_point=point, record_every=1)
    next(run)
    run.close()
    state = load_resume_point(point)
    for name in state:
        save_resume_point(point, {key: value for key, value in state.items() if key != name})
        with pytest.raises(TrainingError, match=rf"resume\.pt holds another network or is damaged: '{name}'"):
            next(train(make_model(), DATA, QUICK, device="cpu", resume_point=point, resume=True))


def test_a_finished_run_has_nothing_to_resume(tmp_path, uninterrupted):
    assert same(weights_after(resume_point=tmp_path / "r"), uninterrupted)
    model = make_model(seed=7)
    assert list(train(model, DATA, QUICK, device="cpu", resume_point=tmp_path / "r", resume=True)) == []
    assert same(model.state_dict(), uninterrupted)


def test_a_learning_rate_sent_acts_at_once_is_logged_and_resumed(tmp_path):
    def run_to_the_end(run, send_at):
        records = []
        record = next(run)
        try:
            while True:
                records.append(record)
                record = run.send({"learning_rate": 0.02}) if record.step == send_at else next(run)
        except StopIteration:
            return records

    straight = make_model()
    records = run_to_the_end(train(straight, DATA, QUICK, device="cpu", record_every=1), send_at=5)
    assert records[4].learning_rate == learning_rate_at(4, 14, QUICK)
    assert records[5].learning_rate == learning_rate_at(5, 14, QUICK.replace(learning_rate=0.02))
    point = tmp_path / "r"
    run = train(make_model(), DATA, QUICK, device="cpu", resume_point=point, record_every=1)
    for _ in range(5):
        next(run)
    run.send({"learning_rate": 0.02})
    run.close()
    assert load_resume_point(point)["changes"] == [{"step": 5, "learning_rate": 0.02, "was": 0.1}]
    resumed = make_model(seed=7)
    list(train(resumed, DATA, QUICK, device="cpu", resume_point=point, resume=True))
    assert same(resumed.state_dict(), straight.state_dict())


@pytest.mark.parametrize(
    "sent", [{"lr": 1}, {"learning_rate": -1}, {"learning_rate": "high"}, 5, {1: 2, "a": 3}, {"learning_rate": 10**400}]
)
def test_what_cannot_be_sent_is_refused(sent):
    run = train(make_model(), DATA, QUICK, device="cpu", record_every=1)
    next(run)
    with pytest.raises(WorkbenchError, match="learning_rate"):
        run.send(sent)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"hyperparameters": QUICK.replace(epochs=3)}, "epochs = 2, not 3"),
        ({"data": make_data(seed=1)}, "other images"),
        ({"data": make_data(count=99)}, "other images"),
        ({"model": build_model("mlp", classes=2, shape=(12, 12, 3))}, "another network"),
        ({"resume_point": None}, "name the resume point"),
    ],
)
def test_a_resume_point_of_another_run_is_refused(tmp_path, other, message):
    point = tmp_path / "resume.pt"
    run = train(make_model(), DATA, QUICK, device="cpu", resume_point=point)
    next(run)
    run.close()
    chosen = {"model": make_model(), "data": DATA, "hyperparameters": QUICK, "resume_point": point} | other
    with pytest.raises(TrainingError, match=message):
        next(train(**chosen, device="cpu", resume=True))


def test_more_threads_than_cores_are_refused_unless_exactness_is_waived(tmp_path):
    from workbench.training.checkpoint import save_resume_point

    point = tmp_path / "resume.pt"
    run = train(make_model(), DATA, QUICK, device="cpu", resume_point=point, record_every=1)
    next(run)
    run.close()
    state = load_resume_point(point)
    save_resume_point(point, {**state, "threads": 4096})
    with pytest.raises(TrainingError, match="begun with 4096 threads and this machine has"):
        next(train(make_model(), DATA, QUICK, device="cpu", resume_point=point, resume=True))
    assert next(train(make_model(), DATA, QUICK, device="cpu", resume_point=point, resume=True, exact=False)).step > 1
    save_resume_point(point, {**state, "device": "cuda"})
    with pytest.raises(TrainingError, match="begun on cuda, not cpu"):
        next(train(make_model(), DATA, QUICK, device="cpu", resume_point=point, resume=True))


def test_never_more_threads_than_cores():
    from workbench.machine.processor import usable_cores

    try:
        torch.set_num_threads(usable_cores() + 3)
        next(train(make_model(), DATA, QUICK, device="cpu"))
        assert torch.get_num_threads() == usable_cores()
    finally:
        torch.set_num_threads(1)


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_last_resume_point(tmp_path):
    class Spoilt(nn.Module):
        """Gives infinities from its 6th training step on."""

        def __init__(self):
            super().__init__()
            self.inner, self.steps = make_model(), 0

        def forward(self, images):
            self.steps += self.training
            return self.inner(images) * (math.inf if self.steps >= 6 else 1)

    point = tmp_path / "resume.pt"
    run = train(Spoilt(), DATA, QUICK, device="cpu", resume_point=point, record_every=4, save_seconds=0)
    assert next(run).step == 4
    with pytest.raises(TrainingError, match=r"The loss became (nan|inf) at step 6 of 14.*learning_rate = 0\.01\."):
        next(run)
    assert load_resume_point(point)["step"] == 4


def test_a_learning_rate_far_too_high_is_reported(tmp_path):
    with pytest.raises(TrainingError, match=r"The loss became nan at step \d+ of .* too high"):
        list(
            train(
                build_model("mlp", classes=2, shape=(12, 12, 3)),
                DATA,
                QUICK.replace(learning_rate=100, epochs=40),
                device="cpu",
            )
        )


def test_the_precision_chosen_is_kept_in_the_resume_point(tmp_path):
    hyperparameters = QUICK.replace(precision="auto")
    run = train(make_model(), DATA, hyperparameters, device="cpu", resume_point=tmp_path / "r")
    chosen = next(run).precision
    run.close()
    assert chosen in ("fp32", "bf16")
    assert load_resume_point(tmp_path / "r")["precision"] == chosen


def test_choosing_a_precision_leaves_no_trace_in_the_weights():
    chosen = next(train(make_model(), DATA, QUICK.replace(precision="auto"), device="cpu")).precision
    raced = weights_after(QUICK.replace(precision="auto"))
    for precision in ("fp32", "bf16"):
        if same(raced, weights_after(QUICK.replace(precision=precision))):
            return
    pytest.fail(f"auto chose {chosen} and gave weights that no fixed precision gives")


def test_an_image_set_too_large_for_the_device_streams_to_the_same_weights(uninterrupted, monkeypatch):
    monkeypatch.setattr("workbench.training.batches.RESIDENT_SHARE", 0.0)
    assert same(weights_after(), uninterrupted)


def test_runs_in_a_thread_as_in_the_main_one(uninterrupted):
    found = {}
    thread = threading.Thread(target=lambda: found.update(weights_after()))
    thread.start()
    thread.join()
    assert same(found, uninterrupted)


def test_fine_tuning_goes_on_from_given_weights():
    model = make_model()
    list(train(model, DATA, QUICK.replace(epochs=6), device="cpu"))
    before = [record.loss for record in train(make_model(), DATA, QUICK, device="cpu") if record.kind == "epoch"]
    after = [record.loss for record in train(model, DATA, QUICK.replace(learning_rate=0.01), device="cpu")]
    assert after[0] < before[0]


def test_no_training_images_and_missing_devices_are_sentences():
    empty = replace(DATA, train=DATA.train.subset([]))
    with pytest.raises(TrainingError, match="halves has no images to train on"):
        next(train(make_model(), empty, QUICK, device="cpu"))
    with pytest.raises(WorkbenchError, match="tpu"):
        next(train(make_model(), DATA, QUICK, device="tpu"))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), r"Sequential does not take images of shape \(N, 3, 12, 12\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(432, 5)), r"gives shape \(2, 5\) .* logits of shape \(2, 2\)"),
        (nn.LazyConv2d(2, 3), r"has no values for 'weight'"),
        (nn.Linear(1, 1, device="meta"), r"has no values for 'weight'"),
        (5, r"is an nn\.Module, not 5"),
        (nn.Conv2d(3, 2, 3), r"gives shape \(2, 2, 10, 10\)"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, network, message):
    with pytest.raises(WorkbenchError, match=message):
        next(train(network, DATA, QUICK, device="cpu", resume_point=tmp_path / "r"))
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers_are_named():
    model = make_model()
    model[0][-1].bias.data[1] = math.nan
    with pytest.raises(WorkbenchError, match=r"a value in '0\..*\.bias' that is not finite"):
        next(train(model, DATA, QUICK, device="cpu"))


@pytest.mark.parametrize(
    "damage",
    [{"step": -5}, {"step": "x"}, {"step": 10**9}, {"precision": "zz"}, {"history": [{"a": 1}]}, {"model": []},
     {"changes": [{}]}, {"threads": 0}],
)  # fmt: skip
def test_a_resume_point_whose_contents_make_no_sense_is_refused(tmp_path, damage):
    from workbench.training.checkpoint import save_resume_point

    point = tmp_path / "resume.pt"
    run = train(make_model(), DATA, QUICK, device="cpu", resume_point=point, record_every=1)
    next(run)
    run.close()
    save_resume_point(point, load_resume_point(point) | damage)
    with pytest.raises(TrainingError, match=r"resume\.pt holds another network or is damaged"):
        next(train(make_model(), DATA, QUICK, device="cpu", resume_point=point, resume=True))


@pytest.mark.parametrize(
    "wrong", [{"record_every": 0}, {"record_every": "x"}, {"resume_point": "."}, {"resume_point": 5}]
)
def test_arguments_that_make_no_sense_are_named(wrong):
    with pytest.raises(WorkbenchError, match=next(iter(wrong))):
        next(train(make_model(), DATA, QUICK, device="cpu", **wrong))


def test_no_validation_images_means_no_validation_figures():
    data = replace(DATA, validation=DATA.validation.subset([]))
    *_, last = train(make_model(), data, QUICK, device="cpu")
    assert last.validation_accuracy is None
    assert last.kind == "epoch"


# Real processes, really interrupted -------------------------------------------------------------------------------

CHILD = """
import sys, importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("test_training", sys.argv[1])
here = importlib.util.module_from_spec(spec)
spec.loader.exec_module(here)
here.torch.set_num_threads(1)
point = Path(sys.argv[2])
model = here.make_model()
run = here.train(model, here.DATA, here.LONG, device="cpu", resume_point=point, resume=point.exists(), record_every=3,
                 save_seconds=0)
for record in run:
    print(record.step, flush=True)
here.torch.save(model.state_dict(), sys.argv[3])
"""
LONG = QUICK.replace(epochs=30)


def start(tmp_path):
    arguments = [sys.executable, "-c", CHILD, __file__, str(tmp_path / "resume.pt"), str(tmp_path / "weights.pt")]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def long_run():
    return weights_after(LONG)


@pytest.mark.stress
def test_killed_at_random_moments_and_resumed_ends_bit_identical(tmp_path, long_run):
    kills = 20 if os.environ.get("WORKBENCH_STRESS") else 3
    chance = random.Random(11)
    steps_seen = []
    while kills:
        child = start(tmp_path)
        line = child.stdout.readline()  # the first record: training is under way
        assert line, child.stderr.read()
        time.sleep(chance.uniform(0, 0.25))
        child.kill()
        rest = child.communicate()[0].split()
        steps_seen.append(int((rest or [line])[-1]))
        kills -= 1
        if steps_seen[-1] >= 200:  # nearly done: begin anew, so that every kill hits a run at work
            assert load_resume_point(tmp_path / "resume.pt")["step"] > 0
            (tmp_path / "resume.pt").unlink()
    child = start(tmp_path)
    _, errors = child.communicate()
    assert child.returncode == 0, errors
    assert same(torch.load(tmp_path / "weights.pt", weights_only=True), long_run)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_stops_after_the_step_and_loses_nothing(tmp_path, long_run):
    child = start(tmp_path)
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    printed, errors = child.communicate()
    assert "KeyboardInterrupt" in errors
    step = load_resume_point(tmp_path / "resume.pt")["step"]
    assert 0 < step < 210
    assert step >= int((printed.split() or [0])[-1])
    child = start(tmp_path)
    child.communicate()
    assert child.returncode == 0
    assert same(torch.load(tmp_path / "weights.pt", weights_only=True), long_run)
