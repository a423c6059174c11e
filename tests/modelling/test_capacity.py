import json

import lz4.frame
import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.folders import DEVICES
from workbench.hyperparameters import HyperParameters
from workbench.measuring.device_card import DeviceCard
from workbench.modelling.capacity import data_bytes, fits, largest_batch
from workbench.modelling.cost import cost_of


def card_of(stem):
    return DeviceCard.from_mapping(json.loads((DEVICES / f"{stem}.json").read_text(encoding="utf-8"))["card"])


M7, PI, JETSON = card_of("nucleo-h743zi"), card_of("raspberry-pi-5"), card_of("jetson-orin-nano-super-8gb")
COST = cost_of(HyperParameters())
DATA = {"raw": 400_000_000, "packed": 100_000_000, "LZ4": 60_000_000}


def test_the_bytes_of_each_need_add_up_to_the_costs():
    inference, training, *kept = fits(PI, COST, DATA)
    assert inference.bytes == sum(inference.parts.values()) == COST.inference_bytes
    assert training.bytes == sum(training.parts.values()) == COST.training_bytes
    assert [fit.bytes for fit in kept] == [COST.training_bytes + size for size in DATA.values()]
    assert [fit.need for fit in kept] == [f"training with the data kept ({way})" for way in DATA]
    assert all(fit.fits and fit.limit_bytes == PI.memory_bytes for fit in (inference, training, *kept))


def test_a_microcontroller_infers_and_does_not_train():
    inference, training, *kept = fits(M7, COST, DATA)
    assert inference.fits
    assert inference.parts == {"weights": COST.weight_bytes // 4, "working memory": COST.working_bytes // 4}
    assert training.breaks == "memory"
    assert all(fit.breaks == "memory" for fit in kept)
    assert f"{training.bytes / M7.memory_bytes:.1f} times what there is" in training.sentence


def test_weights_may_lie_in_flash_and_break_it():
    wide = cost_of(HyperParameters(width=6))
    inference = fits(M7, wide)[0]
    assert inference.breaks == "flash"
    assert inference.bytes == wide.weight_bytes // 4 > inference.limit_bytes == M7.flash_bytes
    # Where there is no flash, weights are in memory.
    assert fits(PI, wide)[0].bytes == wide.inference_bytes


def test_power_breaks_last_and_is_asked_only_where_it_is_known():
    inference, training = fits(JETSON, COST, watts=10)
    assert inference.breaks == training.breaks == "power"
    assert "25 W and only 10 W are available" in inference.sentence
    assert fits(JETSON, COST, watts=25)[0].fits
    assert fits(M7, COST, watts=0.001)[0].fits
    assert "its power is not known" in fits(M7, COST, watts=0.001)[0].sentence
    assert [fit.verdict for fit in fits(M7, COST, watts=0.001)] == ["fits, power unknown", "does not fit: memory"]
    assert [fit.verdict for fit in fits(JETSON, COST, watts=10)] == ["does not fit: power"] * 2
    assert fits(M7, COST)[0].verdict == "fits"
    assert fits(M7, COST, watts=0.001)[1].breaks == "memory"


def test_exactly_full_fits_and_one_byte_more_does_not():
    small = DeviceCard.from_mapping(PI.to_mapping() | {"memory_bytes": COST.training_bytes})
    assert fits(small, COST)[1].fits
    assert fits(small, COST, {"packed": 1})[2].breaks == "memory"


def test_every_sentence_has_figures_an_answer_and_its_origin():
    for card in (M7, PI, JETSON):
        for fit in fits(card, COST, DATA, watts=10):
            assert card.name in fit.sentence
            assert fit.sentence.endswith("(modelled).")
            assert (" fits on " in fit.sentence) == fit.fits
            assert (" does not fit on " in fit.sentence) != fit.fits
            assert any(unit in fit.sentence for unit in ("kB", "MB", "GB"))


def test_data_are_really_compressed():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 8, 8, 3), dtype=np.uint8)
    flat = np.full((1500, 8, 8, 3), 7, dtype=np.uint8)
    for images in (noise, flat):
        found = data_bytes(images)
        assert found["packed"] == images.nbytes
        assert found["raw"] == images.astype(np.float32).nbytes
        blocks = (images[:1024], images[1024:])
        assert found["LZ4"] == sum(len(lz4.frame.compress(block.tobytes())) for block in blocks)
    assert data_bytes(noise)["LZ4"] >= noise.nbytes
    assert data_bytes(flat)["LZ4"] < flat.nbytes / 50


def test_a_split_and_a_whole_data_set_can_be_given():
    class Split:
        images = np.zeros((3, 4, 4, 1), dtype=np.uint8)

    class Data:
        train = Split()

    assert data_bytes(Data())["packed"] == data_bytes(Split())["packed"] == 48


def test_what_is_wrong_is_a_sentence():
    with pytest.raises(WorkbenchError, match=r"needs uint8 images \(N, H, W, C\), not float32 with 4 dimensions"):
        data_bytes(np.zeros((1, 2, 2, 1), dtype=np.float32))
    with pytest.raises(WorkbenchError, match="precision = 'int4'"):
        fits(PI, COST, precision="int4")
    with pytest.raises(WorkbenchError, match="watts = -1"):
        fits(PI, COST, watts=-1)


@pytest.mark.parametrize("card", [M7, PI, JETSON], ids=lambda card: card.name)
def test_the_largest_batch_is_the_last_that_fits(card):
    most = largest_batch(card, COST, phase="training")
    for size, expected in ((most, True), (most + 1, False)):
        if size:
            assert fits(card, cost_of(HyperParameters(batch_size=size), images=10**9))[1].fits is expected
    answers = largest_batch(card, COST)
    factor = 4 if card.is_microcontroller else 1
    weights = 0 if card.flash_bytes else COST.weight_bytes
    assert answers * COST.working_bytes // factor <= card.memory_bytes - weights
    assert (answers + 1) * COST.working_bytes // factor > card.memory_bytes - weights
    assert largest_batch(M7, cost_of(HyperParameters(width=6))) == 0  # its weights do not fit into the flash
