"""Decodes small pictures inside JSON: pixels that are not transparent are drawn."""

from __future__ import annotations

import io
import zlib

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.readers.limits import MAX_PIXELS

_TRANSPARENT = ("RGBA", "LA", "PA")


def decode_alpha(
    data: bytes, rows: int | None = None, columns: int | None = None
) -> NDArray[np.bool_]:
    """The drawn pixels of a PNG: by its alpha channel, else values above 0.

    Returns (rows, columns) bool.

    Parameters
    ----------
    rows, columns : the required size of the picture; None accepts any size.

    Raises
    ------
    ImageError : ``damaged``, ``too-large``.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError("a picture inside the file is too large", code="too-large")
            if rows is not None and (image.height, image.width) != (rows, columns):
                raise ImageError(
                    f"a picture inside the file is {image.width}×{image.height} pixels, not "
                    f"{columns}×{rows}",
                    remedy="Export it again.",
                    code="damaged",
                )
            if image.mode in _TRANSPARENT or "transparency" in image.info:
                return np.asarray(image.convert("RGBA"))[..., 3] > 0
            values = np.asarray(image)
            return np.asarray(values.any(axis=2) if values.ndim == 3 else values > 0)
    except Image.DecompressionBombError as error:
        raise ImageError("a picture inside the file is too large", code="too-large") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, zlib.error) as error:
        raise ImageError(
            f"a picture inside the file can't be read: {error}",
            remedy="Export it again.",
            code="damaged",
        ) from error
