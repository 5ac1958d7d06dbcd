"""Decodes label files into voxel values: NIfTI, NRRD, MetaImage, pictures."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskPixels
from coldal_tui.exchange.importers import mitk, raster, seg_nrrd
from coldal_tui.exchange.importers.shared.label_xml import caret_labels
from coldal_tui.exchange.masks.plain_nifti import decode_plain
from coldal_tui.exchange.refusals import unreadable
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.readers import metaimage, nrrd
from coldal_tui.imaging.readers.limits import DEFLATE_RATIO, MAX_VOLUME_BYTES
from coldal_tui.imaging.recognise import HEAD_BYTES, is_metaimage

_MAGIC = {348: (344, (b"n+1\0", b"ni1\0")), 540: (4, (b"n+2\0", b"ni2\0"))}
_HEADER_BYTES = 544
_SLACK = 1 << 24
_UNIT_MM = {1: 1000.0, 3: 1e-3}
"""Millimetres per unit of ``xyzt_units``: metres and micrometres (NIfTI-1 standard)."""


def read_any(path: Path) -> MaskPixels:
    """Decode a label file of a data set in any of the known formats.

    Raises
    ------
    ImageError : an unknown format, or an error of its reader.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    for holds, read in _READERS:
        if holds(head):
            return read(path)
    raise ImageError(
        "its first bytes are of no label format known here",
        where=path.name,
        remedy="Save it as NIfTI, NRRD or PNG.",
        code="unreadable",
    )


def is_nifti(head: bytes) -> bool:
    """Whether a file's first bytes are NIfTI-1 or -2, also inside gzip."""
    return _has_magic(_unpack_head(head))


def is_nrrd(head: bytes) -> bool:
    """Whether a file's first bytes are NRRD."""
    return head.startswith(b"NRRD000")


def read_nifti_mask(path: Path) -> MaskPixels:
    """Decode a NIfTI label map in file order, with ``scl_slope`` and ``scl_inter`` applied.

    Names come from a label table in the header's extensions, as TotalSegmentator writes one.

    Returns
    -------
    ``(i, j)`` or ``(i, j, k)`` values, the RAS affine, and whether the header states a position
    (``qform_code`` or ``sform_code`` above 0).

    Raises
    ------
    ImageError : damaged or truncated, two-file, coloured, complex, or with several channels.
    """
    import nibabel as nib

    data = _read_bytes(path)
    kind: Any = nib.Nifti2Header if _header_size(data) == 540 else nib.Nifti1Header
    try:
        header = kind.from_fileobj(io.BytesIO(data), check=False)
        values = np.asanyarray(header.data_from_fileobj(io.BytesIO(data)))
    except nib.spatialimages.HeaderDataError as error:
        raise unreadable(path, f"its header is damaged ({error})") from error
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, f"its pixel data is incomplete ({error})") from error
    except TypeError as error:  # coloured voxels whose header scales them
        raise unreadable(path, f"its voxels are no plain numbers ({error})") from error
    values = _drop_single_axes(_check_plain(values, path), path)
    affine = _affine_of(header)
    placed = int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0
    held = (one.get_content() for one in header.extensions)
    names = caret_labels(content for content in held if isinstance(content, bytes))
    return MaskPixels(
        values,
        "ijk",
        affine,
        placed and affine is not None,
        names=names,
        notes=("class names from the label table in its header",) if names else (),
    )


def decode_nifti_mask(data: bytes, path: Path) -> MaskPixels:
    """As :func:`read_nifti_mask`, from the file's bytes."""
    plain = decode_plain(data)
    if plain is None:
        return read_nifti_mask(path)
    return MaskPixels(plain.values, "ijk", _in_mm(plain.sform, plain.units))


def read_nrrd_mask(path: Path) -> MaskPixels:
    """Decode a NRRD label map in file order.

    Raises
    ------
    ImageError : damaged, truncated, several channels, or larger than its file can be.
    """
    header = nrrd.read_header(path)
    array = nrrd.read_pixels(ScanRef("nrrd", (str(path),)), header)
    return volume_mask(path, header, array)


def read_metaimage_mask(path: Path) -> MaskPixels:
    """Decode a MetaImage label map in file order.

    Raises
    ------
    ImageError : damaged, truncated, several channels, or larger than its file can be.
    """
    header = metaimage.read_header(path)
    array = metaimage.read_pixels(ScanRef("metaimage", (str(path),)), header)
    return volume_mask(path, header, array)


def volume_mask(path: Path, header: ScanHeader, array: NDArray[Any]) -> MaskPixels:
    """Convert a volume read by ``imaging`` to values in file order, one per voxel.

    ``array`` is (i, j, k) or (i, j, k, channels).

    Raises
    ------
    ImageError : several channels.
    """
    if header.channels > 1:
        raise ImageError(
            f"the mask has {header.channels} channels per voxel",
            where=path.name,
            remedy="Save one label map with one whole number per voxel, not one channel per class.",
            code="several-channels",
        )
    values = array[..., 0]
    # Readers give pictures as (rows, columns); a mask with a header is (i, j) = (column, row).
    values = values.T if values.ndim == 2 else values
    affine = None if header.affine is None else np.asarray(header.affine)
    return MaskPixels(values, "ijk", affine, placed=affine is not None)


def _affine_of(header: Any) -> NDArray[np.float64] | None:
    """RAS affine in mm from sform, qform or nibabel's fallback; None for an invalid qform."""
    try:
        matrix = np.asarray(header.get_best_affine(), dtype=np.float64)
    except ValueError:
        return None
    return _in_mm(matrix, int(header["xyzt_units"]) & 7)


def _in_mm(matrix: NDArray[np.float64], units: int) -> NDArray[np.float64]:
    unit = _UNIT_MM.get(units, 1.0)
    return matrix if unit == 1 else np.asarray(np.diag([unit, unit, unit, 1.0]) @ matrix)


def _check_plain(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.dtype.fields is not None:
        raise ImageError(
            "the mask is stored in colours (RGB), not as label values",
            where=str(path),
            remedy="Export it as a label map: one whole number per voxel.",
            code="colour",
        )
    return values


def _drop_single_axes(values: NDArray[Any], path: Path) -> NDArray[Any]:
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim > 3:
        size = "×".join(str(axis) for axis in values.shape)
        raise ImageError(
            f"the mask has {values.ndim} axes ({size}): several channels or time points",
            where=str(path),
            remedy="Save one label map with one whole number per voxel, not one channel per class.",
            code="several-channels",
        )
    return values


def _read_bytes(path: Path) -> bytes:
    """The decompressed file, read to its end so that gzip's checksum is verified. Never more bytes

    than the header states: a small archive can expand to any size.
    """
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with _open(path, packed) as stream:
            head = stream.read(_HEADER_BYTES)
            size = _promised_size(head, path)
            _check_size(path, size, packed)
            data = head + stream.read(size + _SLACK - len(head))
            if len(data) < size:
                raise unreadable(path, "its pixel data is incomplete")
            if stream.read(1):
                raise unreadable(path, "it holds far more data than its header says")
    except EOFError as error:
        raise unreadable(path, "the compressed data ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise unreadable(path, f"the compressed data is damaged ({error})") from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    return data


def _check_size(path: Path, size: int, packed: bool) -> None:
    """Refuse a header that states more data than its file can hold, before allocating memory."""
    held = path.stat().st_size * (DEFLATE_RATIO if packed else 1)
    if size > held:
        raise unreadable(
            path, f"its header promises {size:,} bytes, and the file can't hold so many"
        )
    if size > MAX_VOLUME_BYTES:
        raise unreadable(path, f"its header promises {size:,} bytes: too large")


def _open(path: Path, packed: bool) -> BinaryIO:
    if not packed:
        return path.open("rb")
    from isal import igzip

    opener: Any = igzip
    stream: BinaryIO = opener.open(path, "rb")
    return stream


def _promised_size(head: bytes, path: Path) -> int:
    """Size in bytes of the header and its pixel data."""
    import nibabel as nib

    if not head:
        raise unreadable(path, "it is empty (0 bytes)")
    if not _has_magic(head):
        raise unreadable(path, "it does not hold NIfTI data")
    if head[:348].find(b"ni1\0", 344) == 344 or head[4:8] == b"ni2\0":
        raise ImageError(
            "it is one half of a two-file NIfTI (.hdr and .img)",
            where=str(path),
            remedy="Save the mask as a single .nii.gz.",
            code="two-files",
        )
    kind: Any = nib.Nifti2Header if _header_size(head) == 540 else nib.Nifti1Header
    try:
        # Without the extensions, which are not in ``head`` as a whole.
        header = kind.from_fileobj(io.BytesIO(head[: _header_size(head)]), check=False)
        items = int(np.prod([max(int(axis), 0) for axis in header.get_data_shape()], dtype=object))
        size = int(header["vox_offset"]) + items * int(header.get_data_dtype().itemsize)
    except (nib.spatialimages.HeaderDataError, ValueError, KeyError) as error:
        raise unreadable(path, f"its header is damaged ({error})") from error
    if size <= 0:
        raise unreadable(path, f"its header promises {size} bytes")
    return size


def _unpack_head(head: bytes) -> bytes:
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEADER_BYTES)
    except zlib.error:
        return b""


def _header_size(head: bytes) -> int:
    sizes = (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    known = [size for size in sizes if size in _MAGIC]
    return int(known[0]) if known else 0


def _has_magic(head: bytes) -> bool:
    if _header_size(head) == 0:
        return False
    start, magics = _MAGIC[_header_size(head)]
    return head[start : start + 4] in magics


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path], MaskPixels]], ...] = (
    (nrrd.is_segmentation, seg_nrrd.read_segmentation),
    (mitk.is_mitk, mitk.read_mitk_segmentation),
    (is_nifti, read_nifti_mask),
    (is_nrrd, read_nrrd_mask),
    (is_metaimage, read_metaimage_mask),
    (raster.is_picture, raster.read_picture_mask),
)
"""For each format: the test on a file's first bytes, and the reader."""
