"""Masks that people drew: chest X-rays, hippocampi, retinas."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import examine
from tests.support.import_plan import plan_import
from tests.support.places import DATA

pytestmark = pytest.mark.real


def folder(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.is_dir():
        pytest.skip(f"the real data is not here: {path}")
    return path


def pictures(images: Path) -> list[ScanTarget]:
    targets = []
    for path in sorted(images.iterdir()):
        with Image.open(path) as image:
            columns, rows = image.size
        targets.append(ScanTarget(path.stem, (rows, columns), (path.name,), files=(str(path),)))
    return targets


def volumes(images: Path) -> list[ScanTarget]:
    targets = []
    for path in sorted(images.glob("*.nii.gz")):
        image = nib.load(path)
        affine = tuple(tuple(row) for row in image.affine.tolist())
        scan_id = path.name.removesuffix(".nii.gz")
        targets.append(ScanTarget(scan_id, image.shape, (path.name,), affine))
    return targets


def test_chest_x_rays_with_an_ignored_value():
    masks = folder("cxr", "masks")
    targets = pictures(folder("cxr", "images"))

    verdicts = list(examine(masks, targets, ("lung",), 127))

    assert Counter(v.status for v in verdicts) == {"accepted": 246}
    for verdict in verdicts:
        raw = np.asarray(Image.open(verdict.file))
        assert np.array_equal(verdict.label, np.select([raw == 255, raw == 127], [1, 255], 0))


def test_chest_x_rays_without_one_are_quarantined_by_value():
    masks = folder("cxr", "masks")

    result = plan_import(masks, pictures(folder("cxr", "images")), ("lung",), None)

    assert len(result.accepted) + len(result.quarantined) == 246
    assert {v.code for v in result.quarantined} == {"unknown-value"}
    assert all("127 (" in v.message for v in result.quarantined)


def test_originals_of_every_picture_kind_take_their_masks():
    masks = folder("cxr_originals", "masks")

    result = plan_import(masks, pictures(folder("cxr_originals", "images")), ("lung",), 127)

    assert not result.quarantined
    assert not result.unmatched
    assert len(result.accepted) == len(list(masks.iterdir()))


def test_hippocampi_and_their_orphans():
    labels = folder("hippocampus", "labels")
    targets = volumes(folder("hippocampus", "images"))

    result = plan_import(labels, targets, ("anterior", "posterior"), None)

    assert result.saw == f"{len(list(labels.iterdir()))} NIfTI masks in a folder"
    assert sorted(v.file.name for v in result.unmatched) == [
        "hippocampus_010.nii.gz",
        "hippocampus_281.nii.gz",
    ]
    assert {v.scan_id for v in result.accepted} == {t.scan_id for t in targets} - {
        "hippocampus_118"
    }
    assert {v.geometry for v in result.accepted} == {"match"}


def test_retinas_by_the_first_rater():
    masks = folder("retina_chasedb1", "masks")
    targets = pictures(folder("retina_chasedb1", "images"))

    verdicts = list(examine(masks, targets, ("vessel",), None, match="{stem}_1stHO"))

    assert Counter(v.status for v in verdicts) == {"accepted": 28, "ignored": 28}
    label = next(v.label for v in verdicts if v.scan_id == "Image_01L")
    raw = np.asarray(Image.open(masks / "Image_01L_1stHO.png"))
    assert raw.dtype == bool
    assert label.sum() == raw.sum()


def test_retinas_by_both_raters_are_unmatched_without_a_template():
    masks = folder("retina_chasedb1", "masks")
    targets = pictures(folder("retina_chasedb1", "images"))

    result = plan_import(masks, targets, ("vessel",), None)

    assert len(result.unmatched) == 56
    assert not result.accepted
