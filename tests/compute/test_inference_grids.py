"""Resizing against torch's own interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from coldal_compute.segmentation.grids import (
    native_labels,
    native_logits,
    native_slabs,
    resize_image,
    resize_label,
)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("shape", [(16, 12), (61, 90), (40, 20), (33, 7)])
def test_images_shrink_antialiased_and_grow_linearly(shape: tuple[int, int]) -> None:
    image = _random(2, 40, 30)
    theirs = functional.interpolate(
        image[None], size=shape, mode="bilinear", align_corners=False, antialias=True
    )[0]
    ours = resize_image(image.numpy(), shape)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_volumes_grow_linearly() -> None:
    image = _random(1, 5, 6, 7)
    theirs = functional.interpolate(
        image[None], size=(9, 6, 20), mode="trilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(resize_image(image.numpy(), (9, 6, 20)), theirs, atol=1e-5)


@pytest.mark.parametrize(("old", "new"), [(1, 1), (1, 5), (2, 1), (7, 3), (599, 13), (512, 511)])
def test_every_new_pixel_is_a_triangle_of_old_ones(old: int, new: int) -> None:
    values = np.random.default_rng(old).random((1, old)).astype(np.float32)
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    far = np.abs(np.arange(old)[None] + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - far)
    wanted = (weights / weights.sum(axis=1, keepdims=True)) @ values[0]
    np.testing.assert_allclose(resize_image(values, (new,))[0], wanted, rtol=1e-6)


def test_a_shrunk_checkerboard_is_grey() -> None:
    board = np.indices((64, 64, 8)).sum(axis=0)[np.newaxis] % 2
    small = resize_image(board.astype(np.float32), (16, 16, 8))
    np.testing.assert_allclose(small[:, 1:-1, 1:-1], 0.5, atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 4), (31, 50), (20, 15)])
def test_labels_take_the_nearest_pixel(shape: tuple[int, int]) -> None:
    label = np.random.default_rng(1).integers(0, 4, (20, 15)).astype(np.uint8)
    theirs = functional.interpolate(
        torch.from_numpy(label)[None, None].float(), size=shape, mode="nearest-exact"
    )
    np.testing.assert_array_equal(resize_label(label, shape), theirs[0, 0].numpy())


@pytest.mark.parametrize(
    ("working", "native", "mode"),
    [
        ((16, 12), (50, 33), "bilinear"),
        ((16, 12), (9, 12), "bilinear"),
        ((8, 6, 7), (19, 13, 7), "trilinear"),
        ((8, 6, 7), (5, 20, 3), "trilinear"),
    ],
)
@pytest.mark.parametrize("values", [1, 1000, 1 << 25])
def test_slabs_make_what_interpolation_makes_at_once(
    working: tuple[int, ...], native: tuple[int, ...], mode: str, values: int
) -> None:
    logits = _random(3, *working)
    theirs = functional.interpolate(logits[None], size=native, mode=mode, align_corners=False)[0]
    slabs = [slab for _, slab in native_slabs(logits, native, values)]
    torch.testing.assert_close(torch.cat(slabs, dim=1), theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(native_logits(logits, native), theirs, atol=1e-5, rtol=1e-5)
    labels = native_labels(logits, native, values)
    assert labels.dtype == np.uint8
    assert (labels == theirs.argmax(dim=0).numpy()).mean() > 0.999
