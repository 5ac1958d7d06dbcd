"""LabelMe and Supervisely: one JSON per image, filled as their own programs do."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import examine
from tests.support.import_plan import plan_import
from tests.support.places import ROOT

GOLDEN = json.loads((ROOT / "tests" / "exchange" / "golden" / "masks.json").read_text())
CLASSES = ("lung", "heart")
SHAPE = (40, 45)


def target(name: str = "a", shape=SHAPE) -> ScanTarget:
    return ScanTarget(name, shape, (f"{name}.jpg",))


def labelme(path: Path, *shapes: dict, image: str = "a.jpg", size=SHAPE) -> None:
    document = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": image}
    document |= {"imageData": None, "imageHeight": size[0], "imageWidth": size[1]}
    path.write_text(json.dumps(document))


def shape(label: str, points: list, kind: str = "polygon", **more) -> dict:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None} | more


def label_of(source: Path, *scans: ScanTarget) -> np.ndarray:
    (verdict,) = examine(source, scans or [target()], CLASSES, None)
    assert verdict.label is not None, verdict
    return verdict.label


@pytest.mark.parametrize("case", GOLDEN["labelme"], ids=lambda case: case["shape_type"])
def test_shapes_as_labelme_fills_them(tmp_path, case):
    labelme(tmp_path / "x.json", shape("lung", case["points"], case["shape_type"]))

    runs = [n for first, length in case["pixels"] for n in range(first, first + length)]
    assert np.flatnonzero(label_of(tmp_path)).tolist() == runs


def test_a_rectangle_of_labelme_has_its_outline():
    # 16 × 11 pixels where COCO's rule gives 15 × 10.
    case = next(c for c in GOLDEN["labelme"] if c["shape_type"] == "rectangle")
    (x0, y0), (x1, y1) = case["points"]
    assert sum(n for _, n in case["pixels"]) > abs((x1 - x0) * (y1 - y0)) * 0.5


@pytest.mark.parametrize("path", ["a.jpg", "..\\images\\a.jpg", "../images/a.jpg"])
def test_an_image_by_the_last_part_of_its_path(tmp_path, path):
    labelme(tmp_path / "other.json", shape("lung", [[1, 1], [9, 1], [9, 9]]), image=path)

    (verdict,) = examine(tmp_path, [target("a"), target("other")], CLASSES, None)

    assert verdict.scan_id == "a"


def test_a_mask_is_pasted_between_its_corners(tmp_path):
    drawn = np.eye(5, 7, dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(drawn * 255).convert("1").save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    labelme(tmp_path / "x.json", shape("heart", [[10, 3], [16, 7]], "mask", mask=data))

    expected = np.zeros(SHAPE, np.uint8)
    expected[3:8, 10:17] = drawn * 2
    np.testing.assert_array_equal(label_of(tmp_path), expected)


def test_lines_and_points_have_no_area(tmp_path):
    line = shape("lung", [[1, 1], [9, 9]], "line")
    (tmp_path / "m").mkdir()
    labelme(tmp_path / "m" / "a.json", line)
    labelme(tmp_path / "m" / "b.json", line, shape("lung", [[1, 1], [9, 1], [9, 9]]), image="b.jpg")

    plan = plan_import(tmp_path, [target("a"), target("b")], CLASSES, None)

    assert [v.code for v in plan.quarantined] == ["no-outlines"]
    assert plan.accepted[0].notes == ("1 shapes without an area passed over",)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (shape("lung", [[1, 1], [2, 2]]), "damaged"),
        (shape("lung", [[1, 1], [2, 2], [3, 3]], "rectangle"), "damaged"),
        (shape("lung", [[1, 1], [2, 2], [3, None]]), "damaged"),
        (shape("lung", [[1, 1], [5, 5]], "mask", mask="????"), "damaged"),
        (shape("lung", [[1, 1], [2, 2], [3, 3]], "spline"), "unknown-shape"),
    ],
)
def test_shapes_that_are_none(tmp_path, bad, code):
    labelme(tmp_path / "x.json", bad)

    assert [v.code for v in plan_import(tmp_path, [target()], CLASSES, None).quarantined] == [code]


def test_the_picture_beside_is_no_mask(tmp_path):
    labelme(tmp_path / "a.json", shape("lung", [[1, 1], [9, 1], [9, 9]]))
    Image.new("RGB", (45, 40)).save(tmp_path / "a.jpg")

    plan = plan_import(tmp_path, [target()], CLASSES, None)

    assert plan.saw == "1 LabelMe file in a folder"
    assert [v.message for v in plan.ignored] == ["part of a.json"]


def bitmap(drawn: np.ndarray) -> str:
    """As Supervisely's SDK packs a mask: a palette PNG whose first colour is transparent."""
    image = Image.fromarray(drawn.astype(np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=0, optimize=0)
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def supervisely(folder: Path, *objects: dict, name: str = "a.jpg") -> None:
    (folder / "ann").mkdir(parents=True, exist_ok=True)
    size = {"height": SHAPE[0], "width": SHAPE[1]}
    document = {"description": "", "tags": [], "size": size, "objects": list(objects)}
    (folder / "ann" / f"{name}.json").write_text(json.dumps(document))


def test_bitmaps_of_supervisely_are_pasted_at_their_origin(tmp_path):
    drawn = np.eye(6, 5, dtype=bool)
    one = {"classTitle": "Heart", "geometryType": "bitmap", "labelerLogin": "anna"}
    supervisely(tmp_path, one | {"bitmap": {"data": bitmap(drawn), "origin": [7, 30]}})

    (verdict,) = examine(tmp_path, [target()], CLASSES, None)

    expected = np.zeros(SHAPE, np.uint8)
    expected[30:36, 7:12] = drawn * 2
    np.testing.assert_array_equal(verdict.label, expected)
    assert verdict.author == "anna"


def test_polygons_of_supervisely_have_their_outline_and_holes(tmp_path):
    outside = [[2, 3], [20, 3], [20, 15], [2, 15]]
    hole = [[5, 6], [9, 6], [9, 10], [5, 10]]
    points = {"exterior": outside, "interior": [hole]}
    supervisely(tmp_path, {"classTitle": "lung", "geometryType": "polygon", "points": points})

    expected = np.zeros(SHAPE, np.uint8)
    expected[3:16, 2:21] = 1
    expected[6:11, 5:10] = 0
    np.testing.assert_array_equal(label_of(tmp_path), expected)


@pytest.mark.parametrize("data", ["????", base64.b64encode(b"junk").decode(), None, 7])
def test_bitmaps_that_are_none(tmp_path, data):
    one = {
        "classTitle": "lung",
        "geometryType": "bitmap",
        "bitmap": {"data": data, "origin": [0, 0]},
    }
    supervisely(tmp_path, one)

    assert plan_import(tmp_path, [target()], CLASSES, None).quarantined[0].code == "damaged"


def test_a_bitmap_that_unpacks_without_end_is_refused(tmp_path):
    data = base64.b64encode(zlib.compress(bytes(200 << 20), 9)).decode()
    one = {
        "classTitle": "lung",
        "geometryType": "bitmap",
        "bitmap": {"data": data, "origin": [0, 0]},
    }
    supervisely(tmp_path, one)

    assert plan_import(tmp_path, [target()], CLASSES, None).quarantined[0].code == "damaged"


def test_rectangles_of_supervisely_are_no_drawings(tmp_path):
    points = {"exterior": [[1, 1], [5, 5]], "interior": []}
    supervisely(tmp_path, {"classTitle": "lung", "geometryType": "rectangle", "points": points})

    assert plan_import(tmp_path, [target()], CLASSES, None).quarantined[0].code == "no-outlines"
