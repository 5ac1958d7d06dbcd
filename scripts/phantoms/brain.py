"""Made-up crops of brain MRI around a bent, tapering body in two parts, like a hippocampus.

Everything is computed in millimetres of a patient frame (x to the right, y to the front, z up),
centred on the crop, so that any affine shows the same anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantoms.cohort import SEED
from phantoms.fields import Field, smooth_noise, step

ANTERIOR, POSTERIOR = 1, 2
WHITE, GREY, FLUID = 1.0, 0.62, 0.18

_ORIENTATIONS = ("RAS", "LAS", "LPS", "RAS", "PSR", "RSA")


@dataclass(frozen=True)
class Volume:
    """``voxels`` int16 and ``labels`` uint8 of one shape; ``affine`` 4×4, voxel to RAS mm."""

    voxels: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: Field


def make_volume(number: int) -> Volume:
    """The volume with this number (from 1); each has its own grid, affine and brightness."""
    rng = np.random.default_rng([SEED, 2, number])
    extent = np.array([rng.integers(36, 43), rng.integers(46, 53), rng.integers(32, 39)])
    spacing = np.array([1.0, 1.0, 1.0 if number % 3 else 1.25])
    rotation, shape, sizes = _orient(_ORIENTATIONS[number % 6], extent, spacing)
    tilt = _turn(rng.normal(0, 9.0, 3) if number % 2 else np.zeros(3))
    linear = tilt @ rotation @ np.diag(sizes)
    centre = (np.array(shape) - 1) / 2
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = rng.uniform([-34, -40, -30], [34, -10, 0]) - linear @ centre
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) - centre
    x, y, z = np.moveaxis(index @ (rotation @ np.diag(sizes)).T, -1, 0)
    if number % 2:
        x = -x
    tissue, labels = _tissue(x, y, z, rng)
    return Volume(_as_scanned(tissue, rng), labels, affine)


def _orient(
    codes: str, extent: NDArray[np.int64], spacing: Field
) -> tuple[Field, tuple[int, ...], Field]:
    """Axis directions, shape and voxel sizes of a grid whose axes point to ``codes``."""
    axes = [("LR".find(c), "PA".find(c), "IS".find(c)) for c in codes]
    rotation, order = np.zeros((3, 3)), []
    for column, found in enumerate(axes):
        world = next(axis for axis in range(3) if found[axis] >= 0)
        rotation[world, column] = 1.0 if found[world] else -1.0
        order.append(world)
    shape = tuple(round(extent[axis] / spacing[axis]) for axis in order)
    return rotation, shape, spacing[order]


def _turn(degrees: Field) -> Field:
    """Rotation by angles about x, y and z."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [k for k in range(3) if k != axis]
        step_ = np.eye(3)
        step_[i, i] = step_[j, j] = np.cos(angle)
        step_[i, j], step_[j, i] = -np.sin(angle), np.sin(angle)
        turned = turned @ step_
    return turned


def _tissue(
    x: Field, y: Field, z: Field, rng: np.random.Generator
) -> tuple[Field, NDArray[np.uint8]]:
    """Brightness of the tissue (white matter 1) and the two labels."""
    shape = x.shape
    folds = smooth_noise(rng, shape, 3.2) + 0.35 * smooth_noise(rng, shape, 1.6)
    tissue = WHITE - (WHITE - GREY) * step(0.55 - np.abs(folds), 0.35)
    tissue -= (GREY - FLUID) * step(0.10 - np.abs(folds), 0.14) * step(np.abs(x + 2) - 9.0, 3.0)
    stem = np.hypot(np.hypot((x - 19.0) / 10.0, (y + 2.0) / 17.0), (z - 6.0) / 15.0)
    tissue = np.where(stem < 1.22, FLUID + 0.1, tissue)
    tissue = np.where(stem < 1.0, 0.92, tissue)
    body, along = _hippocampus(x, y, z, rng)
    horn, _ = _hippocampus(x + 3.4, y - 1.5, z - 2.6, rng)
    sheath = step(1.9 - body, 1.2)
    tissue = tissue * (1 - sheath) + sheath * (WHITE - 0.04)
    tissue = np.where((horn < -0.9) & (body > 0), FLUID, tissue)
    cortex = 0.66 + 0.03 * smooth_noise(rng, shape, 1.2)
    inside = step(-body, 0.9)
    tissue = tissue * (1 - inside) + inside * cortex
    amygdala = np.hypot(np.hypot(x + 1.0, (y - 20.0)), z - 5.0)
    tissue = np.where((amygdala < 6.0) & (body > 0), 0.68, tissue)
    labels = np.where(along < rng.uniform(0.30, 0.37), ANTERIOR, POSTERIOR)
    return tissue, np.where(body < 0, labels, 0).astype(np.uint8)


def _hippocampus(x: Field, y: Field, z: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Signed distance to the body's surface (mm, negative inside), and 0 (front) to 1 (back)."""
    bend, rise, size = rng.normal(0, 1.0), rng.normal(0, 1.0), rng.uniform(0.88, 1.12)
    surface, along = np.full(x.shape, np.inf), np.zeros(x.shape)
    for t in np.linspace(0.0, 1.0, 48):
        at_x = -3.0 + (4.0 + bend) * t**1.6 + 2.4 * np.exp(-((t / 0.18) ** 2))
        at_y = 14.5 - 32.0 * t
        at_z = -4.5 + (8.0 + rise) * t**1.4
        thick = size * (5.4 - 2.9 * t + 0.7 * np.exp(-(((t - 0.13) / 0.12) ** 2)))
        away = np.sqrt(((x - at_x) / 1.15) ** 2 + (y - at_y) ** 2 + ((z - at_z) / 0.82) ** 2)
        closer = away - thick < surface
        surface, along = np.where(closer, away - thick, surface), np.where(closer, t, along)
    return surface + 0.42 * smooth_noise(rng, x.shape, 2.0), along


def _as_scanned(tissue: Field, rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur, uneven coil sensitivity, noise, and a scanner's own arbitrary brightness."""
    blurred = ndimage.gaussian_filter(tissue, 0.55)
    blurred *= 1.0 + 0.10 * smooth_noise(rng, tissue.shape, 14.0)
    noise = rng.uniform(0.02, 0.05) * rng.standard_normal((2, *tissue.shape))
    magnitude = np.hypot(blurred + noise[0], noise[1])
    brightness = float(np.exp(rng.uniform(np.log(110.0), np.log(14000.0))))
    stored = np.rint(np.clip(magnitude * brightness, 0, 32767))
    return np.asarray(stored, dtype=np.int16)
