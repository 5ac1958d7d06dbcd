"""Masks, thumbnails and drawn pictures beside scans are no scans; cases of several files."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.imaging.indexing import index_folder
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.scans.not_scans import find_cases, find_not_scans, pattern_of
from coldal_tui.project.settings.config import edit_config
from tests.support.small_projects import write_image

AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def _mask(path: Path, shape: tuple[int, int] = (8, 8), kind: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(shape, np.uint8)
    pixels[2:5, 2:6] = 255
    Image.fromarray(pixels).convert(kind).save(path)


def _volume(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, AFFINE), path)


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, (6, 6, 4)).astype(np.float32)


def _blob() -> np.ndarray:
    values = np.zeros((6, 6, 4), np.uint8)
    values[2:4, 2:4, 1:3] = 4
    return values


def _found(folder: Path) -> dict[str, str]:
    return {path: p.code for path, p in find_not_scans(index_folder(folder).scans).items()}


@pytest.mark.parametrize(
    ("image", "mask", "pattern"),
    [
        ("benign (1).png", "benign (1)_mask.png", "*_mask.png"),
        ("benign (1).png", "benign (1)_mask_1.png", "*_mask.png"),
        ("images/a.png", "masks/a.png", "masks/"),
        ("a.jpg", "gt/a.png", "gt/"),
        ("ISIC_01.jpg", "truth/ISIC_01_segmentation.png", "*_segmentation.png"),
    ],
)
def test_masks_of_pictures(tmp_path: Path, image: str, mask: str, pattern: str) -> None:
    write_image(tmp_path / image, 1)
    _mask(tmp_path / mask)
    assert _found(tmp_path) == {mask: "mask"}
    assert pattern_of(mask) == pattern


def test_a_mask_in_colour_and_one_with_lossy_edges_are_masks(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1, (64, 64))
    _mask(tmp_path / "a_mask.png", (64, 64), "RGB")
    write_image(tmp_path / "b.png", 2, (64, 64))
    _mask(tmp_path / "masks" / "b.jpg", (64, 64))
    assert _found(tmp_path) == {"a_mask.png": "mask", "masks/b.jpg": "mask"}


def test_an_nnunet_folder(tmp_path: Path) -> None:
    for case in range(2):
        for channel in range(2):
            image = tmp_path / f"imagesTr/brain_{case:03d}_{channel:04d}.nii.gz"
            _volume(image, _noise(2 * case + channel))
        _volume(tmp_path / f"labelsTr/brain_{case:03d}.nii.gz", _blob())
    assert set(_found(tmp_path)) == {f"labelsTr/brain_{n:03d}.nii.gz" for n in range(2)}
    cases = find_cases([s for s in index_folder(tmp_path).scans if "imagesTr" in s.rel_path])
    assert cases is not None
    assert (cases.endings, cases.count) == (("_0000", "_0001"), 2)


def test_a_brats_folder_and_its_patients(tmp_path: Path) -> None:
    for case in range(2):
        for n, end in enumerate(("t1", "t1ce", "t2", "flair")):
            _volume(tmp_path / f"images/B{case}/B{case}_{end}.nii.gz", _noise(4 * case + n))
        _volume(tmp_path / f"images/B{case}/B{case}_seg.nii.gz", _blob())
    with Project.create(tmp_path / "p", tmp_path / "images") as project:
        report = reindex(project)
        assert (report.scans, [p.code for p in report.problems]) == (8, ["mask", "mask"])
        assert report.cases is not None
        assert report.cases.endings == ("_flair", "_t1", "_t1ce", "_t2")
        edit_config(project.layout.config, {("images", "patients_pattern"): report.cases.pattern})
        project.reload_config()
        reindex(project)
        assert sorted({scan.patient_id for scan in project.scans()}) == ["B0", "B1"]


@pytest.mark.parametrize("name", ["a_mask.png", "masks/a.png"])
@pytest.mark.parametrize("why", ["many values", "another grid", "no other file"])
def test_what_only_is_called_like_a_mask_is_a_scan(tmp_path: Path, name: str, why: str) -> None:
    if why != "no other file":
        write_image(tmp_path / "a.png", 1)
    if why == "many values":
        write_image(tmp_path / name, 2)
    else:
        _mask(tmp_path / name, (9, 9) if why == "another grid" else (8, 8))
    assert _found(tmp_path) == {}


def test_thumbnails_and_drawn_pictures(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1, (40, 40))
    write_image(tmp_path / "thumbs" / "a.png", 2, (8, 8))
    write_image(tmp_path / "a_thumb.png", 3, (8, 8))
    write_image(tmp_path / "a_overlay.png", 4, (40, 40))
    assert _found(tmp_path) == {
        "thumbs/a.png": "thumbnail",
        "a_thumb.png": "thumbnail",
        "a_overlay.png": "derived-picture",
    }


def test_masks_that_are_scans_of_a_project_stay_and_are_named(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_image(images / "a.png", 1)
    _mask(images / "a_mask.png")
    with Project.create(tmp_path / "p", images) as project:
        edit_config(project.layout.config, {("images", "keep_masks"): True})
        project.reload_config()
        assert reindex(project).scans == 2
        edit_config(project.layout.config, {("images", "keep_masks"): False})
        project.reload_config()
        report = reindex(project)
        assert (report.scans, report.lookalikes) == (2, ("a_mask",))
        assert reindex(project).lookalikes == ("a_mask",)  # told again of an unchanged folder
        write_image(images / "b.png", 3)
        _mask(images / "b_mask.png")
        assert reindex(project).added == ("b",)


def test_a_mask_whose_scan_is_missing_is_no_scan(tmp_path: Path) -> None:
    """``c`` has a mask and no image (a download cut off); ``d`` is an image in a wrong place."""
    for name, seed in (("a", 1), ("b", 2), ("e", 3)):
        write_image(tmp_path / "images" / f"{name}.png", seed)
        _mask(tmp_path / "labels" / f"{name}.png")
    _mask(tmp_path / "labels" / "c.png")
    pixels = np.random.default_rng(9).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "labels" / "d.png")
    masks = {f"labels/{name}.png": "mask" for name in "abce"}
    assert _found(tmp_path) == masks


def test_a_folder_of_that_name_may_hold_scans(tmp_path: Path) -> None:
    for name in "abc":
        _mask(tmp_path / "lesions" / f"{name}.png", shape=(8, 8 + ord(name) % 5))
    assert _found(tmp_path) == {}
