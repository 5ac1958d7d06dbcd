"""Class entropies and mutual information, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from coldal_compute.segmentation.disagreement import class_entropies, mutual_information


def logits_of(*pixels: tuple[float, ...]) -> torch.Tensor:
    """Probabilities of each pixel as logits ``(C, 1, pixels)``."""
    return torch.log(torch.tensor(pixels).T[:, None, :])


def entropy(*p: float) -> float:
    return -sum(one * math.log(one) for one in p if one) / math.log(len(p))


def test_class_entropies_weigh_each_pixel_by_the_class() -> None:
    """One pixel undecided between the background and class 1, one sure of the background."""
    found = class_entropies(logits_of((0.5, 0.5, 0.0), (1.0, 0.0, 0.0)))
    assert found == pytest.approx((0.5 * entropy(0.5, 0.5, 0.0) / 2, 0.0))


def test_members_that_agree_have_no_mutual_information() -> None:
    one = logits_of((0.7, 0.3), (0.2, 0.8))
    assert mutual_information([one, one]) == pytest.approx(0.0, abs=1e-6)


def test_members_that_are_sure_of_different_things_have_all_of_it() -> None:
    sure = torch.tensor([[[50.0]], [[-50.0]]])
    assert mutual_information([sure, -sure]) == pytest.approx(1.0)


def test_mutual_information_by_hand() -> None:
    members = [logits_of((0.9, 0.1)), logits_of((0.5, 0.5))]
    wanted = entropy(0.7, 0.3) - (entropy(0.9, 0.1) + entropy(0.5, 0.5)) / 2
    assert mutual_information(members) == pytest.approx(wanted, rel=1e-5)


def test_slabs_change_nothing() -> None:
    rng = torch.Generator().manual_seed(0)
    members = [torch.randn(3, 11, 7, 5, generator=rng) for _ in range(3)]
    assert class_entropies(members[0], slab=40) == pytest.approx(class_entropies(members[0]))
    assert mutual_information(members, slab=40) == pytest.approx(mutual_information(members))
