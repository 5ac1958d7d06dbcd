"""Real exports of real labelers: V7, CVAT, LabelMe, and two raters of the same eyes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.archives import unpack
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.importing import ImportOptions, examine
from tests.support.places import DATA

pytestmark = pytest.mark.real

EXPORTS = DATA / "labeler_exports"


def there(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"the real data is not here: {path}")
    return path


def pictures(images: Path) -> list[ScanTarget]:
    targets = []
    for path in sorted(there(images).iterdir()):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            with Image.open(path) as image:
                columns, rows = image.size
            targets.append(ScanTarget(path.stem, (rows, columns), (path.name,), files=(str(path),)))
    return targets


def labels(source: Path, targets: list[ScanTarget], classes, **more) -> dict[str, np.ndarray]:
    """Every scan's label; nothing may be left over."""
    verdicts = list(examine(source, targets, classes, None, **more))
    counts = Counter(v.status for v in verdicts)
    assert set(counts) <= {"accepted", "ignored"}, [v for v in verdicts if v.label is None][:3]
    return {v.scan_id: v.label for v in verdicts if v.label is not None}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_v7_s_coco_gives_the_masks_that_v7_drew():
    masks = there(DATA / "cxr_originals" / "masks")
    found = labels(
        there(EXPORTS / "v7_coco"), pictures(DATA / "cxr_originals" / "images"), ("lung",)
    )

    scores = []
    for scan_id, label in found.items():
        drawn = np.array(Image.open(masks / f"{scan_id}.png"))
        scores.append(dice(label == 1, drawn == 255))

    assert len(scores) == len(list(masks.iterdir())) == 26
    # V7 draws the outline one pixel fatter than COCO's rule does.
    assert min(scores) >= 0.98
    assert np.median(scores) >= 0.995


def test_v7_s_darwin_gives_the_same_masks_as_its_coco_in_every_pixel():
    images = pictures(DATA / "cxr_originals" / "images")
    by_coco = labels(there(EXPORTS / "v7_coco"), images, ("lung",))
    by_darwin = labels(there(EXPORTS / "v7_darwin"), images, ("lung",))

    assert len(by_darwin) == 26
    for scan_id, label in by_darwin.items():
        np.testing.assert_array_equal(label, by_coco[scan_id])


def test_datumaro_s_example_of_labelme_xml():
    """Polygons, and masks whose alpha is drawn; the box is left out."""
    folder = there(EXPORTS / "datumaro_assets" / "labelme_dataset")
    classes = ("window", "license plate", "o1", "q1", "m1", "hg")

    found = labels(folder / "img1.xml", [ScanTarget("img1", (77, 102), ("img1.png",))], classes)

    counts = np.bincount(found["img1"].ravel(), minlength=7)
    plate = np.asarray(Image.open(folder / "Masks" / "img1_mask_1.png"))[..., 3] > 0
    assert counts[1:3].tolist() == [2 * 3, np.count_nonzero(plate)]
    assert all(counts[3:])


@pytest.fixture(scope="module")
def brain_mri(tmp_path_factory) -> dict[str, Path]:
    """CVAT's exports of the same task; the zips were packed again, their label map beside them."""
    folder = there(EXPORTS / "cvat_brain_mri" / "annotated_data")
    found = {"xml": folder / "cvat_xml", "coco": folder / "COCO"}
    for archive in (folder / "segmentation_mask").glob("*.zip"):
        kind = "class" if "_CLASS_" in archive.name else "object"
        found[kind] = tmp_path_factory.mktemp(kind)
        unpack(archive, found[kind])
        labelmap = folder / "segmentation_mask" / "labelmap.txt"
        (found[kind] / "labelmap.txt").write_bytes(labelmap.read_bytes())
    return found


@pytest.mark.parametrize("kind", ["coco", "class", "object"])
def test_cvat_s_exports_of_one_task_agree_in_every_pixel(brain_mri, kind):
    raw = EXPORTS / "cvat_brain_mri" / "raw_data" / "50_mri_brain_raw_data_images"
    targets = pictures(raw)

    from_xml = labels(brain_mri["xml"], targets, ("tumor",))
    others = labels(brain_mri[kind], targets, ("tumor",))

    assert len(from_xml) == 50
    assert others.keys() == from_xml.keys()
    assert sum(np.count_nonzero(others[s] != label) for s, label in from_xml.items()) == 0
    assert all(label.any() for label in from_xml.values())


def test_labelme_s_examples_as_labelme_fills_them():
    folder = there(EXPORTS / "labelme_example" / "data_annotated")
    classes = ("bottle", "bus", "car", "chair", "person", "sofa")
    options = ImportOptions(values={"__ignore__": "ignore"})

    verdicts = list(examine(folder, pictures(folder), classes, None, options=options))

    drawn = {v.scan_id: v for v in verdicts if v.label is not None}
    assert len(drawn) == 3
    for scan_id, verdict in drawn.items():
        document = json.loads((folder / f"{scan_id}.json").read_text())
        claimed = [shape for shape in document["shapes"] if shape["label"] == "__ignore__"]
        assert np.array_equal(verdict.label == 255, filled(claimed, verdict.label.shape))
        people = [shape for shape in document["shapes"] if shape["label"] == "person"]
        assert not np.any((verdict.label == 5) & ~filled(people, verdict.label.shape))


def filled(shapes: list[dict], size: tuple[int, int]) -> np.ndarray:
    """As Pillow draws polygons with their outlines."""
    image = Image.new("1", size[::-1])
    for shape in shapes:
        points = [(x, y) for x, y in shape["points"]]
        ImageDraw.Draw(image).polygon(points, outline=1, fill=1)
    return np.asarray(image)


def test_two_raters_of_the_same_eyes_and_what_they_say_together():
    masks = there(DATA / "retina_chasedb1" / "masks")
    targets = pictures(DATA / "retina_chasedb1" / "images")[:4]
    options = ImportOptions(conflict=ConflictRule.parse("staple"))

    verdicts = list(
        examine(masks, targets, ("vessel",), None, match="{stem}_{annotator}", options=options)
    )

    joint = [v for v in verdicts if v.status == "accepted"]
    kept = {(v.scan_id, v.author): v.label == 1 for v in verdicts if v.status == "kept"}
    assert len(joint) == 4
    for verdict in joint:
        first, second = (kept[verdict.scan_id, who] for who in ("1stHO", "2ndHO"))
        (told,) = verdict.agreement
        assert told.dice == pytest.approx(dice(first, second))
        assert 0.7 < told.dice < 0.85
        together = verdict.label == 1
        assert np.all(together[first & second])
        assert not np.any(together[~first & ~second])
