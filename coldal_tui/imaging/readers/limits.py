"""Converts decoders' errors to typed image errors, and limits sizes stated by headers."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path

from coldal_tui.errors import ImageError

MAX_PIXELS = 89_478_485
"""Largest 2-D picture that is decoded (Pillow's own decompression-bomb limit, 256 MiB as RGB)."""

MAX_VOLUME_BYTES = 8 << 30
"""Largest volume that is decoded, in bytes of its stored type."""

DEFLATE_RATIO = 1032
"""Largest compression ratio of deflate (zlib technical notes): limits what a file can hold."""

_TRUNCATED_WORDS = (
    "truncated",
    "unexpected end",
    "end of file",
    "end-of-stream",
    "eof",
    "got only",
)


@contextmanager
def decoding(path: str | Path) -> Iterator[None]:
    """Re-raise a decoder's error as an ``ImageError`` that names the file.

    Codes: ``truncated`` when the bytes end too early, ``missing`` or ``no-permission`` for the
    file itself, ``too-large`` when memory runs out, else ``damaged``.
    """
    name = Path(path).name
    try:
        yield
    except (ImageError, ImportError):  # a missing library is not an error of the file
        raise
    except FileNotFoundError as error:
        raise ImageError(
            "the file is not there",
            where=name,
            remedy="put it back, or index again",
            code="missing",
        ) from error
    except PermissionError as error:
        raise ImageError(
            "no permission to read the file",
            where=name,
            remedy="ask its owner for read access",
            code="no-permission",
        ) from error
    except MemoryError as error:
        raise ImageError(
            "the picture does not fit into memory",
            where=name,
            remedy="crop or downsample it",
            code="too-large",
        ) from error
    except EOFError as error:
        raise truncated(path) from error
    except Exception as error:  # decoders may raise anything on damaged bytes
        text = str(error).lower()
        if any(word in text for word in _TRUNCATED_WORDS):
            raise truncated(path) from error
        raise ImageError(
            f"the file can't be decoded ({_one_line(error)})",
            where=name,
            remedy="copy it again from its source, or take it out of the folder",
            code="damaged",
        ) from error


def truncated(
    path: str | Path, what: str = "the file ends in the middle of its data"
) -> ImageError:
    """The error for data that end too early."""
    return ImageError(
        what, where=Path(path).name, remedy="copy the file again from its source", code="truncated"
    )


def check_picture(path: str | Path, shape: Sequence[int]) -> None:
    """Refuse a picture (rows, columns) of no pixels, or of more than ``MAX_PIXELS``."""
    if min(shape) < 1:
        raise ImageError(
            f"the picture has no pixels (grid {tuple(shape)})",
            where=Path(path).name,
            remedy="take it out of the folder",
            code="empty",
        )
    if shape[0] * shape[1] > MAX_PIXELS:
        raise ImageError(
            f"the header promises {shape[0]} × {shape[1]} pixels, more than {MAX_PIXELS:,}",
            where=Path(path).name,
            remedy="crop or downsample it",
            code="too-large",
        )


def check_bytes(
    path: str | Path, shape: Sequence[int], item_bytes: int, available: int, *, compressed: bool
) -> None:
    """Refuse a header that states more data than its file can hold, before allocating memory.

    ``shape`` has all axes; ``available`` is the number of bytes after the header. Compressed
    data may hold up to ``DEFLATE_RATIO`` times as much.
    """
    if min(shape, default=0) < 1:
        raise ImageError(
            f"the image has no voxels (grid {tuple(shape)})",
            where=Path(path).name,
            remedy="take it out of the folder",
            code="empty",
        )
    needed = prod(int(n) for n in shape) * item_bytes
    if needed > available * (DEFLATE_RATIO if compressed else 1):
        raise truncated(
            path,
            f"the header promises {needed:,} bytes of pixels and the file holds "
            f"{available:,}{' compressed' if compressed else ''}",
        )
    if needed > MAX_VOLUME_BYTES:
        raise ImageError(
            f"the header promises {needed:,} bytes of pixels, more than {MAX_VOLUME_BYTES:,}",
            where=Path(path).name,
            remedy="crop or downsample it",
            code="too-large",
        )


def inflate(data: bytes, needed: int, *, wbits: int) -> bytes:
    """Decompress at most ``needed`` bytes of a zlib or gzip stream (``wbits`` as in ``zlib``).

    Raises ``zlib.error`` on damaged data (the checksum is verified), and ``EOFError`` on a stream
    that is cut before it; a shorter stream gives fewer bytes than ``needed``.
    """
    stream = zlib.decompressobj(wbits)
    content = stream.decompress(data, needed)
    more = stream.decompress(stream.unconsumed_tail, 1) if not stream.eof else b""
    if not more and not stream.eof:
        raise EOFError("the compressed data end before their checksum")
    return content


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "…"


def detached_data(header: Path, name: str, whole: str) -> Path:
    """The voxel file that a detached header names, below the header's own folder.

    ``whole`` is the ending of the format's single-file form, for the remedy. Raises ImageError:
    ``unsupported-layout`` for lists of files and paths that lead elsewhere, ``missing``.
    """
    if name.upper().startswith("LIST") or "%" in name:
        raise ImageError(
            "the data lie in several files (LIST or pattern)",
            where=header.name,
            remedy=f"save it as one {whole} file",
            code="unsupported-layout",
        )
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ImageError(
            f"the header's data file {name} lies outside its folder",
            where=header.name,
            remedy=f"save it as one {whole} file, or put the data beside the header",
            code="unsupported-layout",
        )
    data = header.parent / name
    if not data.is_file():
        raise ImageError(
            f"the header's data file {name} is not there",
            where=header.name,
            remedy="put it beside the header",
            code="missing",
        )
    return data
