"""Writes scans' images to an export: byte for byte, as NIfTI, or de-identified."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.header_parts import companion_files
from coldal_tui.exchange.names import image_ending
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import STORED_DTYPE, ScanHeader, ScanImage
from coldal_tui.imaging.labelfile import label_suffix, read_label, write_label
from coldal_tui.imaging.reading import read_to_hand_out

_NIFTI_TYPES = {"bool": np.uint8, "float16": np.float32}
_LARGEST_NIFTI1_AXIS = 32767
_LABEL_ENDINGS = (".nii.gz", ".png")


@dataclass(frozen=True)
class PlacedImage:
    """Path of an exported image, SHA-256 of the scan's own file, and of this file if different."""

    path: str
    sha256: str
    image_sha256: str | None = None


def source_files(item: ExportItem) -> tuple[Path, ...]:
    """All files that a scan's image is read from. Raises ColdalError."""
    files = tuple(Path(file) for file in item.ref.files)
    return files if len(files) > 1 else files + companion_files(files[0])


def source_sha256(item: ExportItem) -> str:
    """SHA-256 that identifies a scan's image: of its one file, or of all files of a series."""
    digests = [_hashed(Path(file)) for file in item.ref.files]
    return digests[0] if len(digests) == 1 else series_sha256(digests)


def series_sha256(digests: Sequence[str]) -> str:
    """One hash for a scan of several files: SHA-256 of their hashes, one per line."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def place_as_it_is(stage: Stage, item: ExportItem, meta: ExportMeta) -> PlacedImage:
    """Copy the scan's files to ``images/`` byte for byte; cleaned if de-identified.

    ``images/<scan_id>.<ending>``; a DICOM series becomes ``images/<scan_id>/0001.dcm``, … in the
    series' order; an image with a detached header keeps its file names in ``images/<scan_id>/``.
    """
    if meta.deidentifier is not None:
        return _place_cleaned(stage, item, meta)
    files = source_files(item)
    base = f"images/{item.scan_id}"
    if len(files) == 1:
        relative = base + image_ending(files[0].name, item.ref.kind)
        return PlacedImage(relative, stage.copy(files[0], relative))
    if item.ref.kind == "dicom":
        digests = [
            stage.copy(file, f"{base}/{number:04d}.dcm")
            for number, file in enumerate(files, start=1)
        ]
        return PlacedImage(base, series_sha256(digests))
    digests = [stage.copy(file, f"{base}/{file.name}") for file in files]
    return PlacedImage(f"{base}/{files[0].name}", digests[0])


def _place_cleaned(stage: Stage, item: ExportItem, meta: ExportMeta) -> PlacedImage:
    if item.ref.kind == "dicom":
        return place_dicom(stage, item, meta)
    if item.ref.kind == "raster":
        return place_picture(stage, item)
    return place_nifti(stage, item, meta, f"images/{item.scan_id}.nii.gz")


def place_dicom(stage: Stage, item: ExportItem, meta: ExportMeta) -> PlacedImage:
    """Write a DICOM scan, cleaned by the export's de-identifier if there is one."""
    if meta.deidentifier is None:
        return place_as_it_is(stage, item, meta)
    cleaner = meta.deidentifier
    files = [Path(file) for file in item.ref.files]
    names = [f"images/{item.scan_id}.dcm"]
    if len(files) > 1:
        names = [f"images/{item.scan_id}/{n:04d}.dcm" for n in range(1, len(files) + 1)]
    digests = []
    for file, name in zip(files, names, strict=True):
        digests.append(stage.write_bytes(name, cleaner.clean_dicom(file, item.scan_id)))
    path = names[0] if len(files) == 1 else f"images/{item.scan_id}"
    joint = digests[0] if len(digests) == 1 else series_sha256(digests)
    return PlacedImage(path, source_sha256(item), joint)


def place_nifti(stage: Stage, item: ExportItem, meta: ExportMeta, relative: str) -> PlacedImage:
    """Write the scan as NIfTI to ``relative`` (``.nii.gz``): a copy of its file if possible.

    A file that states no usable position, or not in mm, is rewritten: programs interpret such a
    header differently.
    """
    source = Path(item.ref.files[0])
    one = item.ref.kind == "nifti" and len(item.ref.files) == 1
    plain = source.name.endswith(".nii.gz") and one
    if plain and meta.deidentifier is None and is_placed(item.header):
        return PlacedImage(relative, stage.copy(source, relative))
    image = read_to_hand_out(item.ref)
    digest = stage.write(relative, lambda path: write_nifti(path, image))
    return PlacedImage(relative, source_sha256(item), digest)


def place_picture(
    stage: Stage,
    item: ExportItem,
    *,
    stem: str | None = None,
    eight_bit: bool = False,
    channels: int = 1,
) -> PlacedImage:
    """Write a picture as displayed, as PNG without text; as TIFF if PNG can't hold it.

    ``eight_bit`` is not lossless: 16-bit pictures are reduced with their usual window. A grey
    picture is repeated to ``channels`` equal channels.
    """
    image = read_to_hand_out(item.ref)
    base = stem or f"images/{item.scan_id}"
    if eight_bit:
        from coldal_tui.imaging.picture import picture, png_bytes

        return _stored(stage, item, f"{base}.png", png_bytes(picture(image)))
    if fits_png(image.header):
        grey = image.array.shape[-1] == 1
        pixels = np.repeat(image.array, channels, axis=-1) if grey else image.array
        return _stored(stage, item, f"{base}.png", png_of(pixels))
    digest = stage.write(f"{base}.tif", lambda path: _write_tiff(path, image))
    return PlacedImage(f"{base}.tif", source_sha256(item), digest)


def _stored(stage: Stage, item: ExportItem, relative: str, data: bytes) -> PlacedImage:
    return PlacedImage(relative, source_sha256(item), stage.write_bytes(relative, data))


def is_placed(header: ScanHeader) -> bool:
    """Whether all programs read the same position from the file."""
    return header.affine is not None and not {"geometry", "unit"} & header.meta.keys()


def fits_png(header: ScanHeader) -> bool:
    """Whether a PNG holds the pixels without loss."""
    whole = header.meta.get(STORED_DTYPE, header.dtype) in ("uint8", "uint16")
    return len(header.shape) == 2 and whole and header.channels in (1, 3)


def png_of(array: NDArray[Any]) -> bytes:
    """Encode ``(rows, columns, 1 or 3)`` uint8 or uint16 as PNG bytes."""
    import imagecodecs

    pixels = array[..., 0] if array.shape[-1] == 1 else array
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=4))


def _write_tiff(path: Path, image: ScanImage) -> None:
    """Write pixels only: no description, software, date or ImageJ block."""
    import tifffile

    array = image.array
    if len(image.header.shape) == 3:
        array = array.transpose(2, 1, 0, 3)
    grey = array.shape[-1] != 3
    single = array.shape[-1] == 1
    planes = array[..., 0] if single else array
    tifffile.imwrite(
        path,
        np.ascontiguousarray(planes),
        photometric="minisblack" if grey else "rgb",
        planarconfig=None if single else "contig",
        metadata=None,
        software=False,
        compression="deflate",
    )


def write_nifti(path: Path, image: ScanImage, channel: int | None = None) -> None:
    """Write a scan as NIfTI with only its grid in the header.

    ``(i, j, k)`` is kept, ``(rows, columns)`` becomes ``(column, row, 1)``; 8-bit colour becomes
    RGB voxels, other channels a fifth axis, or only ``channel`` is written. Equal scans give equal
    files.

    Source: NIfTI-1.1 header, nifti1.h.
    """
    import nibabel as nib

    voxels = _voxels(image, channel)
    fits = max(voxels.shape) <= _LARGEST_NIFTI1_AXIS
    kind: Any = nib.Nifti1Image if fits else nib.Nifti2Image
    affine = placed_affine(image.header)
    made: Any = kind(voxels, affine)
    made.header.set_xyzt_units("mm")
    made.set_sform(affine, code=1)
    made.set_qform(affine, code=1 if _rigid(affine) else 0)
    # A fixed time and no file name inside, so that equal data give equal bytes.
    path.write_bytes(gzip.compress(made.to_bytes(), compresslevel=4, mtime=0))


def _voxels(image: ScanImage, channel: int | None) -> NDArray[Any]:
    array = image.array
    kind = _NIFTI_TYPES.get(array.dtype.name)
    array = array if kind is None else array.astype(kind)
    if len(image.header.shape) == 2:
        array = array.swapaxes(0, 1)[:, :, np.newaxis]
    if channel is not None:
        return array[..., channel]
    if array.shape[-1] == 1:
        return array[..., 0]
    if array.shape[-1] == 3 and array.dtype == np.uint8:
        colours = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
        return np.ascontiguousarray(array).view(colours)[..., 0]
    return array[:, :, :, np.newaxis, :]


def placed_affine(header: ScanHeader) -> NDArray[np.float64]:
    """The scan's affine; without one, ITK's identity directions with the scan's spacing.

    Returns (4, 4) float64, voxel indices to mm.
    """
    if header.affine is not None:
        return np.asarray(header.affine, dtype=np.float64)
    steps = header.spacing or (1.0,) * len(header.shape)
    steps = (steps[1], steps[0], 1.0) if len(header.shape) == 2 else steps
    return np.diag([-steps[0], -steps[1], steps[2], 1.0])


def _rigid(affine: NDArray[np.float64]) -> bool:
    """Whether a quaternion can represent the directions; it can't for a sheared grid."""
    columns = affine[:3, :3]
    unit = columns / np.linalg.norm(columns, axis=0)
    return bool(np.allclose(unit.T @ unit, np.eye(3), atol=1e-5))


def prelabel_of(item: ExportItem) -> NDArray[np.uint8] | None:
    """The pre-label on the scan's grid, or None.

    Returns (rows, columns) or (i, j, k) uint8.

    Raises
    ------
    ColdalError : it can't be read, or its size differs from the scan's.
    """
    if item.prelabel is None:
        return None
    label = read_label(item.prelabel)
    if label.shape != item.header.shape:
        raise ColdalError(
            f"the pre-label has {label.shape}, the scan {item.header.shape}",
            where=str(item.prelabel),
            remedy="Predict the scan again: coldal-tui next, or export with --no-prelabels.",
            code="grid",
        )
    return label


def copy_prelabel(stage: Stage, item: ExportItem, folder: str) -> tuple[str, str] | None:
    """Copy the pre-label's file under the scan's id; returns its path and SHA-256."""
    if item.prelabel is None:
        return None
    ending = next((e for e in _LABEL_ENDINGS if item.prelabel.name.endswith(e)), "")
    relative = f"{folder}/{item.scan_id}{ending or label_suffix(item.header)}"
    return relative, stage.copy(item.prelabel, relative)


def nifti_prelabel(
    stage: Stage, item: ExportItem, folder: str, name: str | None = None
) -> tuple[str, str] | None:
    """Write the pre-label as NIfTI on the grid of :func:`place_nifti`; returns path and SHA-256.

    Its file is called ``name``, by default ``<scan_id>.nii.gz``.
    """
    if item.prelabel is None:
        return None
    relative = f"{folder}/{name or f'{item.scan_id}.nii.gz'}"
    if item.header.affine is not None and item.prelabel.name.endswith(".nii.gz"):
        return relative, stage.copy(item.prelabel, relative)
    label = prelabel_of(item)
    assert label is not None  # there is a file
    affine = placed_affine(item.header)
    return relative, stage.write(relative, lambda path: write_label(path, label, affine))


def _hashed(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise ColdalError(
            f"the image can't be read: {error.strerror}",
            where=str(path),
            remedy="Bring the file back, or skip the scan: queue skip SCAN.",
            code="missing",
        ) from error
