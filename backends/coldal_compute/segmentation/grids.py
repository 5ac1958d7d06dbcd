"""Resamples images, labels and logits between a scan's own grid and the working grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch.nn import functional

_SLAB_VALUES = 1 << 25
"""Logits are brought to the scan's own grid in slabs of about this many values (128 MiB)."""


def resize_image(array: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """Resize ``(channels, *grid)`` to ``shape``: linear, antialiased where it shrinks.

    Pixel centres at (i + ½); a triangle filter as wide as the scale where the axis shrinks, as
    Pillow and ``torch.nn.functional.interpolate(antialias=True)`` do it, in any dimension.
    """
    for axis, size in enumerate(shape, start=1):
        if array.shape[axis] != size:
            front = np.moveaxis(array, axis, 0)
            flat = np.ascontiguousarray(front, dtype=np.float32).reshape(len(front), -1)
            small = _triangle_weights(len(front), size) @ flat
            array = np.moveaxis(small.reshape(size, *front.shape[1:]), 0, axis)
    return np.ascontiguousarray(array, dtype=np.float32)


def resize_label(array: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Resize a label map to ``shape`` by the nearest pixel centre, so that no new value appears."""
    for axis, size in enumerate(shape):
        if array.shape[axis] != size:
            source = np.floor((np.arange(size) + 0.5) * array.shape[axis] / size).astype(np.intp)
            array = np.take(array, np.minimum(source, array.shape[axis] - 1), axis=axis)
    return np.ascontiguousarray(array)


def native_slabs(
    logits: torch.Tensor, shape: Sequence[int], values: int = _SLAB_VALUES
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Logits on the scan's own grid, slab by slab along the first grid axis.

    Parameters
    ----------
    logits : ``(C, *working)``.
    shape : the scan's own grid.

    Yields
    ------
    rows, slab : the rows of the first axis and float32 ``(C, rows, *shape[1:])``; together what
        ``interpolate(mode="bilinear" / "trilinear", align_corners=False)`` gives at once.
    """
    row = logits.shape[0] * int(np.prod(shape[1:]))
    step = max(1, values // max(1, row))
    for start in range(0, shape[0], step):
        rows = slice(start, min(shape[0], start + step))
        yield rows, _rows(logits, rows, shape)


def native_logits(logits: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Logits ``(C, *working)`` resampled linearly to the scan's own grid, float32."""
    return _rows(logits, slice(0, shape[0]), shape)


def native_labels(
    logits: torch.Tensor, shape: Sequence[int], values: int = _SLAB_VALUES
) -> NDArray[np.uint8]:
    """The class of each pixel on the scan's own grid: argmax of the resampled logits.

    ``logits`` is (classes, *grid); returns uint8 of the scan's shape.
    """
    labels = np.empty(tuple(shape), dtype=np.uint8)
    for rows, slab in native_slabs(logits, shape, values):
        labels[rows] = slab.argmax(dim=0).to(torch.uint8).cpu().numpy()
    return labels


def _rows(logits: torch.Tensor, rows: slice, shape: Sequence[int]) -> torch.Tensor:
    size = logits.shape[1]
    centre = (torch.arange(rows.start, rows.stop, device=logits.device) + 0.5) * (size / shape[0])
    centre = (centre - 0.5).clamp(0, size - 1)
    low = centre.floor().long()
    high = (low + 1).clamp(max=size - 1)
    weight = (centre - low).float().reshape(1, -1, *([1] * (logits.ndim - 2)))
    part = logits[:, low].float() * (1 - weight) + logits[:, high].float() * weight
    if tuple(part.shape[2:]) == tuple(shape[1:]):
        return part
    mode = "linear" if logits.ndim == 3 else "bilinear"
    flat = part.reshape(-1, 1, *part.shape[2:])
    wide = functional.interpolate(flat, size=tuple(shape[1:]), mode=mode, align_corners=False)
    return wide.reshape(logits.shape[0], rows.stop - rows.start, *shape[1:])


@lru_cache(maxsize=64)
def _triangle_weights(old: int, new: int) -> csr_array:
    """``(new, old)`` float32 weights of linear resizing; every row sums to 1.

    Sparse: each new pixel is made of a few old ones, and the others would be most of the work.
    """
    scale = old / new
    support = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    window = np.arange(int(2 * support) + 2)
    near = np.floor(centres - support).astype(np.int64)[:, None] + window[None, :]
    weights = 1.0 - np.abs(near + 0.5 - centres[:, None]) / support
    weights[(near < 0) | (near >= old) | (weights < 0.0)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    rows, columns = weights.nonzero()
    values = weights[rows, columns].astype(np.float32)
    return csr_array((values, (rows, near[rows, columns])), shape=(new, old))
