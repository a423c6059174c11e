"""One interface to several engines: equal answers, bounded memory, clear errors."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Exported, int8_overflows

from workbench.bundle.manifest import Bundle
from workbench.errors import WorkbenchError
from workbench.inference import predictor as inference
from workbench.inference.predictor import ONNX_ENGINES, Answer, Predictor
from workbench.machine.processor import usable_cores
from workbench.training.models import ImageClassifier

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"


@pytest.fixture(scope="module")
def expected(exported: Exported) -> np.ndarray:
    """Plain eager PyTorch on the test set."""
    classifier = ImageClassifier(exported.model, exported.data.preprocessing).eval()
    with torch.inference_mode():
        return classifier(exported.data.test.images).numpy()


def eager(exported: Exported, **options: object) -> Predictor:
    data = exported.data
    return Predictor.from_model(exported.model, data.preprocessing, data.labels, **({"threads": 1} | options))


@pytest.mark.parametrize("engine", ["eager", "onnx", "onnx-int8"])
def test_engines_of_a_bundle_answer_as_plain_pytorch(exported: Exported, expected: np.ndarray, engine: str) -> None:
    if engine == "onnx-int8" and int8_overflows():
        pytest.skip("without instructions for 8-bit products their sums overflow: the bundle's self-test says so")
    predictor = Predictor.from_bundle(exported.bundle.path, engine, threads=1)
    answers = predictor(exported.data.test.images)
    assert answers.dtype == np.float32
    assert answers.shape == expected.shape
    assert np.abs(answers - expected).max() < (0.2 if engine == "onnx-int8" else 2e-6)
    assert (answers.argmax(1) == expected.argmax(1)).mean() >= 0.99
    assert (predictor.engine, predictor.labels, predictor.threads) == (engine, exported.data.labels, 1)
    assert predictor.preprocessing == exported.data.preprocessing


def test_a_network_with_another_number_of_answers_is_refused(exported: Exported) -> None:
    predictor = Predictor.from_model(exported.model, exported.data.preprocessing, ("one", "two"), threads=1)
    with pytest.raises(WorkbenchError, match=r"shape \(3, 4\) for 3 images and 2 labels"):
        predictor(exported.data.test.images[:3])


def test_arrays_tensors_views_and_read_only_images_are_the_same(exported: Exported, expected: np.ndarray) -> None:
    images = exported.data.test.images[:40]
    for engine in ("eager", "onnx"):
        predictor = Predictor.from_bundle(exported.bundle, engine, threads=1)
        frozen = images.numpy().copy()
        frozen.flags.writeable = False
        strided = np.ascontiguousarray(images.numpy()[:, :, ::-1])[:, :, ::-1]
        for same in (images, frozen, strided, images.to(memory_format=torch.channels_last)):
            assert np.abs(predictor(same) - expected[:40]).max() < 2e-6
        assert np.abs(predictor(images[::2]) - expected[:40:2]).max() < 2e-6


@pytest.mark.parametrize("engine", ["eager", "onnx"])
def test_many_images_are_processed_in_batches(
    exported: Exported, expected: np.ndarray, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.from_bundle(exported.bundle, engine, threads=1)
    sizes = []
    session = predictor._session
    monkeypatch.setattr(predictor, "_session", lambda images: sizes.append(len(images)) or session(images))
    monkeypatch.setattr(inference, "BATCH_PIXELS", 16 * 16 * 64)
    assert np.abs(predictor(exported.data.test.images) - expected).max() < 2e-6
    assert sizes == [64, 64, 64, 64, 44]
    assert predictor(exported.data.test.images[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    "images",
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
def test_other_shapes_and_types_are_refused(exported: Exported, images: object) -> None:
    for engine in ("eager", "onnx"):
        with pytest.raises(WorkbenchError, match="Images must be"):
            Predictor.from_bundle(exported.bundle, engine)(images)


def test_classify_names_the_most_probable(exported: Exported, expected: np.ndarray) -> None:
    answers = Predictor.from_bundle(exported.bundle).classify(exported.data.test.images[:5])
    best = expected[:5].argmax(1)
    assert [answer.label for answer in answers] == [exported.data.labels[index] for index in best]
    assert isinstance(answers[0], Answer)
    assert answers[0].probability == pytest.approx(expected[0, best[0]], abs=1e-5)


@pytest.mark.parametrize("threads", [0, -1, usable_cores() + 1, 1.0, True, "2"])
def test_threads_are_checked(exported: Exported, threads: object) -> None:
    for engine in ("eager", "onnx"):
        with pytest.raises(WorkbenchError, match="threads = "):
            Predictor.from_bundle(exported.bundle, engine, threads=threads)
    assert Predictor.from_bundle(exported.bundle).threads == usable_cores()


# --- auto -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 64])
def test_auto_is_the_fastest_engine_that_passes_the_self_test(exported: Exported, batch_size: int) -> None:
    predictor = Predictor.from_bundle(exported.bundle, "auto", threads=1, batch_size=batch_size)
    fit = {e for e in ("eager", *ONNX_ENGINES) if Predictor.from_bundle(exported.bundle, e).self_test().passed}
    assert set(predictor.race_seconds) == fit
    quickest = min(predictor.race_seconds.values())
    assert quickest <= predictor.race_seconds[predictor.engine] <= (1 + inference.WORTH_INT8) * quickest
    assert predictor.self_test().passed
    same = Predictor.from_bundle(exported.bundle, predictor.engine, threads=1)
    assert (predictor.precision, predictor.accuracy, predictor.size_bytes, predictor.model, same.race_seconds) == (
        same.precision,
        same.accuracy,
        same.size_bytes,
        same.model,
        {},
    )
    images = exported.data.test.images[:20]
    assert np.array_equal(predictor(images), same(images))


def test_auto_leaves_out_what_fails_the_self_test(exported: Exported) -> None:
    """With int8's network in place of fp32's the self-test fails, however fast it is."""
    swapped = dataclasses.replace(
        exported.bundle, engines={"onnx": dataclasses.replace(exported.bundle.engines["onnx-int8"], name="onnx")}
    )
    assert set(Predictor.from_bundle(swapped, "auto").race_seconds) == {"eager"}
    wrong = dataclasses.replace(exported.bundle, self_test_expected=exported.bundle.self_test_expected[:, ::-1])
    with pytest.raises(WorkbenchError, match=r"no engine of .* passes\. onnx on cpu does not answer"):
        Predictor.from_bundle(wrong, "auto")


def test_auto_skips_eager_for_a_network_it_cannot_build(exported: Exported) -> None:
    about = exported.bundle.manifest["about"] | {"model": None}
    foreign = dataclasses.replace(exported.bundle, manifest=exported.bundle.manifest | {"about": about})
    assert "eager" not in Predictor.from_bundle(foreign, "auto").race_seconds


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
    assert (result.engine, result.images, result.equal_answers) == (engine, 10, 10)
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
        "from workbench.inference.predictor import Predictor\n"
        "for engine in ('onnx', 'onnx-int8', 'auto'):\n"
        "    predictor = Predictor.from_bundle(sys.argv[1], engine, threads=1)\n"
        "    assert predictor.self_test().passed\n"
        "    print(predictor.classify(predictor._bundle.self_test_images)[0].label)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(exported.bundle.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    label = exported.data.labels[exported.bundle.self_test_expected[0].argmax()]
    assert done.stdout.split() == [label] * 3
