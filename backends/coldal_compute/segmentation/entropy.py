"""The uncertainty of a prediction: the mean entropy of its pixels, H in [0, 1].

H(i) = mean over pixels of −Σ_c p_c ln p_c / ln C, where C counts the background too. The pixels
are those of the network's working grid (what it predicted, before any interpolation to the
scan's own grid); padding never reaches this module, since inference cuts it off.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

_SLAB_VALUES = 1 << 26


def mean_entropy(
    logits: torch.Tensor,
    ignored: NDArray[np.bool_] | None = None,
    slab: int = _SLAB_VALUES,
    entropy: torch.Tensor | None = None,
) -> float:
    """The normalised mean entropy of one prediction.

    Parameters
    ----------
    logits : ``(C, *grid)``, any float type; infinite values are read as very large finite ones
        and NaN as 0, so that the result is finite and in [0, 1] for any input.
    ignored : ``(*grid)``, pixels to leave out; with none left the entropy is 0.
    slab : values that are worked on at once, which bounds the memory for large volumes.
    entropy : ``(*grid)``, the entropy of each pixel where it is known (``pixel_entropy``).
    """
    row = max(1, logits[:, :1].numel())
    total, pixels = 0.0, 0
    for start in range(0, logits.shape[1], max(1, slab // row)):
        rows = slice(start, start + max(1, slab // row))
        part = pixel_entropy(logits[:, rows]) if entropy is None else entropy[rows]
        if ignored is not None:
            part = part[torch.from_numpy(~ignored[rows]).to(part.device)]
        # The sum runs in float64: a float32 sum over 10⁸ voxels loses the last digits.
        total += float(part.sum(dtype=torch.float64))
        pixels += part.numel()
    return min(1.0, max(0.0, total / pixels)) if pixels else 0.0


def pixel_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Entropy per pixel as a share of ln C: ``(C, *grid)`` → ``(*grid)`` float32."""
    # A tenth of the largest float32: the differences that log_softmax forms stay finite.
    bound = torch.finfo(torch.float32).max / 10
    finite = torch.nan_to_num(logits.float(), nan=0.0, posinf=bound, neginf=-bound)
    log_p = torch.log_softmax(finite.clamp(-bound, bound), dim=0)
    # p·ln p → 0 as p → 0: entr() would lose it where p underflows but ln p is finite and large.
    terms = log_p.exp() * log_p
    return terms.sum(dim=0).neg() / math.log(logits.shape[0])
