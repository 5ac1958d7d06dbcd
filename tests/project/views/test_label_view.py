"""Labels and quarantine as a screen lists them, and masks in quarantine as pictures."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from coldal_tui.project.views.label_view import WaitingLine, read_label_view, read_mask_picture
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import read_scan_view
from tests.support.overlays import add_masks, square

LEFT = square(rows=(0, 8), columns=(0, 4))


@pytest.fixture
def eights(lab) -> Project:
    """Scans ``a`` and ``b`` of 8 × 8 pixels."""
    for name in ("a", "b"):
        lab.picture(f"{name}.png", (8, 8))
    project = lab.start()
    edit_config(project.layout.config, {("classes", "names"): ("lung",)})
    project.reload_config()
    return project


def waiting(file: Path, **values: object) -> WaitingLine:
    return WaitingLine(1, "a", str(file), "", "code", "reason", "", **values)


def test_labels_and_masks_that_wait_are_listed(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"b": LEFT, "a": np.zeros((8, 8), np.uint8)})
    view = read_label_view(eights)
    (label,) = view.labels
    assert (label.scan_id, label.version, label.role) == ("b", 1, "manual")
    assert label.voxels == (("lung", 32),)
    (mask,) = view.waiting
    assert (mask.number, mask.scan_id, mask.code) == (1, "a", "empty")
    assert "empty" in mask.message


def test_two_views_of_an_unchanged_project_are_equal(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"b": LEFT, "a": np.zeros((8, 8), np.uint8)})
    assert read_label_view(eights) == read_label_view(eights)


def test_a_mask_is_shown_from_its_least_to_its_largest_value(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    picture = read_mask_picture(eights, waiting(lab.masks / "a.png"), ViewCache())
    assert picture.header.shape == (8, 8)
    assert picture.pixels.limits == ((0.0, 1.0),)
    np.testing.assert_array_equal(picture.pixels.array[..., 0], LEFT)


def test_the_copy_is_shown_when_the_mask_itself_is_gone(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": np.zeros((8, 8), np.uint8)})
    (lab.masks / "a.png").unlink()
    (line,) = read_label_view(eights).waiting
    assert read_mask_picture(eights, line, ViewCache()).header.shape == (8, 8)


def test_a_mask_that_is_nowhere_is_an_error(eights: Project, lab) -> None:
    with pytest.raises(ColdalError) as caught:
        read_mask_picture(eights, waiting(lab.masks / "gone.png"), ViewCache())
    assert caught.value.code == "missing"


@pytest.mark.parametrize("content", [b"", b"just text", b"PK\x03\x04 an archive"])
def test_a_file_that_is_no_picture_says_so(eights: Project, lab, content: bytes) -> None:
    file = lab.masks / "a.json"
    file.write_bytes(content)
    with pytest.raises(ColdalError):
        read_mask_picture(eights, waiting(file), ViewCache())


def test_a_mask_of_the_scans_shape_is_laid_on_it(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT * 3})
    picture = read_mask_picture(eights, waiting(lab.masks / "a.png"), ViewCache())
    scan = read_scan_view(eights, "a", ViewCache())
    assert scan.pixels is not None
    there = picture.on_scan(scan.header, scan.pixels)
    assert there.pixels is scan.pixels
    assert there.mask is not None
    assert there.mask.values is not None
    np.testing.assert_array_equal(there.mask.values.whole(), LEFT * 3)


def test_values_that_are_no_bytes_are_told_from_nothing_only(lab) -> None:
    path = lab.folder / "m.nii.gz"
    voxels = np.zeros((3, 4, 5), np.float32)
    voxels[1, 2, 3] = 0.5
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    lab.picture("a.png")
    project = lab.start()
    picture = read_mask_picture(project, waiting(path), ViewCache())
    there = picture.on_scan(picture.header, picture.pixels)
    assert there.mask is not None
    assert there.mask.values is not None
    assert there.mask.values.whole().nonzero() == (1, 2, 3)
    assert there.mask.values.present == (1,)
