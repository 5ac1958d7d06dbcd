"""Uncertainty from probabilities equals that of the project's own networks from logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coldal_compute.segmentation import aggregation
from coldal_compute.segmentation.disagreement import class_entropies
from coldal_compute.segmentation.entropy import mean_entropy, pixel_entropy
from coldal_tui.imaging.uncertainty import outlines, uncertainty_of


@pytest.mark.parametrize("shape", [(2, 9, 7), (3, 6, 5, 8), (4, 1, 6, 5)])
def test_all_means_are_those_of_the_networks(shape):
    logits = torch.from_numpy(np.random.default_rng(1).normal(0, 3, shape).astype(np.float32))
    found = uncertainty_of(torch.softmax(logits, dim=0).numpy())
    near = aggregation.focused(logits)
    assert found.entropy == pytest.approx(mean_entropy(logits), abs=1e-6)
    assert found.foreground == pytest.approx(near.foreground, abs=1e-6)
    assert found.boundary == pytest.approx(near.boundary, abs=1e-6)
    assert found.class_entropy == pytest.approx(class_entropies(logits), abs=1e-6)
    assert np.allclose(found.pixels, pixel_entropy(logits).numpy(), atol=1e-5)


def test_certain_and_even_predictions():
    certain = np.zeros((3, 4, 4), np.float32)
    certain[0] = 1
    even = np.full((3, 4, 4), 1 / 3, np.float32)
    assert (uncertainty_of(certain).entropy, uncertainty_of(certain).foreground) == (0.0, 0.0)
    assert uncertainty_of(even).entropy == pytest.approx(1.0)
    # p of each class is a third everywhere: a third of H = 1.
    assert uncertainty_of(even).class_entropy == pytest.approx((1 / 3, 1 / 3))


def test_outlines_are_the_same_band():
    classes = np.zeros((9, 8), np.int64)
    classes[4:, 5:] = 2
    theirs = aggregation.outlines(torch.from_numpy(classes)).numpy()
    assert np.array_equal(outlines(classes), theirs)
