"""What lies on top: CVAT's z_order, and drawings of background that cut holes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine

CLASSES = ("organ", "tumour")
ROWS, COLUMNS = 40, 50
TARGET = ScanTarget("a", (ROWS, COLUMNS), ("a.png",))
Box = tuple[int, int, int, int]


def corners(box: Box) -> list[list[int]]:
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def cvat(path: Path, *shapes: tuple[str, Box, int]) -> Path:
    drawn = "".join(
        f'<polygon label="{name}" z_order="{z}" '
        f'points="{";".join(f"{x},{y}" for x, y in corners(box))}"/>'
        for name, box, z in shapes
    )
    path.write_text(
        f'<annotations><version>1.1</version><image id="0" name="a.png" width="{COLUMNS}" '
        f'height="{ROWS}">{drawn}</image></annotations>'
    )
    return path


def coco(path: Path, *shapes: tuple[str, Box, int]) -> Path:
    names = sorted({name for name, _, _ in shapes})
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": COLUMNS, "height": ROWS}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {
                "id": n,
                "image_id": 1,
                "category_id": names.index(name),
                "segmentation": [[v for point in corners(box) for v in point]],
            }
            for n, (name, box, _) in enumerate(shapes)
        ],
    }
    path.write_text(json.dumps(document))
    return path


def labelme(path: Path, *shapes: tuple[str, Box, int]) -> Path:
    document = {
        "shapes": [
            {"label": name, "points": corners(box), "shape_type": "polygon"}
            for name, box, _ in shapes
        ],
        "imagePath": "a.png",
        "imageHeight": ROWS,
        "imageWidth": COLUMNS,
    }
    path.write_text(json.dumps(document))
    return path


def labelstudio(path: Path, *shapes: tuple[str, Box, int]) -> Path:
    def region(name, box):
        points = [[100 * x / COLUMNS, 100 * y / ROWS] for x, y in corners(box)]
        value = {"points": points, "polygonlabels": [name]}
        size = {"original_width": COLUMNS, "original_height": ROWS}
        return {"type": "polygonlabels", "value": value, "to_name": "image", **size}

    drawn = {"id": 1, "result": [region(name, box) for name, box, _ in shapes]}
    path.write_text(json.dumps([{"id": 1, "data": {"image": "a.png"}, "annotations": [drawn]}]))
    return path


def accepted(path: Path, **options):
    (verdict,) = examine(path, [TARGET], CLASSES, None, options=ImportOptions(**options))
    assert verdict.status == "accepted", verdict.explanation
    return verdict


def filled(*boxes: tuple[int, Box], inclusive: bool = False) -> np.ndarray:
    """Boxes painted one over the other."""
    label = np.zeros((ROWS, COLUMNS), np.uint8)
    for value, (left, top, right, bottom) in boxes:
        label[top : bottom + inclusive, left : right + inclusive] = value
    return label


RING: Box = (5, 5, 35, 35)
HOLE: Box = (15, 15, 25, 25)


@pytest.mark.parametrize("write", [cvat, coco, labelstudio])
def test_background_over_a_class_cuts_a_hole(tmp_path, write):
    path = write(tmp_path / "a.any", ("tumour", RING, 0), ("Background", HOLE, 1))

    verdict = accepted(path)

    np.testing.assert_array_equal(verdict.label, filled((2, RING), (0, HOLE)))
    assert "drawings of background took away 100 pixels of 'tumour'" in verdict.notes
    assert verdict.warnings == ()


def test_labelme_s_background_cuts_a_hole(tmp_path):
    """Pillow, which fills LabelMe's outlines, takes the last row and column in: 961 and 121."""
    path = labelme(tmp_path / "a.json", ("tumour", RING, 0), ("_background_", HOLE, 0))

    verdict = accepted(path)

    np.testing.assert_array_equal(verdict.label, filled((2, RING), (0, HOLE), inclusive=True))
    assert int((verdict.label == 2).sum()) == 840


@pytest.mark.parametrize("write", [cvat, coco, labelstudio])
def test_a_name_mapped_to_background_cuts_and_a_star_does_not(tmp_path, write):
    path = write(tmp_path / "a.any", ("tumour", RING, 0), ("hole", HOLE, 1))

    cut = accepted(path, values={"hole": "background"})
    left = accepted(path, values={"*": "background"})

    np.testing.assert_array_equal(cut.label, filled((2, RING), (0, HOLE)))
    np.testing.assert_array_equal(left.label, filled((2, RING)))


@pytest.mark.parametrize("write", [cvat, coco, labelstudio])
def test_background_below_a_class_cuts_nothing_of_it(tmp_path, write):
    path = write(
        tmp_path / "a.any", ("organ", RING, 0), ("background", RING, 0), ("tumour", HOLE, 0)
    )

    verdict = accepted(path)

    np.testing.assert_array_equal(verdict.label, filled((2, HOLE)))
    assert verdict.warnings == ("nothing is left of 'organ': background covers it",)


def test_cvat_s_background_lies_where_its_z_order_says(tmp_path):
    path = cvat(tmp_path / "a.xml", ("background", HOLE, 1), ("tumour", RING, 0))

    np.testing.assert_array_equal(accepted(path).label, filled((2, RING), (0, HOLE)))


def test_z_order_decides_over_the_classes_order_and_is_told(tmp_path):
    path = cvat(tmp_path / "a.xml", ("organ", HOLE, 3), ("tumour", RING, 0))

    verdict = accepted(path)

    np.testing.assert_array_equal(verdict.label, filled((2, RING), (1, HOLE)))
    assert verdict.notes == (
        "100 pixels were claimed twice: 100 of 'organ' over 'tumour' "
        "(the one on top in the file wins)",
    )


def test_equal_z_orders_leave_it_to_the_classes(tmp_path):
    path = cvat(tmp_path / "a.xml", ("tumour", HOLE, 2), ("organ", RING, 2))

    np.testing.assert_array_equal(accepted(path).label, filled((1, RING), (2, HOLE)))


def test_a_priority_decides_over_z_order(tmp_path):
    path = cvat(tmp_path / "a.xml", ("tumour", HOLE, 0), ("organ", RING, 1))

    verdict = accepted(path, priority=("tumour",))

    np.testing.assert_array_equal(verdict.label, filled((1, RING), (2, HOLE)))


def test_a_class_that_others_cover_wholly_is_warned_of(tmp_path):
    path = cvat(tmp_path / "a.xml", ("tumour", HOLE, 0), ("organ", RING, 1))

    verdict = accepted(path)

    np.testing.assert_array_equal(verdict.label, filled((1, RING)))
    assert verdict.warnings == (
        "nothing is left of 'tumour': other classes cover all 100 pixels of it",
    )


@pytest.mark.parametrize("seed", range(6))
def test_many_levels_are_painted_one_over_the_other(tmp_path, seed):
    """Against painting by hand in CVAT's order; 120 levels, most of which overlap nothing."""
    rng = random.Random(seed)
    shapes = []
    for z in range(120):
        left, top = rng.randrange(46), rng.randrange(36)
        box = (left, top, left + rng.randint(1, 4), top + rng.randint(1, 4))
        shapes.append((rng.choice(["organ", "tumour", "background"]), box, z))
    path = cvat(tmp_path / "a.xml", *rng.sample(shapes, len(shapes)))

    values = {"organ": 1, "tumour": 2, "background": 0}
    painted = filled(*((values[name], box) for name, box, _ in shapes))
    np.testing.assert_array_equal(accepted(path).label, painted)


def test_pillow_paints_the_ring_of_labelme_alike():
    image = Image.new("L", (COLUMNS, ROWS))
    draw = ImageDraw.Draw(image)
    draw.polygon([tuple(p) for p in corners(RING)], fill=2, outline=2)
    draw.polygon([tuple(p) for p in corners(HOLE)], fill=0, outline=0)

    expected = filled((2, RING), (0, HOLE), inclusive=True)
    np.testing.assert_array_equal(np.asarray(image), expected)
