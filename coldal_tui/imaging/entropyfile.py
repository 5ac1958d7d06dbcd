"""Reads and writes entropy maps (a run's uncertainty per pixel) as PNG or NIfTI."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coldal_tui.errors import ImageError
from coldal_tui.files import atomic_write

STEP = 5
"""Entropy is stored in steps of 5/255 (0.02): finer steps need space and show no more."""


def entropy_suffix(dimensions: int) -> str:
    """``.png`` for a 2-D scan, ``.nii.gz`` for a volume."""
    return ".png" if dimensions == 2 else ".nii.gz"


def write_entropy(path: Path, entropy: NDArray[np.uint8], affine: ArrayLike | None) -> None:
    """Write an entropy map, atomically; the same map always gives the same bytes.

    Parameters
    ----------
    path : its ending is that of ``entropy_suffix``.
    entropy : ``(rows, columns)`` or ``(i, j, k)`` uint8 on the scan's own grid, 0 to 255 for
        0 to 1.
    affine : (4, 4) voxel to RAS mm of a volume, or None.
    """
    # 255 is a multiple of the step; half a step more than 253 would not fit into 8 bits.
    steps = np.minimum(entropy, 253) + np.uint8(STEP // 2)
    steps -= steps % np.uint8(STEP)
    if steps.ndim == 2:
        atomic_write(path, lambda stream: _write_png(stream, steps))
    else:
        atomic_write(path, lambda stream: _write_nifti(stream, steps, affine))


def read_entropy(path: Path) -> NDArray[np.uint8]:
    """Read what ``write_entropy`` wrote: uint8, 0 to 255 for 0 to 1, on the scan's grid.

    Returns (rows, columns) or (i, j, k).

    Raises ImageError when the file is missing or damaged.
    """
    try:
        return _read_png(path) if path.name.endswith(".png") else _read_nifti(path)
    except FileNotFoundError as error:
        raise ImageError("the entropy map is missing", where=str(path), code="missing") from error
    except (OSError, EOFError, ValueError, SyntaxError, zlib.error) as error:
        raise ImageError(
            f"the entropy map can't be read: {error}",
            where=str(path),
            remedy="predict the scan again: coldal-tui score",
            code="unreadable",
        ) from error


def _write_png(stream: BinaryIO, array: NDArray[np.uint8]) -> None:
    from PIL import Image

    Image.fromarray(np.ascontiguousarray(array)).save(stream, format="PNG")


def _write_nifti(stream: BinaryIO, array: NDArray[np.uint8], affine: ArrayLike | None) -> None:
    import nibabel as nib

    kind: Any = nib.Nifti1Image
    image = kind(array, None if affine is None else np.asarray(affine, float))
    image.header["descrip"] = b"entropy 0 to 1 as 0 to 255"
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=6) as packed:
        packed.write(image.to_bytes())


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
    try:
        image: Any = nib.Nifti1Image.from_stream(io.BytesIO(data))
        voxels = np.asarray(image.dataobj)
    except nib.filebasedimages.ImageFileError as error:
        raise ValueError(str(error)) from error
    if voxels.dtype != np.uint8 or voxels.ndim != 3:
        raise ValueError(f"a 3-D uint8 NIfTI was expected, not {voxels.ndim}-D {voxels.dtype}")
    return np.ascontiguousarray(voxels)
