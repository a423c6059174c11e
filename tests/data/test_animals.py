"""The ten animals: what is promised of the images, checked on the images themselves."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from workbench.data.animals import (
    ATTRIBUTES,
    FULL_SIZE,
    LABELS,
    Drawings,
    contact_sheet,
    draw_animals,
    scene_of,
)
from workbench.errors import WorkbenchError

ANIMALS_10 = {"cat", "dog", "horse", "cow", "sheep", "elephant", "chicken", "butterfly", "spider", "squirrel"}


@pytest.fixture(scope="module")
def sample() -> Drawings:
    return draw_animals(1200, seed=11)


def code(attribute: str, value: str) -> int:
    return ATTRIBUTES[attribute].values.index(value)


def of_class(drawings: Drawings, label: str) -> dict[str, np.ndarray]:
    chosen = drawings.labels == LABELS.index(label)
    return {name: values[chosen] for name, values in drawings.attributes.items()}


def test_labels_are_those_of_animals_10() -> None:
    assert set(LABELS) == ANIMALS_10
    assert len(LABELS) == 10


def test_shapes_types_and_ranges(sample: Drawings) -> None:
    assert sample.images.shape == (1200, 32, 32, 3)
    assert sample.images.dtype == np.uint8
    assert sample.labels.dtype == np.int64
    assert len(sample) == 1200
    assert sample.attributes.keys() == ATTRIBUTES.keys()
    for name, values in sample.attributes.items():
        assert values.shape == (1200,)
        assert values.dtype == (np.float32 if name in ("occluded", "extent") else np.int64)
        if ATTRIBUTES[name].values:
            assert 0 <= values.min() <= values.max() < len(ATTRIBUTES[name].values)
    assert len(draw_animals(0, seed=1)) == 0


def test_the_same_call_gives_the_same_images_in_another_process() -> None:
    program = (
        "import hashlib; from workbench.data.animals import draw_animals;"
        "print(hashlib.sha256(draw_animals(12, seed=5, size=64).images.tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1
    assert not np.array_equal(draw_animals(4, seed=5).images, draw_animals(4, seed=6).images)


def test_a_longer_call_begins_with_a_shorter_one() -> None:
    short, long, later = draw_animals(7, seed=3), draw_animals(23, seed=3), draw_animals(16, seed=3, first=7)
    for part, whole in ((short, slice(0, 7)), (later, slice(7, 23))):
        np.testing.assert_array_equal(part.images, long.images[whole])
        np.testing.assert_array_equal(part.labels, long.labels[whole])
        for name, values in part.attributes.items():
            np.testing.assert_array_equal(values, long.attributes[name][whole])


@pytest.mark.parametrize("count", [10, 34, 1200])
def test_classes_are_balanced_and_shuffled(sample: Drawings, count: int) -> None:
    counts = np.bincount(sample.labels[:count], minlength=10)
    assert counts.max() - counts.min() <= 1
    assert not np.array_equal(sample.labels[:10], np.sort(sample.labels[:10]))
    assert not np.array_equal(sample.labels[:10], sample.labels[10:20])


def test_another_size_shows_the_same_scene() -> None:
    small, large = draw_animals(30, seed=2, size=32), draw_animals(30, seed=2, size=64)
    boxes = large.images.reshape(30, 32, 2, 32, 2, 3).astype(float).mean(axis=(2, 4))
    assert np.abs(boxes - small.images).max() <= 1
    for name, values in small.attributes.items():
        np.testing.assert_array_equal(values, large.attributes[name])


def test_given_labels_change_the_animal_and_nothing_around_it() -> None:
    cats, spiders = (draw_animals(60, seed=4, labels=[label] * 60) for label in ("cat", LABELS.index("spider")))
    assert set(cats.labels) == {LABELS.index("cat")}
    assert set(spiders.attributes["legs"]) == {8}
    for name in ("style", "background", "mirrored"):
        np.testing.assert_array_equal(cats.attributes[name], spiders.attributes[name])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"count": 3, "size": 65}, "size = 65: must be a whole number from 8 to 64"),
        ({"count": 3, "size": 4}, "size = 4"),
        ({"count": -1}, "count = -1"),
        ({"count": 1, "first": 0.5}, "first = 0.5"),
        ({"count": 2, "labels": ["cat", "lion"]}, "'lion'"),
        ({"count": 1, "labels": [10]}, "10"),
        ({"count": 1, "labels": [-1]}, "-1"),
        ({"count": 3, "labels": ["cat"]}, "1 labels"),
    ],
)
def test_what_cannot_be_drawn_is_named(arguments: dict, named: str) -> None:
    with pytest.raises(WorkbenchError, match=named):
        draw_animals(seed=1, **arguments)


def test_each_class_has_its_anatomy(sample: Drawings) -> None:
    legs = {"chicken": 2, "butterfly": 0, "spider": 8}
    for label in LABELS:
        animal = of_class(sample, label)
        assert set(animal["legs"]) == {legs.get(label, 4)}, label
        assert (animal["trunk"] == (label == "elephant")).all()
        assert (animal["wool"] == (label == "sheep")).all()
        assert (animal["mane"] == (label == "horse")).all()
        assert (animal["udder"] == (label == "cow")).all()
        assert (animal["beak"] == (label == "chicken")).all()
        assert (animal["comb"] == (label == "chicken")).all()
        assert set(animal["wings"]) == {{"chicken": 1, "butterfly": 4}.get(label, 0)}
        assert set(animal["antennae"]) == {2 if label == "butterfly" else 0}
        # The wool hides a sheep's far ear in profile.
        ears = {"chicken": {0}, "butterfly": {0}, "spider": {0}, "sheep": {1, 2}}
        assert set(animal["ears"]) == ears.get(label, {2})
        assert set(animal["horns"]) <= ({0, 1, 2} if label in ("cow", "sheep") else {0})
        assert set(animal["tusks"]) <= ({0, 2} if label == "elephant" else {0})
        tailless = label in ("butterfly", "spider")
        assert ((animal["tail"] == code("tail", "none")) == tailless).all()
        assert ((animal["tail"] == code("tail", "bushy")) == (label == "squirrel")).all()
        assert ((animal["ear_shape"] == code("ear_shape", "none")) == (animal["ears"] == 0)).all()
    assert set(of_class(sample, "dog")["ear_shape"]) == {code("ear_shape", "floppy"), code("ear_shape", "pointed")}


def test_counted_parts_can_be_seen() -> None:
    """Each counted part has pixels of its own in the map of shapes, but for the odd one behind another."""
    seen = drawn = 0
    for label in LABELS:
        for index in range(25):
            scene = scene_of(label, seed=21, index=index)
            pixels = np.bincount(scene.numbers.ravel(), minlength=256)
            counted = [
                n for n, shape in enumerate(scene.shapes, start=1) if shape.part in ("leg", "wing", "ear", "tail")
            ]
            shown = sum(pixels[number] > 3 for number in counted)
            assert shown >= len(counted) - 2
            seen, drawn = seen + shown, drawn + len(counted)
    assert seen / drawn > 0.97


def test_a_spider_shows_its_legs_apart() -> None:
    """Without its body a spider seen from above falls into about eight pieces: an oracle that knows no shapes."""
    pieces = []
    for index in range(60):
        scene = scene_of("spider", seed=8, index=index)
        if scene.traits.pose != "crouching":
            continue
        # Opening removes whatever is as thin as a leg and leaves the body.
        body = ndimage.binary_opening(scene.numbers > 0, iterations=3)
        legs = (scene.numbers > 0) & ~ndimage.binary_dilation(body, iterations=11)
        labelled, count = ndimage.label(legs, np.ones((3, 3)))
        pieces.append(sum(np.bincount(labelled.ravel())[1:] > 8) if count else 0)
    assert len(pieces) > 15
    assert 7 <= np.median(pieces) <= 9
    assert np.mean(np.abs(np.array(pieces) - 8) <= 2) > 0.85


def test_what_is_hidden_is_what_lies_behind_something(sample: Drawings) -> None:
    hidden = sample.attributes["occluded"]
    free = sample.attributes["occluder"] == code("occluder", "nothing")
    assert (hidden[free] == 0).all()
    assert 0.25 < (hidden > 0).mean() < 0.6
    assert hidden.max() <= 0.25
    scene = scene_of(
        "cow", seed=1, index=int(np.argmax([scene_of("cow", seed=1, index=i).occluded() for i in range(20)]))
    )
    animal = scene.numbers > 0
    assert scene.occluded() == pytest.approx((animal & scene.hidden).sum() / animal.sum())
    assert scene.occluded() > 0.02


def test_extent_is_the_size_of_the_drawn_animal() -> None:
    for index in range(10):
        scene = scene_of("horse", seed=1, index=index)
        box = Image.fromarray(scene.numbers).getbbox()
        assert box is not None
        assert scene.extent() == max(box[2] - box[0], box[3] - box[1]) / 128


def test_line_drawings_are_dark_on_light_and_light_paper_means_a_line_drawing(sample: Drawings) -> None:
    line = sample.attributes["style"] == code("style", "line")
    assert 0.2 < line.mean() < 0.32
    border = sample.images[:, 0].mean(axis=(1, 2))
    assert np.median(border[line]) > 225
    assert (sample.images[line].min(axis=(1, 2, 3)) < 150).all()
    papers = [code("background", name) for name in ("ruled paper", "squared paper")]
    assert not np.isin(sample.attributes["background"][~line], papers).any()


def test_the_surroundings_do_not_give_the_animal_away(sample: Drawings) -> None:
    """Chance is 0.1. A classifier of mean colour, standard deviation, border pixels and style stays near it."""
    pixels = sample.images.astype(np.float64) / 255
    border = np.concatenate(
        [pixels[:, 0, ::4], pixels[:, -1, ::4], pixels[:, ::4, 0], pixels[:, ::4, -1]], axis=1
    ).reshape(len(pixels), -1)
    words = np.stack(
        [
            sample.attributes[name] == value
            for name in ("style", "background", "occluder", "mirrored")
            for value in range(6)
        ],
        axis=1,
    )
    clues = np.concatenate([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2)), border, words], axis=1)
    clues = StandardScaler().fit_transform(clues)
    model = LogisticRegression(C=0.01, max_iter=300).fit(clues[:900], sample.labels[:900])
    assert model.score(clues[900:], sample.labels[900:]) < 0.24


def test_a_contact_sheet_holds_every_image() -> None:
    drawings = draw_animals(7, seed=1, size=FULL_SIZE)
    sheet = contact_sheet(drawings, 3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (3 * 68 + 4, 3 * 68 + 4, 3)
    np.testing.assert_array_equal(sheet[4 + 68 : 68 + 68, 4 + 68 : 68 + 68], drawings.images[4])
    assert (sheet[-64:, -64:] == 246).all()


def test_drawing_needs_no_torch() -> None:
    program = "import sys, workbench.data.animals as a; a.draw_animals(2, seed=1); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
