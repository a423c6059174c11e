"""Images of every kind at /classify: the right answer, or a refusal with the reason; never a failure."""

from __future__ import annotations

import io
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from serving.application import application, client

from workbench.bundle.images import read_image
from workbench.bundle.manifest import read_bundle
from workbench.bundle.preprocessing import fit_image
from workbench.data.datasets import load_dataset
from workbench.folders import REFERENCE
from workbench.inference.predictor import Predictor

BUNDLE = read_bundle(REFERENCE)
PIXELS = BUNDLE.self_test_images[0]
TEXT_FIELD = b"--a\r\nContent-Disposition: form-data; name=x\r\n\r\nhello\r\n--a--\r\n"
RIGHT = BUNDLE.labels[int(BUNDLE.self_test_expected[0].argmax())]


@pytest.fixture(scope="module")
def asking() -> Iterator[httpx.Client]:
    with application(REFERENCE, "--max-images", "20") as running, client(running) as made:
        yield made


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_bundle(BUNDLE, "eager", threads=1)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(pixels: np.ndarray = PIXELS) -> bytes:
    return saved(Image.fromarray(pixels))


def large(image: Image.Image | None = None) -> Image.Image:
    return (image or Image.fromarray(PIXELS)).resize((320, 320), Image.Resampling.NEAREST)


def upside_down() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3
    return saved(Image.fromarray(PIXELS[::-1, ::-1].copy()), exif=exif)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that claims to have `side` × `side` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10 * (3 * side + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def ask(asking: httpx.Client, content: bytes) -> dict[str, Any]:
    answer = asking.post("/classify", content=content)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["answers"][0])


def test_answers_are_those_of_eager_pytorch(asking: httpx.Client, predictor: Predictor) -> None:
    """On the 100 new images: the same labels, probabilities within 1e-4, one by one and in forms."""
    images = load_dataset("animals").new.images.numpy()
    expected, found = predictor(images), []
    for image in images[:50]:
        found.append(ask(asking, png(image)))
    for start in range(50, 100, 10):
        files = [("image", (f"{place}.png", png(images[place]))) for place in range(start, start + 10)]
        found += asking.post("/classify", files=files).json()["answers"]
    for text, row in zip(found, expected, strict=True):
        assert list(text["probabilities"]) == list(BUNDLE.labels)
        assert np.abs(np.array(list(text["probabilities"].values())) - row).max() < 1e-4
        assert text["label"] == BUNDLE.labels[row.argmax()]
        assert text["probability"] == max(text["probabilities"].values())
        assert text["notes"] == []


def test_the_answer_names_the_model_and_its_times(asking: httpx.Client) -> None:
    text = asking.post("/classify", content=png()).json()
    assert text["model"] == {"name": "convnet", "version": BUNDLE.version, "engine": "onnx"}
    assert 0 < text["seconds"]["decoding"] < 10
    assert 0 < text["seconds"]["inference"] < 10


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (png(), None),
        (saved(large(), "PNG"), None),
        (saved(large(), "JPEG", quality=95), None),
        (saved(large(), "WEBP", lossless=True), None),
        (saved(large(), "BMP"), None),
        (saved(large().convert("P", palette=Image.Palette.ADAPTIVE), "GIF"), None),
        (saved(large().convert("CMYK"), "JPEG", quality=95), "CMYK converted to RGB"),
        (saved(large().convert("RGBA"), "PNG"), None),
        (saved(large(), "GIF", save_all=True, append_images=[Image.new("RGB", (320, 320))]), "first frame used"),
        (upside_down(), "turned upright"),
    ],
    ids=["png", "large", "jpeg", "webp", "bmp", "gif", "cmyk", "rgba", "animated", "exif"],
)
def test_images_of_every_kind(asking: httpx.Client, predictor: Predictor, content: bytes, note: str | None) -> None:
    text = ask(asking, content)
    image = fit_image(read_image(content).pixels, BUNDLE.preprocessing)
    expected = predictor(image[None])[0]
    assert np.abs(np.array(list(text["probabilities"].values())) - expected).max() < 1e-4
    assert text["label"] == RIGHT
    assert note is None or any(note in each for each in text["notes"])


def test_sixteen_bits_a_channel(asking: httpx.Client) -> None:
    grey = np.asarray(Image.fromarray(PIXELS).convert("L"))
    deep = saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    text = ask(asking, deep)
    assert text["notes"] == ["16 bits per channel scaled to 8"]
    assert text["probabilities"] == ask(asking, saved(Image.fromarray(grey)))["probabilities"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"dear diary", "is text, not an image"),
        (b"<svg></svg>", "is an SVG drawing"),
        (b"%PDF-1.7", "is a PDF document"),
        (bytes(5000), "is of an unknown kind"),
        (png()[:-20], "cut short"),
        (png()[:200], "cut short"),
        (saved(large(), "JPEG")[:900], "damaged JPEG"),
        (png().replace(b"IDAT", b"IDAX"), "checksum"),
        (bomb(20_000), "pixels than the limit of 40,000,000"),
        (saved(Image.new("1", (7000, 7000))), "pixels, more than the limit of 40,000,000"),
    ],
)
def test_unreadable_images_are_refused_with_the_reason(asking: httpx.Client, content: bytes, said: str) -> None:
    answer = asking.post("/classify", content=content)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"], answer.json()["detail"]


def test_names_and_media_types_do_not_matter(asking: httpx.Client) -> None:
    jpeg = saved(large(), "JPEG", quality=95)
    for kind in ("image/png", "text/html", "application/json", "image/svg+xml"):
        answer = asking.post("/classify", content=jpeg, headers={"Content-Type": kind})
        assert answer.json()["answers"][0]["label"] == RIGHT
    answer = asking.post("/classify", files={"file": ("notes.txt", jpeg, "text/plain")})
    assert answer.json()["answers"][0]["label"] == RIGHT


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"--a\r\n", "multipart/form-data", 400, "cannot be read"),
        (b"--a\r\n", "multipart/form-data; boundary=a", 400, "holds no file"),
        (b"--b\r\nnonsense", "multipart/form-data; boundary=a", 400, "cannot be read"),
        (
            b"--a\r\nContent-Disposition: form-data; name=x\r\n\r\nhello\r\n--a--\r\n",
            "multipart/form-data; boundary=a",
            400,
            "is text",
        ),
    ],
)
def test_unreadable_forms_are_refused(asking: httpx.Client, content: bytes, kind: str, status: int, said: str) -> None:
    answer = asking.post("/classify", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_one_bad_image_of_several_is_named(asking: httpx.Client) -> None:
    files = [("image", ("cat.png", png())), ("image", ("dog.png", b"woof"))]
    answer = asking.post("/classify", files=files)
    assert (answer.status_code, answer.json()["detail"][:12]) == (422, "dog.png: is ")


def test_too_many_images(asking: httpx.Client) -> None:
    files = [("image", (f"{place}.png", png())) for place in range(21)]
    answer = asking.post("/classify", files=files)
    assert (answer.status_code, "Maximum number of files is 20" in answer.json()["detail"]) == (400, True)


def test_too_large_a_body(asking: httpx.Client) -> None:
    def chunked() -> Iterator[bytes]:
        for _ in range(9):
            yield bytes(2**20)

    for content in (bytes(8 * 2**20 + 1), chunked()):
        try:
            answer = asking.post("/classify", content=content)
        except httpx.WriteError:  # the application closed the connection before all was sent
            continue
        assert (answer.status_code, "larger than the limit of 8.39" in answer.json()["detail"]) == (413, True)


def test_a_large_image_does_not_hold_up_the_others(asking: httpx.Client) -> None:
    """Small images are answered while large ones are decoded: more of them than would fit in between."""
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    slow = saved(Image.fromarray(noise), "JPEG", quality=90)
    done = threading.Event()

    def heavy() -> None:
        with httpx.Client(base_url=asking.base_url, timeout=60) as other:
            for _ in range(6):
                assert other.post("/classify", content=slow).status_code == 200
        done.set()

    thread = threading.Thread(target=heavy)
    thread.start()
    answered = 0
    while not done.is_set():
        ask(asking, png())
        answered += 1
        time.sleep(0.002)
    thread.join()
    assert answered > 12
