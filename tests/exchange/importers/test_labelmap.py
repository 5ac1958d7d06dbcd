"""Masks by colour: CVAT's with their labelmap.txt, Pascal VOC, and colours that are mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.labelmap import voc_colours
from coldal_tui.exchange.incoming.importing import ImportOptions, examine
from tests.support.import_plan import plan_import

CLASSES = ("lung", "heart")
SHAPE = (12, 15)
PINK, GREEN = (255, 20, 147), (0, 128, 0)
LABELMAP = (
    "# label:color_rgb:parts:actions\nHeart:255,20,147::\nbackground:0,0,0::\nlung:0,128,0::\n"
)


def targets(*names: str) -> list[ScanTarget]:
    return [ScanTarget(name, SHAPE, (f"{name}.png",)) for name in names]


def paint(path: Path, *bands: tuple[int, int, int], mode: str = "RGB") -> None:
    """Bands of two rows, one below the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((*SHAPE, 3), np.uint8)
    for n, colour in enumerate(bands):
        array[2 * n : 2 * n + 2] = colour
    image = Image.fromarray(array)
    image = image.quantize(16) if mode == "P" else image.convert(mode)
    image.save(path)


def bands(*values: int) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    for n, value in enumerate(values):
        label[2 * n : 2 * n + 2] = value
    return label


def decided(source: Path, *names: str, classes=CLASSES, **more) -> dict:
    verdicts = examine(source, targets(*names), classes, None, **more)
    return {v.scan_id: v for v in verdicts if v.status != "ignored"}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_named_by_the_labelmap(tmp_path, mode):
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    paint(tmp_path / "SegmentationClass" / "a.png", PINK, GREEN, mode=mode)

    verdict = decided(tmp_path, "a")["a"]

    np.testing.assert_array_equal(verdict.label, bands(2, 1))
    assert verdict.parts == (tmp_path / "labelmap.txt",)


def test_a_whole_export_with_pictures_and_instances(tmp_path):
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    paint(tmp_path / "SegmentationClass" / "a.png", PINK)
    paint(tmp_path / "SegmentationObject" / "a.png", (128, 0, 0))
    paint(tmp_path / "JPEGImages" / "a.png", (1, 2, 3))
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "default.txt").write_text("a\n")

    plan = plan_import(tmp_path, targets("a"), CLASSES, None)

    assert plan.saw == "1 CVAT segmentation mask and 1 CVAT label map file in a folder"
    assert [v.file.parent.name for v in plan.accepted] == ["SegmentationClass"]
    assert {v.message for v in plan.ignored} == {
        "part of labelmap.txt",
        "it says what the masks' colours mean",
        "no mask format that is known",
    }


def test_a_colour_that_the_labelmap_does_not_name(tmp_path):
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    paint(tmp_path / "a.png", PINK, (9, 9, 9))

    verdict = decided(tmp_path, "a")["a"]

    assert verdict.code == "unknown-value"
    assert "#090909 (30 pixels)" in verdict.message


def test_instances_of_the_only_class_are_joined(tmp_path):
    (tmp_path / "labelmap.txt").write_text("Heart:255,20,147::\nbackground:0,0,0::\n")
    paint(tmp_path / "a.png", (128, 0, 0), (0, 128, 0), (128, 128, 0))

    verdict = decided(tmp_path, "a")["a"]

    np.testing.assert_array_equal(verdict.label, bands(2, 2, 2))
    assert verdict.notes == ("3 instances of 'Heart' joined",)


def test_instances_of_several_classes_are_refused(tmp_path):
    (tmp_path / "labelmap.txt").write_text(LABELMAP.replace("0,128,0", "7,7,7"))
    paint(tmp_path / "a.png", (128, 0, 0), (0, 128, 0))

    verdict = decided(tmp_path, "a")["a"]

    assert verdict.code == "instances"
    assert "SegmentationClass" in verdict.remedy


def test_a_colour_is_mapped_by_the_user(tmp_path):
    paint(tmp_path / "a.png", PINK, GREEN)

    options = ImportOptions(values={"#FF1493": "heart", "#008000": 1})
    before, after = decided(tmp_path, "a")["a"], decided(tmp_path, "a", options=options)["a"]

    assert before.code == "colour"
    assert "#008000 (30 pixels), #ff1493 (30 pixels)" in before.message
    np.testing.assert_array_equal(after.label, bands(2, 1))


def test_a_class_of_the_labelmap_is_mapped_by_colour_or_name(tmp_path):
    (tmp_path / "labelmap.txt").write_text(LABELMAP.replace("Heart", "cor"))
    paint(tmp_path / "a.png", PINK)

    for key in ("cor", "#ff1493"):
        options = ImportOptions(values={key: "heart"})
        assert decided(tmp_path, "a", options=options)["a"].label.max() == 2


def test_a_photograph_is_no_mask(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    big = np.tile(noise, (2, 2, 1))
    big[:, :, 0] = np.arange(big.shape[0] * big.shape[1]).reshape(big.shape[:2]) % 251
    Image.fromarray(big).save(tmp_path / "a.png")

    (verdict,) = examine(tmp_path, [ScanTarget("a", (24, 30), ("a.png",))], CLASSES, None)

    assert verdict.code == "colour"
    assert "colours are no class values" in verdict.message


def test_voc_leaves_the_rim_undecided(tmp_path):
    values = bands(1, 2, 255)
    image = Image.fromarray(values, mode="P")
    image.putpalette([part for c in voc_colours() for part in (c >> 16, c >> 8 & 255, c & 255)])
    (tmp_path / "SegmentationClass").mkdir()
    image.save(tmp_path / "SegmentationClass" / "a.png")

    np.testing.assert_array_equal(decided(tmp_path, "a")["a"].label, values)


@pytest.mark.parametrize("text", ["", "Heart 255 20 147", "Heart:256,20,147::", "a\0b"])
def test_texts_that_are_no_labelmap(tmp_path, text):
    (tmp_path / "labelmap.txt").write_text(text)
    paint(tmp_path / "a.png", PINK)

    assert decided(tmp_path, "a")["a"].code == "colour"


def test_vocs_colours():
    assert [f"{c:06x}" for c in voc_colours()[:5]] == [
        "000000",
        "800000",
        "008000",
        "808000",
        "000080",
    ]
    assert len(set(voc_colours())) == 256
