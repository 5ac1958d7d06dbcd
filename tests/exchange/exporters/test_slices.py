"""From 2-D masks of slices back to a volume: every turn, what is missing, what values mean."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskLayer, MaskPixels, ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import Accepted, ImportOptions, decide
from coldal_tui.exchange.slices import (
    SliceStack,
    restore,
    slice_name,
    stack_from_row,
    volume_of,
)
from coldal_tui.imaging.picture import SliceView

SHAPE = (4, 6, 5)
VOXELS = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)
VIEWS = [
    SliceView(*axes, *flips)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=2)
]


def stack_of(view: SliceView, indices=None) -> SliceStack:
    indices = range(SHAPE[view.axis]) if indices is None else indices
    names = {slice_name("brain", view.axis, k): k for k in indices}
    return SliceStack("brain", SHAPE, view, names)


def cut(stack: SliceStack, voxels: np.ndarray = VOXELS) -> dict[str, np.ndarray]:
    return {name: stack.view.displayed(voxels, k) for name, k in stack.indices.items()}


def drawn(array: np.ndarray, **more) -> MaskPixels:
    return MaskPixels(array, "rows", **more)


@pytest.mark.parametrize("view", VIEWS)
def test_every_axis_turn_and_flip_comes_back_exact(view):
    stack = stack_of(view)
    np.testing.assert_array_equal(restore(stack, cut(stack)).label, VOXELS)


def test_slices_that_did_not_come_back_are_unseen():
    stack = stack_of(SliceView(2, 1, 0), [0, 2, 4])
    masks = cut(stack)
    del masks["brain__z0002"]
    restored = restore(stack, masks)
    assert restored.missing == (2,)
    assert [bool(restored.seen[..., k].all()) for k in range(5)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert restored.seen[..., 1:4].sum() == 0


def test_a_mask_of_another_size_is_refused():
    stack = stack_of(SliceView(2, 1, 0))
    with pytest.raises(ImageError, match=r"is 6×4 pixels .*, its picture 4×6") as caught:
        restore(stack, {"brain__z0001": np.zeros((4, 6))})
    assert caught.value.code == "wrong-size"


def test_a_slice_that_was_not_exported_is_refused():
    stack = stack_of(SliceView(2, 1, 0), [0, 2])
    with pytest.raises(ImageError) as caught:
        restore(stack, {"brain__z0001": np.zeros((6, 4), np.uint8)})
    assert caught.value.code == "wrong-slice"


def decided(pixels: MaskPixels, ignore_value=None, values=None) -> Accepted:
    target = ScanTarget("brain", SHAPE, ("brain.nii",))
    candidate = Candidate(Path("x"), "brain", "slices", lambda: pixels)
    result = decide(
        target, candidate, ("organ", "tumour"), ignore_value, ImportOptions(values=values or {})
    )
    assert isinstance(result, Accepted), result
    return result


@pytest.mark.parametrize("ignore_value", [None, 127, 255])
def test_what_nobody_saw_is_ignored_whatever_the_project_calls_it(ignore_value):
    stack = stack_of(SliceView(2, 1, 0), [1, 3])
    masks = {name: drawn(mask) for name, mask in cut(stack).items()}
    label = decided(volume_of(stack, masks, None), ignore_value).label
    np.testing.assert_array_equal(label[..., [1, 3]], VOXELS[..., [1, 3]])
    assert (label[..., [0, 2, 4]] == 255).all()


def test_missing_slices_may_be_declared_empty():
    stack = stack_of(SliceView(2, 1, 0))
    masks = {name: drawn(mask) for name, mask in cut(stack).items() if name != "brain__z0003"}
    volume = volume_of(stack, masks, None, missing_is_empty=True)
    label = decided(volume).label
    assert (label[..., 3] == 0).all()
    assert "1 exported slices came back without a mask (taken as empty)" in volume.notes


def test_names_that_are_numbered_anew_in_each_slice_are_one_numbering():
    stack = stack_of(SliceView(2, 1, 0), [0, 1])
    first, second = np.zeros((6, 4), np.uint8), np.zeros((6, 4), np.uint8)
    first[0, 0], first[0, 1] = 1, 2
    second[1, 1] = 1
    masks = {
        "brain__z0000": drawn(first, names={1: "organ", 2: "tumour"}, numbered=False),
        "brain__z0001": drawn(second, names={1: "tumour"}, numbered=False),
    }
    label = decided(volume_of(stack, masks, None)).label
    assert (label[0, 0, 0], label[1, 0, 0], label[1, 1, 1]) == (1, 2, 2)
    assert [int((label == value).sum()) for value in (1, 2)] == [1, 2]


def test_colours_keep_their_meaning():
    stack = stack_of(SliceView(2, 1, 0), [0, 1])
    plane = np.zeros((6, 4), np.uint8)
    plane[2, 3] = 1
    masks = {
        "brain__z0000": drawn(plane, colours={0: "#000000", 1: "#ff0000"}),
        "brain__z0001": drawn(plane, colours={0: "#000000", 1: "#00ff00"}),
    }
    values = {"#ff0000": "organ", "#00ff00": "tumour", "#000000": "background"}
    label = decided(volume_of(stack, masks, None), values=values).label
    assert (label[3, 2, 0], label[3, 2, 1]) == (1, 2)


def test_drawings_that_overlap_stay_layers():
    stack = stack_of(SliceView(2, 1, 0))
    over = np.zeros((6, 4), np.uint8)
    over[3, 1] = 2
    masks = {name: drawn(np.ones((6, 4), np.uint8)) for name in stack.indices}
    masks["brain__z0002"] = drawn(np.ones((6, 4), np.uint8), layers=(MaskLayer(over),))
    volume = volume_of(stack, masks, None)
    label = decided(volume).label
    assert label[1, 3, 2] == 2
    assert int((label == 2).sum()) == 1


def test_what_lies_on_top_in_a_slice_stays_on_top():
    stack = stack_of(SliceView(2, 1, 0))
    over = np.zeros((6, 4), np.uint8)
    over[3, 1] = 1
    masks = {name: drawn(np.full((6, 4), 2, np.uint8)) for name in stack.indices}
    masks["brain__z0002"] = drawn(
        np.full((6, 4), 2, np.uint8), layers=(MaskLayer(over.copy()), MaskLayer(over, level=1))
    )
    masks["brain__z0003"] = drawn(np.full((6, 4), 2, np.uint8), layers=(MaskLayer(over.copy()),))

    label = decided(volume_of(stack, masks, None)).label

    assert np.argwhere(label == 1).tolist() == [[1, 3, 2]]
    assert int((label == 2).sum()) == SHAPE[0] * SHAPE[1] * SHAPE[2] - 1


ROW = {
    "scan_id": "brain",
    "shape": [4, 6, 5],
    "slices": {
        "axis": 2,
        "row_axis": 1,
        "column_axis": 0,
        "flip_rows": True,
        "flip_columns": False,
        "window": [[-100.0, 200.0]],
        "every": 2,
        "files": [{"image": "images/brain__z0002.png", "index": 2}],
    },
}


def test_a_row_of_the_manifest_tells_the_stack():
    stack = stack_from_row(ROW)
    assert stack == SliceStack(
        "brain",
        (4, 6, 5),
        SliceView(2, 1, 0, True, False),
        {"brain__z0002": 2},
        2,
        ((-100.0, 200.0),),
    )
    assert stack.picture_shape == (6, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"axis": 1},
        {"axis": 7},
        {"axis": "z"},
        {"flip_rows": "no"},
        {"files": [{"image": 3, "index": 0}]},
        {"files": None},
    ],
)
def test_a_damaged_row_is_no_stack(change):
    assert stack_from_row(ROW | {"slices": ROW["slices"] | change}) is None
    assert stack_from_row({"scan_id": "brain", "shape": [4, 6]}) is None


def test_slices_beyond_the_volume_are_left_out():
    files = [{"image": "a__z0005.png", "index": 5}, {"image": "a__z0001.png", "index": -1}]
    stack = stack_from_row(ROW | {"slices": ROW["slices"] | {"files": files}})
    assert stack.indices == {}
