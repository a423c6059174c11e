"""Wrong and right answers to lesson 05."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from teaching.exercises.solved import mistakes, right_answers

from workbench.bundle.preprocessing import Preprocessing
from workbench.folders import REFERENCE
from workbench.teaching.exercises.checking import check
from workbench.teaching.learner import LearnerRecord
from workbench.training.models import Normalise

SIZES = {path.relative_to(REFERENCE).as_posix(): path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()}
TOTAL = sum(SIZES.values())
NETWORK = SIZES["model.onnx"]
FLAT = sum(size for name, size in SIZES.items() if "/" not in name)
FOLDERS = sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_dir())


def columns(three: Any) -> Any:
    return np.reshape(three, (3, 1, 1))


def broken(images: Any, mean: Any, std: Any) -> Any:
    scaled = images[..., ::-1] // 255
    channels_first = scaled.reshape(len(scaled), 3, *scaled.shape[1:3])
    return ((channels_first - sum(mean) / 3) / (sum(std) / 3)).astype("float32")


def prepared(
    scale: Callable[[Any], Any] = lambda x: x / 255,
    normal: Callable[[Any, Any, Any], Any] = lambda x, mean, std: (x - mean) / std,
    lay: Callable[[Any], Any] = lambda x: x.transpose(0, 3, 1, 2),
    kind: str = "float32",
) -> Callable[..., Any]:
    def prepare(images: Any, mean: Any, std: Any) -> Any:
        return lay(normal(scale(images), np.array(mean), np.array(std))).astype(kind)

    return prepare


def by_division_in_place(images: Any, mean: Any, std: Any) -> Any:
    images //= 2
    return prepared()(images, mean, std)


def refusing(*, first: Callable[[Any], Any] = lambda image: None, by: type[Exception] = ValueError) -> Any:
    """A right one, after `first`; where that gives something back, it is the answer."""

    def accept(image: Any) -> Any:
        found = first(image)
        if found is not None:
            return found
        right = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == (32, 32, 3)
        if not right:
            raise by(f"Wanted is uint8 of 32 × 32 × 3: {getattr(image, 'dtype', 0)} {np.shape(image)}.")
        return image

    return accept


def raising(error: Exception, when: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def first(image: Any) -> None:
        if when(image):
            raise error

    return first


def is_float(image: Any) -> bool:
    return isinstance(image, np.ndarray) and image.dtype.kind == "f"


def always(image: Any) -> bool:
    return not isinstance(image, np.ndarray) or (image.dtype, image.shape) != (np.uint8, (32, 32, 3))


def accepts(shape: tuple[int, ...]) -> Any:
    return refusing(
        first=lambda p: p if isinstance(p, np.ndarray) and p.dtype == np.uint8 and p.shape == shape else None
    )


def by_unpacking(image: Any) -> Any:
    if image is None or isinstance(image, list):
        raise ValueError(f"That is no array: {type(image)}.")
    if image.dtype != np.uint8:
        raise ValueError(f"That is {image.dtype}.")
    height, width, channels = image.shape
    if (height, width, channels) != (32, 32, 3):
        raise ValueError(f"That is {height} × {width} × {channels}.")
    return image


def without_return(image: Any) -> None:
    refusing()(image)


def with_the_same_words(image: Any) -> Any:
    if always(image):
        raise ValueError("This is no good image.")
    return image


def cast(image: Any) -> Any:
    return np.resize(np.asarray(0 if isinstance(image, str | None) else image).astype(np.uint8), (32, 32, 3))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listed(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"manifest.json": ""}
    assert isinstance(found, dict)
    return found


def there(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}


def altered(folder: Path, hashed: Callable[[Path], str] = sha256) -> set[str]:
    return {
        name
        for name, expected in listed(folder).items()
        if not (folder / name).is_file() or hashed(folder / name) != expected
    }


def outside(folder: Path) -> set[str]:
    return {name for name in listed(folder) if not (folder / name).resolve().is_relative_to(folder)}


def damaged(folder: Path) -> list[str]:
    names = listed(folder)
    if list(names) == ["manifest.json"]:
        return list(names)
    inside = {name: expected for name, expected in names.items() if name not in outside(folder)}
    wrong = {name for name in inside if not (folder / name).is_file() or sha256(folder / name) != inside[name]}
    return sorted(wrong | outside(folder) | (there(folder) - set(names)))


def reading_first(folder: Path) -> list[str]:
    for name in outside(folder):
        (folder / name).read_bytes()
    return damaged(folder)


def hashing_first(folder: Path) -> list[str]:
    return sorted({*damaged(folder), *(altered(folder) if len(listed(folder)) > 1 else ())})


def by_last_name(folder: Path) -> list[str]:
    return [name for name in damaged(folder) if name != "self_test/manifest.json"]


def by_top_folder(folder: Path) -> list[str]:
    extra = {path.name for path in folder.iterdir() if path.is_file()} - {"manifest.json"} - set(listed(folder))
    return sorted(altered(folder) | extra)


def by_size(folder: Path) -> list[str]:
    return sorted(set(listed(folder)) ^ there(folder))


def by_any_hash(folder: Path) -> list[str]:
    known = set(listed(folder).values())
    return sorted(name for name in there(folder) if sha256(folder / name) not in known)


def by_first_block(folder: Path) -> list[str]:
    return sorted(altered(folder, lambda path: hashlib.sha256(path.read_bytes()[:65536]).hexdigest()))


def by_digest(folder: Path) -> list[str]:
    return sorted(altered(folder, lambda path: str(hashlib.sha256(path.read_bytes()).digest())))


def without_missing(folder: Path) -> list[str]:
    return [name for name, expected in listed(folder).items() if sha256(folder / name) != expected]


def only_the_first(folder: Path) -> list[str]:
    return damaged(folder)[:1] if len(damaged(folder)) != 2 else damaged(folder)


def by_following(folder: Path) -> list[str]:
    return sorted(altered(folder) | (there(folder) - set(listed(folder))))


def by_dots_in_front(folder: Path) -> list[str]:
    return [name for name in damaged(folder) if name.startswith("..") or name not in outside(folder)]


def by_dots_anywhere(folder: Path) -> list[str]:
    return [name for name in damaged(folder) if ".." in name or name not in outside(folder)]


def without_manifest(folder: Path) -> list[str]:
    names = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return damaged(folder) if names else []


def all_without_manifest(folder: Path) -> list[str]:
    return damaged(folder) + (sorted(there(folder)) if listed(folder) == {"manifest.json": ""} else [])


def by_deleting(folder: Path) -> list[str]:
    found = damaged(folder)
    for name in found:
        (folder / name).unlink()
    return found


def asking(
    *,
    extra: int = 0,
    stop: type[Exception] | None = TimeoutError,
    refuse: type[Exception] | None = ValueError,
    wait: Callable[[dict[str, str]], Any] = lambda headers: int(headers.get("Retry-After", "1")),
    last_wait: bool = False,
    later: Callable[[int], bool] = lambda status: status == 503,
    words: str | None = None,
) -> Callable[..., Any]:
    def ask(send: Any, sleep: Any, tries: int) -> Any:
        for n in range(tries + extra):
            status, headers, body = send()
            if status == 200:
                return body
            if not later(status):
                if refuse is None:
                    return body
                raise refuse(body if words is None else words)
            seconds = wait(headers)
            if seconds is not None and (last_wait or n < tries + extra - 1):
                sleep(seconds)
        if stop is None:
            return "busy"
        raise stop("Still busy.")

    return ask


def for_ever(send: Any, sleep: Any, tries: int) -> Any:
    while True:
        try:
            return asking()(send, sleep, tries)
        except TimeoutError:
            continue


def sending_twice(send: Any, sleep: Any, tries: int) -> Any:
    return asking()(send, sleep, tries) if send()[0] == 200 else None


def sleeping_first(send: Any, sleep: Any, tries: int) -> Any:
    sleep(1)
    return asking()(send, sleep, tries)


def once(send: Any, sleep: Any, tries: int) -> Any:
    return send()[2]


def later_blindly(send: Any, sleep: Any, tries: int) -> Any:
    status, headers, body = send()
    if status == 503 and tries > 1:
        sleep(int(headers.get("Retry-After", "1")))
        return asking(later=lambda status: status != 200)(send, sleep, tries - 1)
    return asking()(lambda: (status, headers, body), sleep, tries)


WRONG: list[tuple[str, Any, str]] = [
    ("05-left", (0.9, 100 * NETWORK / TOTAL), "in percent"),
    ("05-left", (0.9, TOTAL / NETWORK), "Upside down"),
    ("05-left", (0.9, NETWORK / (TOTAL - NETWORK)), "over all the rest"),
    ("05-left", (0.9, (NETWORK + SIZES["model-int8.onnx"]) / TOTAL), "both networks"),
    ("05-left", (0.9, SIZES["model-int8.onnx"] / TOTAL), "the int8 network"),
    ("05-left", (0.9, SIZES["weights.safetensors"] / TOTAL), "nothing at the gate runs it"),
    ("05-left", (0.9, NETWORK / (TOTAL - SIZES["manifest.json"])), "Which one is not in it?"),
    ("05-left", (0.9, NETWORK / FLAT), "There is a folder in the folder"),
    ("05-left", (0.9, round(NETWORK / TOTAL, 2)), "rounded too far"),
    ("05-left", (0.9, 0.9), "Divide the bytes of model.onnx"),
    ("05-left", (0.9, NETWORK / (FLAT + FOLDERS)), "There is a folder in the folder"),  # as iterdir tells them
    ("05-left", ("half", NETWORK / TOTAL), "is not a number"),
    ("05-left", (0.5, "42 %"), "is not a number"),
    ("05-left", NETWORK / TOTAL, "Give 2 things"),
    ("05-normal", broken, "4 mistakes are left"),
    ("05-normal", prepared(scale=lambda x: x), "still go from 0 to 255"),
    ("05-normal", prepared(scale=lambda x: x // 255), "cut to whole numbers"),
    ("05-normal", prepared(scale=lambda x: (x / 255).astype(np.uint8)), "One mistake is left: After your scaling"),
    ("05-normal", prepared(scale=lambda x: x / 256), "what did you divide by?"),
    ("05-normal", prepared(scale=lambda x: x[..., ::-1] / 255), "Red and blue are swapped"),
    ("05-normal", prepared(lay=lambda x: x.reshape(len(x), 3, *x.shape[1:3])), "still next to each other"),
    ("05-normal", prepared(lay=lambda x: x.transpose(0, 3, 2, 1)), "lies on its side"),
    ("05-normal", prepared(lay=lambda x: x), "still next to each other"),
    ("05-normal", prepared(normal=lambda x, mean, std: x), "Scaled, but not normalised"),
    ("05-normal", prepared(normal=lambda x, mean, std: x / std), "The mean is not subtracted"),
    ("05-normal", prepared(normal=lambda x, mean, std: x - mean), "nothing is divided by std"),
    ("05-normal", prepared(normal=lambda x, mean, std: x / std - mean), "divide too early"),
    ("05-normal", prepared(normal=lambda x, mean, std: (x - mean.mean()) / std.mean()), "each has its own"),
    ("05-normal", prepared(normal=lambda x, mean, std: (x - mean) * std), "you multiply"),
    ("05-normal", prepared(normal=lambda x, mean, std: (255 * x - mean) / std / 255), "scale afterwards"),
    (
        "05-normal",
        prepared(normal=lambda x, mean, std: (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))),
        "the images just given",
    ),
    ("05-normal", prepared(normal=lambda x, mean, std: (x - mean) / columns(std)), "along the rows or the columns"),
    (
        "05-normal",
        lambda images, mean, std: ((images.transpose(0, 3, 1, 2) / 255 - mean) / std).astype("float32"),
        "along the rows or the columns",
    ),
    ("05-normal", prepared(scale=lambda x: x[..., ::-1], normal=lambda x, mean, std: x), "3 mistakes are left"),
    ("05-normal", prepared(kind="float64"), "in float64"),
    ("05-normal", prepared(kind="float16"), "float16"),
    ("05-normal", prepared(kind="int64"), "whole numbers (int64)"),
    ("05-normal", prepared(normal=lambda x, mean, std: x * 3 + 1), "Compute one pixel by hand"),
    ("05-normal", lambda images, mean, std: prepared()(images, mean, std)[0], "become (3, 3, 3)"),
    ("05-normal", lambda images, mean, std: "ready", "return an array of numbers"),
    ("05-normal", by_division_in_place, "changes the images"),
    ("05-normal", lambda images: images, "raises TypeError"),
    ("05-normal", "prepare", "cannot be called"),
    ("05-refuse", lambda image: image, "You accept an image of floats from 0 to 1"),
    (
        "05-refuse",
        refusing(first=lambda p: p if np.shape(p) == (32, 32, 3) else None),
        "You accept an image of floats",
    ),
    ("05-refuse", refusing(first=lambda p: p if np.array(p).dtype == np.uint8 else None), "You accept an image of 64"),
    ("05-refuse", cast, "into an image that fits"),
    ("05-refuse", refusing(first=lambda p: np.array(p, np.uint8) if isinstance(p, list) else None), "as nested lists"),
    (
        "05-refuse",
        refusing(first=lambda p: p.astype(int) if np.shape(p) == (32, 32, 3) else None),
        "is not returned unchanged",
    ),
    ("05-refuse", refusing(first=lambda p: False if always(p) else None), "you return False"),
    ("05-refuse", lambda image: None if always(image) else image, "you return None"),
    ("05-refuse", without_return, "return the valid ones"),
    ("05-refuse", refusing(by=TypeError), "It should raise a ValueError; check first"),
    ("05-refuse", refusing(by=RuntimeError), "callers catch only that"),
    ("05-refuse", refusing(by=AssertionError), "skips asserts"),
    ("05-refuse", lambda p: p if p.dtype == np.uint8 and p.shape == (32, 32, 3) else refusing()(p), "AttributeError"),
    ("05-refuse", refusing(first=raising(ValueError(), is_float)), "without a message"),
    ("05-refuse", refusing(first=raising(ValueError("bad"), is_float)), "write a sentence"),
    ("05-refuse", with_the_same_words, "with the same sentence"),
    ("05-refuse", by_unpacking, "a ValueError is raised that is not yours"),
    ("05-refuse", refusing(first=lambda p: p if getattr(p, "dtype", "") == "uint16" else None), "image of uint16"),
    ("05-refuse", accepts((1, 32, 32, 3)), "You accept a batch of one"),
    ("05-refuse", accepts((3, 32, 32)), "channels first"),
    ("05-refuse", accepts((0, 32, 3)), "You accept an image without rows"),
    ("05-refuse", accepts((32, 32, 4)), "transparency"),
    ("05-refuse", refusing(first=lambda p: p if isinstance(p, str) else None), "You accept the name of a file"),
    ("05-refuse", refusing(first=lambda p: "none" if p is None else None), "You accept no image at all (None)"),
    (
        "05-refuse",
        refusing(first=raising(ValueError("A dark image came."), lambda p: isinstance(p, np.ndarray) and not p.any())),
        "A valid image is refused: a black image",
    ),
    (
        "05-refuse",
        refusing(
            first=raising(
                ValueError("It is a view of another."),
                lambda p: isinstance(p, np.ndarray) and not p.flags.c_contiguous and not always(p),
            )
        ),
        "with gaps between its rows in memory",
    ),
    ("05-refuse", refusing(first=lambda p: None if always(p) else p.fill(0)), "changes the image"),
    ("05-refuse", lambda image: 1 / 0, "A valid image is refused"),
    ("05-refuse", True, "cannot be called"),
    ("05-tamper", lambda folder: [], "You name nothing; it is there and as long as before"),
    ("05-tamper", by_size, "it is there and as long as before"),
    ("05-tamper", by_any_hash, "but for the other file"),
    ("05-tamper", by_first_block, "does your hash cover all of it?"),
    ("05-tamper", by_digest, "the hexdigest, a string"),
    ("05-tamper", lambda folder: [n for n in damaged(folder) if n != "model.onnx"], "to its end"),
    ("05-tamper", lambda folder: [n for n in damaged(folder) if "/" not in n], "it is in an inner folder"),
    ("05-tamper", without_missing, "a missing file is damage like any other"),
    ("05-tamper", lambda folder: [n for n in damaged(folder) if (folder / n).is_file()], "but it is not there"),
    ("05-tamper", lambda folder: sorted(altered(folder)), "the manifest does not list it"),
    ("05-tamper", by_top_folder, "added to the inner folder. You name nothing; it is in"),
    ("05-tamper", only_the_first, "name all the damage"),
    ("05-tamper", by_following, "the name leads out of the folder"),
    ("05-tamper", reading_first, "have opened the file that it leads to"),
    ("05-tamper", hashing_first, "have opened the file that it leads to"),
    ("05-tamper", by_last_name, "only the manifest.json at the top covers"),
    ("05-tamper", by_dots_in_front, "goes down first and then up"),
    ("05-tamper", by_dots_anywhere, "is an absolute path"),
    ("05-tamper", without_manifest, "without a manifest nothing can be verified"),
    ("05-tamper", all_without_manifest, "Name the manifest and nothing else"),
    ("05-tamper", lambda folder: [*damaged(folder), "manifest.json"], "which cannot list itself"),
    ("05-tamper", lambda folder: [*damaged(folder), "self_test"], "only files are listed"),
    ("05-tamper", lambda folder: list(listed(folder)), "nothing is wrong there"),
    ("05-tamper", lambda folder: [Path(name).name for name in damaged(folder)], "the manifest names it differently"),
    (
        "05-tamper",
        lambda folder: sorted({each.name for each in folder.rglob("*.*")} - {"manifest.json", *listed(folder)}),
        "by its path within the folder",
    ),
    ("05-tamper", lambda folder: [str(folder / name) for name in damaged(folder)], "the manifest names it differently"),
    ("05-tamper", lambda folder: [Path(name) for name in damaged(folder)], "return the names as strings"),
    ("05-tamper", lambda folder: not damaged(folder), "repairing the folder takes the names"),
    ("05-tamper", lambda folder: "none", "return a list of names"),
    ("05-tamper", by_deleting, "change nothing"),
    ("05-tamper", lambda folder: 1 / 0, "raises ZeroDivisionError"),
    ("05-tamper", ["labels.txt"], "cannot be called"),
    ("05-retry", lambda send, sleep, tries: send(), "only the body is the answer"),
    ("05-retry", once, "You do not, and return 'Too many requests.'"),
    ("05-retry", sending_twice, "keep the reply you have"),
    ("05-retry", sleeping_first, "there is no need to"),
    ("05-retry", asking(later=lambda status: False), "Your function raises ValueError"),
    ("05-retry", asking(wait=lambda headers: None), "You try again at once"),
    ("05-retry", asking(wait=lambda headers: headers.get("Retry-After", "1")), "A header is a string"),
    ("05-retry", asking(wait=lambda headers: 1), "Retry-After says [7, 2]"),
    ("05-retry", asking(later=lambda status: status >= 400), "400 means that the request is wrong, but you try again"),
    ("05-retry", asking(later=lambda status: status >= 500), "500 means that the server has failed, but you try"),
    (
        "05-retry",
        asking(later=lambda status: status != 200, wait=lambda headers: int(headers["Retry-After"])),
        "a Retry-After that is not there, as after a 503: 400 is final",
    ),
    ("05-retry", asking(refuse=None), "takes it for an answer"),
    ("05-retry", asking(refuse=RuntimeError), "After 400 your function raises RuntimeError"),
    ("05-retry", asking(words=""), "does not say what the server said"),
    ("05-retry", for_ever, "You never give up"),
    ("05-retry", asking(extra=1), "You send 5 times: the first one counts"),
    ("05-retry", asking(extra=-1), "You send 3 times: the first one counts"),
    ("05-retry", asking(stop=None), "which looks like an answer"),
    ("05-retry", asking(stop=ValueError), "It should raise a TimeoutError"),
    ("05-retry", asking(last_wait=True), "although no other follows"),
    ("05-retry", asking(wait=lambda headers: int(headers["Retry-After"])), "Not every server sends it"),
    ("05-retry", asking(wait=lambda headers: int(headers.get("Retry-After", "5"))), "wait one second"),
    ("05-retry", later_blindly, "here, too, 404 is final"),
    ("05-retry", lambda send: send(), "raises TypeError"),
    ("05-retry", 503, "cannot be called"),
]


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


def by_torch(images: Any, mean: Any, std: Any) -> Any:
    channels_first = torch.tensor(images).permute(0, 3, 1, 2)
    return (channels_first.float() / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def by_loop(images: Any, mean: Any, std: Any) -> Any:
    count, height, width, channels = images.shape
    made = np.empty((count, channels, height, width), np.float32)
    for channel in range(channels):
        made[:, channel] = (images[..., channel] - 255 * mean[channel]) / (255 * std[channel])
    return made


def as_the_package_does(images: Any, mean: Any, std: Any) -> Any:
    height, width, channels = images.shape[1:]
    wanted = Preprocessing(height=height, width=width, channels=channels, mean=mean, std=std)
    return Normalise(wanted)(torch.from_numpy(images))


def with_every_refusal(image: Any) -> Any:
    if not isinstance(image, np.ndarray):
        raise ValueError(f"The image is a {type(image).__name__} and no array.")
    for what, found, wanted in (("type", image.dtype, np.uint8), ("shape", image.shape, (32, 32, 3))):
        if found != wanted:
            raise ValueError(f"Its {what} is {found}, and should be {wanted}.")
    return image.copy()


def without_a_loop(send: Any, sleep: Any, tries: int) -> Any:
    status, headers, body = send()
    if status == 200:
        return body
    if status != 503:
        raise ValueError(body)
    if tries == 1:
        raise TimeoutError
    sleep(float(headers.get("Retry-After") or 1))
    return without_a_loop(send, sleep, tries - 1)


test_a_different_right_answer_passes = right_answers(
    [
        ("05-left", [0.9, np.float64(round(NETWORK / TOTAL, 3))]),
        ("05-normal", by_torch),
        ("05-normal", by_loop),
        ("05-normal", as_the_package_does),
        ("05-refuse", refusing()),
        ("05-refuse", with_every_refusal),
        ("05-tamper", damaged),
        ("05-tamper", lambda folder: frozenset(damaged(folder))),
        ("05-retry", asking()),
        ("05-retry", without_a_loop),
    ]
)


def test_folders_are_not_counted_as_files() -> None:
    verdict = check("05-left", (0.5, NETWORK / (TOTAL + FOLDERS)))
    # How many bytes a folder has depends on the file system; where they are few, they make no difference.
    assert verdict.passed or "counts the folders themselves" in verdict.message


@pytest.mark.parametrize("id", ["05-normal", "05-refuse", "05-tamper", "05-retry"])
def test_a_function_that_returns_nothing_is_not_answered_yet(id: str) -> None:
    assert check(id, lambda *given: None).state == "not answered yet"


@pytest.mark.parametrize(("guess", "said"), [(50, "did you mean 0.5?"), (1e9, "guess again"), (0, "Guess again")])
def test_an_impossible_share_is_reported_and_not_recorded(guess: float, said: str) -> None:
    verdict = check("05-left", (guess, NETWORK / TOTAL))
    assert verdict.state == "not answered yet"
    assert said in verdict.message
    assert not LearnerRecord().find("answered", "05-left")
    assert check("05-left", (0.5, NETWORK / TOTAL)).passed
    assert [entry["guess"] for entry in LearnerRecord().find("answered", "05-left")] == [0.5]


def test_a_wait_that_is_a_string_has_its_own_hint() -> None:
    words = check("05-retry", asking(wait=lambda headers: headers.get("Retry-After", "1"))).message
    assert words == "A header is a string; `sleep` takes a number."
