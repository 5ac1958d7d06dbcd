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

_LOSSY = frozenset({6, 7, 33003, 33004, 33005, 34712, 34892, 50001, 50002, 52546})
_WHITE_IS_ZERO, _RGB, _PALETTE = 0, 2, 3
_ORIENTATION_TAG = 274
_COLOUR_MAP_TAG = 320
_MOST_VALUES = 1 << 31


def read_tiff_values(data: bytes, path: Path) -> tuple[NDArray[Any], Mapping[int, str] | None, int]:
    """Stored values ``(rows, columns)``, their colours, and the orientation tag.

    Raises
    ------
    ImageError : several pages, lossy compression, inverted grey, colours, or damaged.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            if len(tiff.pages) != 1:
                raise _refuse(
                    path,
                    f"the file holds {len(tiff.pages)} pictures",
                    "Save one mask per file; masks of volumes as NIfTI.",
                    "several-pages",
                )
            page: Any = tiff.pages[0]
            _check_page(page, path)
            values = np.asarray(page.asarray())
            orientation = page.tags.get(_ORIENTATION_TAG)
            plain, colours = _single(page, values, path)
            return plain, colours, int(orientation.value) if orientation else 1
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


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
