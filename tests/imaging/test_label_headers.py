"""The headers of stored labels are nibabel's own, whatever was stored before."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.imaging.labelfile import encode_label

PLAIN = np.diag([-0.8, -0.8, 2.5, 1.0])
TURNED = np.array(
    [[0.0, -0.8, 0.0, 12.5], [0.6, 0.0, -1.6, -3.75], [0.8, 0.0, 1.2, 100.0], [0, 0, 0, 1]]
)
SHEARED = np.array([[1.0, 0.3, 0, 5], [0, 1, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
FIELDS = ("dim", "pixdim", "sform_code", "qform_code", "srow_x", "srow_y", "srow_z")
FIELDS += ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")


def moved(matrix: np.ndarray, *offset: float) -> np.ndarray:
    made = matrix.copy()
    made[:3, 3] = offset
    return made


@pytest.mark.parametrize(
    "affine",
    [PLAIN, moved(PLAIN, 1.25, -7.5, 1e4), TURNED, moved(TURNED, 0.1, 0.2, 0.3), SHEARED],
)
def test_a_label_has_the_header_that_nibabel_gives_its_grid(affine: np.ndarray) -> None:
    encode_label(Path("first.nii.gz"), np.zeros((4, 3, 2), np.uint8), moved(affine, 9, 9, 9))
    data = encode_label(Path("m.nii.gz"), np.ones((4, 3, 2), np.uint8), affine)
    image = nib.Nifti1Image.from_bytes(gzip.decompress(data))
    theirs = nib.Nifti1Header()
    theirs.set_data_shape((4, 3, 2))
    theirs.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    theirs.set_sform(affine, code=1)
    theirs.set_qform(affine, code=0 if affine is SHEARED else 1)
    for field in FIELDS:
        np.testing.assert_array_equal(image.header[field], theirs[field], err_msg=field)
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.ones((4, 3, 2)))
