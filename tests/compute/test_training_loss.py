"""The loss: what it is on hand-worked pixels, and that ignored pixels leave both its terms."""

from __future__ import annotations

import math

import pytest
import torch

from coldal_compute.segmentation.network import MaskedDiceCELoss


def _example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 6, 5, generator=generator)
    target = torch.randint(0, 3, (2, 6, 5), generator=generator).to(torch.uint8)
    target[:, 2:4] = 255
    return logits, target


def test_predictions_under_ignored_pixels_change_nothing() -> None:
    logits, target = _example()
    other = logits.clone()
    other[:, :, 2:4] = 1e4 * torch.randn(2, 3, 2, 5)
    loss = MaskedDiceCELoss()
    assert loss(other, target).item() == loss(logits, target).item()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_ignored_pixels_may_hold_anything(value: float) -> None:
    logits, target = _example()
    loss = MaskedDiceCELoss()
    expected = loss(logits, target).item()
    logits[:, 1, 2:4] = value
    assert loss(logits, target).item() == expected


def test_ignored_pixels_get_no_gradient() -> None:
    logits, target = _example()
    logits.requires_grad_()
    MaskedDiceCELoss()(logits, target).backward()
    assert logits.grad is not None
    assert logits.grad[:, :, 2:4].abs().max() == 0
    assert logits.grad[:, :, :2].abs().min() > 0


def test_the_loss_equals_that_of_the_kept_pixels_alone() -> None:
    logits, target = _example()
    kept = [0, 1, 4, 5]
    loss = MaskedDiceCELoss()
    alone = loss(logits[:, :, kept], target[:, kept])
    assert loss(logits, target).item() == pytest.approx(alone.item(), rel=1e-6)


def test_without_ignored_pixels_it_is_monais_dice_and_cross_entropy() -> None:
    from monai.losses import DiceCELoss

    logits, target = _example()
    target[target == 255] = 0
    theirs = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    expected = theirs(logits, target.unsqueeze(1).long()).item()
    assert MaskedDiceCELoss()(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_with_nothing_but_ignored_pixels_costs_nothing() -> None:
    logits, target = _example()
    target[:] = 255
    assert MaskedDiceCELoss()(logits, target).item() == pytest.approx(0.0, abs=1e-6)
