"""The stored values of a TIFF label picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.shared.picture_values import check_palette, plain_values
from coldal_tui.imaging.readers.display import oriented
from coldal_tui.imaging.readers.limits import MAX_VOLUME_BYTES

_LOSSY = frozenset({6, 7, 33003, 33004, 33005, 34712, 34892, 50001, 50002, 52546})
_WHITE_IS_ZERO, _RGB, _PALETTE = 0, 2, 3
_ORIENTATION_TAG = 274
_COLOUR_MAP_TAG = 320
_MOST_VALUES = 1 << 31


def read_tiff_values(data: bytes, path: Path) -> tuple[NDArray[Any], Mapping[int, str] | None, int]:
    """Stored values ``(rows, columns)`` of one page, their colours, and the orientation tag.

    Raises
    ------
    ImageError : lossy compression, inverted grey, colours, or damaged.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            page: Any = tiff.pages[0]
            _check_page(page, path)
            values = np.asarray(page.asarray())
            orientation = page.tags.get(_ORIENTATION_TAG)
            plain, colours = _single(page, values, path)
            return plain, colours, int(orientation.value) if orientation else 1
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def read_tiff_volume(data: bytes, path: Path) -> NDArray[Any] | None:
    """Stored values ``(i, j, k)`` = (column, row, page) of a stack; None where it has one page.

    Stacks are pages, or one block of ImageJ or OME, read in the same order as scans.

    Raises
    ------
    ImageError : pages of different size, channels, lossy compression, inverted grey, colours, too
        large, or damaged.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            stacks = [one for one in tiff.series if one.size > 1] or tiff.series
            series: Any = stacks[0]
            sizes = dict(zip(series.axes, series.shape, strict=True))
            others = [axis for axis in sizes if axis not in "YXS" and sizes[axis] > 1]
            if len(stacks) == 1 and not others:
                return None
            # Written page by page, every page is a series of its own.
            alike = not others and len({(one.shape, one.dtype, one.axes) for one in stacks}) == 1
            single = len(stacks) == 1 and len(others) == 1
            if not (alike or single) or not {"Y", "X"} <= sizes.keys():
                shapes = ", ".join(str(tuple(one.shape)) for one in stacks[:3])
                raise _refuse(
                    path,
                    f"its {len(tiff.pages)} pictures are no single stack ({shapes})",
                    "Save one mask per file: a picture, or a stack of slices.",
                    "several-pages",
                )
            if others == ["C"] or sizes.get("S", 1) > 1:
                raise _refuse(
                    path,
                    f"the mask has several channels ({series.axes} {tuple(series.shape)})",
                    "Save one value per voxel, not one channel per class.",
                    "several-channels",
                )
            return _stack(stacks, path)
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def _stack(stacks: list[Any], path: Path) -> NDArray[Any]:
    page = stacks[0].keyframe
    for one in stacks:
        _check_page(one.keyframe, path)
    if sum(int(one.size) * one.dtype.itemsize for one in stacks) > MAX_VOLUME_BYTES:
        raise _refuse(path, f"the mask is too large: {tuple(stacks[0].shape)}", None, "too-large")
    values = np.stack([np.asarray(one.asarray()).squeeze() for one in stacks]).squeeze()
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if int(page.photometric) == _PALETTE:
        colours = np.asarray(page.tags[_COLOUR_MAP_TAG].value).reshape(3, -1).T // 257
        check_palette(values, colours, path)
    tag = page.tags.get(_ORIENTATION_TAG)
    turn = int(tag.value) if tag and tag.value in range(1, 9) else 1
    pages = values.reshape(-1, *values.shape[-2:])
    return np.stack([oriented(one, turn) for one in pages]).transpose(2, 1, 0)


def _check_page(page: Any, path: Path) -> None:
    if int(page.compression) in _LOSSY:
        raise _refuse(
            path,
            "its TIFF compression is lossy and invents values at the edges of a mask",
            "Export the mask uncompressed, or with LZW or deflate.",
            "lossy",
        )
    if int(page.photometric) == _WHITE_IS_ZERO:
        raise _refuse(
            path,
            "it is a white-is-zero TIFF: whether 0 is background is not stored",
            "Save it as PNG, or as a black-is-zero TIFF.",
            "reversed-palette",
        )
    if int(np.prod(page.shape, dtype=object)) > _MOST_VALUES:
        raise _refuse(path, f"the mask is too large: {page.shape}", None, "too-large")


def _single(
    page: Any, values: NDArray[Any], path: Path
) -> tuple[NDArray[Any], Mapping[int, str] | None]:
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if int(page.photometric) == _PALETTE:
        # The map holds 16-bit red, green and blue rows (TIFF 6.0, section 5).
        colours = np.asarray(page.tags[_COLOUR_MAP_TAG].value).reshape(3, -1).T // 257
        check_palette(values, colours, path)
    if int(page.photometric) == _RGB and values.ndim == 3:
        if int(page.planarconfig) == 2:
            values = np.moveaxis(values, 0, -1)
        return plain_values(values, values.shape[-1] == 4, path)
    if values.ndim != 2:
        raise _refuse(
            path,
            f"the mask has {values.ndim} axes {values.shape}",
            "Save one grey channel.",
            "several-channels",
        )
    return values, None


def _refuse(path: Path, what: str, remedy: str | None, code: str) -> ImageError:
    return ImageError(what, where=str(path), remedy=remedy, code=code)
