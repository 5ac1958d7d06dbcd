"""Relates a mask's grid to its scan's grid: compare, reorient, paste, resample.

A grid is a shape ``(i, j, k)`` and a 4×4 affine from voxel indices to millimetres. Both grids are
compared through the positions of the mask's corner voxels, expressed in voxels of the scan, so that
a tolerance has the same meaning for every spacing and obliquity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coldal_tui.errors import ImageError

MATCH_TOLERANCE = 0.01
DRIFT_TOLERANCE = 0.1

Kind = Literal["match", "drift", "flip", "crop", "resampled", "other"]
Triple = tuple[int, int, int]
_AXES = "ijk"


@dataclass(frozen=True)
class GridMatch:
    """The relation of a mask's grid to a scan's grid.

    ``axes[a]`` is the mask axis that runs along scan axis ``a`` and ``flips[a]`` whether it runs
    backwards; after that reorientation, mask voxel ``r`` lies at scan voxel
    ``start[a] + step[a] * r[a]``. ``step`` is 1 except for ``resampled``. ``error`` is the largest
    distance of a corner from its expected position, in voxels of the scan. ``reason`` states the
    mismatch for ``other``.
    """

    kind: Kind
    error: float
    axes: Triple = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)
    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    step: tuple[float, float, float] = (1.0, 1.0, 1.0)
    reason: str = ""

    @property
    def offset(self) -> Triple:
        """The scan voxel on which the first voxel of the reoriented mask lies."""
        a, b, c = (round(value) for value in self.start)
        return a, b, c

    def describe_axes(self) -> str:
        """The reorientation in words, such as ``-i, k, j`` (mask axes in scan order)."""
        signs = ("-" if flip else "" for flip in self.flips)
        return ", ".join(sign + _AXES[axis] for sign, axis in zip(signs, self.axes, strict=True))


def corner_error(shape: Triple, affine_a: ArrayLike, affine_b: ArrayLike) -> float:
    """Largest distance between the corners of one grid under two affines, in voxels of ``a``.

    Parameters
    ----------
    shape : ``(i, j, k)`` voxels.
    affine_a, affine_b : (4, 4) voxel to mm; ``affine_a`` is invertible.
    """
    corners = _corners(shape)
    moved = _apply(_relative(affine_a, affine_b), corners)
    return float(np.linalg.norm(moved - corners, axis=1).max())


def compare(
    scan_shape: Triple, scan_affine: ArrayLike, mask_shape: Triple, mask_affine: ArrayLike
) -> GridMatch:
    """Determine how the mask's grid relates to the scan's.

    ``match`` (corners within 0.01 voxel), ``drift`` (0.1), ``flip`` (one of the 48 signed axis
    permutations within 0.1), ``crop`` (same lattice within 0.1, other extent), ``resampled``
    (same extent within one voxel, other number of voxels), or ``other``.

    Parameters
    ----------
    scan_shape, mask_shape : ``(i, j, k)`` voxels.
    scan_affine, mask_affine : (4, 4) voxel to mm, in one world (RAS).
    """
    equal = np.array_equal(scan_affine, mask_affine)
    for owner, affine in (("scan", scan_affine), ("mask", mask_affine))[: 1 if equal else 2]:
        if not _is_usable(affine):
            return GridMatch("other", np.inf, reason=f"the {owner}'s voxel axes are degenerate")
    if scan_shape == mask_shape and equal:
        return GridMatch("match", 0.0)
    relative = _relative(scan_affine, mask_affine)
    if scan_shape == mask_shape:
        corners = _corners(mask_shape)
        error = float(np.linalg.norm(_apply(relative, corners) - corners, axis=1).max())
        if error <= MATCH_TOLERANCE:
            return GridMatch("match", error)
    lattice = _fit_lattice(relative, mask_shape)
    if lattice is not None and lattice.error <= DRIFT_TOLERANCE:
        return _name_lattice(lattice, scan_shape, mask_shape)
    scaled = _fit_scaled(relative, mask_shape)
    if scaled is not None and _same_extent(scaled, scan_shape, mask_shape):
        return scaled
    return _name_other(scan_shape, scan_affine, mask_shape, mask_affine)


def reoriented_shape(mask_shape: Triple, match: GridMatch) -> Triple:
    """The mask's shape in scan axis order."""
    a, b, c = (mask_shape[axis] for axis in match.axes)
    return a, b, c


def reorient(array: NDArray[np.generic], match: GridMatch) -> NDArray[np.generic]:
    """The mask with its axes in scan order and direction; no value changes.

    ``array`` has the mask's shape ``(i, j, k)``.
    """
    step = tuple(slice(None, None, -1 if flip else 1) for flip in match.flips)
    return np.ascontiguousarray(array.transpose(match.axes)[step])


def paste(array: NDArray[np.generic], match: GridMatch, shape: Triple) -> NDArray[np.generic]:
    """Paste the mask on the scan's grid by whole voxels; 0 outside the mask.

    Parameters
    ----------
    array : the mask in its own axes, ``(i, j, k)``.
    match : a ``match``, ``drift``, ``flip`` or ``crop``.
    shape : the scan's shape.

    Raises
    ------
    ImageError : code ``outside``; labelled voxels lie outside the scan.
    """
    kept, window = clip(array, match, shape)
    result = np.zeros(shape, dtype=array.dtype)
    result[window] = kept
    return result


def clip(
    array: NDArray[Any], match: GridMatch, shape: Triple
) -> tuple[NDArray[Any], tuple[slice, slice, slice]]:
    """The part of a mask inside the scan, in scan axis order, and its position.

    The mask is (i, j, k); so is the part.

    Parameters and errors as :func:`paste`.
    """
    aligned = reorient(array, match)
    source, target = [], []
    for first, size, room in zip(match.offset, aligned.shape, shape, strict=True):
        low, high = max(first, 0), min(first + size, room)
        source.append(slice(low - first, max(high, low) - first))
        target.append(slice(low, max(high, low)))
    kept = aligned[tuple(source)]
    lost = int(np.count_nonzero(aligned)) - int(np.count_nonzero(kept))
    if lost:
        raise ImageError(
            f"{lost} labelled voxels lie outside the scan "
            f"(the mask starts at scan voxel {match.offset})",
            code="outside",
        )
    return kept, (target[0], target[1], target[2])


def resample_nearest(
    array: NDArray[np.generic], match: GridMatch, shape: Triple
) -> NDArray[np.generic]:
    """Resample the mask to the scan's grid by nearest neighbour.

    Parameters
    ----------
    array : the mask in its own axes, ``(i, j, k)``.
    match : a ``resampled``.
    shape : the scan's shape.
    """
    aligned = reorient(array, match)
    picks = []
    for start, step, size, room in zip(match.start, match.step, aligned.shape, shape, strict=True):
        # Round first, so that single-precision noise in headers does not decide ties.
        position = np.round((np.arange(room) - start) / step, 3)
        picks.append(np.clip(np.floor(position + 0.5).astype(int), 0, size - 1))
    return aligned[np.ix_(*picks)]


def has_default_position(affine: ArrayLike) -> bool:
    """Whether the affine is a writer's default, used when the position was unknown.

    Origin 0 and unrotated axes of 1 mm, in RAS (nibabel with ``np.eye(4)``) or in LPS (ITK).
    """
    matrix = np.asarray(affine, dtype=float)
    defaults = (np.eye(4), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return any(np.allclose(matrix, default, atol=1e-6) for default in defaults)


def _relative(scan_affine: ArrayLike, mask_affine: ArrayLike) -> NDArray[np.float64]:
    """(4, 4): mask voxel index to scan voxel index."""
    return np.linalg.solve(
        np.asarray(scan_affine, dtype=np.float64), np.asarray(mask_affine, dtype=np.float64)
    )


def _corners(shape: Triple) -> NDArray[np.float64]:
    """(8, 3) indices of the corner voxels' centres."""
    return np.array(list(product(*((0.0, size - 1.0) for size in shape))))


def _apply(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _is_usable(affine: ArrayLike) -> bool:
    """Whether the voxel axes span a volume; in plain numbers, as every mask of an import asks."""
    matrix = np.asarray(affine, dtype=float)
    if matrix.shape != (4, 4):
        return False
    rows = matrix.tolist()
    if not all(math.isfinite(value) for row in rows for value in row):
        return False
    i, j, k = ([row[axis] for row in rows[:3]] for axis in range(3))
    size = math.hypot(*i) * math.hypot(*j) * math.hypot(*k)
    volume = (
        i[0] * (j[1] * k[2] - j[2] * k[1])
        - i[1] * (j[0] * k[2] - j[2] * k[0])
        + i[2] * (j[0] * k[1] - j[1] * k[0])
    )
    return size > 0 and abs(volume) > 1e-3 * size


def _assign_axes(linear: NDArray[np.float64], mask_shape: Triple) -> Triple | None:
    """For each scan axis the parallel mask axis; None if two match one axis.

    A mask axis of one voxel has no direction and gets the remaining axis.
    """
    scan_axis_of: dict[int, int] = {}
    for axis in sorted(range(3), key=lambda a: mask_shape[a] == 1):
        column = np.abs(linear[:, axis])
        free = [a for a in range(3) if a not in scan_axis_of.values()]
        best = int(np.argmax(column))
        if best not in free:
            if mask_shape[axis] > 1:
                return None
            best = max(free, key=lambda a: float(column[a]))
        scan_axis_of[axis] = best
    axes = {scan: mask for mask, scan in scan_axis_of.items()}
    return axes[0], axes[1], axes[2]


def _place(
    relative: NDArray[np.float64], mask_shape: Triple, *, unit_step: bool
) -> tuple[GridMatch, NDArray[np.float64]] | None:
    """The axis-aligned placement closest to ``relative``, and its corner residuals (8, 3)."""
    axes = _assign_axes(relative[:3, :3], mask_shape)
    if axes is None:
        return None
    ideal = np.zeros((4, 4))
    flips, steps = [], []
    for scan_axis, mask_axis in enumerate(axes):
        value = float(relative[scan_axis, mask_axis])
        flat = mask_shape[mask_axis] == 1
        flips.append(value < 0 and not flat)
        steps.append(1.0 if unit_step or (flat and value == 0) else abs(value))
        ideal[scan_axis, mask_axis] = -steps[-1] if flips[-1] else steps[-1]
    corners = _corners(mask_shape)
    residual = _apply(relative, corners) - _apply(ideal, corners)
    shift = residual.mean(axis=0)
    if unit_step:
        shift = np.round(shift)
    # A flipped axis starts at its last voxel.
    start = [
        float(shift[a]) - (steps[a] * (mask_shape[axes[a]] - 1) if flips[a] else 0.0)
        for a in range(3)
    ]
    residual = residual - shift
    match = GridMatch(
        "other",
        float(np.linalg.norm(residual, axis=1).max()),
        axes,
        (flips[0], flips[1], flips[2]),
        (start[0], start[1], start[2]),
        (steps[0], steps[1], steps[2]),
    )
    return match, residual


def _fit_lattice(relative: NDArray[np.float64], mask_shape: Triple) -> GridMatch | None:
    placed = _place(relative, mask_shape, unit_step=True)
    return placed[0] if placed else None


def _fit_scaled(relative: NDArray[np.float64], mask_shape: Triple) -> GridMatch | None:
    """An axis-aligned placement with free steps, if the axes are parallel to 0.1 voxel."""
    placed = _place(relative, mask_shape, unit_step=False)
    if placed is None or placed[0].error > DRIFT_TOLERANCE:
        return None
    return replace(placed[0], kind="resampled")


def _name_lattice(match: GridMatch, scan_shape: Triple, mask_shape: Triple) -> GridMatch:
    shape = reoriented_shape(mask_shape, match)
    in_place = match.offset == (0, 0, 0)
    if shape == scan_shape and in_place:
        if match.axes != (0, 1, 2) or any(match.flips):
            return replace(match, kind="flip")
        return replace(match, kind="match" if match.error <= MATCH_TOLERANCE else "drift")
    if shape == scan_shape:
        reason = f"it has the scan's size but lies {match.offset} voxels away from it"
        return replace(match, reason=reason)
    if in_place and sorted(shape) == sorted(scan_shape):
        sizes = ["×".join(map(str, one)) for one in (shape, scan_shape)]
        reason = f"its size {sizes[0]} is the scan's {sizes[1]} with axes swapped"
        return replace(match, reason=reason)
    overlaps = all(
        first < room and first + size > 0
        for first, size, room in zip(match.offset, shape, scan_shape, strict=True)
    )
    if not overlaps:
        return replace(match, reason="it lies wholly outside the scan")
    return replace(match, kind="crop")


def _same_extent(match: GridMatch, scan_shape: Triple, mask_shape: Triple) -> bool:
    """Whether boxes agree within one voxel of the coarser grid, with other voxel counts."""
    shape = reoriented_shape(mask_shape, match)
    if shape == scan_shape:
        return False
    return all(
        max(abs(start - step / 2 + 0.5), abs(start + step * (size - 0.5) - room + 0.5))
        <= max(step, 1.0) + 1e-6
        for start, step, size, room in zip(match.start, match.step, shape, scan_shape, strict=True)
    )


def _name_other(
    scan_shape: Triple, scan_affine: ArrayLike, mask_shape: Triple, mask_affine: ArrayLike
) -> GridMatch:
    if scan_shape == mask_shape:
        error = corner_error(mask_shape, scan_affine, mask_affine)
        reason = f"it has the scan's size, but its corners lie up to {error:.2f} voxels away"
        return GridMatch("other", error, reason=reason)
    sizes = ["×".join(map(str, shape)) for shape in (mask_shape, scan_shape)]
    reason = f"its grid of {sizes[0]} voxels does not fit the scan's grid of {sizes[1]}"
    return GridMatch("other", np.inf, reason=reason)
