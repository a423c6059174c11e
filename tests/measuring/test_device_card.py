import json
import math
import random

import pytest

from workbench.errors import WorkbenchError
from workbench.folders import DEVICES
from workbench.measuring.device_card import FIGURES, KINDS, DeviceCard

PUBLISHED = sorted(path for path in DEVICES.glob("*.json") if path.name != "schema.json")
VALUES = {
    "name": "A board",
    "kind": "single-board computer",
    "processor": "A processor",
    "cores": 4,
    "memory_bytes": 10**9,
    "peak_flops": {"fp32": 1e11},
    "memory_bandwidth": 1e10,
    "launch_seconds": 1e-6,
    "watts": 10,
    "sources": dict.fromkeys(
        ("cores", "memory_bytes", "peak_flops", "memory_bandwidth", "launch_seconds", "watts"), "a data sheet"
    ),
}


def published(path):
    return DeviceCard.from_mapping(json.loads(path.read_text(encoding="utf-8"))["card"])


def test_a_card_survives_json():
    card = DeviceCard.from_mapping(VALUES)
    assert DeviceCard.from_mapping(json.loads(json.dumps(card.to_mapping()))) == card
    assert not card.is_gpu
    assert hash(card) == hash(DeviceCard.from_mapping(VALUES))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_every_published_card_is_valid_and_sourced(path):
    card = published(path)
    assert path.stem == path.stem.lower()
    assert DeviceCard.from_mapping(card.to_mapping()) == card
    for name in FIGURES:
        if getattr(card, name) not in (None, 0, {}):
            assert len(card.sources[name]) > 10, f"{path.name}: {name}"


def test_the_devices_nobody_measured_are_there():
    kinds = {published(path).kind for path in PUBLISHED}
    asked = {
        "data-centre GPU",
        "laptop GPU",
        "single-board computer",
        "embedded GPU module",
        "phone",
        "microcontroller",
    }
    assert asked <= kinds <= set(KINDS)
    names = " ".join(published(path).name for path in PUBLISHED)
    for name in ("H100", "UP Squared", "Raspberry Pi 5", "Jetson Orin Nano", "Snapdragon", "Cortex-M7"):
        assert name in names


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("name", "x" * 121),
        ("kind", "toaster"),
        ("cores", 0),
        ("cores", 4.0),
        ("cores", True),
        ("memory_bytes", -1),
        ("flash_bytes", 0),
        ("peak_flops", {"fp64": 1e9}),
        ("peak_flops", {"fp32": -1e9}),
        ("peak_flops", [1]),
        ("memory_bandwidth", math.inf),
        ("memory_bandwidth", "fast"),
        ("launch_seconds", math.nan),
        ("copy_seconds", -1e-9),
        ("watts", 0),
        ("sources", {"colour": "blue"}),
        ("sources", {"watts": ""}),
    ],
)
def test_what_is_wrong_is_named_with_its_value(key, wrong):
    with pytest.raises(WorkbenchError) as caught:
        DeviceCard.from_mapping(VALUES | {key: wrong})
    text = str(caught.value)
    assert text.startswith(f"A device card: {key}")
    assert " must be " in text
    assert "\n" not in text


def test_a_figure_without_its_source_is_refused():
    with pytest.raises(WorkbenchError, match=r"mass_grams = 46 has no source"):
        DeviceCard.from_mapping(VALUES | {"mass_grams": 46})
    sources = {name: source for name, source in VALUES["sources"].items() if name != "watts"}
    with pytest.raises(WorkbenchError, match=r"watts = 10 has no source"):
        DeviceCard.from_mapping(VALUES | {"sources": sources})
    unknown = VALUES["sources"] | {"mass_grams": "not published"}
    assert DeviceCard.from_mapping(VALUES | {"sources": unknown}).mass_grams is None


def test_keys_that_are_missing_or_unknown_are_named():
    with pytest.raises(WorkbenchError, match="the key 'colour' is unknown"):
        DeviceCard.from_mapping(VALUES | {"colour": "blue"})
    with pytest.raises(WorkbenchError, match="the key 'cores' is missing"):
        DeviceCard.from_mapping({key: value for key, value in VALUES.items() if key != "cores"})
    with pytest.raises(WorkbenchError, match="must be an object"):
        DeviceCard.from_mapping([])


ODD = (None, True, -1, 0, 1, 1.5, 1e300, 10**400, math.nan, math.inf, "", "x", "x" * 10**4, "\0", "\ud800", [], [1], {})


def test_two_hundred_altered_cards_are_read_or_refused_in_one_sentence():
    random_numbers = random.Random(0)
    refused = []
    for _ in range(200):
        values = json.loads(random_numbers.choice(PUBLISHED).read_text(encoding="utf-8"))["card"]
        for _ in range(random_numbers.randint(1, 3)):
            place = (
                values if random_numbers.random() < 0.6 else values[random_numbers.choice(["peak_flops", "sources"])]
            )
            if not isinstance(place, dict) or not place:
                continue
            key = random_numbers.choice([*place, "new", "\n", 7])
            if random_numbers.random() < 0.25:
                place.pop(key, None)
            else:
                place[key] = random_numbers.choice(ODD)
            if not all(isinstance(values.get(name), dict) for name in ("peak_flops", "sources")):
                break
        try:
            DeviceCard.from_mapping(values)
        except WorkbenchError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(len(text) < 600 and "\n" not in text for text in refused)
