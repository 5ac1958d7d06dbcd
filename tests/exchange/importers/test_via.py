"""VGG Image Annotator: projects, JSON and CSV; which attribute is the class, what is refused."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine

CLASSES = ("lung", "heart")
SHAPE = (20, 24)


def verdicts(path: Path, *names: str, classes=CLASSES, **options) -> list:
    targets = [ScanTarget(name, SHAPE, (f"{name}.png",)) for name in names or ("a",)]
    found = examine(path, targets, classes, None, options=ImportOptions(**options))
    return [one for one in found if one.status != "ignored"]


def verdict(path: Path, **options):
    (only,) = verdicts(path, **options)
    return only


def polygon(left: int, top: int, right: int, bottom: int) -> dict:
    xs, ys = [left, right, right, left], [top, top, bottom, bottom]
    return {"name": "polygon", "all_points_x": xs, "all_points_y": ys}


def region(shape: dict, **attributes) -> dict:
    return {"shape_attributes": shape, "region_attributes": attributes}


def entry(*regions: dict, file: str = "a.png", size: int = 9) -> dict:
    return {"filename": file, "size": size, "regions": [*regions], "file_attributes": {}}


def project(path: Path, *entries: dict, attributes: dict | None = None) -> Path:
    document = {
        "_via_settings": {"core": {}},
        "_via_img_metadata": {f"{one['filename']}{one['size']}": one for one in entries},
        "_via_attributes": {"region": attributes or {}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": [f"{one['filename']}{one['size']}" for one in entries],
    }
    path.write_text(json.dumps(document))
    return path


def as_csv(path: Path, *entries: dict, first: str = "filename") -> Path:
    columns = [first, "file_size", "file_attributes", "region_count", "region_id"]
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow([*columns, "region_shape_attributes", "region_attributes"])
        for one in entries:
            count = len(one["regions"])
            start = [one["filename"], one["size"], "{}", count]
            for number, found in enumerate(one["regions"]):
                shape, values = found["shape_attributes"], found["region_attributes"]
                rows.writerow([*start, number, json.dumps(shape), json.dumps(values)])
            if not count:
                rows.writerow([*start, 0, "{}", "{}"])
    return path


def as_json(path: Path, *entries: dict) -> Path:
    path.write_text(json.dumps({f"{one['filename']}{one['size']}": one for one in entries}))
    return path


def version_1(path: Path, *entries: dict) -> Path:
    for one in entries:
        one["regions"] = {str(n): found for n, found in enumerate(one["regions"])}
        one |= {"fileref": "", "base64_img_data": ""}
    return as_json(path, *entries)


def filled(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    for value, left, top, right, bottom in boxes:
        label[top:bottom, left:right] = value
    return label


@pytest.mark.parametrize(
    ("write", "ending"),
    [(project, "json"), (as_json, "json"), (version_1, "json"), (as_csv, "csv")],
)
def test_every_file_of_via_holds_the_images_with_their_regions(tmp_path, write, ending):
    first = entry(region(polygon(2, 3, 8, 9), tissue="Heart"))
    second = entry(region(polygon(1, 1, 5, 4), tissue="lung"), file="b.png")

    found = verdicts(write(tmp_path / f"via.{ending}", first, second), "a", "b")

    labels = {one.scan_id: one.label for one in found}
    np.testing.assert_array_equal(labels["a"], filled((2, 2, 3, 8, 9)))
    np.testing.assert_array_equal(labels["b"], filled((1, 1, 1, 5, 4)))


def test_the_csv_of_the_first_version_has_another_header(tmp_path):
    path = as_csv(
        tmp_path / "x.csv", entry(region(polygon(2, 3, 8, 9), t="lung")), first="#filename"
    )

    np.testing.assert_array_equal(verdict(path).label, filled((1, 2, 3, 8, 9)))


def test_circles_and_turned_ellipses_are_filled(tmp_path):
    circle = {"name": "circle", "cx": 5, "cy": 6, "r": 3}
    ellipse = {"name": "ellipse", "cx": 15, "cy": 10, "rx": 7, "ry": 3, "theta": math.pi / 6}

    path = project(tmp_path / "x.json", entry(region(circle, t="lung"), region(ellipse, t="heart")))

    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    along = (x - 15) * math.cos(math.pi / 6) + (y - 10) * math.sin(math.pi / 6)
    across = (y - 10) * math.cos(math.pi / 6) - (x - 15) * math.sin(math.pi / 6)
    expected = np.where((x - 5) ** 2 + (y - 6) ** 2 <= 9, 1, 0)
    expected[(along / 7) ** 2 + (across / 3) ** 2 <= 1] = 2
    np.testing.assert_array_equal(verdict(path).label, expected)


def test_lines_points_and_boxes_are_told(tmp_path):
    line = {"name": "polyline", "all_points_x": [1, 2, 3], "all_points_y": [1, 2, 1]}
    box = {"name": "rect", "x": 1, "y": 1, "width": 5, "height": 5}
    others = [region(line, t="lung"), region(box, t="lung"), region(box, t="lung")]

    drawn = verdict(
        project(tmp_path / "x.json", entry(*others, region(polygon(2, 2, 6, 6), t="lung")))
    )
    alone = verdict(project(tmp_path / "x.json", entry(*others)), confirm_empty=True)

    np.testing.assert_array_equal(drawn.label, filled((1, 2, 2, 6, 6)))
    assert "regions without an outline passed over: 1 polyline, 2 rect" in drawn.notes
    assert (alone.status, alone.code) == ("quarantined", "no-outlines")


def test_of_several_attributes_the_one_with_classes_counts(tmp_path):
    shapes = entry(
        region(polygon(2, 2, 6, 6), quality="good", Organ="lung"),
        region(polygon(8, 2, 12, 6), quality="bad", Organ="heart"),
    )

    found = verdict(project(tmp_path / "x.json", shapes))

    np.testing.assert_array_equal(found.label, filled((1, 2, 2, 6, 6), (2, 8, 2, 12, 6)))


def test_two_attributes_that_may_both_be_the_class_are_not_guessed(tmp_path):
    path = project(
        tmp_path / "x.json", entry(region(polygon(2, 2, 6, 6), side="lung", organ="heart"))
    )

    found = verdict(path)

    assert (found.status, found.code) == ("quarantined", "several-attributes")
    assert "side (lung)" in found.message
    assert "organ (heart)" in found.message


def test_an_unknown_class_is_named(tmp_path):
    path = project(tmp_path / "x.json", entry(region(polygon(2, 2, 6, 6), name="liver", note="x")))

    assert "liver" in verdict(path).message
    np.testing.assert_array_equal(
        verdict(path, values={"liver": "heart"}).label, filled((2, 2, 2, 6, 6))
    )


def test_a_region_without_attributes_is_mapped_by_its_name(tmp_path):
    path = project(tmp_path / "x.json", entry(region(polygon(2, 2, 6, 6))))

    assert verdict(path).status == "quarantined"
    np.testing.assert_array_equal(
        verdict(path, values={"Unclassified": "lung"}).label, filled((1, 2, 2, 6, 6))
    )


def test_the_descriptions_of_a_dropdown_are_names(tmp_path):
    options = {"t": {"type": "dropdown", "options": {"1": "heart", "2": "lung"}}}
    shapes = entry(region(polygon(2, 2, 6, 6), t="1"), region(polygon(8, 2, 12, 6), t="2"))

    found = verdict(project(tmp_path / "x.json", shapes, attributes=options))

    np.testing.assert_array_equal(found.label, filled((2, 2, 2, 6, 6), (1, 8, 2, 12, 6)))


def test_what_is_ticked_in_a_checkbox_is_the_class(tmp_path):
    shapes = entry(region(polygon(2, 2, 6, 6), t={"lung": False, "heart": True}))

    np.testing.assert_array_equal(
        verdict(project(tmp_path / "x.json", shapes)).label, filled((2, 2, 2, 6, 6))
    )


def test_an_image_without_regions_is_empty_only_if_confirmed(tmp_path):
    for path in (project(tmp_path / "x.json", entry()), as_csv(tmp_path / "x.csv", entry())):
        assert verdict(path).status == "quarantined"
        assert not verdict(path, confirm_empty=True).label.any()


def test_an_outline_that_leaves_the_image_was_drawn_on_another_size(tmp_path):
    found = verdict(project(tmp_path / "x.json", entry(region(polygon(2, 2, 40, 6), t="lung"))))

    assert (found.status, found.code) == ("quarantined", "wrong-size")
    assert "24×20 pixels" in found.message


@pytest.mark.parametrize(
    "shape",
    [
        {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]},
        {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]},
        {"name": "circle", "cx": 3, "cy": 3},
        {"name": "ellipse", "cx": 3, "cy": 3, "rx": "x", "ry": 2},
    ],
)
def test_a_damaged_shape_is_refused(tmp_path, shape):
    found = verdict(project(tmp_path / "x.json", entry(region(shape, t="lung"))))

    assert (found.status, found.code) == ("quarantined", "damaged")


def test_a_csv_that_a_spreadsheet_spoiled_is_refused(tmp_path):
    path = as_csv(tmp_path / "x.csv", entry(region(polygon(2, 2, 6, 6), t="lung")))
    path.write_text(path.read_text().replace('""polygon""', "polygon"))

    (found,) = verdicts(path)

    assert found.code == "damaged"


def test_the_name_in_a_url_is_the_name_of_the_image(tmp_path):
    one = entry(region(polygon(2, 2, 6, 6), t="lung"), file="https://host.org/x/a.png?token=1")

    assert verdict(project(tmp_path / "x.json", one)).status == "accepted"
