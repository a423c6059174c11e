"""One interface over several engines: equal answers, honest threads, bounded memory, clear refusals."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Exported, int8_overflows
from torch import Tensor, nn

from workbench import inference, onnx_session
from workbench.bundle import Bundle
from workbench.errors import WorkbenchError
from workbench.inference import ONNX_ENGINES, Answer, Predictor
from workbench.models import Classifier, build_model
from workbench.processor import usable_cores

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"


@pytest.fixture(scope="module")
def expected(exported: Exported) -> np.ndarray:
    """Plain eager PyTorch on the test set."""
    classifier = Classifier(exported.model, exported.data.preprocessing).eval()
    with torch.inference_mode():
        return classifier(exported.data.test.pictures).numpy()


def eager(exported: Exported, **options: object) -> Predictor:
    data = exported.data
    return Predictor.from_model(exported.model, data.preprocessing, data.labels, **({"threads": 1} | options))


@pytest.mark.parametrize("engine", ["eager", "onnx", "onnx-int8"])
def test_engines_of_a_bundle_answer_as_plain_pytorch(exported: Exported, expected: np.ndarray, engine: str) -> None:
    if engine == "onnx-int8" and int8_overflows():
        pytest.skip("without instructions for 8-bit products their sums overflow: the bundle's self-test says so")
    predictor = Predictor.from_bundle(exported.bundle.path, engine, threads=1)
    answers = predictor(exported.data.test.pictures)
    assert answers.dtype == np.float32
    assert answers.shape == expected.shape
    assert np.abs(answers - expected).max() < (0.2 if engine == "onnx-int8" else 2e-6)
    assert (answers.argmax(1) == expected.argmax(1)).mean() >= 0.99
    assert (predictor.engine, predictor.labels, predictor.threads) == (engine, exported.data.labels, 1)
    assert predictor.preprocessing == exported.data.preprocessing


@pytest.mark.stress
def test_compiled_answers_alike(exported: Exported, expected: np.ndarray) -> None:
    """A single matrix, unless under stress: the compiler takes its seconds for each operation."""
    data, model = exported.data, exported.model if STRESS else build_model("linear", classes=4, shape=(16, 16, 3))
    pictures = data.test.pictures[:32]
    with torch.inference_mode():
        plain = Classifier(model, data.preprocessing).eval()(pictures).numpy()
    predictor = Predictor.from_model(model, data.preprocessing, data.labels, engine="compiled", threads=1)
    assert np.abs(predictor(pictures) - plain).max() < 2e-6
    assert predictor.engine == "compiled"


def test_a_network_with_another_number_of_answers_is_refused(exported: Exported) -> None:
    predictor = Predictor.from_model(exported.model, exported.data.preprocessing, ("one", "two"), threads=1)
    with pytest.raises(WorkbenchError, match=r"shape \(3, 4\) for 3 pictures and 2 labels"):
        predictor(exported.data.test.pictures[:3])


def test_arrays_tensors_views_and_read_only_pictures_are_the_same(exported: Exported, expected: np.ndarray) -> None:
    pictures = exported.data.test.pictures[:40]
    for engine in ("eager", "onnx"):
        predictor = Predictor.from_bundle(exported.bundle, engine, threads=1)
        frozen = pictures.numpy().copy()
        frozen.flags.writeable = False
        strided = np.ascontiguousarray(pictures.numpy()[:, :, ::-1])[:, :, ::-1]
        for same in (pictures, frozen, strided, pictures.to(memory_format=torch.channels_last)):
            assert np.abs(predictor(same) - expected[:40]).max() < 2e-6
        assert np.abs(predictor(pictures[::2]) - expected[:40:2]).max() < 2e-6


@pytest.mark.parametrize("engine", ["eager", "onnx"])
def test_many_pictures_go_in_pieces(
    exported: Exported, expected: np.ndarray, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.from_bundle(exported.bundle, engine, threads=1)
    sizes = []
    run = predictor._run
    monkeypatch.setattr(predictor, "_run", lambda pictures: sizes.append(len(pictures)) or run(pictures))
    monkeypatch.setattr(inference, "BATCH_PIXELS", 16 * 16 * 64)
    assert np.abs(predictor(exported.data.test.pictures) - expected).max() < 2e-6
    assert sizes == [64, 64, 64, 64, 44]
    assert predictor(exported.data.test.pictures[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((1, 16, 16, 3), dtype=np.float32),
        np.zeros((16, 16, 3), dtype=np.uint8),
        np.zeros((1, 3, 16, 16), dtype=np.uint8),
        np.zeros((1, 16, 17, 3), dtype=np.uint8),
        torch.zeros(1, 16, 16, 3),
        np.array("cat"),
        [[1, 2]],
        None,
    ],
)
def test_other_shapes_and_types_are_told_what_is_wanted(exported: Exported, pictures: object) -> None:
    for engine in ("eager", "onnx"):
        with pytest.raises(WorkbenchError, match="Pictures must be"):
            Predictor.from_bundle(exported.bundle, engine)(pictures)


def test_classify_names_the_most_probable(exported: Exported, expected: np.ndarray) -> None:
    answers = Predictor.from_bundle(exported.bundle).classify(exported.data.test.pictures[:5])
    best = expected[:5].argmax(1)
    assert [answer.label for answer in answers] == [exported.data.labels[index] for index in best]
    assert isinstance(answers[0], Answer)
    assert answers[0].probability == pytest.approx(expected[0, best[0]], abs=1e-5)


# --- the caller's model and process are left alone --------------------------------------------------------------------


def test_the_callers_model_is_copied(exported: Exported) -> None:
    model = nn.Sequential(build_model("convnet", classes=4, shape=(16, 16, 3), width=0.5)).train()
    model[0][4].eval()
    modes = [module.training for module in model.modules()]
    data = exported.data
    predictor = Predictor.from_model(model, data.preprocessing, data.labels, threads=1)
    before = predictor(data.test.pictures[:4])
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert np.array_equal(predictor(data.test.pictures[:4]), before)


def test_a_model_trained_in_bf16_is_run_in_fp32(exported: Exported) -> None:
    model = build_model("convnet", classes=4, shape=(16, 16, 3)).bfloat16()
    data = exported.data
    answers = Predictor.from_model(model, data.preprocessing, data.labels, threads=1)(data.test.pictures[:8])
    with torch.inference_mode():
        plain = Classifier(model.float().eval(), data.preprocessing)(data.test.pictures[:8]).numpy()
    assert np.abs(answers - plain).max() < 2e-6


def test_pytorchs_threads_are_set_for_the_call_and_put_back(exported: Exported) -> None:
    seen = []

    class Watches(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return pictures.flatten(1)[:, :4]

    before = torch.get_num_threads()
    data = exported.data
    predictor = Predictor.from_model(Watches(), data.preprocessing, data.labels, threads=1)
    torch.set_num_threads(3)
    try:
        predictor(data.test.pictures[:2])
        assert seen == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [0, -1, usable_cores() + 1, 1.0, True, "2"])
def test_threads_are_checked(exported: Exported, threads: object) -> None:
    for engine in ("eager", "onnx"):
        with pytest.raises(WorkbenchError, match="threads = "):
            Predictor.from_bundle(exported.bundle, engine, threads=threads)
    assert Predictor.from_bundle(exported.bundle).threads == usable_cores()


def test_onnx_runtime_is_told_its_threads(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = onnx_session.onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnx_session.onnxruntime,
        "InferenceSession",
        lambda *given, **named: made.append(given[1]) or real(*given, **named),
    )
    Predictor.from_bundle(exported.bundle, threads=1)
    options = made[0]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert "SEQUENTIAL" in str(options.execution_mode)


@pytest.mark.skipif(usable_cores() < 2, reason="one core: a query has no second thread")
def test_after_a_query_its_threads_sleep(exported: Exported) -> None:
    """By ONNX Runtime's defaults they were seen to take 35 of these 50 ms."""
    predictor = Predictor.from_bundle(exported.bundle, "onnx", threads=2)
    pictures = exported.data.test.pictures[:4].numpy()
    idle = []
    for _ in range(5):
        for _ in range(20):
            predictor(pictures)
        begun = time.process_time()
        time.sleep(0.05)
        idle.append(time.process_time() - begun)
    assert min(idle) < 0.01


# --- auto -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 64])
def test_auto_is_the_quickest_of_those_that_answer_as_expected(exported: Exported, batch_size: int) -> None:
    predictor = Predictor.from_bundle(exported.bundle, "auto", threads=1, batch_size=batch_size)
    fit = {e for e in ("eager", *ONNX_ENGINES) if Predictor.from_bundle(exported.bundle, e).self_test().passed}
    assert set(predictor.raced) == fit
    quickest = min(predictor.raced.values())
    assert quickest <= predictor.raced[predictor.engine] <= (1 + inference.WORTH_INT8) * quickest
    assert predictor.self_test().passed
    same = Predictor.from_bundle(exported.bundle, predictor.engine, threads=1)
    assert (predictor.precision, predictor.accuracy, predictor.size_bytes, predictor.model, same.raced) == (
        same.precision,
        same.accuracy,
        same.size_bytes,
        same.model,
        {},
    )
    pictures = exported.data.test.pictures[:20]
    assert np.array_equal(predictor(pictures), same(pictures))


def test_auto_leaves_out_what_does_not_answer_as_expected(exported: Exported) -> None:
    """int8's network in the place of fp32's: its self-test fails, and what is quicker does not count."""
    swapped = dataclasses.replace(
        exported.bundle, engines={"onnx": dataclasses.replace(exported.bundle.engines["onnx-int8"], name="onnx")}
    )
    assert set(Predictor.from_bundle(swapped, "auto").raced) == {"eager"}
    wrong = dataclasses.replace(exported.bundle, self_test_expected=exported.bundle.self_test_expected[:, ::-1])
    with pytest.raises(WorkbenchError, match=r"no engine of .* is fit\. onnx on cpu does not answer"):
        Predictor.from_bundle(wrong, "auto")


def test_auto_passes_over_eager_for_a_network_it_cannot_build(exported: Exported) -> None:
    about = exported.bundle.manifest["about"] | {"model": None}
    foreign = dataclasses.replace(exported.bundle, manifest=exported.bundle.manifest | {"about": about})
    assert "eager" not in Predictor.from_bundle(foreign, "auto").raced


def test_auto_says_what_it_cannot_race(exported: Exported) -> None:
    for batch_size in (0, -1, 1.5, True, "2"):
        with pytest.raises(WorkbenchError, match="batch_size = "):
            Predictor.from_bundle(exported.bundle, "auto", batch_size=batch_size)
    with pytest.raises(WorkbenchError, match="use eager for bf16"):
        Predictor.from_bundle(exported.bundle, "auto", precision="bf16")
    with pytest.raises(WorkbenchError, match="There is no device 'tpu'"):
        Predictor.from_bundle(exported.bundle, "auto", device="tpu")


# --- bundles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["eager", *ONNX_ENGINES])
def test_self_test_passes_on_every_engine(exported: Exported, engine: str) -> None:
    result = Predictor.from_bundle(exported.bundle, engine, threads=1).self_test()
    assert result.passed
    assert (result.engine, result.pictures, result.equal_answers) == (engine, 10, 10)
    assert result.largest_difference <= result.tolerance


def test_self_test_fails_on_another_network(exported: Exported) -> None:
    engine = exported.bundle.engines["onnx-int8"]
    swapped = dataclasses.replace(exported.bundle, engines={"onnx": dataclasses.replace(engine, name="onnx")})
    result = Predictor.from_bundle(swapped).self_test()
    assert not result.passed
    assert result.largest_difference > 1e-4
    wrong = dataclasses.replace(exported.bundle, self_test_expected=exported.bundle.self_test_expected[:, ::-1])
    for name in ("eager", *ONNX_ENGINES):
        assert not Predictor.from_bundle(wrong, name).self_test().passed
    with pytest.raises(WorkbenchError, match="from_bundle"):
        eager(exported).self_test()


def test_engines_that_are_not_there_are_named(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"engine = 'tensorrt': .* has onnx, onnx-int8; eager and"):
        Predictor.from_bundle(exported.bundle, "tensorrt")
    with pytest.raises(WorkbenchError, match="export a bundle"):
        eager(exported, engine="onnx")
    with pytest.raises(WorkbenchError, match="runs on the CPU"):
        Predictor.from_bundle(exported.bundle, "onnx", device="cuda")
    with pytest.raises(WorkbenchError, match="There is no device 'tpu'"):
        eager(exported, device="tpu")
    with pytest.raises(WorkbenchError, match="does not exist"):
        Predictor.from_bundle(tmp_path / "none")
    broken = dataclasses.replace(exported.bundle.engines["onnx"], content=b"no network")
    with pytest.raises(WorkbenchError, match="ONNX Runtime cannot run"):
        Predictor.from_bundle(dataclasses.replace(exported.bundle, engines={"onnx": broken}))


def test_verified_bytes_are_run_and_not_what_the_folder_holds_later(exported: Exported) -> None:
    """Nothing is read again after the hashes were compared: the engines work without the folder."""
    gone: Bundle = dataclasses.replace(exported.bundle, path=Path("/no/such/folder"))
    for engine in ("eager", *ONNX_ENGINES):
        assert Predictor.from_bundle(gone, engine).self_test().passed


def test_onnx_engines_run_in_a_python_without_torch(exported: Exported) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'onnx', 'safetensors', 'psutil'): sys.modules[name] = None\n"
        "from workbench.inference import Predictor\n"
        "for engine in ('onnx', 'onnx-int8', 'auto'):\n"
        "    predictor = Predictor.from_bundle(sys.argv[1], engine, threads=1)\n"
        "    assert predictor.self_test().passed\n"
        "    print(predictor.classify(predictor._bundle.self_test_pictures)[0].label)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(exported.bundle.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    label = exported.data.labels[exported.bundle.self_test_expected[0].argmax()]
    assert done.stdout.split() == [label] * 3


def test_convolutions_on_a_gpu_keep_all_digits_for_the_answer_alone():
    """What the setting does to an answer, a GPU alone can show; that it is set and put back, every machine can."""
    seen = []

    @inference._all_digits()
    def answer() -> None:
        seen.append(torch.backends.cudnn.conv.fp32_precision)
        raise ZeroDivisionError

    before = torch.backends.cudnn.conv.fp32_precision
    with pytest.raises(ZeroDivisionError):
        answer()
    assert seen == ["ieee"]
    assert torch.backends.cudnn.conv.fp32_precision == before != "ieee"
