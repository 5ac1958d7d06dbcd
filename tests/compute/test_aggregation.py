"""Entropy by other means: over the foreground and along outlines, by hand and by plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coldal_compute.segmentation.aggregation import ELSEWHERE, focused, outlines
from coldal_compute.segmentation.entropy import mean_entropy, pixel_entropy


def _logits(p_foreground: list[list[float]]) -> torch.Tensor:
    """Logits of two classes with these probabilities of the second."""
    p = torch.tensor(p_foreground, dtype=torch.float64)
    return torch.stack([torch.log(1 - p), torch.log(p)]).float()


def _h(p: float) -> float:
    return -(p * math.log(p) + (1 - p) * math.log(1 - p)) / math.log(2)


def test_the_foreground_counts_by_its_probability() -> None:
    found = focused(_logits([[0.01, 0.01], [0.5, 0.9]])).foreground
    wanted = (2 * 0.01 * _h(0.01) + 0.5 * _h(0.5) + 0.9 * _h(0.9)) / 1.42
    assert found == pytest.approx(wanted, abs=1e-6)


def test_an_empty_background_hides_nothing() -> None:
    """The same unsure lesion in ever larger empty pictures: the mean forgets it, these do not."""
    means, foregrounds, boundaries = [], [], []
    for side in (8, 32, 128):
        p = np.full((side, side), 1e-6)
        p[2:5, 2:5] = 0.6
        logits = _logits(p.tolist())
        means.append(mean_entropy(logits))
        foregrounds.append(focused(logits).foreground)
        boundaries.append(focused(logits).boundary)
    assert means[0] > 50 * means[2]
    assert foregrounds[2] > 0.9 * foregrounds[0] > 0.8
    assert boundaries[2] > 0.1 * boundaries[0]


def test_outlines_are_two_pixels_on_each_side() -> None:
    row = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1, 1]])
    assert outlines(row, 1).tolist() == [[False] * 3 + [True] * 2 + [False] * 4]
    assert outlines(row, 2).tolist() == [[False] * 2 + [True] * 4 + [False] * 3]


def test_outlines_of_volumes_and_of_single_planes() -> None:
    volume = torch.zeros(1, 6, 6)
    volume[0, 2:, 3] = 2
    # Four pixels, two columns of four beside them, and one above.
    assert int(outlines(volume, 1).sum()) == 13
    assert not outlines(torch.ones(4, 4, 4)).any()


def test_where_nothing_is_drawn_it_is_the_plain_mean() -> None:
    logits = _logits([[0.1, 0.2, 0.3], [0.4, 0.05, 0.2]])
    assert focused(logits).boundary == pytest.approx(mean_entropy(logits), abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (3, *rng.integers(1, 9, 2 + seed % 2).tolist())
    logits = torch.from_numpy(rng.normal(0, 2, shape)).float()
    entropy = pixel_entropy(logits)
    classes, p = logits.argmax(dim=0), torch.softmax(logits, dim=0)
    near = outlines(classes)
    sums = {"foreground": [0.0, 0.0], "boundary": [0.0, 0.0]}
    for place in np.ndindex(*shape[1:]):
        for name, weight in (
            ("foreground", 1 - float(p[(0, *place)])),
            ("boundary", 1.0 if near[place] else ELSEWHERE),
        ):
            sums[name][0] += weight * float(entropy[place])
            sums[name][1] += weight
    for slab in (1, 1 << 25):
        found = focused(logits, slab)
        for name, (total, weight) in sums.items():
            assert getattr(found, name) == pytest.approx(total / weight, abs=1e-5)


def test_values_that_are_no_numbers_end_in_the_unit_interval() -> None:
    logits = torch.full((2, 3, 3), torch.inf)
    logits[1, 1] = -torch.inf
    found = focused(torch.nan_to_num(logits))
    assert 0 <= found.foreground <= 1
    assert 0 <= found.boundary <= 1
