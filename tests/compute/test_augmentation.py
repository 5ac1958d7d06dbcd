"""Patches are changed as MONAI's own transforms change them, to the bit."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
import torch
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import RandAffined

from coldal_compute.segmentation.augmentation import Augmentation
from coldal_compute.segmentation.plan import Plan


def _plan(patch: tuple[int, ...], spacing: tuple[float, ...] | None, channels: int) -> Plan:
    strides = ((2,) * len(patch),)
    return Plan(("a",), len(patch), channels, patch, 2, 1, (4, 8), strides, 0.1, spacing=spacing)


def _monai(patch: tuple[int, ...], rotations: list[float]) -> Compose:
    return Compose(
        [
            RandAffined(
                ["image", "label"],
                prob=0.8,
                rotate_range=rotations,
                scale_range=[0.15] * len(patch),
                translate_range=[0.06 * side for side in patch],
                mode=("bilinear", "nearest"),
                padding_mode=("border", "zeros"),
            ),
            RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5)),
            RandScaleIntensityd("image", factors=0.25, prob=0.3),
            RandShiftIntensityd("image", offsets=0.25, prob=0.3),
            RandGaussianSmoothd(
                "image", prob=0.1, sigma_x=(0.4, 1.0), sigma_y=(0.4, 1.0), sigma_z=(0.4, 1.0)
            ),
            RandGaussianNoised("image", prob=0.15, std=0.1),
        ]
    )


@pytest.mark.parametrize(
    ("patch", "spacing", "channels", "rotations"),
    [
        ((20, 12), None, 1, [pi / 12]),
        ((9, 16), None, 3, [pi / 12]),
        ((6, 10, 7), (1.0, 1.0, 1.5), 2, [pi / 12] * 3),
        # Slices three times as thick as their pixels: rotation within the slices alone.
        ((5, 12, 12), (3.0, 1.0, 1.0), 1, [pi / 12, 0.0, 0.0]),
    ],
)
def test_a_patch_is_what_monai_makes_of_it(
    patch: tuple[int, ...],
    spacing: tuple[float, ...] | None,
    channels: int,
    rotations: list[float],
) -> None:
    ours, theirs = Augmentation(_plan(patch, spacing, channels)), _monai(patch, rotations)
    rng = np.random.default_rng(0)
    changed = 0
    for seed in [0, 2**32 - 1, *map(int, rng.integers(2**32, size=60))]:
        image = rng.normal(size=(channels, *patch)).astype(np.float16)
        label = rng.choice(np.array([0, 1, 2, 255], dtype=np.uint8), size=patch)
        pixels, target = ours(image, label, seed)
        theirs.set_random_state(seed=seed)
        shifted = label[np.newaxis] + np.uint8(1)
        made = theirs({"image": image.astype(np.float32), "label": shifted})
        expected = np.asarray(made["label"]).astype(np.uint8)[0] - np.uint8(1)
        assert pixels.dtype == torch.float32
        assert target.dtype == torch.uint8
        np.testing.assert_array_equal(pixels.numpy(), np.asarray(made["image"]))
        np.testing.assert_array_equal(target.numpy(), expected)
        changed += not np.array_equal(target.numpy(), label)
    assert changed > 30
