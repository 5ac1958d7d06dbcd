"""V7 Darwin, Datumaro, LabelMe XML, QuPath: what their files hold, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine

CLASSES = ("lung", "heart")
SHAPE = (10, 12)


def verdict(path: Path, name: str = "a", shape=SHAPE, classes=CLASSES, **options):
    target = ScanTarget(name, shape, (f"{name}.png",))
    found = [
        one
        for one in examine(path, [target], classes, None, options=ImportOptions(**options))
        if one.status != "ignored"
    ]
    (only,) = found
    return only


def square(left: int, top: int, right: int, bottom: int) -> list[tuple[int, int]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def filled(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    for value, left, top, right, bottom in boxes:
        label[top:bottom, left:right] = value
    return label


def xy(points) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in points]


RING = (square(1, 1, 9, 9), square(3, 3, 6, 6))
RING_LABEL = filled((1, 1, 1, 9, 9), (0, 3, 3, 6, 6))


def darwin_1(path: Path, *annotations: dict) -> Path:
    image = {"width": 12, "height": 10, "filename": "0001.png", "original_filename": "a.png"}
    path.write_text(json.dumps({"dataset": "x", "image": image, "annotations": annotations}))
    return path


def darwin_2(path: Path, *annotations: dict, slots: int = 1) -> Path:
    slot = {"width": 12, "height": 10, "source_files": [{"file_name": "a.png"}]}
    item = {"name": "a.png", "slots": [slot] * slots}
    path.write_text(json.dumps({"version": "2.0", "item": item, "annotations": annotations}))
    return path


@pytest.mark.parametrize(
    "shape",
    [
        {"polygon": {"path": xy(RING[0]), "additional_paths": [xy(RING[1])]}},
        {"complex_polygon": {"path": [xy(RING[0]), xy(RING[1])]}},
        {"polygon": {"paths": [xy(RING[0]), xy(RING[1])]}},
    ],
)
def test_holes_of_darwin_are_outlines_in_outlines(tmp_path, shape):
    found = verdict(darwin_1(tmp_path / "x.json", {"name": "Lung"} | shape))

    np.testing.assert_array_equal(found.label, RING_LABEL)
    assert (found.tool, found.matched_by) == ("V7", "image name")


def test_a_raster_layer_of_darwin_is_divided_among_its_masks(tmp_path):
    label = filled((2, 1, 1, 9, 4), (1, 2, 5, 6, 9))
    edges = np.flatnonzero(np.diff(label.ravel().astype(int))) + 1
    bounds = [0, *edges.tolist(), label.size]
    code = [n for a, b in pairwise(bounds) for n in (int(label.ravel()[a]), b - a)]
    layer = {
        "id": "r",
        "name": "__raster_layer__",
        "raster_layer": {
            "dense_rle": code,
            "mask_annotation_ids_mapping": {"m1": 1, "m2": 2},
            "total_pixels": label.size,
        },
    }
    masks = [{"id": "m1", "name": "heart", "mask": {}}, {"id": "m2", "name": "lung", "mask": {}}]

    found = verdict(darwin_2(tmp_path / "x.json", *masks, layer))

    np.testing.assert_array_equal(found.label, np.choose(label, [0, 2, 1]))


@pytest.mark.parametrize("key", ["z_index", "z_order"])
def test_what_darwin_has_on_top_covers_the_rest(tmp_path, key):
    """CLASSES lists the heart last, so without an order the heart would win."""
    top = {"name": "lung", "polygon": {"paths": [xy(square(1, 1, 4, 4))]}, key: 2}
    below = {"name": "heart", "polygon": {"paths": [xy(square(1, 1, 9, 9))]}, key: 1}

    found = verdict(darwin_2(tmp_path / "x.json", top, below))

    np.testing.assert_array_equal(found.label, filled((2, 1, 1, 9, 9), (1, 1, 1, 4, 4)))


@pytest.mark.parametrize("change", [{"dense_rle": [0, 5]}, {"mask_annotation_ids_mapping": {}}])
def test_a_damaged_raster_layer_is_refused(tmp_path, change):
    layer = {"dense_rle": [0, 60, 1, 60], "mask_annotation_ids_mapping": {"m1": 1}} | change
    mask = {"id": "m1", "name": "lung", "mask": {}}
    one = {"id": "r", "name": "__raster_layer__", "raster_layer": layer}

    assert verdict(darwin_2(tmp_path / "x.json", mask, one)).code == "damaged"


def test_boxes_and_tags_of_darwin_are_never_empty(tmp_path):
    box = {"name": "lung", "bounding_box": {"x": 1, "y": 1, "w": 3, "h": 3}}

    found = verdict(
        darwin_2(tmp_path / "x.json", box, {"name": "good", "tag": {}}), confirm_empty=True
    )

    assert (found.status, found.code) == ("quarantined", "no-outlines")


def test_an_item_of_several_pictures_is_not_guessed(tmp_path):
    shape = {"name": "lung", "polygon": {"paths": [xy(RING[0])]}}
    found = list(
        examine(
            darwin_2(tmp_path / "x.json", shape, slots=2),
            [ScanTarget("a", SHAPE, ("a.png",))],
            CLASSES,
            None,
        )
    )

    assert [one.code for one in found] == ["several-images"]


def datumaro(path: Path, *annotations: dict, **item) -> Path:
    labels = [{"name": "background"}, {"name": "Heart"}, {"name": "Lung"}]
    entry = {"id": "a", "annotations": annotations, "image": {"path": "a.png", "size": [10, 12]}}
    document = {"info": {}, "categories": {"label": {"labels": labels}}, "items": [entry | item]}
    path.write_text(json.dumps(document))
    return path


def flat(points) -> list[int]:
    return [value for point in points for value in point]


def test_datumaro_s_z_order_and_background(tmp_path):
    path = datumaro(
        tmp_path / "default.json",
        {"type": "polygon", "label_id": 0, "points": flat(square(4, 4, 6, 6)), "z_order": 2},
        {"type": "polygon", "label_id": 2, "points": flat(square(3, 3, 8, 8)), "z_order": 1},
        {"type": "polygon", "label_id": 1, "points": flat(square(1, 1, 9, 9)), "z_order": 0},
        {"type": "bbox", "label_id": 1, "bbox": [0, 0, 3, 3], "z_order": 0},
        {"type": "label", "label_id": 1},
    )

    found = verdict(path)

    expected = filled((2, 1, 1, 9, 9), (1, 3, 3, 8, 8), (0, 4, 4, 6, 6))
    np.testing.assert_array_equal(found.label, expected)
    assert "annotations without an area passed over: bbox" in found.notes


@pytest.mark.parametrize("kind", ["label", "bbox", "caption", "skeleton"])
def test_datumaro_s_other_annotations_are_never_empty(tmp_path, kind):
    path = datumaro(tmp_path / "default.json", {"type": kind, "label_id": 1})

    assert verdict(path, confirm_empty=True).code == "no-outlines"


def labelme_xml(path: Path, *objects: str) -> Path:
    size = "<imagesize><nrows>10</nrows><ncols>12</ncols></imagesize>"
    path.write_text(
        f"<annotation><filename>a.png</filename><folder/>{''.join(objects)}{size}</annotation>"
    )
    return path


def one_object(name: str, points, more: str = "") -> str:
    pts = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
    return (
        f"<object><name>{name}</name><deleted>0</deleted>{more}"
        f"<polygon><username>ann</username>{pts}</polygon></object>"
    )


def test_labelme_xml_without_deleted_objects_and_boxes(tmp_path):
    deleted = one_object("heart", square(0, 0, 12, 10)).replace("<deleted>0", "<deleted>1")
    box = one_object("heart", square(0, 0, 12, 10), "<type>bounding_box</type>")
    path = labelme_xml(tmp_path / "a.xml", one_object("Lung", square(2, 2, 6, 8)), deleted, box)

    found = verdict(path)

    np.testing.assert_array_equal(found.label, filled((1, 2, 2, 6, 8)))
    assert (found.author, found.notes) == ("ann", ("1 objects without an outline passed over",))


@pytest.mark.parametrize("mask", ["gone.png", "../a.png", ""])
def test_a_mask_of_labelme_xml_that_is_not_there_is_told(tmp_path, mask):
    text = f"<object><name>lung</name><segm><mask>{mask}</mask></segm></object>"

    assert verdict(labelme_xml(tmp_path / "a.xml", text)).code == "missing-part"


def test_entities_in_labelme_xml_are_refused(tmp_path):
    path = labelme_xml(tmp_path / "a.xml", one_object("lung", square(2, 2, 6, 8)))
    path.write_text('<!DOCTYPE a [<!ENTITY x "y">]>' + path.read_text())
    found = list(examine(path, [ScanTarget("a", SHAPE, ("a.png",))], CLASSES, None))

    assert [one.code for one in found] == ["damaged"]


def qupath(path: Path, *features: dict, listed: bool = False) -> Path:
    document = list(features) if listed else {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(document))
    return path


def feature(kind: str, coordinates: list, **properties) -> dict:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.mark.parametrize("listed", [False, True])
def test_polygons_of_qupath_have_holes(tmp_path, listed):
    shape = feature("Polygon", [[*r, r[0]] for r in RING], classification={"name": "Lung"})

    found = verdict(qupath(tmp_path / "a.png.geojson", shape, listed=listed))

    np.testing.assert_array_equal(found.label, RING_LABEL)


def test_an_object_without_a_class_is_asked_for_by_that_name(tmp_path):
    shape = feature("Polygon", [square(2, 2, 6, 8)], objectType="annotation")
    path = qupath(tmp_path / "a.geojson", shape)

    assert verdict(path).unknown == ("Unclassified",)
    told = verdict(path, values={"unclassified": "heart"})
    np.testing.assert_array_equal(told.label, filled((2, 2, 2, 6, 8)))


def test_points_of_qupath_are_never_empty(tmp_path):
    path = qupath(tmp_path / "a.geojson", feature("Point", [3, 3], classification={"name": "Lung"}))

    assert verdict(path, confirm_empty=True).code == "no-outlines"


def test_an_outline_that_leaves_a_picture_of_unknown_size_was_drawn_on_another(tmp_path):
    shape = feature("Polygon", [square(2, 2, 40, 8)], classification={"name": "Lung"})

    found = verdict(qupath(tmp_path / "a.geojson", shape))

    assert found.code == "wrong-size"
    assert "12×10 pixels" in found.message


def test_an_outline_may_touch_the_rim_of_the_picture(tmp_path):
    shape = feature("Polygon", [square(0, 0, 12, 10)], classification={"name": "Lung"})

    assert verdict(qupath(tmp_path / "a.geojson", shape)).label.all()


TWO_FOLDERS = [ScanTarget(f"{one}-x", SHAPE, (f"{one}/x.png",)) for one in ("p1", "p2")]


def labelme_of(path: Path, image: str) -> None:
    shape = {"label": "lung", "points": [[2, 2], [5, 7]], "shape_type": "rectangle"}
    document = {"shapes": [shape], "imagePath": image, "imageHeight": 10, "imageWidth": 12}
    path.write_text(json.dumps(document))


def labelme_xml_of(path: Path, image: str) -> None:
    text = one_object("lung", square(2, 2, 6, 8))
    labelme_xml(path, text)
    path.write_text(path.read_text().replace("a.png", image))


@pytest.mark.parametrize(
    ("write", "file", "image"),
    [
        (labelme_of, "p2/x.json", "x.png"),
        (labelme_of, "x.json", "..\\images\\p2\\x.png"),
        (labelme_of, "x.json", "C:\\images\\p2\\x.png"),
        (labelme_xml_of, "p2/x.xml", "x.png"),
    ],
)
def test_the_folder_tells_images_of_one_name_apart(tmp_path, write, file, image):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    write(path, image)

    (found,) = examine(tmp_path, TWO_FOLDERS, CLASSES, None)

    assert (found.status, found.scan_id) == ("accepted", "p2-x")
    np.testing.assert_array_equal(found.label, filled((1, 2, 2, 6, 8)))


def test_the_folder_of_v7_tells_images_of_one_name_apart(tmp_path):
    shape = {"name": "lung", "polygon": {"paths": [xy(square(2, 2, 6, 8))]}}
    path = darwin_2(tmp_path / "x.json", shape)
    document = json.loads(path.read_text())
    document["item"] |= {"name": "x.png", "path": "/p2"}
    path.write_text(json.dumps(document))

    (found,) = examine(path, TWO_FOLDERS, CLASSES, None)

    assert (found.status, found.scan_id) == ("accepted", "p2-x")
