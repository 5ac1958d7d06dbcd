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
        ([0, 65535], ONE, None, [0, 1]),
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


def test_a_number_given_to_another_class_leaves_no_number_assumed():
    """A subset of a label map: 1 spleen, 5 liver. Only 5 was explained."""
    with pytest.raises(ImageError, match=r"unknown value 1 \(1 pixel\)") as caught:
        convert([0, 1, 5], ("liver",), None, {5: "liver"})

    assert "5 = liver" in caught.value.what
    assert "1 = liver" not in caught.value.what
    assert caught.value.keys == ("1",)
    with pytest.raises(ImageError, match="unknown values 1"):
        convert([0, 1, 2, 5], TWO, None, {5: "heart"})


def test_a_number_that_the_file_does_not_hold_changes_nothing():
    assert convert([0, 1, 2], TWO, None, {128: "lung"}) == [0, 1, 2]
    assert convert([0, 255], ONE, None, {128: "lung"}) == [0, 1]


def test_saying_what_is_background_or_ignored_leaves_the_other_numbers():
    assert convert([0, 1, 2, 9, 8], TWO, None, {9: "background", 8: "ignore"}) == [0, 1, 2, 0, 255]


def test_a_star_makes_all_others_background():
    """One class of a label map of 117: TotalSegmentator's liver is 5."""
    said = {5: "liver", "*": "background"}
    values = np.arange(118)

    label = np.array(convert(values, ("liver",), None, said))

    assert np.flatnonzero(label).tolist() == [5]
    assert label[5] == 1


def test_a_star_for_background_leaves_the_project_s_own_numbers():
    assert convert([0, 1, 2, 3, 77], TWO, None, {"*": "background"}) == [0, 1, 2, 0, 0]


def test_a_star_makes_every_instance_of_one_class():
    """Cellpose numbers its cells; 1 is the first cell and not the first class."""
    values = np.arange(300)

    label = np.array(convert(values, ("nucleus", "cell"), 127, {"*": "cell"}))

    assert label[0] == 0
    assert set(label[1:].tolist()) == {2}


def test_the_ignore_value_stays_where_a_star_names_a_class():
    assert convert([0, 1, 2, 3, 127], ONE, 127, {"*": "lung"}) == [0, 1, 1, 1, 255]


def test_a_star_stands_for_names_that_the_project_lacks():
    names = {1: "Lung", 2: "couch", 3: "body"}

    assert convert([1, 2, 3], ONE, None, {"*": "background"}, names) == [1, 0, 0]


def test_a_number_never_changes_what_the_file_names():
    names = {1: "lung", 2: "heart"}

    assert convert([0, 1, 2], TWO, None, {1: "heart", 2: "background"}, names) == [0, 1, 2]


def test_a_number_without_a_name_in_the_file_can_be_mapped():
    assert convert([0, 1, 7], TWO, None, {7: "heart"}, {1: "lung"}) == [0, 1, 2]


def test_an_export_s_numbers_are_those_of_its_classes():
    """Drawn when the project's classes were heart, lung: a map kept since does not count."""
    meaning = Meaning(TWO, 127, {1: "background", 9: "lung"}, exported=("heart", "lung"))

    assert meaning.apply(np.array([0, 1, 2, 9, 127])).tolist() == [0, 2, 1, 1, 255]


def test_a_class_of_an_export_that_the_project_has_no_more_is_unknown():
    with pytest.raises(ImageError, match="unknown value 2"):
        Meaning(ONE, exported=("lung", "vein")).apply(np.array([0, 1, 2]))


def test_one_class_of_an_export_may_come_back_as_255():
    assert Meaning(ONE, 127, exported=ONE).apply(np.array([0, 255, 127])).tolist() == [0, 1, 255]


@pytest.mark.parametrize(("name", "expected"), [("_background_", 0), ("__ignore__", 255)])
def test_labelme_s_names_of_background_and_ignore_are_known(name, expected):
    assert convert([3], names={3: name}) == [expected]


def test_a_message_on_a_nameless_value_does_not_say_what_its_number_means():
    with pytest.raises(ImageError) as caught:
        convert([0, 1, 2], TWO, names={1: "lung"})

    assert "2 = heart" not in caught.value.what
    assert "the file names others (1 = lung)" in caught.value.what


def label_map(count, size):
    """Squares of 4 pixels, each with its own number, 2 pixels apart."""
    values = np.zeros((size, size), np.uint16)
    places = [(y, x) for y in range(0, size, 6) for x in range(0, size, 6)][:count]
    for number, (y, x) in enumerate(places, start=1):
        values[y : y + 4, x : x + 4] = number
    return values


def test_areas_of_one_value_are_a_label_map_however_many():
    with pytest.raises(ImageError) as caught:
        convert(label_map(100, 60), TWO)

    assert "grey image" not in caught.value.remedy
    assert "--map '*=background' (or =CLASS)" in caught.value.remedy


def test_what_a_map_decided_is_told():
    meaning = Meaning(TWO, None, {"tumor": "lung", 9: "heart", 7: "lung", "*": "background"})

    meaning.apply(np.array([0, 9, 4]))

    assert meaning.used == {9, "*"}
