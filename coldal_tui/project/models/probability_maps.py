"""Reads probability maps of other models onto the grid of their scan.

Three kinds of files:

* ``.npz`` as nnU-Net writes it (``--save_probabilities``): the array ``probabilities`` of
  ``(C, z, y, x)``, for pictures ``(C, 1, rows, columns)``. Its ``.pkl`` is never opened: a pickle
  is a program. Where nnU-Net's own segmentation lies beside it, the two must agree.
* ``.npy``: the same array alone, also ``(C, rows, columns)``.
* NIfTI ``(i, j, k, C)``: its position is compared with the scan's.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.masks.grid_canvas import grid_shape
from coldal_tui.exchange.names import file_stem
from coldal_tui.imaging import geometry

KEY = "probabilities"
ENDINGS = (".npz", ".npy", ".nii.gz", ".nii")
_OFF = 0.02
"""By how much the probabilities of a pixel may miss 1: half precision rounds each of them."""
_AGREE = 0.99
"""nnU-Net's segmentation may differ where two classes are equally likely."""


def is_map(path: Path) -> bool:
    """Whether a file may be a probability map: a NIfTI file of three axes is a mask."""
    if path.name.endswith((".npz", ".npy")):
        return True
    if not path.name.endswith((".nii.gz", ".nii")):
        return False
    import nibabel as nib

    try:
        header: Any = nib.load(path)
        return len(header.shape) >= 4
    except Exception:
        # Told as a damaged file when it is read.
        return True


def read_probabilities(path: Path, target: ScanTarget, channels: int) -> NDArray[np.float32]:
    """The probabilities of each class, ``(C, *grid)`` float32, summing to 1 in each pixel.

    ``grid`` is the scan's own: ``(rows, columns)`` or ``(i, j, k)``. ``channels`` is C, with the
    background.

    Raises
    ------
    ImageError : the file is damaged, no probability map, of other classes, or of another grid.
    """
    try:
        if path.name.endswith((".nii.gz", ".nii")):
            found = _from_nifti(path, target, channels)
        else:
            found = _from_array(_array(path, target, channels), target)
            _check_beside(path, target, found)
    except ImageError:
        raise
    except Exception as error:  # whatever a decoder makes of a damaged file
        raise ImageError(
            f"it can't be read: {type(error).__name__}: {error}",
            where=str(path),
            remedy="Write it again.",
            code="unreadable",
        ) from error
    return _normalised(found, path)


def _array(path: Path, target: ScanTarget, channels: int) -> NDArray[Any]:
    """The array of an .npz or .npy file, after its header was found to fit the scan."""
    if path.name.endswith(".npy"):
        with path.open("rb") as stream:
            _check_header(stream, path, target, channels)
        loaded: NDArray[Any] = np.load(path, allow_pickle=False)
        return loaded
    with zipfile.ZipFile(path) as archive:
        member = f"{KEY}.npy"
        if member not in archive.namelist():
            raise ImageError(
                f"it has no array {KEY!r}",
                where=str(path),
                remedy="Predict with nnUNetv2_predict --save_probabilities.",
                code="no-probabilities",
            )
        with archive.open(member) as packed:
            _check_header(packed, path, target, channels)
    with np.load(path, allow_pickle=False) as content:
        found: NDArray[Any] = content[KEY]
    return found


def _check_header(stream: IO[bytes], path: Path, target: ScanTarget, channels: int) -> None:
    """Check type and shape before anything is unpacked: a small file may promise terabytes."""
    version = np.lib.format.read_magic(stream)
    read: Any = np.lib.format
    header = read.read_array_header_1_0 if version == (1, 0) else read.read_array_header_2_0
    shape, _, kind = header(stream)
    if kind.kind not in "fiu":
        raise ImageError(f"its numbers are {kind}, no probabilities", where=str(path), code="type")
    _check_shape(tuple(shape), _allowed(target, channels), path, channels)


def _allowed(target: ScanTarget, channels: int) -> tuple[tuple[int, ...], ...]:
    """The shapes that an array of a scan may have."""
    if len(target.shape) == 2:
        return ((channels, 1, *target.shape), (channels, *target.shape))
    return ((channels, *reversed(target.shape)),)


def _check_shape(
    shape: tuple[int, ...], allowed: Sequence[tuple[int, ...]], path: Path, channels: int
) -> None:
    if shape in allowed:
        return
    same_grid = shape[1:] in [one[1:] for one in allowed]
    if same_grid:
        raise ImageError(
            f"it has {shape[0]} classes with the background, the project {channels}",
            where=str(path),
            remedy="The model must have the project's classes.",
            code="classes",
        )
    raise ImageError(
        f"its shape is {shape}, the scan's {' or '.join(map(str, allowed))}",
        where=str(path),
        remedy="Predict on the scan's own grid.",
        code="grid",
    )


def _from_array(array: NDArray[Any], target: ScanTarget) -> NDArray[np.float32]:
    if len(target.shape) == 2:
        return array.reshape(len(array), *target.shape).astype(np.float32)
    return np.ascontiguousarray(array.transpose(0, 3, 2, 1), dtype=np.float32)


def _check_beside(path: Path, target: ScanTarget, found: NDArray[np.float32]) -> None:
    """Compare with the segmentation that nnU-Net writes beside its probabilities."""
    beside = path.with_name(f"{file_stem(path.name)}.nii.gz")
    if not beside.is_file() or len(target.shape) != 3:
        return
    import nibabel as nib

    image: Any = nib.load(beside)
    if tuple(image.shape) != tuple(target.shape):
        raise ImageError(
            f"the segmentation beside it has {tuple(image.shape)}, the scan {target.shape}",
            where=str(beside),
            remedy="Predict on the scan's own grid.",
            code="grid",
        )
    same = np.mean(np.asarray(image.dataobj) == found.argmax(axis=0))
    if same < _AGREE:
        raise ImageError(
            f"only {same:.0%} of its pixels agree with the segmentation beside it",
            where=str(path),
            remedy="Its axes or classes are not as nnU-Net writes them, or one of the two is of "
            "another scan.",
            code="axes",
        )


def _from_nifti(path: Path, target: ScanTarget, channels: int) -> NDArray[np.float32]:
    import nibabel as nib

    image: Any = nib.load(path)
    shape = tuple(int(size) for size in image.shape)
    if len(shape) != 4:
        raise ImageError(
            f"it has {len(shape)} axes; a probability map has (i, j, k, classes)",
            where=str(path),
            code="grid",
        )
    grid = grid_shape(target)
    if shape[3] != channels and sorted(shape[:3]) == sorted(grid):
        _check_shape((shape[3], *grid), ((channels, *grid),), path, channels)
    if prod(shape) != channels * prod(grid):
        _check_shape(shape, ((*grid, channels),), path, channels)
    values = np.moveaxis(np.asarray(image.dataobj, dtype=np.float32), 3, 0)
    if target.affine is not None:
        match = geometry.compare(grid, target.affine, _three(shape), image.affine)
        if match.kind not in ("match", "drift", "flip"):
            raise ImageError(
                f"it does not lie on the scan: {match.reason or match.kind}",
                where=str(path),
                remedy="Predict on the scan's own grid.",
                code="geometry",
            )
        values = np.stack([geometry.reorient(one, match) for one in values])
    if values.shape[1:] != grid:
        _check_shape(shape, ((*grid, channels),), path, channels)
    if len(target.shape) == 2:
        values = values[..., 0].swapaxes(1, 2)
    return np.ascontiguousarray(values, dtype=np.float32)


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    a, b, c = shape[:3]
    return a, b, c


def _normalised(found: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    total = found.sum(axis=0)
    usable = bool(np.isfinite(found).all()) and float(found.min()) >= -_OFF
    if not usable or float(np.abs(total - 1).max()) > _OFF:
        raise ImageError(
            "its values are no probabilities: those of a pixel must add up to 1",
            where=str(path),
            remedy="Save the softmax of the network, with the background as the first class.",
            code="no-probabilities",
        )
    np.clip(found, 0.0, 1.0, out=found)
    found /= found.sum(axis=0)
    return found
