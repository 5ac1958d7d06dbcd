"""Affine helpers shared by the readers: LPS to RAS, spacing, checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.image import Affine

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def as_affine(matrix: NDArray[Any]) -> Affine | None:
    """A 4×4 matrix as nested tuples; None when it is not finite or not invertible.

    The matrix is (4, 4), voxel indices to mm.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if not np.isfinite(matrix).all():
        return None
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if lengths.min() <= 0 or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-6:
        return None
    rows = [tuple(float(value) + 0.0 for value in row) for row in matrix]
    return tuple((r[0], r[1], r[2], r[3]) for r in rows)


def lps_affine(directions: Sequence[NDArray[Any]], origin: NDArray[Any]) -> Affine | None:
    """RAS affine from step vectors per axis and an origin in LPS mm.

    Vectors are of shape (3,), in mm.

    Two vectors (a picture in space) get their unit normal as the third axis.
    """
    vectors = [np.asarray(v, dtype=np.float64) for v in directions]
    if len(vectors) == 2:
        normal = np.cross(vectors[0], vectors[1])
        length = float(np.linalg.norm(normal))
        vectors.append(normal / length if length > 0 else normal)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(vectors, axis=1)
    matrix[:3, 3] = origin
    return as_affine(LPS_TO_RAS @ matrix)


def spacing_of(affine: Affine, axes: int) -> tuple[float, ...]:
    """Step lengths in mm of the first ``axes`` file axes of an affine."""
    lengths = np.linalg.norm(np.asarray(affine)[:3, :axes], axis=0)
    return tuple(_tidy(float(v)) for v in lengths)


def plausible_spacing(values: Sequence[float]) -> tuple[float, ...] | None:
    """``values`` in mm when all are positive and finite, else None."""
    numbers = [abs(float(v)) for v in values]
    if not numbers or not all(np.isfinite(v) and v > 0 for v in numbers):
        return None
    return tuple(_tidy(v) for v in numbers)


def _tidy(value: float) -> float:
    """Remove the rounding noise of single precision: 0.7000000001 becomes 0.7."""
    return float(f"{value:.7g}")
