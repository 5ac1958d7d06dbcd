"""Names a picture's anatomical plane, and the letters at its edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.picture import SliceView, world_axes

PLANES = ("sagittal", "coronal", "axial")
"""Names of slices across left-right, front-back and head-foot."""

_POSITIVE, _NEGATIVE = "RAS", "LPI"


@dataclass(frozen=True)
class EdgeLetters:
    """Which side of the patient lies at each edge: L, R, A, P, S or I; empty where unknown."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


def plane_names(header: ScanHeader) -> tuple[str, ...]:
    """Names of slices across each grid axis of a volume; ``across i`` without an affine."""
    if header.affine is None:
        return "across i", "across j", "across k"
    return tuple(PLANES[world] for world in world_axes(header.affine))


def edge_letters(header: ScanHeader, view: SliceView | None = None) -> EdgeLetters:
    """The letters of a slice as oriented by ``view``; of a 2-D scan (no ``view``) as stored."""
    if header.affine is None:
        return EdgeLetters()
    matrix = np.asarray(header.affine, dtype=float)
    if view is None:
        across, down = matrix[:3, 0], matrix[:3, 1]
    else:
        across = matrix[:3, view.column_axis] * (-1 if view.flip_columns else 1)
        down = matrix[:3, view.row_axis] * (-1 if view.flip_rows else 1)
    return EdgeLetters(
        left=_letter(-across), right=_letter(across), top=_letter(-down), bottom=_letter(down)
    )


def _letter(direction: NDArray[np.float64]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return (_POSITIVE if direction[axis] > 0 else _NEGATIVE)[axis]
