"""What a label's shape tells by itself: specks, holes, forgotten slices, a cut at the border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.labelfile import BACKGROUND

_SMALL_PIXELS = {1: 3, 2: 9, 3: 27}
"""3 pixels along each axis: what a slip of the hand leaves."""
_SMALL_SHARE = 0.001
_BORDER_SHARE = 0.05


@dataclass(frozen=True)
class ClassShape:
    """Findings of one class. Sizes are in pixels, or voxels of a volume.

    ``specks``: islands of fewer than ``small_size`` pixels beside at least one that is larger.
    ``holes``: background of fewer than ``small_size`` pixels that the class encloses; another
    class or pixels to ignore inside are none.
    ``gaps``: slices with nothing, between slices with the class (volumes only).
    ``border``: share of the class's outline that lies on the image's border.
    """

    specks: int = 0
    holes: int = 0
    gaps: int = 0
    border: float = 0.0

    @property
    def cut(self) -> bool:
        """Whether a long stretch of the outline is the image's border: more than 5 % of it."""
        return self.border > _BORDER_SHARE


def small_size(pixels: int, dimensions: int) -> float:
    """Below how many pixels a part is small: 9 (27 voxels) or 0.1 % of the class if that's more."""
    return max(_SMALL_PIXELS[dimensions], _SMALL_SHARE * pixels)


def slice_axis(shape: Sequence[int], spacing: Sequence[float] | None) -> int | None:
    """The axis that slices of a volume lie along; None where there are none.

    That with the coarsest spacing, the last of several; the shortest one where no spacing is
    known.
    """
    if len(shape) != 3 or min(shape) == 1:
        return None
    coarse = [-float(count) for count in shape]
    if spacing is not None and len(spacing) == 3:
        coarse = [float(step) for step in spacing]
    return max(range(3), key=lambda axis: (coarse[axis], axis))


def class_shapes(label: NDArray[np.uint8], classes: int, axis: int | None) -> dict[int, ClassShape]:
    """The shape of each class of ``1 … classes`` that the label has.

    Parameters
    ----------
    label : ``(rows, columns)`` or ``(i, j, k)``; a volume of one slice counts as a picture.
    axis : what :func:`slice_axis` says of it.
    """
    from scipy import ndimage

    boxes = ndimage.find_objects(label, max_label=classes)
    return {
        number: _class_shape(label, number, box, axis)
        for number, box in enumerate(boxes, start=1)
        if box is not None
    }


def _class_shape(
    label: NDArray[np.uint8], number: int, box: tuple[slice, ...], axis: int | None
) -> ClassShape:
    """All is found inside the class's box: a hole can't reach beyond it, nor can an island."""
    crop = label[box]
    mask = crop == number
    gaps = 0
    if axis is not None:
        others = tuple(other for other in range(mask.ndim) if other != axis)
        gaps = int(np.count_nonzero(~mask.any(axis=others)))
    sides = [
        (part.start == 0, part.stop == size)
        for part, size in zip(box, label.shape, strict=True)
        if size > 1
    ]
    flat = tuple(n for n, size in enumerate(label.shape) if size == 1)
    mask, crop = mask.squeeze(flat), crop.squeeze(flat)
    if not mask.ndim:
        return ClassShape()
    small = small_size(int(np.count_nonzero(mask)), mask.ndim)
    return ClassShape(
        specks=_specks(mask, small),
        holes=_holes(mask, crop, small),
        gaps=gaps,
        border=_border_share(mask, sides),
    )


def _specks(mask: NDArray[np.bool_], small: float) -> int:
    """Islands that touch at a corner are one."""
    sizes = np.bincount(_parts(mask, corners=True).ravel())[1:]
    return int(np.count_nonzero(sizes < small)) if np.any(sizes >= small) else 0


def _holes(mask: NDArray[np.bool_], crop: NDArray[np.uint8], small: float) -> int:
    """What reaches a side of the box is open; what holds another class is no hole."""
    parts = _parts(~mask, corners=False)
    sizes = np.bincount(parts.ravel())
    closed = sizes < small
    closed[0] = False
    closed[np.unique(parts[crop != BACKGROUND])] = False
    for axis in range(parts.ndim):
        for side in (0, -1):
            closed[np.unique(parts.take(side, axis))] = False
    return int(np.count_nonzero(closed))


def _parts(mask: NDArray[np.bool_], *, corners: bool) -> NDArray[np.int32]:
    """Connected parts, numbered from 1; 0 elsewhere."""
    from scipy import ndimage

    near = ndimage.generate_binary_structure(mask.ndim, mask.ndim if corners else 1)
    parts, _ = ndimage.label(mask, near)
    return np.asarray(parts, np.int32)


def _border_share(mask: NDArray[np.bool_], sides: Sequence[tuple[bool, bool]]) -> float:
    """``sides``: whether the first and the last layer along each axis are the image's border."""
    if not any(any(ends) for ends in sides):
        return 0.0
    from scipy import ndimage

    outline = mask & ~ndimage.binary_erosion(mask)
    border = np.zeros_like(mask)
    for axis, ends in enumerate(sides):
        layers = np.moveaxis(border, axis, 0)
        for touches, place in zip(ends, (0, -1), strict=True):
            if touches:
                layers[place] = True
    return np.count_nonzero(outline & border) / np.count_nonzero(outline)
