"""Training patches: cut, rotated, intensities changed; reproducible from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from coldal_compute.segmentation.data import Sample
from coldal_compute.segmentation.metrics import IGNORE
from coldal_compute.segmentation.plan import Plan

_FOREGROUND_SHARE = 0.5
"""Half of the patches are centred on a pixel of some class: small structures are seen often."""


def augmentations(plan: Plan) -> Any:
    """The transforms of one patch: ``{"image", "label"}`` → the same.

    Rotation by up to 15°, scaling by up to 15 %, shifts; contrast, gamma, brightness, noise. No
    mirroring: anatomy has a left and a right. Labels come in shifted by one (0 = ignored), so
    that what turns in from outside the patch is ignored and not learned as background.
    """
    from monai.transforms.compose import Compose
    from monai.transforms.intensity.dictionary import (
        RandAdjustContrastd,
        RandGaussianNoised,
        RandGaussianSmoothd,
        RandScaleIntensityd,
        RandShiftIntensityd,
    )
    from monai.transforms.spatial.dictionary import RandAffined

    turn = pi / 12
    return Compose(
        [
            RandAffined(
                ["image", "label"],
                prob=0.8,
                rotate_range=_rotations(plan, turn),
                scale_range=[0.15] * plan.ndim,
                translate_range=[0.06 * side for side in plan.patch],
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


def _rotations(plan: Plan, turn: float) -> list[float]:
    """Angles per axis; volumes with thick slices rotate only within the slices."""
    if plan.ndim == 2 or plan.spacing is None:
        return [turn] if plan.ndim == 2 else [turn] * 3
    coarse = max(plan.spacing)
    if coarse <= 2 * min(plan.spacing):
        return [turn] * 3
    return [turn if spacing == coarse else 0.0 for spacing in plan.spacing]


class Patches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """One block of training: item n is always patch n, in any order of access.

    Every item draws from its own generator, seeded by (seed, block, n): a resumed run and any
    number of loader processes see the same patches as an undisturbed run. Scans come in shuffled
    rounds, so that each is seen equally often.
    """

    def __init__(
        self, samples: Sequence[Sample], plan: Plan, seed: int, block: int, first: int, count: int
    ) -> None:
        self._samples = samples
        self._plan = plan
        self._seed = seed
        self._block = block
        self._first = first
        self._count = count
        self._transform = augmentations(plan)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng([self._seed, self._block, index])
        image, label = cut_patch(self._sample(self._first + index), self._plan, rng)
        self._transform.set_random_state(seed=int(rng.integers(2**32)))
        shifted = label[np.newaxis] + np.uint8(1)
        done = self._transform({"image": image.astype(np.float32), "label": shifted})
        target = np.asarray(done["label"]).astype(np.uint8)[0] - np.uint8(1)
        return torch.as_tensor(np.asarray(done["image"])), torch.from_numpy(target)

    def _sample(self, number: int) -> Sample:
        turn, place = divmod(number, len(self._samples))
        order = np.random.default_rng([self._seed, turn]).permutation(len(self._samples))
        return self._samples[int(order[place])]


def cut_patch(
    sample: Sample, plan: Plan, rng: np.random.Generator
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """A patch of ``plan.patch``; where the scan is smaller it is padded, and the rest ignored.

    Returns (channels, *patch) float16 and (*patch) uint8.
    """
    shape = sample.label.shape
    if shape == plan.patch:
        return sample.image, sample.label
    room = [max(0, n - p) for n, p in zip(shape, plan.patch, strict=True)]
    starts = [int(rng.integers(0, free + 1)) for free in room]
    if rng.random() < _FOREGROUND_SHARE and (centre := _foreground(sample, rng)):
        starts = [
            min(max(0, c - p // 2), free)
            for c, p, free in zip(centre, plan.patch, room, strict=True)
        ]
    box = tuple(slice(s, s + p) for s, p in zip(starts, plan.patch, strict=True))
    image, label = sample.image[(slice(None), *box)], sample.label[box]
    missing = [p - n for p, n in zip(plan.patch, label.shape, strict=True)]
    if any(missing):
        widths = [(m // 2, m - m // 2) for m in missing]
        image = np.pad(image, [(0, 0), *widths])
        label = np.pad(label, widths, constant_values=IGNORE)
    return image, label


def _foreground(sample: Sample, rng: np.random.Generator) -> tuple[int, ...] | None:
    if not sample.places:
        return None
    places = sample.places[int(rng.integers(len(sample.places)))]
    found = np.unravel_index(int(places[int(rng.integers(len(places)))]), sample.label.shape)
    return tuple(int(n) for n in found)
