"""Reads TIFF pictures: any bit depth and compression, several pages as a volume."""

from __future__ import annotations

import logging
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.readers.display import composited, oriented
from coldal_tui.imaging.readers.limits import MAX_VOLUME_BYTES, check_picture, decoding, truncated

_MAX_CHANNELS = 16
_MINISWHITE, _RGB, _PALETTE = 0, 2, 3


def is_tiff(path: str | Path) -> bool:
    """Whether the file starts as a TIFF or BigTIFF."""
    with decoding(path), Path(path).open("rb") as stream:
        return stream.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@cache
def _quiet_tifffile() -> Any:
    """Silence tifffile's log: it would disturb the screen, and errors are raised anyway."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    return tifffile


def read_header(path: str | Path) -> ScanHeader:
    """Header of a TIFF; no pixels are decoded.

    One page is a 2-D scan. Several pages of one size are a volume ``(i, j, k)`` = (column, row,
    page) without world coordinates: TIFF states no reliable spacing. Up to 16 planes
    of a channel axis (ImageJ, OME) are channels.
    """
    tifffile = _quiet_tifffile()
    _check_chain(path)
    with decoding(path), tifffile.TiffFile(path) as file:
        layout = _Layout(path, file)
        return ScanHeader(
            shape=layout.grid,
            channels=layout.channels_out,
            dtype=layout.dtype_out.name,
            meta={"format": "tiff"}
            | ({"exif_orientation": str(layout.orientation)} if layout.orientation != 1 else {}),
        )


def read_pixels(path: str | Path) -> NDArray[np.generic]:
    """Pixels ``(rows, columns, channels)``, or ``(i, j, k, channels)`` of several pages."""
    tifffile = _quiet_tifffile()
    _check_chain(path)
    with decoding(path), tifffile.TiffFile(path) as file:
        layout = _Layout(path, file)
        if layout.through_pillow:
            array = _with_pillow(path)
        else:
            array = _display_values(layout, layout.arranged(layout.series.asarray()))
        return np.ascontiguousarray(_grid_order(array, layout))


def _check_chain(path: str | Path) -> None:
    """Check that no page names an earlier one as its next: tifffile would follow them for ever."""
    with decoding(path), Path(path).open("rb") as stream:
        head = stream.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        count, entry, place = ("Q", 20, "Q") if big else ("H", 12, "I")
        first = 8 if big else 4
        if len(head) < first + struct.calcsize(place):
            return
        (at,) = struct.unpack_from(order + place, head, first)
        seen: set[int] = set()
        while at:
            if at in seen:
                raise ImageError(
                    "its pages follow each other in a circle",
                    where=Path(path).name,
                    remedy="write the file again with the program that made it",
                    code="damaged",
                )
            seen.add(at)
            stream.seek(at)
            number = stream.read(struct.calcsize(count))
            if len(number) < struct.calcsize(count):
                return
            stream.seek(struct.unpack(order + count, number)[0] * entry, 1)
            following = stream.read(struct.calcsize(place))
            if len(following) < struct.calcsize(place):
                return
            (at,) = struct.unpack(order + place, following)


class _Layout:
    """The mapping of the series' axes to grid and channels."""

    def __init__(self, path: str | Path, file: Any) -> None:
        if not file.series:
            raise truncated(path)
        self.series = file.series[0]
        self._check_alone(path, file)
        page = self.series.keyframe
        self.page = page
        self.photometric = int(page.photometric)
        tag = page.tags.get(274)
        self.orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
        self.through_pillow = (
            len(file.pages) == 1
            and self.photometric in (5, 6, 8)
            and not (self.photometric == 6 and int(page.compression) in (6, 7))
        )
        self._check_axes(path)
        self._check_complete(path)
        sizes = dict(zip(self.series.axes, self.series.shape, strict=True))
        rows, columns = int(sizes["Y"]), int(sizes["X"])
        check_picture(path, (rows, columns))
        if self.series.size * self.series.dtype.itemsize > MAX_VOLUME_BYTES:
            raise ImageError(
                f"the pages hold more than {MAX_VOLUME_BYTES:,} bytes of pixels",
                where=Path(path).name,
                remedy="crop or downsample it",
                code="too-large",
            )
        self.pages = 1
        for axis, size in sizes.items():
            if axis not in "YXSC":
                self.pages *= int(size)
        self.samples = int(sizes.get("S", 1))
        self.planes = int(sizes.get("C", 1))
        if self.orientation >= 5:
            rows, columns = columns, rows
        self.grid: tuple[int, ...] = (
            (rows, columns) if self.pages == 1 else (columns, rows, self.pages)
        )

    @property
    def alpha(self) -> bool:
        """Whether the last sample is alpha (ExtraSamples 1 or 2, TIFF 6.0 section 18)."""
        extra = tuple(int(e) for e in self.page.extrasamples or ())
        return self.samples in (2, 4) and len(extra) == 1 and extra[0] in (1, 2)

    @property
    def channels_out(self) -> int:
        if self.through_pillow or self.photometric == _PALETTE:
            return 3
        return (self.samples - self.alpha) * self.planes

    @property
    def dtype_out(self) -> np.dtype[Any]:
        if self.through_pillow or self.photometric == _PALETTE or self.bilevel:
            return np.dtype(np.uint8)
        stored: np.dtype[Any] = np.dtype(self.series.dtype)
        return stored.newbyteorder("=")

    @property
    def bilevel(self) -> bool:
        return int(self.page.bitspersample) == 1 and self.photometric in (0, 1)

    def arranged(self, array: NDArray[Any]) -> NDArray[Any]:
        """The series' array as ``(pages, rows, columns, planes, samples)``."""
        axes = str(self.series.axes)
        others = [n for n, axis in enumerate(axes) if axis not in "YXSC"]
        order = others + [axes.index(a) for a in "YXCS" if a in axes]
        moved = array.transpose(order)
        height, width = moved.shape[len(others) : len(others) + 2]
        return moved.reshape(self.pages, height, width, self.planes, self.samples)

    def _check_alone(self, path: str | Path, file: Any) -> None:
        """Check that further series are only smaller pictures (thumbnails, pyramid levels)."""
        largest = max(file.series, key=lambda s: s.size)
        rivals = [s for s in file.series if s is not largest and s.size * 4 > largest.size]
        if rivals:
            raise ImageError(
                f"{len(file.series)} pictures of different size or kind in one file",
                where=Path(path).name,
                remedy="save each page as its own file",
                code="mixed-pages",
            )
        self.series = largest

    def _check_complete(self, path: str | Path) -> None:
        """Check that the strips or tiles of the first and last page are inside the file."""
        size = Path(path).stat().st_size
        for page in (self.series.pages[0], self.series.pages[-1]):
            places = () if page is None else zip(page.dataoffsets, page.databytecounts, strict=True)
            if any(start + length > size for start, length in places):
                raise truncated(path)

    def _check_axes(self, path: str | Path) -> None:
        axes = str(self.series.axes)
        sizes = dict(zip(axes, self.series.shape, strict=True))
        others = [a for a in axes if a not in "YXSC" and sizes[a] > 1]
        if "Y" not in sizes or "X" not in sizes or len(others) > 1:
            raise ImageError(
                f"axes {axes} with sizes {tuple(self.series.shape)} are not one picture or volume",
                where=Path(path).name,
                remedy="save one volume per file",
                code="unsupported-layout",
            )
        channels = sizes.get("C", 1) * sizes.get("S", 1)
        if channels > _MAX_CHANNELS:
            raise ImageError(
                f"{channels} channels; at most {_MAX_CHANNELS} are read",
                where=Path(path).name,
                remedy="save the channels that matter",
                code="unsupported-layout",
            )


def _display_values(layout: _Layout, array: NDArray[Any]) -> NDArray[Any]:
    """``(pages, rows, columns, channels)``: palette and alpha resolved, white-is-zero inverted."""
    if layout.photometric == _PALETTE:
        colours = np.asarray(layout.page.colormap)  # (3, entries) uint16
        # Old writers store 8-bit entries in the 16-bit table (TIFF 6.0, section 5).
        table: NDArray[Any] = (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
        coloured: NDArray[Any] = table.T[array[..., 0, 0]]
        return coloured
    if layout.bilevel:
        array = (array != 0).astype(np.uint8) * np.uint8(255)
    if layout.photometric == _MINISWHITE and array.dtype.kind in "u":
        bits = 8 if layout.bilevel else int(layout.page.bitspersample)
        array = np.asarray((1 << bits) - 1, dtype=array.dtype) - array
    if layout.alpha:
        array = composited(array)
    return array.reshape(*array.shape[:3], -1)


def _grid_order(array: NDArray[Any], layout: _Layout) -> NDArray[Any]:
    """Convert ``(pages, rows, columns, channels)`` to the scan's grid."""
    if layout.through_pillow:  # Pillow has applied the orientation itself
        first: NDArray[Any] = array[0]
        return first
    if layout.pages == 1:
        return oriented(array[0], layout.orientation)
    turned = [oriented(page, layout.orientation) for page in array]
    return np.stack(turned).transpose(2, 1, 0, 3)


def _with_pillow(path: str | Path) -> NDArray[Any]:
    """Read CMYK, YCbCr without JPEG, and Lab, converted to RGB; ``(1, rows, columns, 3)``."""
    from PIL import Image

    with Image.open(path, formats=("TIFF",)) as picture:
        picture.load()
        colours: NDArray[Any] = np.asarray(picture.convert("RGB"))
        return colours[None]
