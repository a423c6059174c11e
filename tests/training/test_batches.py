import pytest
import torch
from torchvision.transforms import functional as vision

from workbench.data.datasets import Split
from workbench.hyperparameters import HyperParameters
from workbench.training.batches import Batches, augment, boundaries, plan_epoch, steps_per_epoch

CPU = torch.device("cpu")
PLAIN = HyperParameters(batch_size=8, flip=False)


def make_split(count=50, height=9, width=7):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)
    return Split("train", images, torch.arange(count))


@pytest.mark.parametrize(("count", "batch_size"), [(50, 8), (1, 128), (128, 128), (129, 128), (1000, 7)])
def test_an_epoch_sees_every_image_once_in_even_batches(count, batch_size):
    places = boundaries(count, batch_size)
    assert len(places) == steps_per_epoch(count, batch_size)
    assert [begin for begin, _ in places] == [0, *(end for _, end in places[:-1])]
    assert places[-1][1] == count
    sizes = {end - begin for begin, end in places}
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_augment_is_torchvisions_flip_then_a_move_that_repeats_the_edge():
    images = make_split(40).images
    generator = torch.Generator().manual_seed(1)
    flips = torch.rand(40, generator=generator) < 0.5
    down, right = (torch.randint(-3, 4, (40,), generator=generator) for _ in range(2))
    found = augment(images, flips, down, right, shift=3)
    for k in range(40):
        image = images[k].permute(2, 0, 1)
        if flips[k]:
            image = vision.hflip(image)
        padded = vision.pad(image, [3, 3, 3, 3], padding_mode="edge")
        oracle = vision.crop(padded, 3 - int(down[k]), 3 - int(right[k]), 9, 7)
        assert torch.equal(found[k].permute(2, 0, 1), oracle)
    only_flips = augment(images, flips, down, right, shift=0)
    assert torch.equal(only_flips[flips], images[flips].flip(2))
    assert torch.equal(only_flips[~flips], images[~flips])


def test_the_plan_depends_on_seed_and_epoch_alone():
    plan = plan_epoch(1000, HyperParameters(seed=3, shift=2), epoch=5)
    torch.manual_seed(99)
    again = plan_epoch(1000, HyperParameters(seed=3, shift=2), epoch=5)
    for name in ("order", "flips", "down", "right"):
        assert torch.equal(getattr(plan, name), getattr(again, name))
    assert sorted(plan.order.tolist()) == list(range(1000))
    assert 400 < int(plan.flips.sum()) < 600
    assert set(plan.down.tolist()) == set(plan.right.tolist()) == {-2, -1, 0, 1, 2}
    others = [plan_epoch(1000, HyperParameters(seed=3), 6), plan_epoch(1000, HyperParameters(seed=4), 5)]
    assert not any(torch.equal(plan.order, other.order) for other in others)


@pytest.mark.parametrize("hyperparameters", [PLAIN, PLAIN.replace(flip=True), PLAIN.replace(flip=True, shift=2)])
def test_streamed_from_a_mapped_file_is_the_same_as_resident(tmp_path, hyperparameters):
    split = make_split()
    (tmp_path / "images").write_bytes(split.images.numpy().tobytes())
    mapped = torch.from_file(str(tmp_path / "images"), size=split.images.numel(), dtype=torch.uint8)
    resident = Batches(split, hyperparameters, CPU, free_memory=10**9)
    streamed = Batches(Split("train", mapped.view(50, 9, 7, 3), split.labels), hyperparameters, CPU, free_memory=100)
    assert resident.resident
    assert not streamed.resident
    before = torch.get_rng_state()
    for start in (0, 3):
        pairs = list(zip(resident.epoch(2, start), streamed.epoch(2, start), strict=True))
        assert len(pairs) == len(resident) - start
        for (images, labels), (streamed_images, streamed_labels) in pairs:
            assert torch.equal(images, streamed_images)
            assert torch.equal(labels, streamed_labels)
    assert torch.equal(before, torch.get_rng_state())


def test_without_augmentation_images_keep_their_labels():
    split = make_split()
    for images, labels in Batches(split, PLAIN, CPU, 10**9).epoch(0):
        assert torch.equal(images, split.images[labels])
