"""All scores of one scan by a run that strategies may use."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from coldal_compute.segmentation.aggregation import focused
from coldal_compute.segmentation.disagreement import class_entropies, mutual_information
from coldal_compute.segmentation.entropy import mean_entropy, pixel_entropy
from coldal_compute.segmentation.inference import Model
from coldal_tui.simulation.cells import ScanScores

_AT_ONCE = 1 << 25
"""Logits (values) whose entropies are computed once for all scores: 128 MiB."""


def score_image(
    ensemble: Sequence[Model], image: NDArray[np.floating], *, features: bool = True
) -> tuple[torch.Tensor, ScanScores]:
    """The first network's logits ``(C, *grid)`` of a preprocessed image, and the scan's scores.

    Entropies and features are the first network's, which is the one that is measured and
    predicts; ``bald`` is the disagreement of all of them, None with only one. A blank
    image (every channel constant) holds nothing to be unsure about: its scores are 0.
    """
    own, coarse = ensemble[0].logits_and_features(image)
    logits = [own, *(model.working_logits(image) for model in ensemble[1:])]
    # Large volumes are worked on in parts instead: their entropies don't fit beside the logits.
    known = pixel_entropy(own) if own.numel() <= _AT_ONCE else None
    near = focused(own, entropy=known)
    scores = ScanScores(
        entropy=mean_entropy(own, entropy=known),
        class_entropy=class_entropies(own, entropy=known),
        bald=mutual_information(logits) if len(logits) > 1 else None,
        foreground=near.foreground,
        boundary=near.boundary,
        features=tuple(map(float, coarse)) if features else None,
    )
    return own, scores if np.any(image) else _certain(scores)


def _certain(scores: ScanScores) -> ScanScores:
    return msgspec.structs.replace(
        scores,
        entropy=0.0,
        class_entropy=(0.0,) * len(scores.class_entropy),
        bald=None if scores.bald is None else 0.0,
        foreground=None if scores.foreground is None else 0.0,
        boundary=None if scores.boundary is None else 0.0,
    )
