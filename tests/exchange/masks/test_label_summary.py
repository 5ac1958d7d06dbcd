"""What is drawn in a label, counted once."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.exchange.masks.label_summary import Drawn
from coldal_tui.exchange.masks.run_lengths import Runs


def test_ignored_pixels_are_no_class_pixels():
    drawn = Drawn.of(np.array([[0, 1, 2, 2, 255]], np.uint8))

    assert (drawn.classes, drawn.ignored) == (3, 1)
    assert drawn.pixels == {0: 1, 1: 1, 2: 2, 255: 1}


def even(rows: int = 40) -> np.ndarray:
    label = np.zeros((rows, 60), np.uint8)
    label[3:9, 10:30] = 2
    label[30, 5:50] = 255
    return label


def test_even_areas_are_counted_by_their_runs():
    assert Runs.of(even()) is not None
    assert Drawn.of(even()).pixels == {0: 40 * 60 - 120 - 45, 2: 120, 255: 45}


def test_noise_is_counted_by_its_pixels():
    noise = np.random.default_rng(1).integers(0, 3, (40, 60), dtype=np.uint8)

    assert Runs.of(noise) is None
    assert Drawn.of(noise).pixels == {v: int((noise == v).sum()) for v in range(3)}


@pytest.mark.parametrize("other", [even()[::-1], even(41), np.where(even() == 2, 1, even())])
def test_labels_that_differ_have_other_keys(other):
    assert Drawn.of(even()).key == Drawn.of(np.asfortranarray(even())).key
    assert Drawn.of(np.ascontiguousarray(other, np.uint8)).key != Drawn.of(even()).key


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_runs_replace_values_in_any_memory_order(order, dtype):
    array = np.asarray(np.where(even() == 255, 77, even()), dtype=dtype, order=order)
    runs = Runs.of(array)

    assert runs.counts() == {0: 40 * 60 - 165, 2: 120, 77: 45}
    expected = np.select([array == 2, array == 77], [9, 8], 7)
    np.testing.assert_array_equal(runs.replaced([7, 9, 8]), expected)


@pytest.mark.parametrize("shape", [(6, 9), (7, 5, 4), (1, 9, 1), (40, 30, 20)])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_the_memory_order_of_a_label_does_not_count(shape, share):
    """Long runs and short ones: both ways of counting."""
    label = (np.random.default_rng(2).random(shape) < share).astype(np.uint8)

    summaries = [Drawn.of(np.asarray(label, order=order)) for order in ("C", "F")]

    assert summaries[0] == summaries[1]
    assert summaries[0].pixels.get(1, 0) == int(label.sum())
