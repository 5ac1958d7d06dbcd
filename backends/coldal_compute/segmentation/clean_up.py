"""The clean-up of predictions: of a class, only its largest connected part is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coldal_compute.segmentation.metrics import ClassMetrics, summarise


def keep_largest(label: NDArray[np.uint8], values: Sequence[int]) -> NDArray[np.uint8]:
    """The label map with all but the largest part of each of these values made background.

    Parts are connected by faces, edges and corners; of two of one size the first in array order is
    kept. ``label`` is uint8 of any shape; it is not changed.
    """
    kept = label.copy()
    near = ndimage.generate_binary_structure(label.ndim, label.ndim)
    for value in values:
        parts, count = ndimage.label(label == value, near)
        if count > 1:
            largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
            kept[(parts > 0) & (parts != largest)] = 0
    return kept


def worth_it(
    before: Mapping[str, Mapping[str, ClassMetrics]],
    after: Mapping[str, Mapping[str, ClassMetrics]],
    classes: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Of each class, whether the clean-up pays on the same scans, and the means that say so.

    It does when the mean HD95 (of mixed units: HD95 of each is compared as it is) falls and the
    mean Dice does not. Both arguments: scan → class → metrics.
    """
    if not before:
        return {}
    plain, clean = summarise(before, classes)[0], summarise(after, classes)[0]
    found = {}
    for name in classes:
        hd95 = [
            float(np.mean([scan[name].hd95 for scan in measured.values()]))
            for measured in (before, after)
        ]
        dice = plain[name].dice, clean[name].dice
        found[name] = {
            "dice": list(dice),
            "hd95": hd95,
            "pays": dice[1] >= dice[0] and hd95[1] < hd95[0],
        }
    return found
