"""The clean-up of predictions: what is kept, when it pays, and that every label map has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from coldal_compute.segmentation.clean_up import keep_largest, worth_it
from coldal_compute.segmentation.inference import Model
from coldal_compute.segmentation.metrics import ClassMetrics
from coldal_compute.segmentation.plan import make_plan
from coldal_tui.jobs.spec import TrainOptions

ISLANDS = np.array(
    [
        [1, 1, 0, 0, 2],
        [1, 0, 0, 0, 0],
        [0, 1, 0, 2, 2],
        [0, 0, 0, 0, 0],
        [1, 1, 0, 2, 2],
    ],
    np.uint8,
)


def test_the_largest_part_stays_corners_connect_and_the_first_wins_a_tie() -> None:
    kept = keep_largest(ISLANDS, [1])
    # Of class 1 the four pixels above hang together by a corner; the two below go.
    assert kept[4, :2].tolist() == [0, 0]
    assert np.array_equal(kept[:4], ISLANDS[:4])
    both = keep_largest(ISLANDS, [1, 2])
    assert np.argwhere(both == 2).tolist() == [[2, 3], [2, 4]]
    assert ISLANDS[4, 0] == 1
    assert np.array_equal(keep_largest(ISLANDS, []), ISLANDS)


def test_255_and_volumes_are_left_as_they_are() -> None:
    volume = np.zeros((3, 4, 4), np.uint8)
    volume[0, 0, 0] = volume[2, 2, 2] = volume[2, 3, 3] = 1
    volume[1, 3, 0] = 255
    kept = keep_largest(volume, [1])
    assert np.argwhere(kept == 1).tolist() == [[2, 2, 2], [2, 3, 3]]
    assert kept[1, 3, 0] == 255


def _of(**dice_hd95: tuple[float, float]) -> dict[str, ClassMetrics]:
    return {name: ClassMetrics(d, 2 * h, h, "px") for name, (d, h) in dice_hd95.items()}


def test_it_pays_where_hd95_falls_and_dice_does_not() -> None:
    before = {
        "s": _of(a=(0.8, 9.0), b=(0.8, 9.0), c=(0.8, 2.0)),
        "t": _of(a=(0.6, 5.0), b=(0.6, 5.0), c=(0.6, 2.0)),
    }
    after = {
        "s": _of(a=(0.8, 3.0), b=(0.7, 1.0), c=(0.9, 2.0)),
        "t": _of(a=(0.6, 5.0), b=(0.6, 1.0), c=(0.6, 2.0)),
    }
    found = worth_it(before, after, ("a", "b", "c"))
    assert {name: one["pays"] for name, one in found.items()} == {"a": True, "b": False, "c": False}
    assert found["a"] == {"dice": [pytest.approx(0.7)] * 2, "hd95": [7.0, 4.0], "pays": True}
    assert worth_it({}, {}, ("a",)) == {}


@pytest.mark.parametrize(("cleanup", "left"), [((), 3), (("other",), 3), (("disc",), 2)])
def test_label_maps_of_a_model_have_it(cleanup: tuple[str, ...], left: int, discs: Any) -> None:
    plan = make_plan([case.scan for case in discs(1)], ("disc",), TrainOptions())
    logits = torch.zeros(2, 4, 4)
    logits[1] -= 1
    for row, column in ((0, 0), (0, 1), (3, 3)):
        logits[1, row, column] = 1
    model = Model(plan, torch.nn.Identity(), torch.device("cpu"), cleanup=cleanup)
    assert int((model.labels(logits, (4, 4)) == 1).sum()) == left
