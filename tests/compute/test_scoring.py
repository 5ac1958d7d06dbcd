"""Scores of one scan: entropies computed once are those computed for each score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from coldal_compute.segmentation import scoring
from coldal_compute.segmentation.aggregation import focused
from coldal_compute.segmentation.disagreement import class_entropies
from coldal_compute.segmentation.entropy import mean_entropy
from coldal_compute.segmentation.scoring import score_image


class _Fixed:
    """Stands in for a trained network: the same logits whatever it is shown."""

    def __init__(self, logits: torch.Tensor) -> None:
        self._logits = logits

    def logits_and_features(self, images: Any, size: int) -> tuple[torch.Tensor, Any]:
        return self._logits[None], np.array([[1.0, 2.0]], dtype=np.float16)


@pytest.mark.parametrize("shape", [(3, 37, 21), (2, 7, 9, 11)])
@pytest.mark.parametrize("at_once", [0, 1 << 25])
def test_shared_entropies_change_no_score(
    shape: tuple[int, ...], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_AT_ONCE", at_once)
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32) * 4)
    _, found = score_image([_Fixed(logits)], np.ones(shape[1:]))  # type: ignore[list-item]
    near = focused(logits)
    assert found.entropy == mean_entropy(logits)
    assert found.class_entropy == class_entropies(logits)
    assert (found.foreground, found.boundary) == (near.foreground, near.boundary)
    assert found.features == (1.0, 2.0)
