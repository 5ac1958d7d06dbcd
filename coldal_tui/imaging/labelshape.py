"""Finds likely errors in a label's shape: specks, holes, missing slices, cut at the border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL

_SMALL_PIXELS = {1: 3, 2: 9, 3: 27}
"""3 pixels along each axis: the size of an accidental mark."""
_SMALL_SHARE = 0.001
_BORDER_SHARE = 0.05


@dataclass(frozen=True)
class ClassShape:
    """Findings of one class. Sizes are in pixels, or voxels of a volume.

    ``specks``: islands of fewer than ``small_size`` pixels beside at least one that is larger.
    ``holes``: background regions of fewer than ``small_size`` pixels enclosed by the class; regions
    with another class or ignored pixels don't count.
    ``gaps``: slices without the class between slices with it (volumes only).
    ``border``: share of the class's outline that lies on the image's border.
    """

    specks: int = 0
    holes: int = 0
    gaps: int = 0
    border: float = 0.0

    @property
    def cut(self) -> bool:
        """Whether more than 5 % of the outline lies on the image's border."""
        return self.border > _BORDER_SHARE


def coverage(label: NDArray[np.uint8]) -> tuple[float, float]:
    """The drawn shares of the whole label and of the image's border, each 0 to 1.

    ``label`` is ``(rows, columns)`` or ``(i, j, k)``. The border is one pixel wide: four sides of a
    picture, six faces of a volume; axes of length 1 have none. Ignored pixels count nowhere.
    """
    within = label[tuple(slice(1, -1) if size > 1 else slice(None) for size in label.shape)]
    (drawn, known), (inside, known_inside) = _drawn(label), _drawn(within)
    border = known - known_inside
    return drawn / known if known else 0.0, (drawn - inside) / border if border else 0.0


def _drawn(label: NDArray[np.uint8]) -> tuple[int, int]:
    """How many pixels show a class, and how many are not ignored."""
    ignored = int(np.count_nonzero(label == IGNORE_LABEL))
    return int(np.count_nonzero(label)) - ignored, label.size - ignored


def small_size(pixels: int, dimensions: int) -> float:
    """Parts below this size are small: 9 pixels (27 voxels), or 0.1 % of the class if more."""
    return max(_SMALL_PIXELS[dimensions], _SMALL_SHARE * pixels)


def slice_axis(shape: Sequence[int], spacing: Sequence[float] | None) -> int | None:
    """The slice axis of a volume; None if there is none.

    It has the coarsest spacing (the last of several), or the fewest voxels if the spacing is
    unknown.
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
    axis : the result of :func:`slice_axis`.
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
    """Findings of one class, searched in its bounding box: holes and islands can't exceed it."""
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
    """Count specks; islands that touch at a corner are one."""
    sizes = np.bincount(_parts(mask, corners=True).ravel())[1:]
    return int(np.count_nonzero(sizes < small)) if np.any(sizes >= small) else 0


def _holes(mask: NDArray[np.bool_], crop: NDArray[np.uint8], small: float) -> int:
    """Count holes: small background parts without contact to the box's sides or other classes."""
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
    """Share of the outline on the border; ``sides``: which box sides are the image's border."""
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
