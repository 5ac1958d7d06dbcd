"""Uncertainty beyond the mean entropy: per class, and between several networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from coldal_compute.segmentation.entropy import pixel_entropy

_SLAB_VALUES = 1 << 25


def class_entropies(
    logits: torch.Tensor, slab: int = _SLAB_VALUES, entropy: torch.Tensor | None = None
) -> tuple[float, ...]:
    """For each class but the background, the mean over pixels of p_c · H; H as a share of ln C.

    ClaSP PE scores classes by it (arXiv 2601.13677). ``logits`` is ``(C, *grid)`` of any float
    type; the result has C − 1 values in [0, 1]. ``entropy``: ``(*grid)``, that of each pixel
    where it is known.
    """
    totals = torch.zeros(logits.shape[0], dtype=torch.float64)
    pixels = 0
    for rows in _slabs(logits, slab):
        part = logits[:, rows]
        known = pixel_entropy(part) if entropy is None else entropy[rows]
        weighted = torch.softmax(part.float(), dim=0) * known
        totals += weighted.flatten(1).sum(dim=1, dtype=torch.float64).cpu()
        pixels += weighted[0].numel()
    return tuple((totals[1:] / max(1, pixels)).clamp(0.0, 1.0).tolist())


def mutual_information(members: Sequence[torch.Tensor], slab: int = _SLAB_VALUES) -> float:
    """The mean over pixels of H(mean p) − mean H(p) over an ensemble, as a share of ln C.

    The score of BALD (Houlsby et al. 2011), with the members of a deep ensemble as samples of
    the model (Beluch et al., CVPR 2018). Each member is logits ``(C, *grid)``.
    """
    total, pixels = 0.0, 0
    for rows in _slabs(members[0], slab // len(members)):
        parts = [member[:, rows].float() for member in members]
        mean = torch.stack([torch.softmax(part, dim=0) for part in parts]).mean(dim=0)
        of_mean = -torch.xlogy(mean, mean).sum(dim=0) / math.log(len(mean))
        own = torch.stack([pixel_entropy(part) for part in parts]).mean(dim=0)
        total += float((of_mean - own).sum(dtype=torch.float64))
        pixels += own.numel()
    return min(1.0, max(0.0, total / pixels)) if pixels else 0.0


def _slabs(logits: torch.Tensor, values: int) -> list[slice]:
    """Split the first grid axis into parts of about this many values, to bound memory."""
    step = max(1, values // max(1, logits[:, :1].numel()))
    return [slice(start, start + step) for start in range(0, logits.shape[1], step)]
