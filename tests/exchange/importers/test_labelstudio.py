"""Label Studio: tasks as JSON, JSON-MIN, and pictures with the JSON beside them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.importing import examine
from tests.support.import_plan import plan_import
from tests.support.places import ROOT

GOLDEN = json.loads((ROOT / "tests" / "exchange" / "golden" / "masks.json").read_text())
CLASSES = ("lung", "heart")
SHAPE = (20, 40)


def targets(*names: str, shape=SHAPE) -> list[ScanTarget]:
    return [ScanTarget(name, shape, (f"{name}.png",)) for name in names]


def region(value: dict, kind: str = "polygonlabels", shape=SHAPE, **more) -> dict:
    rows, columns = shape
    return {
        "id": "r1",
        "type": kind,
        "original_width": columns,
        "original_height": rows,
        "image_rotation": 0,
        "from_name": "tag",
        "to_name": "image",
        "value": value,
    } | more


def polygon(label: str, top: float, left: float, bottom: float, right: float) -> dict:
    """A rectangle in percent."""
    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"points": points, "closed": True, "polygonlabels": [label]}


def task(number: int, image: str, *annotations: dict, **data) -> dict:
    return {"id": number, "data": {"image": image, **data}, "annotations": list(annotations)}


def annotation(number: int, *regions: dict, by: object = 1, **more) -> dict:
    return {
        "id": number,
        "completed_by": by,
        "result": list(regions),
        "was_cancelled": False,
    } | more


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def labels(source, scans, **more) -> dict[str, np.ndarray]:
    found = examine(source, scans, CLASSES, None, **more)
    return {v.scan_id: v.label for v in found if v.label is not None}


def test_polygons_are_in_percent_and_known_by_the_image(tmp_path):
    one = annotation(9, region(polygon("Lung", 10, 25, 50, 75)))
    write(tmp_path / "export.json", [task(1, "/data/upload/3/0a1b2c3d-a.png", one)])

    expected = np.zeros(SHAPE, np.uint8)
    expected[2:10, 10:30] = 1
    np.testing.assert_array_equal(labels(tmp_path, targets("a"))["a"], expected)


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/0a1b2c3d-a.png",
        "/data/local-files/?d=set/a.png",
        "s3://bucket/set/a.png",
        "https://host/some%20set/a.png?token=1",
        "a.png",
    ],
)
def test_addresses_of_images(tmp_path, address):
    one = annotation(9, region(polygon("lung", 0, 0, 50, 50)))
    write(tmp_path / "export.json", [task(1, address, one)])

    assert set(labels(tmp_path, targets("a", "0a1b2c3d-b"))) == {"a"}


def test_our_own_scan_id_comes_before_the_name(tmp_path):
    one = annotation(9, region(polygon("lung", 0, 0, 50, 50)))
    write(tmp_path / "export.json", [task(1, "a.png", one, scan_id="b")])

    assert set(labels(tmp_path, targets("a", "b"))) == {"b"}


@pytest.mark.parametrize("case", GOLDEN["brush"], ids=lambda case: f"{case['size']}")
def test_brushes_as_the_converter_writes_them(tmp_path, case):
    value = {"format": "rle", "rle": case["rle"], "brushlabels": ["lung"]}
    one = annotation(9, region(value, "brushlabels", case["size"]))
    write(tmp_path / "export.json", [task(1, "a.png", one)])

    found = labels(tmp_path, targets("a", shape=tuple(case["size"])))["a"]

    runs = [n for first, length in case["pixels"] for n in range(first, first + length)]
    assert np.flatnonzero(found).tolist() == runs


def test_a_brush_and_its_label_may_be_two_results(tmp_path):
    case = GOLDEN["brush"][0]
    shape = tuple(case["size"])
    brush = region({"format": "rle", "rle": case["rle"]}, "brush", shape)
    label = region({"labels": ["heart"]}, "labels", shape)
    write(tmp_path / "export.json", [task(1, "a.png", annotation(9, brush, label))])

    assert np.unique(labels(tmp_path, targets("a", shape=shape))["a"]).tolist() == [0, 2]


def test_bitmasks_and_ellipses(tmp_path):
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[15:18, 3:9] = 255
    stream = io.BytesIO()
    Image.fromarray(drawn).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    mask = region({"imageDataURL": url, "bitmasklabels": ["lung"]}, "bitmasklabels", id="m")
    round_ = {"x": 50, "y": 25, "radiusX": 10, "radiusY": 10, "ellipselabels": ["heart"]}
    ellipse = region(round_, "ellipselabels", id="e")
    write(tmp_path / "export.json", [task(1, "a.png", annotation(9, mask, ellipse))])

    found = labels(tmp_path, targets("a"))["a"]

    np.testing.assert_array_equal(found == 1, drawn > 0)
    rows, columns = np.mgrid[:20, :40] + 0.5
    inside = ((columns - 20) / 4) ** 2 + ((rows - 5) / 2) ** 2 <= 1
    np.testing.assert_array_equal(found == 2, inside)


def test_a_turned_view_changes_no_coordinates(tmp_path):
    value = polygon("lung", 10, 25, 50, 75)
    one = annotation(9, region(value, image_rotation=90))
    write(tmp_path / "export.json", [task(1, "a.png", one)])

    expected = np.zeros(SHAPE, np.uint8)
    expected[2:10, 10:30] = 1
    np.testing.assert_array_equal(labels(tmp_path, targets("a"))["a"], expected)


@pytest.mark.parametrize("angle", [90, 270])
def test_a_drawing_of_a_turned_picture_is_turned_back(tmp_path, angle):
    turned_shape = SHAPE[::-1]
    one = annotation(
        9, region(polygon("lung", 0, 0, 25, 50), shape=turned_shape, image_rotation=angle)
    )
    write(tmp_path / "export.json", [task(1, "a.png", one)])

    (verdict,) = examine(tmp_path, targets("a"), CLASSES, None)

    turned = np.zeros(turned_shape, np.uint8)
    turned[:10, :10] = 1
    # Clockwise by 90° on the screen: back is counterclockwise.
    np.testing.assert_array_equal(verdict.label, np.rot90(turned, angle // 90))
    assert verdict.notes == (f"turned back by {angle}°, as its file says",)


def test_tasks_that_nobody_drew_or_that_were_skipped_are_told(tmp_path):
    skipped = annotation(9, was_cancelled=True)
    write(tmp_path / "export.json", [task(1, "a.png"), task(2, "b.png", skipped)])

    plan = plan_import(tmp_path, targets("a", "b"), CLASSES, None)

    assert {v.key: v.message for v in plan.ignored} == {
        "task 1": "nobody has drawn this task yet",
        "task 2 annotation 9": "the annotator skipped this task",
    }


def test_a_submitted_empty_drawing_waits_to_be_confirmed(tmp_path):
    write(tmp_path / "export.json", [task(1, "a.png", annotation(9))])

    assert [v.code for v in plan_import(tmp_path, targets("a"), CLASSES, None).quarantined] == [
        "empty"
    ]


def test_two_people_s_drawings_name_their_authors(tmp_path):
    drawings = [
        annotation(
            n, region(polygon("lung", 0, 0, 10 * n, 50)), by={"id": n, "email": f"{who}@x.org"}
        )
        for n, who in enumerate(("anna", "ben"), start=2)
    ]
    write(tmp_path / "export.json", [task(1, "a.png", *drawings)])

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert [v.author for v in plan.quarantined] == ["anna@x.org", "ben@x.org"]
    assert "export.json [task 1 annotation 3] by ben@x.org" in plan.quarantined[0].message


def test_rectangles_are_no_drawings(tmp_path):
    box = region(
        {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["lung"]}, "rectanglelabels"
    )
    write(tmp_path / "export.json", [task(1, "a.png", annotation(9, box))])

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined

    assert (verdict.code, "rectangle" in verdict.message) == ("no-outlines", True)


def test_one_annotation_as_storages_get_it(tmp_path):
    one = annotation(9, region(polygon("lung", 0, 0, 50, 50)))
    write(tmp_path / "7", one | {"task": task(1, "a.png")})

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert plan.saw == "1 Label Studio file in a folder"
    assert [v.scan_id for v in plan.accepted] == ["a"]


def test_json_min(tmp_path):
    shape = polygon("lung", 10, 25, 50, 75) | {"original_width": 40, "original_height": 20}
    line = {"image": "/data/upload/3/0a1b2c3d-a.png", "id": 1, "tag": [shape], "annotator": 2}
    write(
        tmp_path / "export.json",
        [line | {"annotation_id": 5, "updated_at": "2025-01-01T00:00:00Z"}],
    )

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert plan.saw == "1 Label Studio JSON-MIN file in a folder"
    assert [(v.scan_id, v.author) for v in plan.accepted] == [("a", "2")]


def exported(folder: Path, name: str, rows: slice) -> None:
    """A picture as Label Studio writes one per region: 255 where drawn."""
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[rows, 5:9] = 255
    path = folder / f"task-1-annotation-9-by-annax.org-{name}"
    if path.suffix == ".npy":
        np.save(path, drawn)
    else:
        Image.fromarray(drawn).save(path)


@pytest.mark.parametrize("ending", ["png", "npy"])
def test_exported_pictures_of_one_label_are_joined(tmp_path, ending):
    write(tmp_path / "tasks.json", [task(1, "a.png")])
    (tmp_path / "masks").mkdir()
    exported(tmp_path / "masks", f"tag-lung-0.{ending}", slice(2, 5))
    exported(tmp_path / "masks", f"tag-lung-1.{ending}", slice(4, 8))
    exported(tmp_path / "masks", f"tag-heart-0.{ending}", slice(7, 9))

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).accepted
    found = labels(tmp_path, targets("a"))["a"]

    expected = np.zeros(SHAPE, np.uint8)
    expected[2:8, 5:9] = 1
    expected[7:9, 5:9] = 2
    np.testing.assert_array_equal(found, expected)
    assert {part.name for part in verdict.parts} >= {"tasks.json"}


def test_exported_pictures_need_the_json(tmp_path):
    exported(tmp_path, "tag-lung-0.png", slice(2, 5))

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined

    assert verdict.code == "no-json"
    assert "Export the project as JSON" in verdict.remedy


def test_pictures_of_drawings_that_the_json_holds_are_not_read_twice(tmp_path):
    one = annotation(9, region(polygon("lung", 10, 25, 50, 75)))
    write(tmp_path / "export.json", [task(1, "a.png", one)])
    exported(tmp_path, "tag-lung-0.png", slice(2, 5))

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert [v.file.name for v in plan.accepted] == ["export.json"]
    assert [v.message for v in plan.ignored] == ["part of export.json"]


def test_an_array_of_objects_is_never_loaded(tmp_path):
    write(tmp_path / "tasks.json", [task(1, "a.png")])
    path = tmp_path / "task-1-annotation-9-by-annax.org-tag-lung-0.npy"
    np.save(path, np.array([[{"a": 1}]], dtype=object), allow_pickle=True)

    assert plan_import(tmp_path, targets("a"), CLASSES, None).quarantined[0].code == "pickle"


def two_images(to: str, kind: str = "polygonlabels", **more) -> dict:
    """A quarter of the picture, drawn on the Image tag of a name."""
    return region(polygon("lung", 0, 0, 50, 50), kind, to_name=to, **more)


QUARTER = np.zeros(SHAPE, np.uint8)
QUARTER[:10, :20] = 1
REST = np.zeros(SHAPE, np.uint8)
REST[10:, 20:] = 1


def other_quarter(to: str, **more) -> dict:
    return region(polygon("lung", 50, 50, 100, 100), to_name=to, id="r2", **more)


def test_each_region_goes_to_the_image_of_its_tag(tmp_path):
    one = annotation(9, two_images("ap"), other_quarter("lat"))
    data = {"ap": "/data/upload/1/1234abcd-a.png", "lat": "/data/upload/1/1234abce-b.png"}
    write(tmp_path / "x.json", [{"id": 1, "data": data, "annotations": [one]}])

    found = labels(tmp_path, targets("a", "b"))

    np.testing.assert_array_equal(found["a"], QUARTER)
    np.testing.assert_array_equal(found["b"], REST)


def test_each_region_goes_to_its_page(tmp_path):
    one = annotation(9, two_images("img", item_index=1), other_quarter("img", item_index=0))
    data = {"pages": ["/data/upload/1/1234abcd-a.png", "/data/upload/1/1234abce-b.png"]}
    write(tmp_path / "x.json", [{"id": 1, "data": data, "annotations": [one]}])

    found = labels(tmp_path, targets("a", "b"))

    np.testing.assert_array_equal(found["a"], REST)
    np.testing.assert_array_equal(found["b"], QUARTER)


def test_of_two_images_the_one_without_a_drawing_is_empty_and_no_other(tmp_path):
    both = annotation(9, two_images("ap"), other_quarter("lat"))
    one = annotation(10, two_images("lat"))
    first = {"ap": "a.png", "lat": "b.png", "old": "z.png"}
    second = {"ap": "c.png", "lat": "d.png", "old": "z.png"}
    tasks = [
        {"id": 1, "data": first, "annotations": [both]},
        {"id": 2, "data": second, "annotations": [one]},
    ]
    write(tmp_path / "x.json", tasks)

    plan = plan_import(tmp_path, targets("a", "b", "c", "d", "z"), CLASSES, None)

    assert sorted(v.scan_id for v in plan.accepted) == ["a", "b", "d"]
    assert [(v.scan_id, v.code) for v in plan.quarantined] == [("c", "empty")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"ap": "a.png", "lat": "b.png"}, "2 images (ap, lat), and a region is of img"),
        ({"pages": ["a.png", "b.png"]}, "2 pages, and a region does not say which"),
    ],
)
def test_an_image_that_can_t_be_told_is_not_guessed(tmp_path, data, told):
    one = annotation(9, two_images("img"))
    write(tmp_path / "x.json", [{"id": 1, "data": data, "annotations": [one]}])

    plan = plan_import(tmp_path, targets("a", "b"), CLASSES, None)

    assert plan.accepted == ()
    (verdict,) = plan.quarantined
    assert verdict.code == "several-images"
    assert told in verdict.message


def test_json_min_of_two_images_is_not_guessed(tmp_path):
    shape = polygon("lung", 0, 0, 50, 50) | {"original_width": 40, "original_height": 20}
    line = {
        "id": 1,
        "annotation_id": 2,
        "annotator": 1,
        "ap": "a.png",
        "lat": "b.png",
        "t": [shape],
    }
    write(tmp_path / "x.json", [line])

    (verdict,) = plan_import(tmp_path, targets("a", "b"), CLASSES, None).quarantined

    assert verdict.code == "several-images"


@pytest.mark.parametrize(
    ("regions", "told"),
    [
        ([region({"choices": ["normal"]}, "choices")], "choices"),
        ([region({"text": ["no finding"]}, "textarea")], "textarea"),
        (
            [
                region(
                    {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["lung"]},
                    "rectanglelabels",
                )
            ],
            "rectangle",
        ),
        (
            [
                region(
                    {"vertices": [{"x": 1, "y": 1}, {"x": 9, "y": 9}], "closed": False},
                    "vectorlabels",
                )
            ],
            "vector line",
        ),
    ],
)
def test_answers_boxes_and_lines_are_never_read_as_empty(tmp_path, regions, told):
    write(tmp_path / "x.json", [task(1, "a.png", annotation(9, *regions))])

    found = list(
        examine(tmp_path, targets("a"), CLASSES, None, options=ImportOptions(confirm_empty=True))
    )

    (verdict,) = found
    assert (verdict.status, verdict.code) == ("quarantined", "no-outlines")
    assert told in verdict.message


def test_a_line_of_json_min_without_a_region_is_never_read_as_empty(tmp_path):
    line = {"id": 1, "annotation_id": 2, "annotator": 1, "image": "a.png", "choice": "normal"}
    write(tmp_path / "x.json", [line])

    (verdict,) = examine(
        tmp_path, targets("a"), CLASSES, None, options=ImportOptions(confirm_empty=True)
    )

    assert verdict.code == "no-outlines"


def vector(*vertices: dict, closed: bool = True) -> dict:
    return region(
        {"vertices": list(vertices), "closed": closed, "vectorlabels": ["lung"]}, "vectorlabels"
    )


def test_a_closed_vector_of_straight_edges_is_an_outline(tmp_path):
    corners = [(0, 0), (50, 0), (50, 50), (0, 50)]
    drawn = vector(
        *({"x": x, "y": y, "id": str(n), "isBezier": False} for n, (x, y) in enumerate(corners))
    )
    write(tmp_path / "x.json", [task(1, "a.png", annotation(9, drawn))])

    np.testing.assert_array_equal(labels(tmp_path, targets("a"))["a"], QUARTER)


def test_curves_are_refused_even_beside_other_drawings(tmp_path):
    curve = vector({"x": 0, "y": 0, "isBezier": True}, {"x": 50, "y": 0}, {"x": 50, "y": 50})
    write(tmp_path / "x.json", [task(1, "a.png", annotation(9, curve, two_images("image")))])

    assert plan_import(tmp_path, targets("a"), CLASSES, None).quarantined[0].code == "unknown-shape"


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/0a1b2c3d-cx01_äö_1.png",
        "/data/upload/3/0a1b2c3d-cx01_%C3%A4%C3%B6_1.png",
    ],
)
def test_an_upload_is_found_by_the_name_that_the_server_made_of_it(tmp_path, address):
    """Uploaded as ``cx01 äö (1).png``; Label Studio 1.23 drops the blanks and brackets."""
    write(tmp_path / "x.json", [task(1, address, annotation(9, two_images("image")))])

    assert set(labels(tmp_path, targets("cx01 äö (1)", "cx01 ao 2"))) == {"cx01 äö (1)"}


@pytest.mark.parametrize(
    "data",
    [
        {"image": "/data/upload/1/1234abcd-a.png", "filename": "a.png"},
        {"image": "s3://set/a.png", "scan_id": "c.png"},
    ],
)
def test_a_file_s_name_beside_its_address_is_no_second_image(tmp_path, data):
    one = annotation(9, two_images("img-1"))
    write(tmp_path / "x.json", [{"id": 1, "data": data, "annotations": [one]}])

    np.testing.assert_array_equal(labels(tmp_path, targets("a", "b"))["a"], QUARTER)
