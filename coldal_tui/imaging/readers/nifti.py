"""Reads NIfTI-1 and NIfTI-2: .nii, .nii.gz, and .hdr with .img."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.affines import as_affine, plausible_spacing, spacing_of
from coldal_tui.imaging.image import Affine, ScanHeader, ScanRef
from coldal_tui.imaging.readers.limits import check_bytes, decoding, truncated

MAX_CHANNELS = 16
_UNIT_MM = {1: 1000.0, 3: 1e-3}
"""Millimetres per unit of ``xyzt_units``; 0 and 2 are read as mm (NIfTI-1 standard)."""


def read_header(path: str | Path) -> ScanHeader:
    """Header of a NIfTI file; only its first bytes are read and decompressed.

    A 2-D file (third axis absent or 1) has the grid (rows, columns) = (j, i); a fourth axis of
    at most 16 is channels. Raises ImageError (``time-series``, ``truncated``, ``damaged``, …).
    """
    with decoding(path):
        header = _load_header(path)
        grid, channels = _layout(path, header)
        data = _data_file(Path(path), header)
        check_bytes(
            path,
            header.get_data_shape(),
            header.get_data_dtype().itemsize,
            data.stat().st_size,
            compressed=_is_gzip(data),
        )
        affine, spacing, meta = _geometry(header, len(grid))
        return ScanHeader(
            shape=grid,
            channels=channels,
            dtype=_dtype_out(path, header).name,
            spacing=spacing,
            affine=affine,
            meta=meta,
        )


def read_pixels(ref: ScanRef, header: ScanHeader) -> NDArray[np.generic]:
    """Pixels ``header.shape + (channels,)`` after ``scl_slope``; NaN and infinity are kept."""
    path = ref.files[0]
    with decoding(path):
        stored = _load_header(path)
        grid, channels = _layout(path, stored)
        raw = _stored_values(path, stored)
        if raw.dtype.fields:
            raw = np.stack([raw[name] for name in ("R", "G", "B")], axis=-1)
        values = raw.reshape(*_stored_grid(grid), channels, order="A")
        slope, inter = _scaling(stored)
        out = values.astype(_dtype_out(path, stored), copy=False)
        if (slope, inter) != (1.0, 0.0):
            out = out * out.dtype.type(slope) + out.dtype.type(inter)
        return np.ascontiguousarray(out.swapaxes(0, 1)) if len(grid) == 2 else out


def companions(path: str | Path) -> tuple[Path, ...]:
    """The ``.img`` file of a ``.hdr`` header; empty for a single file."""
    with decoding(path):
        data = _data_file(Path(path), _load_header(path))
    return () if data == Path(path) else (data,)


def _load_header(path: str | Path) -> Any:
    import nibabel as nib

    with Path(path).open("rb") as raw:
        start = raw.read(4)
    compressed = start[:2] == b"\x1f\x8b"
    with _open_stream(Path(path), compressed) as stream:
        first = stream.read(540)
    if len(first) < 348:
        raise truncated(path, "the file ends inside its header")
    second = first[4:8] in (b"n+2\0", b"ni2\0")
    kind: Any = nib.nifti2.Nifti2Header if second else nib.nifti1.Nifti1Header
    size = 540 if second else 348
    if len(first) < size:
        raise truncated(path, "the file ends inside its header")
    header: Any = kind(first[:size], check=False)
    if min(int(n) for n in header.get_data_shape() or (0,)) < 1:
        raise ImageError(
            f"the image has no voxels (grid {tuple(header.get_data_shape())})",
            where=Path(path).name,
            remedy="take it out of the folder",
            code="empty",
        )
    return header


def _open_stream(path: Path, compressed: bool) -> Any:
    if not compressed:
        return path.open("rb")
    from isal import igzip

    opener: Any = igzip.open
    return opener(path, "rb")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _data_file(path: Path, header: Any) -> Path:
    """The file with the voxels: the ``.img`` of a pair, else ``path`` itself."""
    if bytes(header["magic"])[:3] not in (b"ni1", b"ni2"):
        return path
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    for suffix in (".img", ".IMG", ".img.gz"):
        data = plain.with_suffix(suffix)
        if data.is_file():
            return data
    raise ImageError(
        f"the header's voxel file {plain.with_suffix('.img').name} is not beside it",
        where=path.name,
        remedy="put the .img file beside the .hdr file",
        code="missing",
    )


def _layout(path: str | Path, header: Any) -> tuple[tuple[int, ...], int]:
    """Grid and number of channels from the stored dimensions."""
    shape = tuple(int(n) for n in header.get_data_shape())
    colours = 3 if header.get_data_dtype().fields else 1
    space, rest = (*shape, 1, 1, 1)[:3], shape[3:]
    extra = int(np.prod(rest, dtype=np.int64)) if rest else 1
    if extra > MAX_CHANNELS or (extra > 1 and colours > 1):
        raise ImageError(
            f"a series of {extra} volumes, not one scan (at most {MAX_CHANNELS} are channels)",
            where=Path(path).name,
            remedy="split it into one file per time point",
            code="time-series",
        )
    grid = (space[1], space[0]) if space[2] == 1 else space
    return grid, colours * extra


def _stored_grid(grid: tuple[int, ...]) -> tuple[int, ...]:
    return (grid[1], grid[0]) if len(grid) == 2 else grid


def _scaling(header: Any) -> tuple[float, float]:
    """``scl_slope`` and ``scl_inter``; slope 0 or not finite means none (NIfTI-1 standard)."""
    if header.get_data_dtype().fields:
        return 1.0, 0.0
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    return slope, inter if np.isfinite(inter) else 0.0


def _dtype_out(path: str | Path, header: Any) -> np.dtype[Any]:
    """The output type: as stored; float32 if scaled (float64 for wide stored types)."""
    stored: np.dtype[Any] = header.get_data_dtype()
    if stored.fields:
        return np.dtype(np.uint8)
    if stored.kind == "c":
        raise ImageError(
            "complex values are not a picture",
            where=Path(path).name,
            remedy="save the magnitude",
            code="unsupported-type",
        )
    wide = stored.itemsize > 4 or (stored.kind in "iu" and stored.itemsize == 4)
    if _scaling(header) != (1.0, 0.0):
        return np.dtype(np.float64 if wide else np.float32)
    if stored.kind == "f" and stored.itemsize > 8:
        return np.dtype(np.float64)
    return np.dtype(stored.newbyteorder("="))


def _stored_values(path: str | Path, header: Any) -> NDArray[Any]:
    """The voxels as stored, in Fortran order over the file's axes."""
    data = _data_file(Path(path), header)
    shape = tuple(int(n) for n in header.get_data_shape())
    dtype = header.get_data_dtype()
    size = data.stat().st_size
    compressed = _is_gzip(data)
    check_bytes(path, shape, dtype.itemsize, size, compressed=compressed)
    offset = int(header["vox_offset"]) if data == Path(path) else 0
    wanted = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    with _open_stream(data, compressed) as stream:
        content = _read_exactly(stream, wanted)
    if len(content) < wanted:
        raise truncated(path, f"{wanted - len(content):,} bytes of voxels are missing at the end")
    values: NDArray[Any] = np.frombuffer(content, dtype=dtype, offset=offset)
    return values.reshape(shape, order="F")


def _read_exactly(stream: io.BufferedIOBase, wanted: int) -> bytearray:
    content = bytearray()
    while len(content) < wanted:
        block = stream.read(min(wanted - len(content), 1 << 24))
        if not block:
            break
        content += block
    return content


def _geometry(
    header: Any, axes: int
) -> tuple[Affine | None, tuple[float, ...] | None, dict[str, str]]:
    """Affine in RAS mm (sform, then qform), spacing per grid axis, and notes on them."""
    meta: dict[str, str] = {}
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform == 0 and qform == 0:
        meta["geometry"] = "none in file"
    unit = _UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    if unit != 1.0:
        meta["unit"] = "metre" if unit > 1 else "micrometre"
    scale = np.diag([unit, unit, unit, 1.0])
    affine: Affine | None = None
    try:
        affine = as_affine(scale @ np.asarray(header.get_best_affine(), dtype=np.float64))
    except ValueError as error:  # an invalid rotation in the qform
        meta["geometry"] = f"unusable: {error}"
    if affine is None:
        meta.setdefault("geometry", "unusable: the affine can't be inverted")
        zooms = [float(z) * unit for z in header.get_zooms()[:axes]]
        spacing = plausible_spacing(zooms) if len(zooms) == axes else None
    else:
        spacing = spacing_of(affine, axes)
    if spacing and axes == 2:
        spacing = (spacing[1], spacing[0])
    return affine, spacing, meta
