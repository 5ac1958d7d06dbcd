"""The shipped sample data: complete, consistent, small, and what its script makes."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.support.places import ROOT

REPOSITORY = ROOT
SAMPLE = REPOSITORY / "sample_data"
CHESTS = SAMPLE / "cxr"
VOLUMES = SAMPLE / "volumes"
REMADE = ("cxr_p001_1.png", "brain_01.nii.gz", "metadata.csv")


def rows() -> list[dict[str, str]]:
    with (CHESTS / "metadata.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def remake(folder: Path) -> Path:
    script = REPOSITORY / "scripts" / "make_sample_data.py"
    for name in REMADE:
        subprocess.run(
            [sys.executable, script, "--out", folder, "--only", name], check=True, timeout=600
        )
    return folder


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return remake(tmp_path_factory.mktemp("remade"))


def test_all_of_it_takes_at_most_6_mb() -> None:
    assert sum(len(content) for content in files(SAMPLE).values()) <= 6_000_000


def test_the_cohort_has_60_scans_of_44_patients_at_4_sites() -> None:
    table = rows()
    assert len(table) == 60
    assert len({row["patient_id"] for row in table}) == 44
    assert Counter(row["site"] for row in table) == {
        "north": 25,
        "east": 16,
        "south": 10,
        "west": 9,
    }


def test_the_table_names_every_picture_once() -> None:
    assert sorted(row["filename"] for row in rows()) == sorted(
        path.name for path in (CHESTS / "images").iterdir()
    )


def test_the_table_repeats_the_patient_of_the_file_name() -> None:
    for row in rows():
        found = re.fullmatch(r"cxr_(p\d{3})_\d\.png", row["filename"])
        assert found is not None
        assert found[1].upper() == row["patient_id"]


def test_a_patient_keeps_sex_and_age() -> None:
    known = {(row["patient_id"], row["sex"], row["age"]) for row in rows()}
    assert len(known) == len({row["patient_id"] for row in rows()})


def test_every_picture_has_a_mask_of_its_shape() -> None:
    images = {path.name: pixels(path).shape for path in (CHESTS / "images").iterdir()}
    masks = {path.name: pixels(path).shape for path in (CHESTS / "masks").iterdir()}
    assert images == masks


def test_pictures_are_grey_of_8_bits_and_a_few_of_16() -> None:
    depths = Counter(str(pixels(path).dtype) for path in (CHESTS / "images").iterdir())
    assert set(depths) == {"uint8", "uint16"}
    assert 2 <= depths["uint16"] <= 10


def test_masks_hold_background_lung_and_ignore_alone() -> None:
    values = {
        int(value) for path in (CHESTS / "masks").iterdir() for value in np.unique(pixels(path))
    }
    assert values == {0, 127, 255}


def test_ignore_is_in_a_few_masks() -> None:
    ignoring = [path for path in (CHESTS / "masks").iterdir() if (pixels(path) == 127).any()]
    assert 3 <= len(ignoring) <= 12


def test_lungs_fill_a_plausible_part_of_every_picture() -> None:
    shares = [float((pixels(path) == 255).mean()) for path in (CHESTS / "masks").iterdir()]
    assert min(shares) > 0.04
    assert max(shares) < 0.45


def test_every_volume_has_labels_on_its_grid() -> None:
    names = sorted(path.name for path in (VOLUMES / "images").iterdir())
    assert len(names) == 12
    assert names == sorted(path.name for path in (VOLUMES / "labels").iterdir())
    for name in names:
        image, labels = nib.load(VOLUMES / "images" / name), nib.load(VOLUMES / "labels" / name)
        assert image.shape == labels.shape
        np.testing.assert_array_equal(image.affine, labels.affine)


def test_volumes_are_int16_with_both_labels() -> None:
    for path in (VOLUMES / "images").iterdir():
        assert nib.load(path).get_data_dtype() == np.int16
        labels = np.asarray(nib.load(VOLUMES / "labels" / path.name).dataobj)
        assert np.unique(labels).tolist() == [0, 1, 2]


def test_label_1_lies_in_front_of_label_2() -> None:
    for path in (VOLUMES / "labels").iterdir():
        image = nib.load(path)
        labels = np.asarray(image.dataobj)
        front = [
            nib.affines.apply_affine(image.affine, np.argwhere(labels == value))[:, 1].mean()
            for value in (1, 2)
        ]
        assert front[0] > front[1] + 5.0


def test_affines_are_real_and_some_oblique_and_some_permuted() -> None:
    affines = [nib.load(path).affine for path in sorted((VOLUMES / "images").iterdir())]
    assert all(not np.allclose(affine, np.eye(4)) for affine in affines)
    assert any(max(nib.affines.obliquity(affine)) > np.radians(5) for affine in affines)
    assert {"RAS", "LAS"} < {"".join(nib.aff2axcodes(affine)) for affine in affines}


def test_sform_and_qform_agree() -> None:
    for path in (VOLUMES / "images").iterdir():
        image = nib.load(path)
        np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-3)


def test_the_script_makes_the_same_bytes_twice(remade: Path, tmp_path: Path) -> None:
    assert files(remade) == files(remake(tmp_path))


def test_the_script_makes_the_shipped_picture_and_mask(remade: Path) -> None:
    for part in ("images", "masks"):
        shipped = pixels(CHESTS / part / "cxr_p001_1.png").astype(int)
        again = pixels(remade / "cxr" / part / "cxr_p001_1.png").astype(int)
        np.testing.assert_array_equal(again, shipped)


def test_the_script_makes_the_shipped_volume(remade: Path) -> None:
    for part in ("images", "labels"):
        shipped = nib.load(VOLUMES / part / "brain_01.nii.gz")
        again = nib.load(remade / "volumes" / part / "brain_01.nii.gz")
        np.testing.assert_array_equal(np.asarray(again.dataobj), np.asarray(shipped.dataobj))
        np.testing.assert_array_equal(again.affine, shipped.affine)


def test_the_script_makes_the_shipped_table(remade: Path) -> None:
    assert (remade / "cxr" / "metadata.csv").read_bytes() == (CHESTS / "metadata.csv").read_bytes()
