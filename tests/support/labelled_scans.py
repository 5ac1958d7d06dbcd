"""Real scans with pre-labels for export tests: oblique volumes, pictures, DICOM series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from PIL import Image

from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.labelfile import label_suffix, write_label
from coldal_tui.imaging.reading import read_header
from tests.support import dicom_files

META = ExportMeta("brains", "2026-03-01T09:30:00+01:00", ("organ", "tumour"), 127, "Ada")
SHAPE = (7, 9, 5)


def ring(shape: tuple[int, ...]) -> np.ndarray:
    """Two classes without symmetry: an organ with a hole, a tumour of single pixels."""
    label = np.zeros(shape, np.uint8)
    label[1:6, 2:7] = 1
    label[3:5, 3:5] = 0
    label[0, 8] = label[6, 0] = 2
    if label.ndim == 3:
        label[..., 0] = label[..., 4] = 0
        label[2, 1, 3] = 2
        label[5, 6, 3] = 0
    return label


def with_label(item: ExportItem, folder: Path, label: np.ndarray) -> ExportItem:
    """The item with a pre-label, stored as predictions are."""
    path = folder / f"{item.scan_id}-pre{label_suffix(item.header)}"
    write_label(path, label, item.header.affine)
    return replace(item, prelabel=path, run="run-003")


def item_of(scan_id: str, ref: ScanRef, rank: int = 1) -> ExportItem:
    return ExportItem(scan_id, rank, ref, read_header(ref), "medoid", 0, 2, 0.5, "coldstart")


def oblique() -> sitk.Image:
    """A CT-like volume of 7×9×5, oblique and anisotropic."""
    voxels = np.random.default_rng(3).integers(-1000, 1500, SHAPE[::-1]).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.4, 0.7).GetMatrix())
    image.SetSpacing((0.7, 1.1, 4.0))
    image.SetOrigin((-31.0, 12.5, 80.0))
    return image


def volume(folder: Path, ending: str = ".nii.gz", scan_id: str = "brain") -> ExportItem:
    """The oblique volume in a file of that ending, with a pre-label."""
    path = folder / f"{scan_id}-source{ending}"
    sitk.WriteImage(oblique(), str(path))
    kind = {".nii.gz": "nifti", ".nrrd": "nrrd", ".mha": "metaimage"}[ending]
    return with_label(item_of(scan_id, ScanRef(kind, (str(path),))), folder, ring(SHAPE))


def unplaced(folder: Path) -> ExportItem:
    """A NIfTI volume whose header states no position: programs guess differently."""
    path = folder / "lost-source.nii.gz"
    image = nib.Nifti1Image(sitk.GetArrayFromImage(oblique()).T, None)
    image.header.set_zooms((0.7, 1.1, 4.0))
    nib.save(image, path)
    return with_label(item_of("lost", ScanRef("nifti", (str(path),))), folder, ring(SHAPE))


def picture(folder: Path, mode: str = "L", ending: str = ".png", name: str = "photo") -> ExportItem:
    """A picture of 7 rows and 9 columns, with a pre-label."""
    path = folder / f"{name}-source{ending}"
    grey = np.random.default_rng(4).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(grey if mode != "L" else grey[..., 0])
    image.convert(mode).save(path)
    return with_label(item_of(name, ScanRef("raster", (str(path),))), folder, ring((7, 9)))


def ct_series(folder: Path, scan_id: str = "ct") -> ExportItem:
    """A DICOM series of 9×6×5 with a pre-label; its files run against their positions."""
    dicom_files.write_series(folder / "series")
    (scan,) = index_folder(folder / "series").scans
    label = np.zeros(scan.header.shape, np.uint8)
    label[1:7, 1:5, 1:3] = 1
    label[3:5, 2:4, 1] = 0
    label[8, 0, 4] = label[0, 5, 3] = 2
    return with_label(item_of(scan_id, scan.ref), folder, label)
