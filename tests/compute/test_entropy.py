"""Entropy of predictions: values worked out by hand, and logits of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coldal_compute.segmentation.entropy import mean_entropy, pixel_entropy


def _logits(*probabilities: float, size: int = 1) -> torch.Tensor:
    return torch.log(torch.tensor(probabilities)).reshape(-1, 1, 1).repeat(1, size, size)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_equal_probabilities_give_one(classes: int) -> None:
    assert mean_entropy(torch.zeros(classes, 4, 4)) == pytest.approx(1.0, abs=1e-6)


def test_a_pixel_has_the_entropy_of_its_probabilities() -> None:
    wanted = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1)) / math.log(3)
    assert mean_entropy(_logits(0.7, 0.2, 0.1, size=3)) == pytest.approx(wanted, abs=1e-6)


def test_the_mean_runs_over_pixels() -> None:
    logits = torch.zeros(2, 1, 4)
    logits[0, 0, :3] = 1000.0
    assert mean_entropy(logits) == pytest.approx(0.25)


def test_a_sure_pixel_has_none() -> None:
    assert mean_entropy(_logits(1.0, 0.0)) == 0.0


@pytest.mark.parametrize("value", [1e4, 6e4, 1e30, 3e38, math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_huge_logits_stay_finite(value: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([value, -value, 0.0], dtype=dtype).reshape(3, 1, 1)
    assert mean_entropy(logits) == 0.0


def test_two_equally_huge_logits_share_the_probability() -> None:
    logits = torch.tensor([math.inf, math.inf]).reshape(2, 1, 1)
    assert mean_entropy(logits) == pytest.approx(1.0, abs=1e-6)


def test_nan_logits_stay_finite() -> None:
    assert 0.0 <= mean_entropy(torch.full((3, 2, 2), math.nan)) <= 1.0


def test_ignored_pixels_are_left_out() -> None:
    logits = torch.zeros(2, 2, 2)
    logits[0, 0] = 500.0
    ignored = np.array([[False, False], [True, True]])
    assert mean_entropy(logits, ignored) == 0.0
    assert mean_entropy(logits, ~ignored) == pytest.approx(1.0)


def test_everything_ignored_has_none() -> None:
    assert mean_entropy(torch.zeros(2, 2, 2), np.ones((2, 2), dtype=bool)) == 0.0


def test_pixel_entropy_agrees_with_torch_distributions() -> None:
    logits = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1)) * 3
    theirs = torch.distributions.Categorical(logits=logits.movedim(0, -1)).entropy() / math.log(4)
    torch.testing.assert_close(pixel_entropy(logits), theirs)


def test_large_volumes_are_summed_slab_by_slab_to_the_same_mean() -> None:
    logits = torch.randn(3, 17, 9, 8, generator=torch.Generator().manual_seed(2))
    assert mean_entropy(logits, slab=100) == pytest.approx(mean_entropy(logits), abs=1e-12)
