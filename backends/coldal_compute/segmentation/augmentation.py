"""Training patches: cut, rotated, intensities changed; reproducible from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import Dataset

from coldal_compute.segmentation.data import Sample
from coldal_compute.segmentation.metrics import IGNORE
from coldal_compute.segmentation.plan import Plan

_FOREGROUND_SHARE = 0.5
"""Half of the patches are centred on a pixel of some class: small structures are seen often."""


class Augmentation:
    """Changes one patch at random: geometry of image and label, then intensities of the image.

    Rotation by up to 15°, scaling by up to 15 %, shifts; contrast, gamma, brightness, noise. No
    mirroring: anatomy has a left and a right.

    Every value is the one that MONAI 1.6's ``RandAffined``, ``RandAdjustContrastd``,
    ``RandScaleIntensityd``, ``RandShiftIntensityd``, ``RandGaussianSmoothd`` and
    ``RandGaussianNoised`` give, to the bit (a test compares them). They spend five times as long on
    records of what they did, which nobody reads here. Each takes its numbers from a generator of
    its own, seeded from that of the patch.
    """

    def __init__(self, plan: Plan) -> None:
        ndim = plan.ndim
        self._random = np.random.RandomState()
        self._rotations = _rotations(plan, pi / 12)
        self._shifts = [0.06 * side for side in plan.patch]
        self._scales = [0.15] * ndim
        sides = [torch.linspace(-(n - 1.0) / 2.0, (n - 1.0) / 2.0, n) for n in plan.patch]
        axes = torch.meshgrid(*sides, indexing="ij")
        self._grid = torch.stack([*axes, torch.ones_like(axes[0])]).reshape(ndim + 1, -1)
        self._patch = tuple(plan.patch)
        halves = [2.0 / max(2, n) for n in reversed(plan.patch)]
        self._halves = torch.tensor(halves, dtype=torch.float64)

    def __call__(
        self, image: NDArray[np.float16], label: NDArray[np.uint8], seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A patch ``(channels, *patch)`` and its label ``(*patch)``: float32 and uint8.

        What turns in from outside the patch is ignored (255), not learned as background.
        """
        self._random.seed(seed)
        seeds = self._random.randint(1 << 32, size=6, dtype="uint32")
        pixels = torch.from_numpy(image.astype(np.float32))
        target = torch.from_numpy(label)
        if self._drawn(seeds[0], 0.8):
            pixels, target = self._moved(pixels, target, int(seeds[0]))
        if self._drawn(seeds[1], 0.3):
            pixels = _gamma(pixels, self._random.uniform(0.7, 1.5))
        if self._drawn(seeds[2], 0.3):
            pixels = pixels * (1 + self._random.uniform(-0.25, 0.25))
        if self._drawn(seeds[3], 0.3):
            pixels = pixels + self._random.uniform(-0.25, 0.25)
        if self._drawn(seeds[4], 0.1):
            pixels = _smooth(pixels, [self._random.uniform(0.4, 1.0) for _ in range(3)])
        if self._drawn(seeds[5], 0.15):
            deviation = self._random.uniform(0, 0.1)
            noise = self._random.normal(0.0, deviation, size=tuple(pixels.shape))
            pixels = pixels + torch.from_numpy(noise.astype(np.float32))
        return pixels, target

    def _drawn(self, seed: np.unsignedinteger, probability: float) -> bool:
        self._random.seed(int(seed))
        return bool(self._random.rand() < probability)

    def _moved(
        self, pixels: torch.Tensor, label: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and label sampled on a rotated, shifted and scaled grid."""
        self._random.seed(seed)
        for _ in range(2):
            # MONAI draws twice and uses the second draw.
            rotations = [self._random.uniform(-most, most) for most in self._rotations]
            shifts = [self._random.uniform(-most, most) for most in self._shifts]
            scales = [self._random.uniform(-most, most) + 1.0 for most in self._scales]
        where = _affine(rotations, shifts, scales) @ self._grid
        ndim = len(self._patch)
        grid = where[:ndim].flip(0).T.reshape(1, *self._patch, ndim).double()
        grid *= self._halves
        moved = functional.grid_sample(
            pixels.double()[None], grid, "bilinear", "border", align_corners=False
        )
        # Zeros come in from outside: labels are shifted by one, so that these are "ignored".
        shifted = (label + 1).double()[None, None]
        turned = functional.grid_sample(shifted, grid, "nearest", "zeros", align_corners=False)
        return moved[0].float(), turned[0, 0].to(torch.uint8) - 1


def _affine(rotations: list[float], shifts: list[float], scales: list[float]) -> torch.Tensor:
    """Rotation (about each axis in turn), then shift, then scale: (ndim + 1, ndim + 1) float32."""
    ndim = len(scales)
    matrix = torch.eye(ndim + 1)
    turn = torch.eye(ndim + 1)
    for axis, angle in enumerate(rotations):
        one = torch.eye(ndim + 1)
        radians = torch.tensor(angle, dtype=torch.float32)
        sine, cosine = torch.sin(radians), torch.cos(radians)
        low, high = (0, 1) if ndim == 2 else [(1, 2), (0, 2), (0, 1)][axis]
        if ndim == 3 and axis == 1:
            sine = -sine
        one[low, low], one[low, high] = cosine, -sine
        one[high, low], one[high, high] = sine, cosine
        turn = turn @ one
    matrix = matrix @ turn
    moved = torch.eye(ndim + 1)
    moved[:ndim, ndim] = torch.tensor(shifts)
    return matrix @ moved @ torch.diag(torch.tensor([*scales, 1.0]))


def _gamma(pixels: torch.Tensor, gamma: float) -> torch.Tensor:
    low = pixels.min()
    span = pixels.max() - low
    return ((pixels - low) / float(span + 1e-7)) ** gamma * span + low


def _smooth(pixels: torch.Tensor, deviations: list[float]) -> torch.Tensor:
    """Gaussian smoothing of each channel; one standard deviation, in pixels, per axis."""
    from monai.networks.layers.simplelayers import GaussianFilter

    ndim = pixels.ndim - 1
    sigma = [torch.tensor(one) for one in deviations[:ndim]]
    return torch.as_tensor(GaussianFilter(ndim, sigma)(pixels[None])[0])


def _rotations(plan: Plan, turn: float) -> list[float]:
    """Angles per axis; volumes with thick slices rotate only within the slices."""
    if plan.ndim == 2 or plan.spacing is None:
        return [turn] if plan.ndim == 2 else [turn] * 3
    coarse = max(plan.spacing)
    if coarse <= 2 * min(plan.spacing):
        return [turn] * 3
    return [turn if spacing == coarse else 0.0 for spacing in plan.spacing]


class Patches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The ``count`` patches of a training: item n is always patch n, in any order of access.

    Every item draws from its own generator, seeded by (seed, block, place in the block), for blocks
    of ``block`` patches: a resumed run and any number of loader processes see the same patches as
    an undisturbed run. Scans come in shuffled rounds, so that each is seen equally often.
    """

    def __init__(
        self, samples: Sequence[Sample], plan: Plan, seed: int, block: int, count: int
    ) -> None:
        self._samples = samples
        self._plan = plan
        self._seed = seed
        self._block = block
        self._count = count
        self._augmentation = Augmentation(plan)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng([self._seed, *divmod(index, self._block)])
        image, label = cut_patch(self._sample(index), self._plan, rng)
        return self._augmentation(image, label, int(rng.integers(2**32)))

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
