"""Drawings that claim the same voxel."""

from __future__ import annotations

import numpy as np

from coldal_tui.exchange.candidate import Candidate, MaskLayer, MaskPixels, ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import Accepted, decide
from coldal_tui.exchange.masks.overlap import merge_labels

CLASSES = ("organ", "tumour")


def row(*values: int) -> np.ndarray:
    return np.array([values], np.uint8)


def test_the_later_class_wins_whatever_the_order_of_the_drawings():
    first, second = row(0, 1, 1, 2, 2), row(2, 0, 2, 1, 2)

    for labels in ([first.copy(), second], [second.copy(), first]):
        merged, notes = merge_labels(labels, CLASSES)

        np.testing.assert_array_equal(merged, row(2, 1, 2, 2, 2))
        assert notes == (
            "2 pixels were claimed twice: 2 of 'tumour' over 'organ' (the later class wins)",
        )


def test_the_same_class_twice_is_no_overlap():
    merged, notes = merge_labels([row(1, 1, 0), row(0, 1, 1)], CLASSES)

    np.testing.assert_array_equal(merged, row(1, 1, 1))
    assert notes == ()


def test_what_is_to_be_ignored_stays_ignored():
    merged, notes = merge_labels([row(255, 0), row(2, 255)], CLASSES)

    np.testing.assert_array_equal(merged, row(255, 255))
    assert notes == ("1 pixel was claimed twice: 1 of ignore over 'tumour' (the later class wins)",)


def test_layers_of_a_mask_are_mapped_each_by_its_own_names():
    pixels = MaskPixels(
        row(1, 1, 0),
        "rows",
        names={1: "tumour"},
        layers=(MaskLayer(row(0, 1, 1), {1: "organ"}),),
    )
    candidate = Candidate("a.png", "a.png", "x", lambda: pixels)

    found = decide(ScanTarget("a", (1, 3), ("a.png",)), candidate, CLASSES, None)

    assert isinstance(found, Accepted)
    np.testing.assert_array_equal(found.label, row(2, 2, 1))
    assert found.notes == (
        "1 pixel was claimed twice: 1 of 'tumour' over 'organ' (the later class wins)",
    )
