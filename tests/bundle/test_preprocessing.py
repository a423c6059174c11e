"""Fitting images, and the description of what a network expects."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bundle.images import ImageError
from workbench.bundle.preprocessing import Preprocessing, fit_image
from workbench.errors import WorkbenchError

_Y, _X = np.mgrid[:48, :64]
RGB = np.stack([_X * 4, _Y * 5, (_X + _Y) * 2], axis=-1).astype(np.uint8)
RGB[:12, :12] = (255, 0, 0)


def wanted(height: int, width: int, channels: int = 3) -> Preprocessing:
    return Preprocessing(height=height, width=width, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)


def test_a_image_that_fits_keeps_its_pixels() -> None:
    fitted = fit_image(RGB, wanted(48, 64))
    assert np.array_equal(fitted, RGB)
    assert not np.shares_memory(fitted, RGB)


def test_the_centre_is_cut_out_without_scaling() -> None:
    assert np.array_equal(fit_image(RGB, wanted(48, 48)), RGB[:, 8:56])
    assert np.array_equal(fit_image(RGB[:, :41], wanted(41, 41)), RGB[3:44, :41])


@pytest.mark.parametrize(("height", "width"), [(24, 32), (32, 32), (7, 5), (96, 128)])
def test_scaling_agrees_with_an_antialiased_bilinear_resize(height: int, width: int) -> None:
    import torch
    from torch.nn.functional import interpolate

    scale = min(64 / width, 48 / height)
    box_height, box_width = round(scale * height), round(scale * width)
    top, left = (48 - box_height) // 2, (64 - box_width) // 2
    crop = torch.from_numpy(RGB[top : top + box_height, left : left + box_width]).permute(2, 0, 1)[None].float()
    expected = interpolate(crop, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    difference = np.abs(fit_image(RGB, wanted(height, width)) - expected)
    # 7 × 5 cuts a box of fractional width, which the oracle rounds.
    assert difference.mean() < (1.0 if scale * width == box_width else 3.0)


def test_grey_is_luma_and_grey_images_become_colour() -> None:
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(fit_image(RGB, wanted(48, 64, 1))[..., 0] - luma).max() <= 1
    grey = RGB[..., :1]
    assert np.array_equal(fit_image(grey, wanted(48, 64)), np.repeat(grey, 3, axis=2))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
def test_any_size_fits_any_size(height: int, width: int, to_height: int, to_width: int, channels: int) -> None:
    flat = np.full((height, width, 3), 77, dtype=np.uint8)
    fitted = fit_image(flat, wanted(to_height, to_width, channels))
    assert fitted.shape == (to_height, to_width, channels)
    assert (fitted == 77).all()


@pytest.mark.parametrize("wrong", [RGB.astype(np.float32), RGB[0], np.zeros((0, 4, 3), np.uint8), RGB[..., :2], "cat"])
def test_what_is_no_image_is_not_fitted(wrong: Any) -> None:
    with pytest.raises(ImageError, match="must"):
        fit_image(wrong, wanted(8, 8))


# ---- preprocessing ------------------------------------------------------------------------------------------------


def test_preprocessing_survives_the_round_trip() -> None:
    import json

    preprocessing = Preprocessing(height=32, width=24, channels=3, mean=(0.1, 1 / 3, 0.9), std=(0.2, 0.3, 0.4))
    assert Preprocessing.from_mapping(json.loads(json.dumps(preprocessing.to_mapping()))) == preprocessing


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"height": 5000},
        {"width": 32.0},
        {"width": True},
        {"channels": 2},
        {"channels": 4},
        {"mean": [0.5]},
        {"mean": [0.5, 0.5, float("nan")]},
        {"mean": [0.5, 0.5, 1.5]},
        {"mean": "0.5"},
        {"mean": [0.5, 0.5, "0.5"]},
        {"std": [0.5, 0.5, 0.0]},
        {"std": [0.5, 0.5, -0.1]},
        {"std": [0.5, 0.5, float("inf")]},
        {"std": None},
        {"extra": 1},
    ],
)
def test_wrong_preprocessing_is_refused_by_name(change: dict[str, Any]) -> None:
    values = wanted(32, 32).to_mapping() | change
    with pytest.raises(WorkbenchError, match=next(iter(change))):
        Preprocessing.from_mapping(values)


def test_missing_preprocessing_is_refused() -> None:
    for wrong in ({}, [], None, {"height": 3}):
        with pytest.raises(WorkbenchError, match="needs exactly"):
            Preprocessing.from_mapping(wrong)  # type: ignore[arg-type]


def test_images_are_read_and_fitted_without_torch() -> None:
    code = "import sys, workbench.bundle.preprocessing; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)
