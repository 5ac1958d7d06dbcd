"""COCO and CVAT XML: one file of many masks, each known by its image's name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine, examine_file
from tests.support.import_plan import plan_import

CLASSES = ("lung", "heart")
SHAPE = (20, 30)


def targets(*names: str) -> list[ScanTarget]:
    return [ScanTarget(name, SHAPE, (f"{name}.png",)) for name in names]


def box(top: int, left: int, bottom: int, right: int) -> list[int]:
    """The corners of a rectangle as COCO has them: its pixels are exactly those inside."""
    return [left, top, right, top, right, bottom, left, bottom]


def filled(*boxes: tuple[int, tuple[int, int, int, int]]) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    for value, (top, left, bottom, right) in boxes:
        label[top:bottom, left:right] = value
    return label


def coco(path, images, annotations, categories=("Lung", "Heart")):
    """``annotations`` are (image number, category number, segmentation)."""
    document = {
        "images": [
            {"id": 70 + n, "file_name": name, "height": SHAPE[0], "width": SHAPE[1]}
            for n, name in enumerate(images)
        ],
        "categories": [{"id": 5 * n + 3, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {"id": n, "image_id": 70 + i, "category_id": 5 * c + 3, "segmentation": s}
            for n, (i, c, s) in enumerate(annotations)
        ],
    }
    path.write_text(json.dumps(document))
    return path


def labels(source, *names, classes=CLASSES, **more) -> dict[str, np.ndarray]:
    verdicts = examine(source, targets(*names), classes, None, **more)
    return {v.scan_id: v.label for v in verdicts if v.label is not None}


def by_key(verdicts) -> dict[str, str]:
    return {v.key: v.code or v.scan_id for v in verdicts}


def test_coco_masks_by_file_name_and_category_name(tmp_path):
    coco(
        tmp_path / "all.json",
        ["set/a.png", "b.png"],
        [(0, 0, [box(2, 3, 6, 9)]), (1, 1, [box(0, 0, 2, 2), box(8, 8, 9, 30)])],
    )

    found = labels(tmp_path, "a", "b")

    np.testing.assert_array_equal(found["a"], filled((1, (2, 3, 6, 9))))
    np.testing.assert_array_equal(found["b"], filled((2, (0, 0, 2, 2)), (2, (8, 8, 9, 30))))


def test_coco_run_length_codes_join_with_polygons(tmp_path):
    code = {"size": list(SHAPE), "counts": [40, 20, 540]}
    coco(tmp_path / "all.json", ["a.png"], [(0, 0, code), (0, 0, [box(0, 0, 1, 1)])])

    np.testing.assert_array_equal(
        labels(tmp_path, "a")["a"], filled((1, (0, 2, 20, 3)), (1, (0, 0, 1, 1)))
    )


def test_what_the_file_holds_is_said(tmp_path):
    coco(tmp_path / "all.json", ["a.png", "b.png", "c.png"], [(0, 0, [box(2, 3, 6, 9)])])

    plan = plan_import(tmp_path, targets("a", "b"), CLASSES, None)

    assert plan.saw == "1 COCO file in a folder"
    assert by_key(plan.accepted) == {"a.png": "a"}
    assert by_key(plan.quarantined) == {"b.png": "empty"}
    assert plan.unmatched == ()
    (c,) = plan.ignored
    assert (c.key, c.message) == ("c.png", "nothing is drawn in it, and no scan has its name")
    assert plan.accepted[0].shown == "all.json [a.png]"
    assert plan.accepted[0].format == "coco"


def test_overlaps_of_classes_are_counted_and_the_later_class_wins(tmp_path):
    coco(tmp_path / "x.json", ["a.png"], [(0, 1, [box(0, 0, 4, 4)]), (0, 0, [box(2, 2, 6, 6)])])

    (verdict,) = examine(tmp_path, targets("a"), CLASSES, None)

    np.testing.assert_array_equal(verdict.label, filled((1, (2, 2, 6, 6)), (2, (0, 0, 4, 4))))
    assert verdict.notes == (
        "4 pixels were claimed twice: 4 of 'heart' over 'lung' (the later class wins)",
    )


def test_a_class_may_be_given_priority(tmp_path):
    coco(tmp_path / "x.json", ["a.png"], [(0, 1, [box(0, 0, 4, 4)]), (0, 0, [box(2, 2, 6, 6)])])

    options = ImportOptions(priority=("lung",))
    (verdict,) = examine(tmp_path, targets("a"), CLASSES, None, options=options)

    np.testing.assert_array_equal(verdict.label, filled((2, (0, 0, 4, 4)), (1, (2, 2, 6, 6))))
    assert "'lung' over 'heart' (lung, then the later class wins)" in verdict.notes[0]


def test_an_unknown_class_is_named_and_can_be_mapped(tmp_path):
    coco(tmp_path / "x.json", ["a.png"], [(0, 0, [box(0, 0, 4, 4)])], categories=["Tumor mass"])

    (before,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined
    options = ImportOptions(values={"tumor mass": 2, 1: "lung"})

    assert before.message.startswith("unknown class 'Tumor mass' (16 pixels)")
    assert "--map 'Tumor mass'=CLASS" in before.remedy
    assert labels(tmp_path, "a", options=options)["a"].max() == 2


def test_an_ignored_class_is_ignored(tmp_path):
    coco(tmp_path / "x.json", ["a.png"], [(0, 0, [box(0, 0, 4, 4)]), (0, 1, [box(3, 3, 5, 5)])],
         categories=["Lung", "Ignore"])  # fmt: skip

    np.testing.assert_array_equal(
        labels(tmp_path, "a")["a"], filled((1, (0, 0, 4, 4)), (255, (3, 3, 5, 5)))
    )


def test_boxes_are_no_outlines(tmp_path):
    coco(
        tmp_path / "x.json", ["a.png", "b.png"], [(0, 0, []), (1, 0, []), (1, 0, [box(0, 0, 2, 2)])]
    )

    plan = plan_import(tmp_path, targets("a", "b"), CLASSES, None)

    assert by_key(plan.quarantined) == {"a.png": "no-outlines"}
    assert "1 drawing has no outline" in plan.accepted[0].notes[0]


@pytest.mark.parametrize(
    ("annotation", "said"),
    [({"caption": "a chest"}, "captions"), ({"segments_info": []}, "panoptic")],
)
def test_other_kinds_of_coco_say_what_they_are(tmp_path, annotation, said):
    document = json.loads(coco(tmp_path / "x.json", ["a.png"], []).read_text())
    document["annotations"] = [{"image_id": 70, **annotation}]
    (tmp_path / "x.json").write_text(json.dumps(document))

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined

    assert verdict.code == "no-outlines"
    assert said in verdict.message


def test_one_damaged_drawing_spoils_its_own_image_only(tmp_path):
    bad = {"size": list(SHAPE), "counts": [40, 20, 541]}
    coco(tmp_path / "x.json", ["a.png", "b.png"], [(0, 0, bad), (1, 0, [box(0, 0, 2, 2)])])

    plan = plan_import(tmp_path, targets("a", "b"), CLASSES, None)

    assert by_key(plan.quarantined) == {"a.png": "damaged"}
    assert by_key(plan.accepted) == {"b.png": "b"}


def test_a_file_that_was_cut_is_told_as_what_it_was(tmp_path):
    whole = coco(tmp_path / "x.json", ["a.png"], [(0, 0, [box(0, 0, 4, 4)])]).read_text()
    (tmp_path / "x.json").write_text(whole[: len(whole) - 20])

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert plan.saw == "1 COCO file in a folder"
    assert [v.code for v in plan.quarantined] == ["damaged"]


def test_one_mask_of_many_is_judged_again_by_its_key(tmp_path):
    path = coco(tmp_path / "x.json", ["a.png", "b.png"], [(1, 0, [box(0, 0, 2, 2)])])
    scan = targets("b")[0]

    verdict = examine_file(path, scan, CLASSES, None, key="b.png")

    assert (verdict.status, verdict.key) == ("accepted", "b.png")
    with pytest.raises(UsageError, match="it holds 2 masks"):
        examine_file(path, scan, CLASSES, None)
    with pytest.raises(UsageError, match="0 masks of the name 'c"):
        examine_file(path, scan, CLASSES, None, key="c.png")


def test_two_images_of_one_name_are_told_apart(tmp_path):
    coco(
        tmp_path / "x.json",
        ["a.png", "a.png"],
        [(0, 0, [box(0, 0, 2, 2)]), (1, 0, [box(1, 1, 4, 4)])],
    )

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert by_key(plan.quarantined) == {"a.png": "conflict", "a.png #2": "conflict"}


def test_pictures_exported_with_it_are_no_masks(tmp_path, save_picture):
    coco(tmp_path / "x.json", ["a.png"], [(0, 0, [box(0, 0, 4, 4)])])
    (tmp_path / "images").mkdir()
    save_picture(np.full(SHAPE, 7, np.uint8), "images/a.png")

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert by_key(plan.accepted) == {"a.png": "a"}
    assert [v.message for v in plan.ignored] == ["part of x.json"]


def xml(path, *images: str, head: str = "", meta: str = "") -> None:
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version>'
        f"<meta><task>{meta}</task></meta>{''.join(images)}</annotations>"
    )


def image(name: str, *shapes: str) -> str:
    rows, columns = SHAPE
    return (
        f'<image id="3" name="{name}" width="{columns}" height="{rows}">{"".join(shapes)}</image>'
    )


def polygon(label: str, corners: list[int]) -> str:
    pairs = zip(corners[::2], corners[1::2], strict=True)
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in pairs)
    inside = '<attribute name="x">y</attribute>'
    return f'<polygon label="{label}" points="{points}" z_order="0">{inside}</polygon>'


def test_cvat_masks_by_image_name(tmp_path):
    mask = '<mask label="Heart" rle="1, 2, 3, 6" left="4" top="2" width="4" height="3"/>'
    xml(
        tmp_path / "annotations.xml",
        image("set 1/A.PNG", polygon("Lung", box(2, 3, 6, 9)), polygon("lung", box(0, 0, 1, 1))),
        image("b.png", mask),
        meta="<assignee><username>anna</username></assignee>"
        "<updated>2025-01-02 03:04:05.6+00:00</updated>",
    )

    verdicts = {v.scan_id: v for v in examine(tmp_path, targets("a", "b"), CLASSES, None)}

    np.testing.assert_array_equal(verdicts["a"].label, filled((1, (2, 3, 6, 9)), (1, (0, 0, 1, 1))))
    # Along the rows of the box: 0 1 1 0 | 0 0 1 1 | 1 1 1 1.
    expected = filled((2, (2, 5, 3, 7)), (2, (3, 6, 4, 8)), (2, (4, 4, 5, 8)))
    np.testing.assert_array_equal(verdicts["b"].label, expected)
    assert (verdicts["b"].author, verdicts["b"].tool) == ("anna", "CVAT")


def test_cvat_ellipses_and_shapes_without_an_area(tmp_path):
    xml(
        tmp_path / "a.xml",
        image(
            "a.png", '<ellipse label="lung" cx="10" cy="8" rx="4" ry="2"/>', '<box label="lung"/>'
        ),
        image("b.png", '<polyline label="lung" points="1,2;3,4"/>', "<tag label='x'/>"),
        image("c.png", "<tag label='x'/>"),
    )

    plan = plan_import(tmp_path, targets("a", "b", "c"), CLASSES, None)

    assert plan.accepted[0].notes == ("drawings without an area passed over: 1 box",)
    assert by_key(plan.quarantined) == {"b.png": "no-outlines", "c.png": "empty"}


def test_cvat_for_video_says_what_to_export(tmp_path):
    xml(tmp_path / "a.xml", '<track id="0" label="lung"><polygon frame="1" points="1,2"/></track>')

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined

    assert verdict.code == "video"
    assert "CVAT for images 1.1" in verdict.remedy


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_in_any_encoding(tmp_path, encoding):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE annotations [<!ENTITY a "lung">]>'
        f"<annotations>{image('a.png', polygon('&a;', box(0, 0, 4, 4)))}</annotations>"
    )
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined

    assert verdict.code == "entities"


def test_an_xml_that_was_cut_is_damaged(tmp_path):
    xml(tmp_path / "a.xml", image("a.png", polygon("lung", box(0, 0, 4, 4))))
    (tmp_path / "a.xml").write_bytes((tmp_path / "a.xml").read_bytes()[:-15])

    assert plan_import(tmp_path, targets("a"), CLASSES, None).quarantined[0].code == "damaged"


def test_another_xml_is_no_mask_file(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><filename>a.png</filename></annotation>")

    assert plan_import(tmp_path, targets("a"), CLASSES, None).saw == "no mask files in a folder"


def test_drawings_of_another_size_are_refused_with_both_sizes(tmp_path):
    text = image("a.png", polygon("lung", box(0, 0, 4, 4))).replace('"30"', '"31"')
    xml(tmp_path / "a.xml", text)

    (verdict,) = plan_import(tmp_path, targets("a"), CLASSES, None).quarantined

    assert verdict.code == "wrong-size"
    assert "31×20 pixels (width×height), the image 30×20" in verdict.message


def test_an_outline_without_the_list_around_it_is_drawn(tmp_path):
    """As the VGG Image Annotator and hand-made converters write it."""
    path = coco(tmp_path / "x.json", ["a.png"], [(0, 1, box(2, 3, 8, 9))])

    np.testing.assert_array_equal(labels(path, "a")["a"], filled((2, (2, 3, 8, 9))))
