"""Reads raster pictures (PNG, JPEG, BMP; TIFF through ``tiff``) as they are displayed."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.readers import tiff
from coldal_tui.imaging.readers.display import composited, oriented
from coldal_tui.imaging.readers.limits import MAX_PIXELS, check_picture, decoding, truncated

if TYPE_CHECKING:
    from PIL.Image import Image

_MODES: dict[str, tuple[int, str]] = {
    "1": (1, "uint8"),
    "L": (1, "uint8"),
    "LA": (1, "uint8"),
    "La": (1, "uint8"),
    "I;16": (1, "uint16"),
    "I;16B": (1, "uint16"),
    "I;16L": (1, "uint16"),
    "I;16N": (1, "uint16"),
    "I": (1, "int32"),
    "F": (1, "float32"),
}

_SMALLEST_PICTURE = 64
"""Approximate size in bytes of a picture of one pixel."""


def read_header(path: str | Path) -> ScanHeader:
    """Header of a picture: the displayed grid (EXIF rotation applied), no pixels decoded.

    Raises ImageError (``truncated``, ``damaged``, ``too-large``, ``missing``).
    """
    if tiff.is_tiff(path):
        return tiff.read_header(path)
    with decoding(path), _opened(path) as picture:
        check_picture(path, (picture.height, picture.width))
        png = _png_facts(path) if picture.format == "PNG" else None
        channels, dtype = _MODES.get(picture.mode, (3, "uint8"))
        if png is not None and png.deep_colour:
            channels, dtype = (1 if png.colour_type == 4 else 3), "uint16"
        shape = (picture.height, picture.width)
        orientation = _orientation(picture, png)
        meta = {"format": str(picture.format).lower()}
        if orientation != 1:
            meta["exif_orientation"] = str(orientation)
        return ScanHeader(
            shape=shape[::-1] if orientation >= 5 else shape,
            channels=channels,
            dtype=dtype,
            meta=meta,
        )


def read_pixels(ref: ScanRef, header: ScanHeader) -> NDArray[np.generic]:
    """Pixels ``(rows, columns, channels)`` (a multi-page TIFF: ``(i, j, k, channels)``).

    1-bit pictures become 0 and 255, palettes and CMYK become RGB, alpha is composited over
    black (opaque alpha changes nothing), 16-bit values stay as they are.
    """
    path = ref.files[0]
    if tiff.is_tiff(path):
        return tiff.read_pixels(path)
    with decoding(path), _opened(path) as picture:
        check_picture(path, (picture.height, picture.width))
        png = _png_facts(path) if picture.format == "PNG" else None
        orientation = _orientation(picture, png)
        deep = png is not None and png.deep_colour
        array = _deep_png(path) if deep else flattened(picture)
        return np.ascontiguousarray(oriented(array, orientation))


def flattened(picture: Image) -> NDArray[np.generic]:
    """Convert a Pillow image to ``(rows, columns, 1 or 3)`` without palette, alpha or CMYK."""
    mode = picture.mode
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        grey = mode in ("LA", "La", "L", "1", "I;16", "I")
        if mode in ("I;16", "I"):  # a transparent grey value at 16 bits: the value itself stays
            return np.asarray(picture)[..., None]
        return composited(np.asarray(picture.convert("LA" if grey else "RGBA")))
    if mode == "1":
        return np.asarray(picture.convert("L"))[..., None]
    if mode in _MODES:
        return np.asarray(picture)[..., None]
    if mode == "RGB":
        return np.asarray(picture)
    return np.asarray(picture.convert("RGB"))


@cache
def _quiet_pillow() -> None:
    """Silence Pillow's decompression-bomb warning: ``check_picture`` has the same limit."""
    from PIL import Image

    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@contextmanager
def _opened(path: str | Path) -> Iterator[Image]:
    """Open a picture without decoding it."""
    from PIL import Image, UnidentifiedImageError

    _quiet_pillow()
    try:
        picture = Image.open(path, formats=("PNG", "JPEG", "BMP"))
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"the header promises more than {MAX_PIXELS:,} pixels",
            where=Path(path).name,
            remedy="crop or downsample it",
            code="too-large",
        ) from error
    except UnidentifiedImageError:
        if Path(path).stat().st_size < _SMALLEST_PICTURE:
            raise truncated(path) from None
        raise
    with picture:
        yield picture


class _PngFacts:
    """Facts from the chunks of a PNG, without inflating them (PNG specification, section 5)."""

    def __init__(self, depth: int, colour_type: int, exif: bytes | None) -> None:
        self.colour_type = colour_type
        self.exif = exif
        self.deep_colour = depth == 16 and colour_type in (2, 4, 6)


def _png_facts(path: str | Path) -> _PngFacts:
    depth, colour_type, exif = 8, 0, None
    with Path(path).open("rb") as stream:
        stream.seek(8)
        while len(start := stream.read(8)) == 8:
            length, name = struct.unpack(">I4s", start)
            if name == b"IHDR":
                depth, colour_type = struct.unpack(">8x2B", stream.read(10))
                length -= 10
            elif name == b"eXIf":
                exif, length = stream.read(length), 0
            elif name == b"IEND":
                break
            stream.seek(length + 4, 1)
    return _PngFacts(depth, colour_type, exif)


def _orientation(picture: Image, png: _PngFacts | None) -> int:
    """The EXIF orientation, 1 if there is none, without decoding a PNG."""
    from PIL import Image

    if png is None:
        exif = picture.getexif()
    else:
        exif = Image.Exif()
        if png.exif:
            exif.load(png.exif)
    value = exif.get(274, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _deep_png(path: str | Path) -> NDArray[np.generic]:
    """Decode a 16-bit colour or grey-alpha PNG, which Pillow would reduce to 8 bits."""
    import imagecodecs

    array: NDArray[Any] = imagecodecs.png_decode(Path(path).read_bytes())
    return composited(array) if array.shape[-1] in (2, 4) else array
