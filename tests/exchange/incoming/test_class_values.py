"""From raw values to classes: each rule of the policy on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.errors import ImageError, UsageError
from coldal_tui.exchange.incoming.class_values import Meaning, check_classes

ONE = ("lung",)
TWO = ("lung", "heart")


def convert(values, classes=ONE, ignore=None, value_map=None, names=None, dtype=None):
    meaning = Meaning(classes, ignore, value_map or {}, names)
    return meaning.apply(np.array(values, dtype=dtype)).tolist()


@pytest.mark.parametrize(
    ("values", "classes", "ignore", "expected"),
    [
        ([0, 1], ONE, None, [0, 1]),
        ([0, 255], ONE, None, [0, 1]),
        ([0, 255, 127], ONE, 127, [0, 1, 255]),
        ([0, 1, 255], ONE, 255, [0, 1, 255]),
        ([0, 1, 2], TWO, None, [0, 1, 2]),
        ([0, 1, 2, 255], TWO, 255, [0, 1, 2, 255]),
        ([0, 2, -1], TWO, -1, [0, 2, 255]),
    ],
)
def test_values_that_mean_something(values, classes, ignore, expected):
    assert convert(values, classes, ignore) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64])
def test_every_number_type_is_read(dtype):
    assert convert([0, 1, 2], TWO, dtype=dtype) == [0, 1, 2]


def test_values_far_apart_are_told_apart():
    assert convert([0, 70_000, -5], TWO, -5, {70_000: "heart"}) == [0, 2, 255]


def test_negative_values_do_not_shift_the_others():
    assert convert([-1, 0, 2, 1], TWO, -1) == [255, 0, 2, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_column_major_arrays_keep_their_places(dtype):
    values = np.arange(24).reshape(2, 3, 4) % 3

    label = Meaning(TWO, None).apply(np.asfortranarray(values, dtype=dtype))

    np.testing.assert_array_equal(label, values)


def test_booleans_are_one_class():
    assert convert([False, True]) == [0, 1]


@pytest.mark.parametrize(
    ("values", "classes", "ignore", "named"),
    [
        ([0, 1, 255, 255], ONE, None, "255 (2 pixels)"),
        ([0, 128], ONE, None, "128 (1 pixel)"),
        ([0, 255, 127, 127, 127], ONE, None, "127 (3 pixels)"),
        ([0, 127, 255], TWO, None, "127 (1 pixel), 255 (1 pixel)"),
        ([0, 255], TWO, None, "255 (1 pixel)"),
        ([0, 1, 3], TWO, None, "3 (1 pixel)"),
        ([0, -3], ONE, None, "-3 (1 pixel)"),
    ],
)
def test_an_unknown_value_is_named_and_counted(values, classes, ignore, named):
    with pytest.raises(ImageError) as caught:
        convert(values, classes, ignore)

    assert caught.value.code == "unknown-value"
    assert named in caught.value.what


def test_a_grey_image_is_recognised_as_one():
    with pytest.raises(ImageError) as caught:
        convert(np.arange(256, dtype=np.uint8))

    assert "and 248 more" in caught.value.what
    assert "grey image" in caught.value.remedy


@pytest.mark.parametrize("values", [[0.0, 0.4], [0.0, 1.0011], [0.0, np.nan], [0.0, np.inf]])
def test_values_between_whole_numbers_are_refused(values):
    with pytest.raises(ImageError) as caught:
        convert(values)

    assert caught.value.code == "not-integral"
    assert caught.value.what.startswith("1 pixel holds a value")


def test_a_thousandth_off_is_whole():
    assert convert([0.0009, 0.9991, 1.0009]) == [0, 1, 1]


def test_255_alone_is_ambiguous_where_255_is_ignored():
    with pytest.raises(ImageError) as caught:
        convert([0, 255], ONE, 255)

    assert caught.value.code == "ignore-value"
    assert "--map 255=CLASS" in caught.value.remedy


@pytest.mark.parametrize(("meaning", "expected"), [("lung", 1), ("ignore", 255), (1, 1)])
def test_saying_what_255_means_settles_it(meaning, expected):
    assert convert([0, 255], ONE, 255, {255: meaning}) == [0, expected]


def test_a_value_map_renames_values():
    said = {100: "heart", 200: "lung", 9: "background"}

    assert convert([0, 100, 200, 9], TWO, None, said) == [0, 2, 1, 0]


def test_a_value_map_wins_over_the_usual_meaning():
    assert convert([0, 1, 2], TWO, None, {1: "heart", 2: "lung"}) == [0, 2, 1]


@pytest.mark.parametrize("meaning", ["liver", 3, -1])
def test_a_value_map_names_classes_of_the_project(meaning):
    with pytest.raises(UsageError) as caught:
        convert([0, 5], TWO, None, {5: meaning})

    assert caught.value.code == "value-map"
    assert "lung, heart" in caught.value.remedy


def test_names_in_the_file_decide_over_numbers():
    assert convert([0, 1, 2], TWO, names={1: "Heart", 2: " lung "}) == [0, 2, 1]


def test_a_class_name_that_the_project_lacks_is_unknown():
    with pytest.raises(ImageError, match=r"unknown value 4 'liver' \(1 pixel\)") as caught:
        convert([0, 4], TWO, names={4: "liver"})

    assert "--map liver=CLASS" in caught.value.remedy


def test_a_name_can_be_mapped():
    assert convert([0, 4], TWO, None, {"Liver": "heart"}, {4: "liver"}) == [0, 2]


def test_a_number_without_a_name_is_unknown_where_names_are_given():
    with pytest.raises(ImageError, match="unknown value 2"):
        convert([0, 2], TWO, names={1: "lung"})


@pytest.mark.parametrize(
    ("classes", "ignore", "code", "fact"),
    [
        ((), None, "classes", "no classes"),
        (("a", "A"), None, "classes", "same name"),
        (tuple(f"c{n}" for n in range(255)), None, "classes", "255 classes"),
        (TWO, 2, "ignore-value", "value of class 'heart'"),
        (ONE, 1, "ignore-value", "value of class 'lung'"),
        (ONE, 0, "ignore-value", "value of background"),
    ],
)
def test_contradicting_projects_are_refused(classes, ignore, code, fact):
    with pytest.raises(UsageError) as caught:
        check_classes(classes, ignore)

    assert caught.value.code == code
    assert fact in caught.value.what
