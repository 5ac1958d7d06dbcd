"""All scores of one scan by a run that strategies may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Passed:
    """What the networks make of one image: logits of each, ``(C, *grid)``.

    ``features`` are the first one's, ``(F,)``. Of a ``blank`` image every channel is constant.
    """

    logits: tuple[torch.Tensor, ...]
    features: NDArray[np.float16]
    blank: bool


def pass_images(
    ensemble: Sequence[Model], images: NDArray[np.floating], size: int = 1
) -> list[Passed]:
    """Put preprocessed images, ``(N, channels, *grid)``, through the networks together.

    Fewer than ``size`` are filled up, so that a result doesn't depend on how many there are.
    """
    made = [model.logits_and_features(images, size) for model in ensemble]
    return [
        Passed(tuple(logits[n] for logits, _ in made), made[0][1][n], not np.any(image))
        for n, image in enumerate(images)
    ]


def score_image(
    ensemble: Sequence[Model], image: NDArray[np.floating], *, features: bool = True
) -> tuple[torch.Tensor, ScanScores]:
    """The first network's logits ``(C, *grid)`` of a preprocessed image, and the scan's scores."""
    (passed,) = pass_images(ensemble, np.asarray(image)[np.newaxis])
    return passed.logits[0], score_passed(passed, features=features)


def score_passed(passed: Passed, *, features: bool = True) -> ScanScores:
    """The scores of an image that went through the networks.

    Entropies and features are the first network's, which is the one that is measured and
    predicts; ``bald`` is the disagreement of all of them, None with only one. A blank
    image holds nothing to be unsure about: its scores are 0.
    """
    own = passed.logits[0]
    # Large volumes are worked on in parts instead: their entropies don't fit beside the logits.
    known = pixel_entropy(own) if own.numel() <= _AT_ONCE else None
    near = focused(own, entropy=known)
    scores = ScanScores(
        entropy=mean_entropy(own, entropy=known),
        class_entropy=class_entropies(own, entropy=known),
        bald=mutual_information(passed.logits) if len(passed.logits) > 1 else None,
        foreground=near.foreground,
        boundary=near.boundary,
        features=tuple(map(float, passed.features)) if features else None,
    )
    return _certain(scores) if passed.blank else scores


def _certain(scores: ScanScores) -> ScanScores:
    return msgspec.structs.replace(
        scores,
        entropy=0.0,
        class_entropy=(0.0,) * len(scores.class_entropy),
        bald=None if scores.bald is None else 0.0,
        foreground=None if scores.foreground is None else 0.0,
        boundary=None if scores.boundary is None else 0.0,
    )
