"""What ``init`` decides of a data set whose files state no modality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.scans.modality import Decision, decide_modality
from tests.support.small_projects import write_image

AIR, BODY = -1000, 40


def _decided(folder: Path, volumes: Sequence[np.ndarray]) -> Decision | None:
    images = folder / "images"
    images.mkdir()
    for n, array in enumerate(volumes):
        nib.save(nib.Nifti1Image(array, np.eye(4)), images / f"v{n}.nii.gz")
    with Project.create(folder / "p", images) as project:
        reindex(project)
        return decide_modality(project)


def _ct(low: int = AIR, high: int = 1200, kind: str = "int16", add: int = 0) -> np.ndarray:
    values = np.random.default_rng(0).integers(low, high, (6, 6, 6))
    values[:3] = max(low, BODY - 20)
    values[3] = low
    return (values + add).astype(kind)


def test_one_odd_file_does_not_change_what_the_others_are(tmp_path: Path) -> None:
    metal = _ct()
    metal[0, 0, 0] = 32767
    cropped = _ct(-120, 300)
    found = _decided(tmp_path, [_ct(), metal, cropped, _ct(kind="uint16", add=1024)])
    assert found is not None
    assert found.modality == ("ct",)
    assert "1 hold Hounsfield units + 1,024" in " ".join(found.reasons)


def test_mr_is_no_ct(tmp_path: Path) -> None:
    mr = np.random.default_rng(1).integers(0, 900, (6, 6, 6)).astype("float32")
    found = _decided(tmp_path, [mr, mr * 1.5])
    assert found is not None
    assert found.modality == ("other",)
    assert found.reasons == (
        "2 files without a stated modality; none of 2 looked at reads like CT",
    )


def test_a_mixture_is_said_and_not_decided(tmp_path: Path) -> None:
    mr = np.random.default_rng(1).normal(0, 1, (6, 6, 6)).astype("float32")
    found = _decided(tmp_path, [_ct(), mr, mr + 1, mr + 2])
    assert found is not None
    assert found.modality == ("auto",)
    assert "each file is judged by itself" in found.reasons[0]


def test_pet_and_ct_in_one_file(tmp_path: Path) -> None:
    pet = np.random.default_rng(1).random((6, 6, 6)) * 8
    found = _decided(tmp_path, [np.stack([_ct(), pet], 3).astype("float32")])
    assert found is not None
    assert found.modality == ("ct", "other")


@pytest.mark.parametrize("empty", [True, False])
def test_pictures_need_no_decision(tmp_path: Path, *, empty: bool) -> None:
    images = tmp_path / "images"
    images.mkdir()
    if not empty:
        write_image(images / "a.png", 1)
    with Project.create(tmp_path / "p", images) as project:
        reindex(project)
        assert decide_modality(project) is None
