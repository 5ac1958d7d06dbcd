"""Reads NRRD images: .nrrd, and .nhdr with a separate data file; pynrrd parses the header."""

from __future__ import annotations

import bz2
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.affines import lps_affine, plausible_spacing, spacing_of
from coldal_tui.imaging.image import Affine, ScanHeader, ScanRef
from coldal_tui.imaging.readers.limits import (
    check_bytes,
    decoding,
    detached_data,
    inflate,
    truncated,
)

MAX_CHANNELS = 16
_SPATIAL_KINDS = ("domain", "space", "")
_TO_LPS = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}
_GZIP, _BZIP2, _TEXT = ("gzip", "gz"), ("bzip2", "bz2"), ("ascii", "text", "txt")
_MOST_HEADER_BYTES = 1 << 24
_SEGMENT = re.compile(rb"^Segment(?:\d+|ation)_\w+:=", re.MULTILINE)


@dataclass(frozen=True)
class NrrdLayers:
    """The layers of a 3D Slicer segmentation, not split into segments.

    ``values`` are ``(layers, i, j, k)`` as stored, ``affine`` maps (i, j, k, 1) to RAS mm,
    ``keys`` are the header's key-value pairs.
    """

    values: NDArray[Any]
    affine: Affine | None
    keys: dict[str, str]


@dataclass(frozen=True)
class _File:
    """A parsed header: ``space_axes`` and ``channel_axis`` index ``sizes`` (fastest first)."""

    fields: dict[str, Any]
    data: Path
    offset: int
    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    encoding: str
    space_axes: tuple[int, ...]
    channel_axis: int | None

    @property
    def channels(self) -> int:
        return 1 if self.channel_axis is None else self.sizes[self.channel_axis]


def read_header(path: str | Path) -> ScanHeader:
    """Header of a NRRD; no samples are read.

    The grid is (i, j, k) in file order, (rows, columns) = (j, i) for two spatial axes; a list,
    vector or colour axis of at most 16 is channels. Raises ImageError (``segmentation``,
    ``time-series``, ``truncated``, ``damaged``, ``missing``, ``unsupported-type``).
    """
    with decoding(path):
        file = _parsed(Path(path))
        affine, spacing, meta = _geometry(file)
        grid = tuple(file.sizes[a] for a in file.space_axes)
        if len(grid) == 2:
            grid = grid[::-1]
            spacing = spacing[::-1] if spacing else None
        return ScanHeader(
            shape=grid,
            channels=file.channels,
            dtype=file.dtype.newbyteorder("=").name,
            spacing=spacing,
            affine=affine,
            meta=meta,
        )


def read_pixels(ref: ScanRef, header: ScanHeader) -> NDArray[np.generic]:
    """Samples ``header.shape + (channels,)``."""
    path = ref.files[0]
    with decoding(path):
        file = _parsed(Path(path))
        array = _samples(file).reshape(file.sizes, order="F")
        if file.channel_axis is None:
            array = array[..., None]
        else:
            array = np.moveaxis(array, file.channel_axis, -1)
        grid = tuple(file.sizes[a] for a in file.space_axes)
        array = array.reshape(*grid, file.channels)
        array = array.astype(file.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(array.swapaxes(0, 1)) if len(grid) == 2 else array


def is_segmentation(head: bytes) -> bool:
    """Whether the first bytes of a NRRD declare 3D Slicer segments."""
    return head.startswith(b"NRRD000") and _SEGMENT.search(head) is not None


def read_layers(path: str | Path) -> NrrdLayers:
    """A 3D Slicer segmentation: all layers on their common grid. Raises ImageError."""
    with decoding(path):
        file = _parsed(Path(path), layered=True)
        flat = _samples(file).astype(file.dtype.newbyteorder("="), copy=False)
        array = flat.reshape(file.sizes, order="F")
        if file.channel_axis is None:
            array = array[None]
        else:
            array = np.moveaxis(array, file.channel_axis, 0)
        return NrrdLayers(array, _geometry(file)[0], _key_values(Path(path)))


def companions(path: str | Path) -> tuple[Path, ...]:
    """The detached data file of a .nhdr; empty for a .nrrd that holds its own data."""
    with decoding(path):
        data = _parsed(Path(path)).data
    return () if data == Path(path) else (data,)


def _key_values(path: Path) -> dict[str, str]:
    """The ``key:=value`` lines of a header, as UTF-8 (pynrrd drops letters beyond ASCII)."""
    keys: dict[str, str] = {}
    with path.open("rb") as stream:
        left = _MOST_HEADER_BYTES
        while left > 0 and (line := stream.readline(left)).strip(b"\r\n"):
            left -= len(line)
            name, found, value = line.decode("utf-8", "replace").strip("\r\n").partition(":=")
            if found:
                keys[name] = value.replace("\\n", "\n").replace("\\\\", "\\")
    return keys


def _parsed(path: Path, *, layered: bool = False) -> _File:
    import nrrd

    with path.open("rb") as stream:
        fields = dict(nrrd.read_header(stream))
        offset = stream.tell()
    if not layered and any(str(name).startswith("Segment0_") for name in fields):
        raise ImageError(
            "a 3D Slicer segmentation, not an image",
            where=path.name,
            remedy="import it as a mask, and keep it out of the images folder",
            code="segmentation",
        )
    sizes = tuple(int(n) for n in fields["sizes"])
    find = _layer_axes if layered else _axes
    space_axes, channel_axis = find(path, fields, sizes)
    encoding = str(fields["encoding"]).lower()
    data = _data_file(path, fields)
    dtype = _dtype(path, fields, encoding)
    attached = data == path
    if encoding not in _TEXT:
        check_bytes(
            path,
            sizes,
            dtype.itemsize,
            data.stat().st_size - (offset if attached else 0),
            compressed=encoding in _GZIP + _BZIP2,
        )
    return _File(
        fields, data, offset if attached else 0, sizes, dtype, encoding, space_axes, channel_axis
    )


def _axes(
    path: Path, fields: dict[str, Any], sizes: tuple[int, ...]
) -> tuple[tuple[int, ...], int | None]:
    """The spatial axes, and the one other axis with more than one entry (channels)."""
    kinds, spatial = _kinds(fields, sizes)
    if len(spatial) == 4 and "kinds" not in fields and sizes[spatial[-1]] <= MAX_CHANNELS:
        spatial.pop()
    others = [a for a in range(len(sizes)) if a not in spatial and sizes[a] > 1]
    if len(spatial) == 3 and sizes[spatial[2]] == 1:
        spatial.pop()
    if len(spatial) not in (2, 3) or len(others) > 1:
        raise ImageError(
            f"axes of sizes {sizes} and kinds {kinds} are not one picture or volume",
            where=path.name,
            remedy="save one volume per file",
            code="time-series" if len(sizes) > 3 else "unsupported-layout",
        )
    if others and sizes[others[0]] > MAX_CHANNELS:
        raise ImageError(
            f"a series of {sizes[others[0]]} volumes, not one scan "
            f"(at most {MAX_CHANNELS} are channels)",
            where=path.name,
            remedy="split it into one file per time point",
            code="time-series",
        )
    return tuple(spatial), others[0] if others else None


def _layer_axes(
    path: Path, fields: dict[str, Any], sizes: tuple[int, ...]
) -> tuple[tuple[int, ...], int | None]:
    """The three spatial axes of a segmentation, even if of size 1, and its layer axis."""
    kinds, spatial = _kinds(fields, sizes)
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    if len(spatial) != 3 or len(others) > 1:
        raise ImageError(
            f"axes of sizes {sizes} and kinds {kinds} are no volume with layers of segments",
            where=path.name,
            remedy="load it into a current 3D Slicer and save it again",
            code="unsupported-layout",
        )
    return tuple(spatial), others[0] if others else None


def _kinds(fields: dict[str, Any], sizes: tuple[int, ...]) -> tuple[list[str], list[int]]:
    """The kind of every axis, and the spatial axes."""
    kinds = [str(k).lower() for k in fields.get("kinds") or [""] * len(sizes)]
    directions = fields.get("space directions")
    spatial = []
    for axis, kind in enumerate(kinds):
        bare = (
            directions is not None
            and not np.isfinite(np.asarray(directions[axis], dtype=np.float64)).all()
        )
        if kind in _SPATIAL_KINDS and not bare:
            spatial.append(axis)
    return kinds, spatial


def _dtype(path: Path, fields: dict[str, Any], encoding: str) -> np.dtype[Any]:
    from nrrd.reader import _TYPEMAP_NRRD2NUMPY  # pynrrd's table of the format's type names

    name = _TYPEMAP_NRRD2NUMPY.get(str(fields["type"]))
    if name is None or encoding not in ("raw", *_GZIP, *_BZIP2, *_TEXT):
        raise ImageError(
            f"type {fields['type']!r} with encoding {encoding!r} is not read",
            where=path.name,
            remedy="save it as NRRD with encoding raw or gzip",
            code="unsupported-type",
        )
    dtype: np.dtype[Any] = np.dtype(name)
    if dtype.itemsize > 1 and encoding not in _TEXT:
        dtype = dtype.newbyteorder(">" if str(fields.get("endian", "little")) == "big" else "<")
    return dtype


def _data_file(path: Path, fields: dict[str, Any]) -> Path:
    name = fields.get("data file", fields.get("datafile"))
    return path if name is None else detached_data(path, str(name), ".nrrd")


def _samples(file: _File) -> NDArray[Any]:
    """All samples as one flat array in file order (fastest axis first)."""
    count = int(np.prod(file.sizes, dtype=np.int64))
    with file.data.open("rb") as stream:
        stream.seek(file.offset)
        for _ in range(int(file.fields.get("line skip", file.fields.get("lineskip", 0)))):
            stream.readline()
        skip = int(file.fields.get("byte skip", file.fields.get("byteskip", 0)))
        needed = count * file.dtype.itemsize
        if skip == -1 and file.encoding == "raw":  # the samples are the end of the file
            stream.seek(-needed, 2)
            skip = 0
        content = stream.read(needed + skip) if file.encoding == "raw" else stream.read()
    skip = max(skip, 0)
    if file.encoding in _TEXT:
        values = np.array(content[skip:].split(), dtype=np.float64)[:count]
        if values.size < count:
            raise truncated(file.data)
        return values.astype(file.dtype)
    if file.encoding in _GZIP:
        content = inflate(content, needed + skip, wbits=31)
    elif file.encoding in _BZIP2:
        content = bz2.BZ2Decompressor().decompress(content, needed + skip)
    if len(content) < needed + skip:
        raise truncated(
            file.data, f"{needed + skip - len(content):,} bytes of samples are missing at the end"
        )
    return np.frombuffer(content, dtype=file.dtype, offset=skip, count=count)


def _geometry(file: _File) -> tuple[Affine | None, tuple[float, ...] | None, dict[str, str]]:
    """RAS affine from space directions and origin; without a space, only the spacing."""
    fields = file.fields
    space = str(fields.get("space", "")).lower().removesuffix("-time")
    directions = fields.get("space directions")
    if directions is None:
        sizes = fields.get("spacings")
        spacing = None
        if sizes is not None:
            spacing = plausible_spacing([float(sizes[a]) for a in file.space_axes])
        return None, spacing, {"geometry": "none in file"}
    vectors = [np.asarray(directions[a], dtype=np.float64) for a in file.space_axes]
    spacing = plausible_spacing([float(np.linalg.norm(v)) for v in vectors])
    to_lps = _TO_LPS.get(space)
    if to_lps is None or any(v.size != 3 for v in vectors):
        return None, spacing, {"geometry": f"space {space or 'unnamed'!r} is not anatomical"}
    origin = np.zeros(3)
    if "space origin" in fields:
        origin = np.asarray(fields["space origin"], dtype=np.float64)
    sign = np.asarray(to_lps)
    affine = lps_affine([v * sign for v in vectors], origin * sign)
    if affine is None:
        return None, spacing, {"geometry": "unusable: the directions can't be inverted"}
    return affine, spacing_of(affine, len(vectors)), {}
