"""Masks as pictures: PNG, BMP, GIF and TIFF, read as stored values, not display colours.

Palette pictures give palette indices. JPEG and other lossy files are refused: compression creates
false values at edges.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels
from coldal_tui.exchange.importers.shared.picture_values import (
    check_palette,
    forget_folders,
    names_beside_picture,
    plain_values,
)
from coldal_tui.exchange.importers.shared.volume_masks import volume_candidate
from coldal_tui.exchange.masks.plain_png import decode_plain_grey
from coldal_tui.exchange.refusals import unreadable
from coldal_tui.imaging.readers.limits import MAX_PIXELS

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
)
_ENDINGS: Mapping[str, str] = {
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WebP",
}
_BITMAP_HEADERS = frozenset(bytes([size]) for size in (12, 40, 52, 56, 108, 124))
_LOSSY = ("JPEG", "JPEG 2000", "WebP")
_LOSSLESS_WEBP = b"VP8L"
_LOSSY_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jp2", ".webp")
_ORIENTATION_TAG = 274
_PNG_GREY = 0
_PNG_COLOURS = (2, 6)


class RasterImporter:
    """Reads label pictures; refuses lossy ones with the reason."""

    name = "raster"
    priority = 0
    endings = _ENDINGS

    def forget(self) -> None:
        """Clear the cache: the folders of the masks may have changed."""
        forget_folders()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise the picture format by its magic number."""
        return _format_of(head) if is_picture(head) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """No other files belong to a picture."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        lossy = path.suffix.lower() in _LOSSY_ENDINGS
        names = None if lossy else names_beside_picture(path)
        if names is not None:
            yield volume_candidate(path, "picture", read_picture_mask, names, decode_picture_mask)
            return
        yield Candidate(
            path,
            path.as_posix(),
            "picture",
            lambda: read_picture_mask(path),
            decode=lambda data: decode_picture_mask(data, path),
            weak="a lossy picture is no mask" if lossy else "",
        )


IMPORTER = RasterImporter()


def is_picture(head: bytes) -> bool:
    """Recognise a picture by its magic number; a DICOM file may begin like a TIFF (PS3.10 7.1)."""
    return head[128:132] != b"DICM" and _format_of(head) is not None


def read_picture_mask(path: Path) -> MaskPixels:
    """Decode a label picture: stored values ``(rows, columns)``, EXIF rotation applied.

    A TIFF of several pages is a volume ``(i, j, k)`` = (column, row, page) without a position.

    Raises
    ------
    ImageError : lossy, too many colours, transparent, several pages, reversed palette, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, str(error)) from error
    return decode_picture_mask(data, path)


def decode_picture_mask(data: bytes, path: Path) -> MaskPixels:
    """As :func:`read_picture_mask`, from the file's bytes."""
    from PIL import UnidentifiedImageError

    colours: Mapping[int, str] | None = None
    try:
        kind = _format_of(data[:64])
        if not data:
            raise unreadable(path, "it is empty (0 bytes)")
        if kind in _LOSSY and data[12:16] != _LOSSLESS_WEBP:
            raise _lossy(path, kind)
        if _is_plain_grey(data):
            return MaskPixels(decode_plain_grey(data), "rows")
        if kind == "TIFF":
            from coldal_tui.exchange.importers.shared.tiff_values import (
                read_tiff_values,
                read_tiff_volume,
            )

            volume = read_tiff_volume(data, path)
            if volume is not None:
                note = f"a TIFF of {volume.shape[2]} pages: slices in the order of the pages"
                return MaskPixels(volume, "ijk", placed=False, notes=(note,))
            values, colours, orientation = read_tiff_values(data, path)
        else:
            values, colours, orientation = _read_values(data, path)
    except UnidentifiedImageError as error:
        raise unreadable(path, "it is no picture of a known format") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise unreadable(path, str(error)) from error
    notes = () if orientation == 1 else ("its EXIF rotation was applied",)
    return MaskPixels(_upright(values, orientation), "rows", notes=notes, colours=colours)


def _format_of(head: bytes) -> str | None:
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    # "BM" may be the start of a text; the header size that follows identifies a bitmap.
    return "BMP" if head[:2] == b"BM" and head[14:15] in _BITMAP_HEADERS else None


def _is_plain_grey(data: bytes) -> bool:
    """Whether it is an 8-bit grey PNG of a safe size whose pixels need no conversion.

    The chunk names for rotation (eXIf) and transparency (tRNS) are searched for in all bytes; if
    pixel data contain them by chance, the general reader gives the same result.
    """
    if not data.startswith(_MAGIC[0][0]) or data[24:26] != bytes([8, _PNG_GREY]):
        return False
    columns, rows = struct.unpack(">II", data[16:24])
    special = any(chunk in data for chunk in (b"eXIf", b"tRNS", b"acTL", b"zTXt", b"iTXt"))
    return 0 < columns * rows <= MAX_PIXELS and not special


def _read_values(data: bytes, path: Path) -> tuple[NDArray[Any], Mapping[int, str] | None, int]:
    """Read stored values (rows, columns), their colours, and the EXIF orientation."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "BMP", "GIF", "WEBP"))
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"the mask is too large to be safe: {error}", where=str(path), code="too-large"
        ) from error
    with image:
        if getattr(image, "n_frames", 1) > 1:
            raise _several_pages(path, image.n_frames)  # type: ignore[attr-defined]
        bits, colour_type = _png_layout(data) if image.format == "PNG" else (8, -1)
        if bits == 16 and colour_type in _PNG_COLOURS:
            raise ImageError(
                "a 16-bit colour picture is no label map",
                where=str(path),
                remedy="Save it as one grey channel.",
                code="colour",
            )
        image.load()
        values, colours = _values_of(image, path)
        if colour_type == _PNG_GREY and bits in (2, 4):
            # Pillow stretches 2- and 4-bit grey to 0..255; the stored values are what counts.
            values = values // (85 if bits == 2 else 17)
        return values, colours, int(image.getexif().get(_ORIENTATION_TAG, 1))


def _values_of(image: Any, path: Path) -> tuple[NDArray[Any], Mapping[int, str] | None]:
    values = np.array(image)
    if image.mode == "1":
        return values.astype(np.uint8), None
    if image.mode in ("P", "PA"):
        indices = values[..., 0] if image.mode == "PA" else values
        palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        check_palette(indices, palette, path)
        return indices, None
    if values.ndim == 2:
        return values, None
    return plain_values(values, image.mode in ("LA", "RGBA"), path)


def _png_layout(data: bytes) -> tuple[int, int]:
    """Bit depth and colour type of a PNG (its IHDR chunk, ISO 15948 11.2.2)."""
    return data[24], data[25]


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The array turned as EXIF orientation 1..8 asks (EXIF 2.3, 4.6.4)."""
    turned = {
        2: lambda: values[:, ::-1],
        3: lambda: values[::-1, ::-1],
        4: lambda: values[::-1],
        5: lambda: values.T,
        6: lambda: np.rot90(values, -1),
        7: lambda: values[::-1, ::-1].T,
        8: lambda: np.rot90(values, 1),
    }
    return np.ascontiguousarray(turned[orientation]()) if orientation in turned else values


def _several_pages(path: Path, count: int) -> ImageError:
    return ImageError(
        f"the file holds {count} pictures",
        where=str(path),
        remedy="Save one mask per file.",
        code="several-pages",
    )


def _lossy(path: Path, kind: str | None) -> ImageError:
    return ImageError(
        f"{kind} invents values at the edges of a mask",
        where=str(path),
        remedy=f"Export the mask as PNG (a converted {kind} keeps the damage).",
        code="lossy",
    )
