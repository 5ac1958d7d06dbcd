"""Maps of uncertainty: the entropy of each pixel, on the scan's own grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from coldal_compute.segmentation.entropy import pixel_entropy
from coldal_compute.segmentation.grids import native_slabs

_SLAB_VALUES = 1 << 26


def entropy_map(
    logits: torch.Tensor, shape: Sequence[int], values: int = _SLAB_VALUES
) -> NDArray[np.uint8]:
    """The entropy of each pixel: uint8, 0 to 255 for 0 to 1.

    The values that ``mean_entropy`` averages, interpolated linearly to the scan's own grid.

    Parameters
    ----------
    logits : ``(C, *working grid)``.
    shape : the scan's own grid.
    values : numbers that are worked on at once, which bounds the memory for large volumes.
    """
    rows = max(1, values // max(1, logits[:, :1].numel()))
    working = torch.cat([pixel_entropy(part) for part in torch.split(logits, rows, dim=1)])
    found = np.empty(tuple(shape), dtype=np.uint8)
    for place, slab in native_slabs(working.unsqueeze(0), shape):
        scaled = (slab[0] * 255).round().clamp(0, 255)
        found[place] = scaled.to(torch.uint8).cpu().numpy()
    return found
