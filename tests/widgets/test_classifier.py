"""The Classifier: each engine's own probabilities, for drawings, files and images to flip through.

Covers: answering, answer_queue.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import workbench as wb
from workbench.bundle.images import ImageError
from workbench.bundle.manifest import read_bundle
from workbench.bundle.preprocessing import fit_image
from workbench.data.datasets import Split
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.inference.predictor import Predictor
from workbench.machine.devices import list_devices
from workbench.widgets.answering import CALLS, agreement
from workbench.widgets.worker import Job

ENGINES = ("onnx", "onnx-int8", "eager")
BUNDLE = read_bundle(REFERENCE)
IMAGES = BUNDLE.self_test_images


@pytest.fixture(scope="module")
def predictors() -> list[Predictor]:
    gpus = [device.name for device in list_devices() if device.kind != "cpu"]
    here = [Predictor.from_bundle(BUNDLE, engine, threads=1) for engine in ENGINES]
    return here + [Predictor.from_bundle(BUNDLE, "eager", device=name, threads=1) for name in gpus]


@pytest.fixture
def classifier(predictors: list[Predictor]) -> Iterator[wb.Classifier]:
    made = wb.Classifier(BUNDLE)
    settled(made)
    yield made
    made.close()


def settled(classifier: wb.Classifier) -> None:
    assert classifier.job is None or classifier.job.wait(60)


def ask(classifier: wb.Classifier, source: str, **more: Any) -> None:
    """What the browser does: the extra traits first, the question after them; and wait."""
    question = {"serial": classifier.request["serial"] + 1, "source": source, "index": more.pop("index", 0)}
    for name, value in more.items():
        setattr(classifier, name, value)
    classifier.request = question
    settled(classifier)


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def address(pixels: NDArray[np.uint8]) -> str:
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def scribble(seed: int = 0) -> NDArray[np.uint8]:
    """White paper with a thick black cross-stroke."""
    paper = np.full((280, 280, 3), 255, dtype=np.uint8)
    paper[100 + seed : 120 + seed, 40:240] = 0
    paper[60:220, 130:150] = (120, 60, 0)
    return paper


def expect(classifier: wb.Classifier, predictors: list[Predictor], image: NDArray[np.uint8]) -> None:
    """The oracle: every predictor, asked by itself about the image."""
    assert classifier.image is not None
    np.testing.assert_array_equal(classifier.image, image)
    assert [answer["engine"] for answer in classifier.answers] == [one.engine for one in predictors]
    for answer, predictor in zip(classifier.answers, predictors, strict=True):
        row = predictor(image[None])[0]
        assert list(answer["probabilities"]) == list(predictor.labels)
        assert list(answer["probabilities"].values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert answer["label"] == predictor.classify(image[None])[0].label
        assert answer["probability"] == pytest.approx(row.max(), abs=1e-6)
        assert (answer["device"], answer["threads"]) == (predictor.device, 1)
        assert answer["seconds"] > 0
        assert 1 <= answer["calls"] <= CALLS
    assert classifier.problem == ""


def test_begins_with_an_image_of_the_bundle(classifier: wb.Classifier, predictors: list[Predictor]) -> None:
    expect(classifier, predictors, IMAGES[0])
    label = BUNDLE.manifest["self_test"][0]["label"]
    assert classifier.caption == f"Image 1 of {len(IMAGES)}: {label}, by its label"
    assert label in classifier.sentence
    assert repr(classifier) == f"Classifier: {classifier.sentence}"


def test_flipping_drawing_and_files(classifier: wb.Classifier, predictors: list[Predictor]) -> None:
    ask(classifier, "image", index=3)
    expect(classifier, predictors, IMAGES[3])
    ask(classifier, "drawing", drawing=address(scribble()))
    expect(classifier, predictors, fit_image(scribble(), BUNDLE.preprocessing))
    assert classifier.caption == "What the network sees of your drawing"
    photo = np.random.default_rng(0).integers(0, 255, (90, 70, 3), dtype=np.uint8)
    ask(classifier, "file", file={"name": "photo.png", "data": memoryview(png(photo))})
    expect(classifier, predictors, fit_image(photo, BUNDLE.preprocessing))
    assert classifier.caption == "What the network sees of photo.png"
    assert classifier.file == {}  # eight megabytes would come back with every reload
    ask(classifier, "image", index=10**9)
    expect(classifier, predictors, IMAGES[-1])


def test_an_empty_paper_is_no_image(classifier: wb.Classifier) -> None:
    ask(classifier, "drawing", drawing=address(np.full((280, 280, 3), 255, dtype=np.uint8)))
    assert (classifier.answers, classifier.image, classifier.image_address) == ([], None, "")
    assert classifier.sentence.startswith("Draw something")
    assert classifier.handled == classifier.request["serial"]


@pytest.mark.parametrize(
    ("source", "values", "problem"),
    [
        (
            "file",
            {"file": {"name": "notes.txt", "data": memoryview(b"dear diary")}},
            "notes.txt: is text, not an image",
        ),
        ("file", {"file": {"name": "cut.png", "data": memoryview(png(scribble())[:200])}}, "cut.png: the PNG is cut"),
        ("file", {"file": {"name": "big.png", "data": memoryview(bytes(9_000_000))}}, "big.png: is larger than the li"),
        ("file", {"file": {}}, "the file: is empty"),
        ("file", {"file": {"name": 3, "data": "text"}}, "3: must be bytes or a Path, not str"),
        ("drawing", {"drawing": "https://example.org/a.png"}, "the drawing: is not a PNG"),
        ("drawing", {"drawing": "data:image/png;base64,!!!"}, "the drawing: arrived damaged"),
        ("drawing", {"drawing": "data:image/png;base64," + "A" * 600_000}, "the drawing: is not a PNG"),
    ],
)
def test_what_is_no_image_is_reported_in_the_widget(
    classifier: wb.Classifier, source: str, values: dict[str, Any], problem: str
) -> None:
    before = classifier.answers
    ask(classifier, source, **values)
    assert classifier.problem.startswith(problem)
    assert classifier.handled == classifier.request["serial"]
    assert classifier.answers == before
    ask(classifier, "image", index=1)
    assert classifier.problem == ""


def test_classify_from_the_next_cell(classifier: wb.Classifier, predictors: list[Predictor], tmp_path: Path) -> None:
    answers = classifier.classify(scribble())
    assert answers == classifier.answers
    expect(classifier, predictors, fit_image(scribble(), BUNDLE.preprocessing))
    path = tmp_path / "drawn.png"
    path.write_bytes(png(scribble(30)))
    assert len(classifier.classify(path)) == len(classifier.classify(str(path))) == len(predictors)
    expect(classifier, predictors, fit_image(scribble(30), BUNDLE.preprocessing))
    assert "drawn.png" in classifier.caption
    with pytest.raises(ImageError, match=r"nothing.png: does not exist"):
        classifier.classify(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="must be a uint8 array"):
        classifier.classify(np.zeros((3, 3)))  # type: ignore[arg-type]


def test_the_newest_question_wins(classifier: wb.Classifier, predictors: list[Predictor]) -> None:
    for _ in range(3):
        for index in range(len(IMAGES)):
            classifier.request = {"serial": classifier.request["serial"] + 1, "source": "image", "index": index}
            assert len(classifier.answers) >= 2  # ONNX Runtime answers at once
        settled(classifier)
        expect(classifier, predictors, IMAGES[-1])


def test_a_busy_worker_keeps_no_onnx_engine_waiting(
    classifier: wb.Classifier, predictors: list[Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.widgets.classifier._PATIENCE_SECONDS", 0.05)
    go_on = threading.Event()

    def training() -> Generator[None, None, None]:
        yield
        go_on.wait(60)

    busy = Job(training()).start()
    answers = classifier.classify(IMAGES[4])
    assert [answer["engine"] for answer in answers] == ["onnx", "onnx-int8"]
    assert classifier.sentence.startswith(("Both say", "They disagree"))
    ask_index = {"serial": classifier.request["serial"] + 1, "source": "image", "index": 5}
    classifier.request = ask_index
    go_on.set()
    assert busy.wait(60)
    settled(classifier)
    expect(classifier, predictors, IMAGES[5])


def test_predictors_of_ones_own_and_a_split(predictors: list[Predictor]) -> None:
    onnx = predictors[0]
    large = torch.from_numpy(IMAGES[:4].copy()).repeat_interleave(2, 1).repeat_interleave(2, 2)
    classifier = wb.Classifier([onnx, onnx], images=Split("new", large, torch.tensor([3, 2, 1, 0])))
    assert classifier.job is None  # no PyTorch engine, no work for the worker
    np.testing.assert_array_equal(classifier.image, fit_image(large[0].numpy(), BUNDLE.preprocessing))
    assert classifier.caption == "Image 1 of 4: cow, by its label"
    assert [answer["title"] for answer in classifier.answers] == ["onnx 1", "onnx 2"]
    assert wb.Classifier([onnx]).answers == []
    assert wb.Classifier([onnx], images=IMAGES).caption == f"Image 1 of {len(IMAGES)}"


def test_sources_that_do_not_fit_are_refused(predictors: list[Predictor], tmp_path: Path) -> None:
    onnx = predictors[0]
    other = Predictor.from_onnx(BUNDLE.engines["onnx"].content, BUNDLE.preprocessing, BUNDLE.labels[::-1], threads=1)
    with pytest.raises(WorkbenchError, match="know the same labels in the same order"):
        wb.Classifier([onnx, other])
    with pytest.raises(WorkbenchError, match="needs a bundle or Predictors, not '7'"):
        wb.Classifier(7)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="does not exist"):
        wb.Classifier(tmp_path / "nowhere")
    with pytest.raises(WorkbenchError, match="must be a Split or a uint8 array"):
        wb.Classifier([onnx], images=np.zeros((2, 32, 32, 3)))  # type: ignore[arg-type]


def said(title: str, **probabilities: float) -> dict[str, Any]:
    label = max(probabilities, key=lambda name: probabilities[name])
    return {"title": title, "label": label, "probability": probabilities[label], "probabilities": probabilities}


def test_agreement_in_words() -> None:
    one, two, other = said("onnx", cat=0.9, dog=0.1), said("eager", cat=0.8, dog=0.2), said("int8", cat=0.4, dog=0.6)
    space = "\N{NO-BREAK SPACE}"
    assert agreement([]) == "No engine has answered yet."
    assert agreement([one], "cat") == f"onnx says cat (90.0{space}%). Its label is cat: right."
    assert agreement([one, two]) == "Both say cat. Their probabilities differ by at most 0.1 (measured)."
    assert agreement([one, two, one], "dog").endswith("Its label is dog: wrong.")
    assert agreement([one, one]) == "Both say cat, identical to the last bit (measured)."
    text = agreement([one, other], "dog")
    assert text.startswith(f"They disagree: onnx says cat (90.0{space}%), int8 says dog (60.0{space}%).")
    assert text.endswith("differ by at most 0.5 (measured). Its label is dog: 1 of 2 is right.")


def test_a_page_without_a_kernel_keeps_the_answers(classifier: wb.Classifier) -> None:
    page = classifier.to_html()
    assert classifier.image_address in page
    assert "This page has no kernel" in page
    assert "<noscript>" in page
