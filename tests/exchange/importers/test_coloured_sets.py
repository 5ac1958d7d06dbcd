"""CamVid, KITTI, Cityscapes and MOTS as CVAT and datumaro lay them out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import examine
from tests.support.import_plan import plan_import

SHAPE = (6, 9)
CLASSES = ("tumour", "organ")
COLOURS = {"background": (0, 0, 0), "organ": (0, 128, 0), "tumour": (128, 64, 32)}
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[1:4, 2:7], LABEL[2, 3] = 2, 1


def save(path, array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def coloured(label=LABEL) -> np.ndarray:
    picture = np.zeros((*SHAPE, 3), np.uint8)
    picture[label == 2], picture[label == 1] = COLOURS["organ"], COLOURS["tumour"]
    return picture


def numbers() -> np.ndarray:
    """Class numbers in the order of the colours: other ones than the project's."""
    return np.choose(LABEL, [0, 2, 1]).astype(np.uint8)


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)


def colours(folder) -> None:
    lines = [f"{r} {g} {b} {name}" for name, (r, g, b) in COLOURS.items()]
    (folder / "label_colors.txt").write_text("\n".join(lines) + "\n")


def camvid(folder) -> None:
    save(folder / "default" / "a.png", image())
    save(folder / "defaultannot" / "a.png", coloured())
    (folder / "default.txt").write_text("/default/a.png /defaultannot/a.png\n")


def kitti(folder) -> None:
    save(folder / "default" / "image_2" / "a.png", image())
    save(folder / "default" / "semantic_rgb" / "a.png", coloured())
    save(folder / "default" / "semantic" / "a.png", numbers())
    save(folder / "default" / "instance" / "a.png", numbers().astype(np.uint16) * 256)


def cityscapes(folder) -> None:
    save(folder / "imgsFine" / "leftImg8bit" / "default" / "a_leftImg8bit.png", image())
    place = folder / "gtFine" / "default"
    save(place / "a_gtFine_color.png", coloured())
    save(place / "a_gtFine_labelIds.png", numbers())
    save(place / "a_gtFine_instanceIds.png", numbers().astype(np.uint16) * 1000)


@pytest.mark.parametrize(
    ("write", "image_name"),
    [
        (camvid, "a.png"),
        (kitti, "a.png"),
        (cityscapes, "a.png"),
        (cityscapes, "a_leftImg8bit.png"),
    ],
)
def test_colours_name_the_classes_and_images_are_no_masks(tmp_path, write, image_name):
    write(tmp_path)
    colours(tmp_path)

    plan = plan_import(tmp_path, [ScanTarget("x", SHAPE, (image_name,))], CLASSES, None)

    assert (plan.quarantined, plan.unmatched) == ((), ())
    (verdict,) = plan.accepted
    assert verdict.drawn is not None
    assert verdict.format == "cvat-masks"


@pytest.mark.parametrize("write", [camvid, kitti, cityscapes])
def test_every_pixel_is_what_was_drawn(tmp_path, write):
    write(tmp_path)
    colours(tmp_path)
    found = examine(tmp_path, [ScanTarget("x", SHAPE, ("a.png",))], CLASSES, None)

    (label,) = [one.label for one in found if one.label is not None]
    np.testing.assert_array_equal(label, LABEL)


def mots(folder, values, labels="organ\ntumour\n"):
    save(folder / "instances" / "a.png", values)
    (folder / "instances" / "labels.txt").write_text(labels)
    return folder


def test_the_class_ten_of_mots_is_ignored(tmp_path):
    values = np.zeros(SHAPE, np.uint16)
    values[1, 1:4], values[2, 2], values[3, 3] = [1001, 1002, 2001], 10_000, 2999
    found = examine(mots(tmp_path, values), [ScanTarget("x", SHAPE, ("a.png",))], CLASSES, None)

    (verdict,) = [one for one in found if one.status == "accepted"]
    expected = np.zeros(SHAPE, np.uint8)
    expected[1, 1:4], expected[2, 2], expected[3, 3] = [2, 2, 1], 255, 1
    np.testing.assert_array_equal(verdict.label, expected)
    assert "5 instances joined by their classes" in verdict.notes


@pytest.mark.parametrize("value", [5, 3001, 11_000])
def test_values_that_are_no_class_of_mots_are_refused(tmp_path, value):
    values = np.zeros(SHAPE, np.uint16)
    values[1, 1] = value

    plan = plan_import(mots(tmp_path, values), [ScanTarget("x", SHAPE, ("a.png",))], CLASSES, None)

    assert [one.code for one in plan.quarantined] == ["damaged"]
