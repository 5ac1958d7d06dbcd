"""Which image a COCO or CVAT drawing is of: ids, tasks, names that a tool changed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.importing import ImportOptions, examine
from tests.support.import_plan import plan_import

CLASSES = ("lung", "heart")
SHAPE = (6, 9)


def targets(*names: str) -> list[ScanTarget]:
    return [ScanTarget(name, SHAPE, (f"{name}.png",)) for name in names]


def project_xml(*images: tuple[str, str, str], tasks: dict[str, tuple[str, str]]) -> str:
    """CVAT for images of a whole project: ``tasks`` by number, ``images`` by task and name."""
    told = "".join(
        f"<task><id>{number}</id><name>{name}</name><segments><segment><id>77</id></segment>"
        f"</segments><assignee><username>{who}</username><email/></assignee></task>"
        for number, (name, who) in tasks.items()
    )
    drawn = "".join(
        f'<image id="0" name="{name}" task_id="{task}" width="9" height="6">{shape}</image>'
        for task, name, shape in images
    )
    meta = f"<meta><project><id>3</id><name>all</name><tasks>{told}</tasks></project></meta>"
    return f"<annotations><version>1.1</version>{meta}{drawn}</annotations>"


LEFT = '<polygon label="Heart" z_order="0" points="0,0;3,0;3,6;0,6"/>'
RIGHT = '<polygon label="Heart" z_order="0" points="5,0;9,0;9,6;5,6"/>'
TASKS = {"11": ("p1", "ana"), "12": ("p2", "ben")}


def test_images_of_one_name_belong_to_the_tasks_folders(tmp_path):
    text = project_xml(("11", "a.png", LEFT), ("12", "a.png", RIGHT), tasks=TASKS)
    (tmp_path / "annotations.xml").write_text(text)
    scans = [ScanTarget(f"{p}/a", (6, 9), (f"{p}/a.png",)) for p in ("p1", "p2")]

    found = {v.scan_id: v for v in examine(tmp_path, scans, CLASSES, None)}

    assert {scan: v.author for scan, v in found.items()} == {"p1/a": "ana", "p2/a": "ben"}
    columns = {scan: np.flatnonzero(v.label.any(axis=0)).tolist() for scan, v in found.items()}
    assert columns == {"p1/a": [0, 1, 2], "p2/a": [5, 6, 7, 8]}


def test_images_of_one_name_never_give_way_to_each_other(tmp_path):
    """Only one of the two is in the project, and which one its name does not say."""
    text = project_xml(("11", "a.png", LEFT), ("12", "a.png", ""), tasks=TASKS)
    (tmp_path / "annotations.xml").write_text(text)

    plan = plan_import(tmp_path, [ScanTarget("x", (6, 9), ("a.png",))], CLASSES, None)

    assert plan.accepted == ()
    assert [v.code for v in plan.quarantined] == ["conflict", "conflict"]


def flat_coco(path, images, annotations, **more):
    document = {"images": images, "annotations": annotations, **more}
    path.write_text(json.dumps({"categories": [{"id": "1", "name": "heart"}]} | document))
    return path


def coco_image(name: str, number: object = 1, **more) -> dict:
    return {"id": number, "file_name": name, "height": 6, "width": 9, **more}


def coco_shape(image: object, columns: int = 3, **more) -> dict:
    outline = [0, 0, columns, 0, columns, 6, 0, 6]
    return {"image_id": image, "category_id": 1, "segmentation": [outline], **more}


@pytest.mark.parametrize(("listed", "named"), [("1", 1), (1, "1"), (1.0, 1), (7, 7.0)])
def test_ids_are_the_same_as_text_and_as_number(tmp_path, listed, named):
    flat_coco(tmp_path / "x.json", [coco_image("a.png", listed)], [coco_shape(named)])

    (verdict,) = examine(tmp_path, targets("a"), CLASSES, None)

    assert int(verdict.label.astype(bool).sum()) == 18


def test_a_drawing_of_no_listed_image_makes_no_other_image_empty(tmp_path):
    flat_coco(
        tmp_path / "x.json",
        [coco_image("a.png", 1), coco_image("b.png", 2)],
        [coco_shape(1), coco_shape(5), coco_shape(5)],
    )
    options = ImportOptions(confirm_empty=True)

    found = list(examine(tmp_path, targets("a", "b"), CLASSES, None, options=options))

    assert {v.scan_id: v.code for v in found if v.status != "ignored"} == {
        "a": "",
        "b": "lost-drawings",
    }
    assert [(v.key, v.message) for v in found if v.status == "ignored"] == [
        ("image 5", "2 drawings of an image that it does not list")
    ]


def test_two_images_with_one_id_get_no_drawing(tmp_path):
    images = [coco_image("a.png", 1), coco_image("b.png", 1)]
    flat_coco(tmp_path / "x.json", images, [coco_shape(1)])

    plan = plan_import(tmp_path, targets("a", "b"), CLASSES, None)

    assert (plan.accepted, [v.code for v in plan.quarantined]) == ((), ["damaged", "damaged"])


@pytest.mark.parametrize(
    ("image", "scan"),
    [
        (coco_image("scan-a_png.rf.a1b2c3d4e5f6.jpg", extra={"name": "scan a.png"}), "scan a"),
        (coco_image("scan-a_png.rf.a1b2c3d4e5f6.jpg"), "scan a"),
        (coco_image("scan_a.png.rf.Zz19.jpg"), "scan_a"),
        (coco_image("images\\cb0618f6-a.png"), "a"),
        (coco_image("..\\..\\media\\upload\\4\\cb0618f7-cx01_äö_1.png"), "cx01 äö (1)"),
        (coco_image("cb0618f6-a.png"), "cb0618f6-a"),
    ],
)
def test_pictures_that_the_tool_renamed_are_found(tmp_path, image, scan):
    flat_coco(tmp_path / "x.json", [image], [coco_shape(1)])
    scans = targets(scan, "b", "c")

    (verdict,) = examine(tmp_path, scans, CLASSES, None)

    assert (verdict.status, verdict.scan_id) == ("accepted", scan)


def test_a_renamed_picture_that_fits_two_scans_is_not_guessed(tmp_path):
    image = coco_image("scan-a_png.rf.a1b2c3d4e5f6.jpg")
    flat_coco(tmp_path / "x.json", [image], [coco_shape(1)])

    plan = plan_import(tmp_path, targets("scan a", "scan_a"), CLASSES, None)

    assert (plan.accepted, len(plan.unmatched)) == ((), 1)


def test_label_studio_s_coco_of_brushes_is_never_empty(tmp_path):
    about = {"info": {"contributor": "Label Studio", "year": 2026}}
    flat_coco(tmp_path / "result.json", [coco_image("a.png", 0)], [], **about)
    options = ImportOptions(confirm_empty=True)

    (verdict,) = examine(tmp_path, targets("a"), CLASSES, None, options=options)

    assert (verdict.status, verdict.code) == ("quarantined", "no-outlines")
    assert "Export the project as JSON" in verdict.remedy


def test_contours_of_brushes_are_told_to_be_lossy_and_keep_their_annotators(tmp_path):
    about = {"info": {"contributor": "Label Studio"}}
    shapes = [coco_shape(0, 3, annotator="a@x.org"), coco_shape(0, 4, annotator="b@x.org")]
    flat_coco(tmp_path / "result.json", [coco_image("a.png", 0)], shapes, **about)
    options = ImportOptions(conflict=ConflictRule.parse("annotator:b@x.org"))

    found = list(examine(tmp_path, targets("a"), CLASSES, None, options=options))

    drawn = {v.author: int(v.label.astype(bool).sum()) for v in found if v.label is not None}
    assert drawn == {"a@x.org": 18, "b@x.org": 24}
    assert all("holes are lost" in v.warnings[0] for v in found if v.label is not None)


def coco(path, categories: list[tuple[int, str]], name: str = "a.png"):
    """One drawing of category 1 over the first three columns."""
    document = {
        "images": [{"id": 1, "file_name": name, "width": 9, "height": 6}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 6, 0, 6]]}
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_category_id_of_two_names_is_refused(tmp_path):
    source = coco(tmp_path / "c.json", [(1, "lung"), (1, "heart")])

    (found,) = examine(source, targets("a"), CLASSES, None)

    assert (found.status, found.code) == ("quarantined", "damaged")
    assert found.message == "the category id 1 has several names: lung, heart"


def test_a_category_listed_twice_is_one(tmp_path):
    source = coco(tmp_path / "c.json", [(1, "Heart"), (1, "Heart"), (2, "lung"), (2, "heart")])

    (found,) = examine(source, targets("a"), CLASSES, None)

    assert [int((found.label == value).sum()) for value in (1, 2)] == [0, 18]


def test_an_image_may_be_named_by_its_address(tmp_path):
    source = coco(tmp_path / "c.json", [(1, "lung")], "https://host.test/x/a%20b.png?sig=1.5")
    scan = ScanTarget("s", SHAPE, ("a b.png",))

    (found,) = examine(source, [scan], CLASSES, None)

    assert (found.status, found.scan_id) == ("accepted", "s")
