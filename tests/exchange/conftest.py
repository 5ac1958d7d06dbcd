"""Masks made with the programs that people use, and the scans they belong to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.importers import HEAD_BYTES, load_registry
from coldal_tui.exchange.importers.raster import read_picture_mask
from coldal_tui.exchange.importers.shared.decode import read_nifti_mask

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def oblique() -> sitk.Image:
    """An oblique anisotropic label volume of 7×9×5 with classes 1 and 2, no symmetry."""
    voxels = np.zeros((5, 9, 7), np.uint8)
    voxels[1:3, 2:6, 1:4] = 1
    voxels[3, 7, 5] = 2
    voxels[0, 0, 6] = 2
    image = sitk.GetImageFromArray(voxels)
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.4, 0.7).GetMatrix())
    image.SetSpacing((0.7, 1.1, 4.0))
    image.SetOrigin((-31.0, 12.5, 80.0))
    return image


@pytest.fixture
def ras_affine() -> Callable[[sitk.Image], np.ndarray]:
    """The RAS affine of an ITK image."""

    def affine(image: sitk.Image) -> np.ndarray:
        matrix = np.eye(4)
        directions = np.array(image.GetDirection()).reshape(3, 3)
        matrix[:3, :3] = directions * np.array(image.GetSpacing())
        matrix[:3, 3] = image.GetOrigin()
        return np.asarray(LPS @ matrix)

    return affine


@pytest.fixture
def volume(oblique, ras_affine) -> ScanTarget:
    """The scan on the grid of ``oblique``."""
    affine = tuple(tuple(row) for row in ras_affine(oblique).tolist())
    return ScanTarget("brain", oblique.GetSize(), ("brain.nii.gz",), affine, (0.7, 1.1, 4.0))


@pytest.fixture
def picture() -> ScanTarget:
    """A 2-D scan of 6 rows and 9 columns, without a header."""
    return ScanTarget("photo", (6, 9), ("photo.png",))


@pytest.fixture
def save_volume(tmp_path) -> Callable[..., Candidate]:
    """Writes an ITK image as NIfTI; returns it as a candidate."""

    def save(image: sitk.Image, name: str = "brain.nii.gz") -> Candidate:
        path = tmp_path / name
        sitk.WriteImage(image, str(path))
        return nifti_candidate(path)

    return save


@pytest.fixture
def save_nibabel(tmp_path) -> Callable[..., Candidate]:
    """Writes an array with nibabel; returns it as a candidate."""

    def save(array: np.ndarray, affine: np.ndarray | None, name: str = "brain.nii.gz") -> Candidate:
        path = tmp_path / name
        nib.save(nib.Nifti1Image(array, affine), path)
        return nifti_candidate(path)

    return save


@pytest.fixture
def save_picture(tmp_path) -> Callable[..., Candidate]:
    """Writes a Pillow image or an array; returns it as a candidate."""

    def save(image: Image.Image | np.ndarray, name: str = "photo.png", **options) -> Candidate:
        path = tmp_path / name
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(path, **options)
        return picture_candidate(path)

    return save


@pytest.fixture
def as_picture() -> Callable[[Path], Candidate]:
    """A picture file as a candidate."""
    return picture_candidate


@pytest.fixture
def as_nifti() -> Callable[[Path], Candidate]:
    """A NIfTI file as a candidate."""
    return nifti_candidate


@pytest.fixture
def recognised() -> Callable[[Path], Candidate]:
    """The one mask that the first importer that knows a file's content finds in it."""

    def find(path: Path) -> Candidate:
        head = path.read_bytes()[:HEAD_BYTES]
        importers = load_registry().importers
        importer = next(one for one in importers if one.recognise(path, head))
        (candidate,) = importer.candidates(path)
        return candidate

    return find


@pytest.fixture
def save_segments(tmp_path) -> Callable[..., Path]:
    """Writes an ITK image (scalar or one component per layer) as a 3D Slicer segmentation.

    ``segments`` are (name, layer, label value). The fields are those that 3D Slicer 5 writes.
    """

    def save(
        image: sitk.Image, segments: list[tuple[str, int, int]], name: str = "brain.seg.nrrd"
    ) -> Path:
        fields = {"Segmentation_ReferenceImageExtentOffset": "0 0 0"}
        for number, (title, layer, value) in enumerate(segments):
            fields |= {
                f"Segment{number}_ID": f"Segment_{number + 1}",
                f"Segment{number}_Name": title,
                f"Segment{number}_Layer": str(layer),
                f"Segment{number}_LabelValue": str(value),
                f"Segment{number}_Color": "0.1 0.5 0.9",
            }
        for key, text in fields.items():
            image.SetMetaData(key, text)
        path = tmp_path / name
        sitk.WriteImage(image, str(path), useCompression=True)
        return path

    return save


def nifti_candidate(path: Path) -> Candidate:
    return Candidate(path, path.name, "NIfTI", lambda: read_nifti_mask(path))


def picture_candidate(path: Path) -> Candidate:
    return Candidate(path, path.name, "picture", lambda: read_picture_mask(path))
