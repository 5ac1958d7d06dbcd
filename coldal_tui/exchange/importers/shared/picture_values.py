"""Interprets the channels and the palette of a label picture, and names of its values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.shared import itksnap_names
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory
from coldal_tui.exchange.importers.shared.volume_masks import Names
from coldal_tui.exchange.name_meanings import BACKGROUND_NAMES

MOST_COLOURS = 256
"""A picture with more colours is no label map."""

_NAMES_FILE = "class_names.txt"
_MOST_BYTES = 1 << 16


def plain_values(
    values: NDArray[Any], alpha: bool, path: Path
) -> tuple[NDArray[Any], Mapping[int, str] | None]:
    """The values of ``(rows, columns, channels)``, and the colour of each value.

    If all colour channels are equal, the values are grey levels without colours; else they are
    0xRRGGBB.

    Raises
    ------
    ImageError : transparency varies (``transparent``), or the colours are too many or not 8-bit
        (``colour``).
    """
    colours = values[..., :-1] if alpha else values
    if alpha and np.any(values[..., -1] != np.iinfo(values.dtype).max):
        raise ImageError(
            "parts of the mask are transparent: what they mean is not stored",
            where=str(path),
            remedy="Save it without an alpha channel, one grey value per class.",
            code="transparent",
        )
    if not np.any(colours != colours[..., :1]):
        return np.ascontiguousarray(colours[..., 0]), None
    if colours.dtype != np.uint8 or colours.shape[-1] != 3:
        raise _too_colourful("it is no 8-bit RGB picture", path)
    return pack_colours(colours, path)


def pack_colours(
    colours: NDArray[np.uint8], path: Path
) -> tuple[NDArray[np.int32], Mapping[int, str]]:
    """``(rows, columns, 3)`` RGB as 0xRRGGBB, and the colours that occur as ``#rrggbb``.

    Raises
    ------
    ImageError : code ``colour``: more than ``MOST_COLOURS``.
    """
    packed = np.zeros(colours.shape[:2], dtype=np.int32)
    for channel in range(3):
        packed = packed << 8 | colours[..., channel]
    found = np.unique(packed)
    if found.size > MOST_COLOURS:
        raise _too_colourful(f"it has {found.size} colours", path)
    return packed, {int(value): f"#{int(value):06x}" for value in found}


def _too_colourful(what: str, path: Path) -> ImageError:
    return ImageError(
        f"the mask is drawn in colour, and colours are no class values: {what}",
        where=str(path),
        remedy="Save it as grey or palette values 0, 1, 2, …",
        code="colour",
    )


def check_palette(values: NDArray[Any], palette: NDArray[Any], path: Path) -> None:
    """Refuse palettes in which an index may not be the class value.

    ``palette`` is (n, 3) 0..255. VOC-style palettes map index 0 to black and others to colours.

    Raises
    ------
    ImageError : ``reversed-palette``, ``grey-palette``.
    """
    used = np.unique(values)
    used = used[used < len(palette)]
    colours = palette[used].astype(int)
    brightness = colours.sum(axis=1)
    if used.size > 1 and used[0] == 0 and brightness[0] > 0 and brightness[1:].min() == 0:
        raise ImageError(
            f"its palette draws value 0 (background) bright and value "
            f"{used[1:][brightness[1:] == 0][0]} black: it may be reversed",
            where=str(path),
            remedy="Save it as grey values: 0 for background.",
            code="reversed-palette",
        )
    levels = palette.astype(int)
    grey = bool(np.all(levels == levels[:, :1]))
    # Black and white means one class either way; any other grey may be the intended value.
    plain = used.size <= 2 and set(colours[:, 0].tolist()) <= {0, 255}
    if grey and not plain and np.any(colours[:, 0] != used):
        shades = ", ".join(f"{i} is grey {g}" for i, g in zip(used, colours[:, 0], strict=True))
        raise ImageError(
            f"it stores grey shades as a palette ({shades}): which number is meant is not stored",
            where=str(path),
            remedy="Save it as plain 8-bit grey, without a palette.",
            code="grey-palette",
        )


def names_beside_picture(path: Path) -> Names | None:
    """Class names from a file in a mask's folder or the one above.

    LabelMe's VOC export (``labelme2voc``) writes ``class_names.txt``: a class a line, the first
    names value 0, the background. https://github.com/wkentaro/labelme. Else a label description,
    as ``itksnap_names`` reads it.

    Raises
    ------
    ImageError : ``label-descriptions``: two files name the values differently.
    """
    listed = _beside.of(path)
    return listed or (itksnap_names.names_for(path) if _described.of(path) else None)


def forget_folders() -> None:
    """Clear the cache of ``names_beside_picture``: folders may have changed."""
    _beside.forget()
    _described.forget()


def _names_of(folder: Path) -> Names | None:
    for place in (folder, folder.parent):
        file = place / _NAMES_FILE
        try:
            if file.stat().st_size > _MOST_BYTES:
                continue
            names = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeError):
            continue
        if names and names[0].casefold() in BACKGROUND_NAMES:
            return Names({value: name for value, name in enumerate(names) if name}, file)
    return None


_beside = FolderMemory(_names_of)
_described = FolderMemory(itksnap_names.may_have)
