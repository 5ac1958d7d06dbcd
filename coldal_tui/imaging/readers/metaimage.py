"""Reads MetaImage files: .mha, and .mhd with a separate data file (MetaIO specification)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.affines import lps_affine, plausible_spacing, spacing_of
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.readers.limits import (
    check_bytes,
    decoding,
    detached_data,
    inflate,
    truncated,
)

MAX_CHANNELS = 16
_HEADER_LIMIT = 1 << 16
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
"""MET_LONG is 4 bytes in the format, independent of the compiler (``MET_ValueTypeSize``)."""


@dataclass(frozen=True)
class _File:
    """A parsed header; ``size`` are the axes fastest first, without channels."""

    fields: dict[str, str]
    data: Path
    offset: int
    size: tuple[int, ...]
    channels: int
    dtype: np.dtype[Any]
    compressed: bool


def read_header(path: str | Path) -> ScanHeader:
    """Header of a MetaImage; no voxels are read.

    The grid is (i, j, k) in file order, (rows, columns) = (j, i) for 2-D files. Raises
    ImageError (``time-series``, ``truncated``, ``damaged``, ``missing``, ``unsupported-type``).
    """
    with decoding(path):
        file = _parsed(Path(path))
        grid = _grid(file)
        axes = len(grid)
        dims = len(file.size)
        spacing = plausible_spacing(_numbers(file.fields, ("ElementSpacing", "ElementSize"))[:axes])
        directions = _numbers(file.fields, ("TransformMatrix", "Rotation", "Orientation"))
        origin = _numbers(file.fields, ("Offset", "Position", "Origin"))
        meta: dict[str, str] = {}
        affine = None
        if not directions and not origin:
            meta["geometry"] = "none in file"
        elif dims >= 3:
            steps = np.asarray(spacing or (1.0,) * axes)
            matrix = np.eye(dims)
            if len(directions) == dims * dims:
                matrix = np.reshape(directions, (dims, dims))
            vectors = [matrix[a, :3] * steps[a] for a in range(axes)]
            place = np.asarray((origin + [0.0] * 3)[:3])
            affine = lps_affine(vectors, place)
            if affine is None:
                meta["geometry"] = "unusable: the directions can't be inverted"
        if affine is not None:
            spacing = spacing_of(affine, axes)
        modality = file.fields.get("Modality", "").removeprefix("MET_MOD_")
        return ScanHeader(
            shape=grid[::-1] if axes == 2 else grid,
            channels=_channels(file),
            dtype=file.dtype.newbyteorder("=").name,
            spacing=spacing[::-1] if spacing and axes == 2 else spacing,
            affine=affine,
            modality=modality if modality in ("CT", "MR", "NM", "US") else None,
            meta=meta,
        )


def read_pixels(ref: ScanRef, header: ScanHeader) -> NDArray[np.generic]:
    """Voxels ``header.shape + (channels,)``."""
    path = ref.files[0]
    with decoding(path):
        file = _parsed(Path(path))
        grid = _grid(file)
        flat = _values(file).astype(file.dtype.newbyteorder("="), copy=False)
        array = np.moveaxis(flat.reshape((file.channels, *file.size), order="F"), 0, -1)
        if len(file.size) == 4:  # a fourth axis of channels
            array = array[..., 0]
        array = array.reshape(*grid, _channels(file))
        return np.ascontiguousarray(array.swapaxes(0, 1)) if len(grid) == 2 else array


def companions(path: str | Path) -> tuple[Path, ...]:
    """The data file of a .mhd; empty for a .mha that holds its own data."""
    with decoding(path):
        data = _parsed(Path(path)).data
    return () if data == Path(path) else (data,)


def _grid(file: _File) -> tuple[int, ...]:
    space = file.size[:3]
    return space[:2] if len(space) == 3 and space[2] == 1 else space


def _channels(file: _File) -> int:
    return file.channels * (file.size[3] if len(file.size) == 4 else 1)


def _parsed(path: Path) -> _File:
    with path.open("rb") as stream:
        head = stream.read(_HEADER_LIMIT)
    fields, end = _fields(path, head)
    size = tuple(int(n) for n in fields["DimSize"].split())
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    _check_layout(path, fields, size, channels)
    dtype = np.dtype(_TYPES[fields["ElementType"]])
    big = _flag(fields, "BinaryDataByteOrderMSB") or _flag(fields, "ElementByteOrderMSB")
    dtype = dtype.newbyteorder(">" if big else "<")
    compressed = _flag(fields, "CompressedData")
    data, offset = _data_file(path, fields["ElementDataFile"]), end
    if data != path:
        offset = max(int(fields.get("HeaderSize", "0")), 0)
    available = data.stat().st_size - offset
    check_bytes(path, (*size, channels), dtype.itemsize, available, compressed=compressed)
    if data != path and fields.get("HeaderSize", "").strip() == "-1":  # voxels end the file
        offset = data.stat().st_size - int(np.prod((*size, channels))) * dtype.itemsize
    return _File(fields, data, offset, size, channels, dtype, compressed)


def _fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Key-value lines up to ElementDataFile, the last one, and the offset of its end."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(head):
        stop = head.find(b"\n", at)
        stop = len(head) if stop < 0 else stop
        key, _, value = head[at:stop].decode("latin-1").partition("=")
        fields[key.strip()] = value.strip()
        at = stop + 1
        if key.strip() == "ElementDataFile":
            break
    missing = [k for k in ("DimSize", "ElementType", "ElementDataFile") if k not in fields]
    if missing:
        raise ImageError(
            f"the MetaImage header has no {missing[0]}",
            where=path.name,
            remedy="write the file again",
            code="damaged",
        )
    return fields, at


def _check_layout(path: Path, fields: dict[str, str], size: tuple[int, ...], channels: int) -> None:
    binary = fields.get("BinaryData", "True").lower()
    if fields["ElementType"].upper() not in _TYPES or binary in ("false", "0"):
        kind = fields["ElementType"] if binary not in ("false", "0") else "ASCII data"
        raise ImageError(
            f"{kind} is not read",
            where=path.name,
            remedy="save it as binary MET_SHORT, MET_UCHAR or MET_FLOAT",
            code="unsupported-type",
        )
    extra = size[3] if len(size) == 4 else 1
    if len(size) not in (2, 3, 4) or channels * extra > MAX_CHANNELS:
        raise ImageError(
            f"a grid of {' × '.join(map(str, size))} with {channels} channels is not one scan "
            f"(at most {MAX_CHANNELS} channels)",
            where=path.name,
            remedy="split it into one file per time point",
            code="time-series",
        )
    if len(size) == 4 and channels > 1:
        raise ImageError(
            "four axes and several channels are not one scan",
            where=path.name,
            remedy="split it into one file per time point",
            code="time-series",
        )


def _data_file(path: Path, name: str) -> Path:
    return path if name.upper() == "LOCAL" else detached_data(path, name, ".mha")


def _values(file: _File) -> NDArray[Any]:
    """All values as one flat array, channels fastest, then the axes in file order."""
    needed = int(np.prod((*file.size, file.channels), dtype=np.int64)) * file.dtype.itemsize
    with file.data.open("rb") as stream:
        stream.seek(file.offset)
        content = stream.read() if file.compressed else stream.read(needed)
    if file.compressed:
        content = inflate(content, needed, wbits=47)
    if len(content) < needed:
        raise truncated(
            file.data, f"{needed - len(content):,} bytes of voxels are missing at the end"
        )
    return np.frombuffer(content, dtype=file.dtype)


def _numbers(fields: dict[str, str], names: tuple[str, ...]) -> list[float]:
    for name in names:
        if name in fields:
            return [float(value) for value in fields[name].split()]
    return []


def _flag(fields: dict[str, str], name: str) -> bool:
    return fields.get(name, "False").strip().lower() in ("true", "1")
