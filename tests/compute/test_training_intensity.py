"""Training sees CT by its window, whether a file says so (DICOM) or only reads like it (NIfTI)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
import pytest

from coldal_compute.segmentation.inputs.preprocessing import preprocess
from coldal_compute.segmentation.plan import Plan, make_plan
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.reading import read_header, read_scan
from coldal_tui.jobs.spec import ScanInput, TrainOptions

SHAPE = (12, 10, 8)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def _hounsfield() -> np.ndarray:
    """Air all round, a body of 40 HU, in it a bone of 1000 HU and a lesion of 90 HU."""
    values = np.full(SHAPE, -1024, np.int16)
    values[2:10, 2:8, 1:7] = 40
    values[3:5, 3:5, 2:6] = 1000
    values[6:9, 4:7, 2:6] = 90
    return values


def _nifti(folder: Path, values: np.ndarray) -> ScanRef:
    path = folder / "scan.nii.gz"
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return ScanRef("nifti", (str(path),))


def _plan(ref: ScanRef) -> Plan:
    header = read_header(ref)
    scan = ScanInput("a", ref, header.shape, 1, header.spacing, header.modality, "a")
    return make_plan([scan], ["lesion"], TrainOptions(steps=1))


def test_a_nifti_ct_is_windowed_as_a_dicom_ct(tmp_path: Path) -> None:
    ref = _nifti(tmp_path, _hounsfield())
    scan, plan = read_scan(ref), _plan(ref)
    assert scan.header.modality is None
    said = ScanImage(msgspec.structs.replace(scan.header, modality="CT"), scan.array)
    np.testing.assert_array_equal(preprocess(scan, plan), preprocess(said, plan))


def test_air_and_bone_are_clipped_to_the_soft_tissue_window(tmp_path: Path) -> None:
    """-160 to 240 HU: air 0, body 0.5, lesion 0.625, bone 1; then z-scored, which keeps ratios."""
    ref = _nifti(tmp_path, _hounsfield())
    seen = preprocess(read_scan(ref), _plan(ref)).astype(np.float64)[0]
    assert seen.shape == SHAPE
    air, body, bone, lesion = seen[0, 0, 0], seen[2, 2, 1], seen[3, 3, 2], seen[7, 5, 3]
    assert (body - air) / (bone - air) == pytest.approx(0.5, abs=2e-3)
    assert (lesion - air) / (bone - air) == pytest.approx(0.625, abs=2e-3)
    assert (seen.mean(), seen.std()) == (pytest.approx(0, abs=1e-2), pytest.approx(1, abs=1e-2))


def test_an_mr_volume_is_not_taken_for_ct(tmp_path: Path) -> None:
    """No value is as far below zero as air: the largest counts, and nothing is clipped at 240."""
    values = np.clip(_hounsfield(), 0, None)
    ref = _nifti(tmp_path, values)
    seen = preprocess(read_scan(ref), _plan(ref)).astype(np.float64)[0]
    assert seen[3, 3, 2] - seen[7, 5, 3] > 5 * (seen[7, 5, 3] - seen[2, 2, 1])
