"""Reads and writes labels (accepted masks on their scan's grid) as PNG or NIfTI."""

from __future__ import annotations

import gzip
import io
import struct
import threading
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coldal_tui.errors import ImageError
from coldal_tui.files import atomic_write
from coldal_tui.imaging.image import label_suffix as label_suffix

BACKGROUND = 0
IGNORE_LABEL = 255
"""Value of pixels that could not be labelled: excluded from loss, metrics and entropy."""
MAX_CLASSES = IGNORE_LABEL - 1

_FLAT = b"label 2-D"
_SOLID = b"label 3-D"
_LABEL_INTENT = 1002
_SCANNER_SPACE = 1
_NIFTI1_LARGEST_AXIS = 32767
_HEADER_BYTES = 348
_NO_EXTENSION = bytes(4)
"""After the header: no extension follows (NIfTI-1 standard, "extender")."""

_FAR_MM = 1e30
_QOFFSET, _SROW = 268, 280
"""Places in a NIfTI-1 header: ``qoffset_x`` and ``srow_x``."""

_PNG_FILTER_UP = 2
_PACKING = 1
"""ISA-L's level: labels get about as small as with zlib's default, in a tenth of the time."""
_GZIP = 31
_SMALL = 1 << 22
_scratch = threading.local()


def write_label(path: Path, array: NDArray[np.uint8], affine: ArrayLike | None) -> None:
    """Write a label atomically; parameters and errors as :func:`encode_label`.

    The label is (rows, columns) or (i, j, k) uint8.
    """
    data = encode_label(path, array, affine)
    atomic_write(path, lambda stream: stream.write(data))


def encode_label(path: Path, array: NDArray[np.uint8], affine: ArrayLike | None) -> bytes:
    """Encode a label file; the same label always gives the same bytes.

    Parameters
    ----------
    path : ends in ``.png`` (2-D without affine) or ``.nii.gz``.
    array : ``(rows, columns)`` or ``(i, j, k)`` uint8; 0 background, 1..C classes, 255 ignore.
    affine : (4, 4) voxel to RAS mm, or None. A 2-D label with an affine is stored as NIfTI
        ``(columns, rows, 1)``, the file order in which its affine is written.

    Raises
    ------
    ImageError : wrong dtype, dimensions or file ending.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise ImageError(
            f"a label is 2-D or 3-D uint8, not {array.ndim}-D {array.dtype}",
            where=str(path),
            code="not-a-label",
        )
    if path.name.endswith(".png") and array.ndim == 2 and affine is None:
        return _png_bytes(array)
    if path.name.endswith(".nii.gz"):
        return _nifti_bytes(array, affine)
    raise ImageError(
        "a 2-D label without world coordinates goes to .png, any other to .nii.gz",
        where=str(path),
        code="not-a-label",
    )


def read_label(path: Path) -> NDArray[np.uint8]:
    """Read what :func:`write_label` wrote, on the scan's grid.

    Returns
    -------
    ``(rows, columns)`` or ``(i, j, k)`` uint8.

    Raises
    ------
    ImageError : the file is missing, damaged, or not a label file.
    """
    try:
        return _read_png(path) if path.name.endswith(".png") else _read_nifti(path)
    except FileNotFoundError as error:
        raise ImageError("the label file is missing", where=str(path), code="missing") from error
    except (OSError, EOFError, ValueError, SyntaxError, zlib.error) as error:
        raise ImageError(
            f"the label can't be read: {error}",
            where=str(path),
            remedy="Import the mask again.",
            code="unreadable",
        ) from error


def _png_bytes(array: NDArray[np.uint8]) -> bytes:
    """Encode an 8-bit grey PNG (ISO 15948), each row as its difference from the row above.

    Labels are uniform areas, so this compresses well at the fastest level, many times faster than a
    general writer that tries every filter.
    """
    from isal import isal_zlib

    rows, columns = array.shape
    lines = getattr(_scratch, "lines", None)
    if lines is None or lines.shape != (rows, columns + 1):
        # Labels mostly have one size, and new memory would take as long as compressing them.
        lines = np.empty((rows, columns + 1), dtype=np.uint8)
        _scratch.lines = lines if lines.size <= _SMALL else None
    lines[:, 0] = _PNG_FILTER_UP
    lines[:1, 1:] = array[:1]
    np.subtract(array[1:], array[:-1], out=lines[1:, 1:])
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = isal_zlib.compress(lines, _PACKING, wbits=15)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _nifti_bytes(array: NDArray[np.uint8], affine: ArrayLike | None) -> bytes:
    """Encode a gzip-compressed NIfTI: nibabel's header, then the voxels in Fortran order.

    nibabel's own writer works slice by slice and sets the position three times, which takes longer
    than all else for a small label.
    """
    from isal import isal_zlib

    flat = array.ndim == 2
    voxels = array.T[:, :, np.newaxis] if flat else array
    matrix = None if affine is None else np.asarray(affine, dtype=float)
    header = _nifti_header(voxels.shape, matrix, _FLAT if flat else _SOLID)
    start = len(header) + len(_NO_EXTENSION)
    whole = np.empty(start + voxels.size, dtype=np.uint8)
    whole[:start] = np.frombuffer(header + _NO_EXTENSION, dtype=np.uint8)
    whole[start:].reshape(voxels.shape, order="F")[...] = voxels
    # The gzip header holds no time and no file name: equal labels are equal files.
    packed: bytes = isal_zlib.compress(whole, _PACKING, wbits=_GZIP)
    return packed


def _nifti_header(
    shape: tuple[int, ...], matrix: NDArray[np.float64] | None, intent: bytes
) -> bytes:
    if matrix is None:
        return _header_of_axes(shape, None, intent)
    header = _header_of_axes(shape, matrix[:3, :3].tobytes(), intent)
    offset = matrix[:3, 3]
    if len(header) != _HEADER_BYTES or not (np.abs(offset) < _FAR_MM).all():
        return _whole_header(shape, matrix, intent)
    made = bytearray(header)
    struct.pack_into("<3f", made, _QOFFSET, *offset)
    for row in range(3):
        struct.pack_into("<f", made, _SROW + 16 * row + 12, offset[row])
    return bytes(made)


@lru_cache(maxsize=64)
def _header_of_axes(shape: tuple[int, ...], axes: bytes | None, intent: bytes) -> bytes:
    """The header of a grid at the origin: scans of one protocol differ in their position alone."""
    if axes is None:
        return _whole_header(shape, None, intent)
    matrix = np.eye(4)
    matrix[:3, :3] = np.frombuffer(axes).reshape(3, 3)
    return _whole_header(shape, matrix, intent)


def _whole_header(
    shape: tuple[int, ...], matrix: NDArray[np.float64] | None, intent: bytes
) -> bytes:
    import nibabel as nib

    kind: Any = (
        nib.nifti1.Nifti1Header if max(shape) <= _NIFTI1_LARGEST_AXIS else nib.nifti2.Nifti2Header
    )
    header = kind()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(shape)
    header.set_intent("label", name=intent.decode())
    header.set_slope_inter(1, 0)
    header.set_data_offset(header.sizeof_hdr + len(_NO_EXTENSION))
    if matrix is not None:
        header.set_zooms(np.sqrt((matrix[:3, :3] ** 2).sum(axis=0)))
        header.set_xyzt_units("mm")
        header.set_sform(matrix, code=_SCANNER_SPACE)
        # A sheared grid has no quaternion; readers then use the sform alone.
        header.set_qform(matrix, code=_SCANNER_SPACE if _is_rigid(matrix) else 0)
    return bytes(header.binaryblock)


def _is_rigid(matrix: NDArray[np.float64]) -> bool:
    columns = matrix[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not np.all(lengths > 0):
        return False
    unit = columns / lengths
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() <= 2e-5)


def _read_png(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as image:
        if image.mode != "L":
            raise ValueError(f"an 8-bit grey PNG was expected, not mode {image.mode}")
        return np.array(image, dtype=np.uint8)


def _read_nifti(path: Path) -> NDArray[np.uint8]:
    import nibabel as nib

    with gzip.open(path) as packed:
        data = packed.read()
    if len(data) < _HEADER_BYTES:
        raise ValueError("it ends inside its header")
    try:
        # The size of a NIfTI-1 or -2 header opens the file; labels are written little-endian.
        kind: Any = nib.Nifti2Image if data[:4] == b"\x1c\x02\x00\x00" else nib.Nifti1Image
        image = kind.from_stream(io.BytesIO(data))
        voxels = np.asarray(image.dataobj)
    except nib.filebasedimages.ImageFileError as error:
        raise ValueError(str(error)) from error
    if voxels.dtype != np.uint8 or voxels.ndim != 3:
        raise ValueError(f"a 3-D uint8 NIfTI was expected, not {voxels.ndim}-D {voxels.dtype}")
    if bytes(image.header["intent_name"].item()) == _FLAT:
        voxels = voxels[:, :, 0].T
    return cast("NDArray[np.uint8]", np.ascontiguousarray(voxels))
