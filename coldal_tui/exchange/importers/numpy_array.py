"""Label arrays saved by NumPy (.npy): numbers on the scan's own grid, without a position."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.imaging.readers.limits import MAX_PIXELS, MAX_VOLUME_BYTES

NPY = b"\x93NUMPY"
_PICTURE, _VOLUME = 2, 3


class NumpyImporter:
    """Reads ``.npy`` by content: ``(rows, columns)``, or a volume in one of two orders."""

    name = "numpy"
    priority = 0
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise an array by its magic number."""
        return "NumPy" if head.startswith(NPY) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """No other files belong to an array."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name; images and features are saved in the same way."""
        yield Candidate(
            path,
            path.as_posix(),
            "NumPy",
            lambda: _alone(path),
            load_onto=lambda target: _onto(path, target),
            weak="an array need not be a mask",
        )


IMPORTER = NumpyImporter()


def _alone(path: Path) -> MaskPixels:
    array = _numbers(path)
    return MaskPixels(array, "rows" if array.ndim == _PICTURE else "ijk", placed=False)


def _onto(path: Path, target: ScanTarget) -> MaskPixels:
    """The mask in the order of the scan's axes.

    A volume of the scan's shape is (i, j, k), as nibabel gives it; one of the reverse shape is
    (k, j, i): slices, rows, columns, as SimpleITK gives it.

    Raises
    ------
    ImageError : as :func:`read_array`; ``axis-order``, both shapes are the same.
    """
    array = _numbers(path)
    if array.ndim == _VOLUME and len(target.shape) == _PICTURE and 1 in (array.shape[::2]):
        array = array[..., 0] if array.shape[-1] == 1 else array[0]
    if array.ndim == _PICTURE:
        return MaskPixels(array, "rows")
    as_it_is = array.shape == tuple(target.shape)
    turned = array.shape[::-1] == tuple(target.shape)
    if as_it_is and turned:
        raise ImageError(
            "whether its first axis is the scan's first or its slices can't be told: "
            f"the scan has {'×'.join(map(str, target.shape))} voxels",
            where=str(path),
            remedy="Save the mask as NIfTI, with the scan's header.",
            code="axis-order",
        )
    if turned:
        note = "an array of slices, rows, columns: put in the order of the scan's axes"
        return MaskPixels(array.transpose(2, 1, 0), "ijk", placed=False, notes=(note,))
    note = "an array in the order of the scan's axes"
    return MaskPixels(array, "ijk", placed=False, notes=(note,) if as_it_is else ())


def _numbers(path: Path) -> NDArray[np.generic]:
    array = read_array(path, (_PICTURE, _VOLUME))
    kind = np.dtype(np.uint8) if array.dtype == np.bool_ else array.dtype.newbyteorder("=")
    return array.astype(kind, copy=False)


def read_array(file: Path, dimensions: Collection[int] = (_PICTURE,)) -> NDArray[np.generic]:
    """Read a NumPy array of numbers; the header is checked first, no object is unpickled.

    Returns an array of as many axes as ``dimensions`` allows, such as (rows, columns).

    Raises
    ------
    ImageError : ``damaged``, ``too-large``, ``wrong-dimensions``, ``pickle``.
    """
    try:
        data = file.read_bytes() if file.stat().st_size <= MAX_VOLUME_BYTES else b""
        stream = io.BytesIO(data)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        version = npy.read_magic(stream)
        if version not in read:
            raise ValueError(f"version {version} of the format is not known")
        shape, _, dtype = read[version](stream, max_header_size=10_000)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise ImageError(
            f"the array can't be read: {' '.join(str(error).split())}",
            where=str(file),
            remedy="Export it again.",
            code="damaged",
        ) from error
    if dtype.hasobject:
        raise ImageError(
            "it holds Python objects, which can run programs when they are read",
            where=str(file),
            remedy="Save the mask as an array of numbers.",
            code="pickle",
        )
    if len(shape) not in dimensions or dtype.kind not in "biuf":
        what = "a picture" if _VOLUME not in dimensions else "a picture or volume"
        raise ImageError(
            f"an array of shape {shape} and type {dtype} is no mask of {what}",
            where=str(file),
            remedy="Export it again.",
            code="wrong-dimensions",
        )
    too_many = len(shape) == _PICTURE and prod(shape) > MAX_PIXELS
    if too_many or prod(shape) * dtype.itemsize > len(data) - stream.tell():
        raise ImageError(
            f"its header promises {'×'.join(map(str, reversed(shape)))} numbers, "
            "more than there are",
            where=str(file),
            remedy="Export it again.",
            code="too-large",
        )
    stream.seek(0)
    return np.asarray(npy.read_array(stream, allow_pickle=False))
