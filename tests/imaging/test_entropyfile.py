"""Entropy maps on disk, read back with the libraries that other programs use."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ImageError
from coldal_tui.imaging.entropyfile import STEP, entropy_suffix, read_entropy, write_entropy

EVERY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_a_map_comes_back_in_steps_of_a_fiftieth(tmp_path: Path) -> None:
    write_entropy(tmp_path / "a.png", EVERY, None)
    found = read_entropy(tmp_path / "a.png").astype(int)
    assert set(np.unique(found)) == set(range(0, 256, STEP))
    assert abs(found - EVERY.astype(int)).max() == STEP // 2


def test_a_picture_is_a_grey_png(tmp_path: Path) -> None:
    write_entropy(tmp_path / "a.png", np.array([[0, 255, 102]], np.uint8), None)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.mode, list(image.tobytes())) == ("L", [0, 255, 100])


def test_a_volume_is_a_nifti_with_the_scans_affine(tmp_path: Path) -> None:
    affine = np.diag([-2.0, 1.0, 3.0, 1.0])
    volume = np.zeros((3, 4, 5), np.uint8)
    volume[1, 2, 3] = 255
    write_entropy(tmp_path / f"v{entropy_suffix(3)}", volume, affine)
    stored = nib.load(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(stored.affine, affine)
    np.testing.assert_array_equal(np.asarray(stored.dataobj), volume)
    np.testing.assert_array_equal(read_entropy(tmp_path / "v.nii.gz"), volume)


def test_equal_maps_are_equal_files(tmp_path: Path) -> None:
    volume = np.full((3, 4, 5), 50, np.uint8)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_entropy(tmp_path / name, volume, np.eye(4))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.nii.gz"])
@pytest.mark.parametrize(("content", "code"), [(b"no map", "unreadable"), (None, "missing")])
def test_a_damaged_map_is_an_image_error(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read_entropy(tmp_path / name)
    assert caught.value.code == code
