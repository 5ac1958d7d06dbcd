"""Reduces pixel entropies to one number: over all pixels, the foreground, or the outlines.

A mean over a mostly empty volume hides what matters: a lesion of a hundred voxels in ten million
moves it by nothing. Both rules here look where the model itself sees something.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from coldal_compute.segmentation.entropy import pixel_entropy

REACH = 2
"""Pixels of the working grid on each side of an outline that count as being at it."""
ELSEWHERE = 0.01
"""The weight of all other pixels, so that a scan without any outline has its plain mean."""
_SLAB_VALUES = 1 << 25


@dataclass(frozen=True)
class Entropies:
    """Weighted means of the pixels' entropies, each in [0, 1].

    ``foreground``: weighted by the probability of any class, 1 - p(background). ``boundary``:
    pixels at most ``REACH`` from where the predicted class changes weigh 1, all others 0.01.
    """

    foreground: float
    boundary: float


def focused(
    logits: torch.Tensor, slab: int = _SLAB_VALUES, entropy: torch.Tensor | None = None
) -> Entropies:
    """Both means of one prediction, ``(C, *grid)`` of any float type; class 0 is background.

    ``entropy``: ``(*grid)``, that of each pixel where it is known.
    """
    band = outlines(_classes(logits, slab))
    sums = torch.zeros(2, dtype=torch.float64)
    weights = torch.zeros(2, dtype=torch.float64)
    for rows in _slabs(logits, slab):
        part = logits[:, rows]
        known = pixel_entropy(part) if entropy is None else entropy[rows]
        foreground = 1.0 - torch.softmax(part.float(), dim=0)[0].double()
        boundary = torch.where(band[rows].to(part.device), 1.0, ELSEWHERE).double()
        for n, weight in enumerate((foreground, boundary)):
            sums[n] += float((weight * known.double()).sum())
            weights[n] += float(weight.sum())
    found = torch.where(weights > 0, sums / weights.clamp(min=1e-300), 0.0).clamp(0.0, 1.0)
    return Entropies(*found.tolist())


def outlines(classes: torch.Tensor, reach: int = REACH) -> torch.Tensor:
    """Where ``classes`` (``(*grid)``) changes within ``reach`` pixels along the axes: bool, grid.

    A pixel beside a change is at distance 1; farther ones by steps along the axes, so that the
    band is a box around each outline.
    """
    band = torch.zeros(classes.shape, dtype=torch.bool)
    for axis, size in enumerate(classes.shape):
        if size < 2:
            continue
        changed = classes.narrow(axis, 0, size - 1) != classes.narrow(axis, 1, size - 1)
        band.narrow(axis, 0, size - 1).logical_or_(changed)
        band.narrow(axis, 1, size - 1).logical_or_(changed)
    for _ in range(reach - 1):
        for axis, size in enumerate(classes.shape):
            if size < 2:
                continue
            before = band.clone()
            band.narrow(axis, 0, size - 1).logical_or_(before.narrow(axis, 1, size - 1))
            band.narrow(axis, 1, size - 1).logical_or_(before.narrow(axis, 0, size - 1))
    return band


def _classes(logits: torch.Tensor, slab: int) -> torch.Tensor:
    parts = [logits[:, rows].argmax(dim=0).to(torch.uint8).cpu() for rows in _slabs(logits, slab)]
    return torch.cat(parts)


def _slabs(logits: torch.Tensor, values: int) -> list[slice]:
    """Split the first grid axis into parts of about this many values, to bound memory."""
    step = max(1, values // max(1, logits[:, :1].numel()))
    return [slice(start, start + step) for start in range(0, logits.shape[1], step)]
