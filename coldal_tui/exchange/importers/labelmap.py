"""Masks in class colours: CVAT segmentation mask 1.1, Pascal VOC, CamVid, KITTI and Cityscapes.

A pixel's colour gives its class through ``labelmap.txt`` (CVAT, VOC) or ``label_colors.txt``
(CamVid, KITTI and Cityscapes as CVAT and datumaro write them); its palette index does not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, PassedOver
from coldal_tui.exchange.importers.raster import read_picture_mask
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory
from coldal_tui.exchange.importers.shared.picture_values import pack_colours
from coldal_tui.exchange.refusals import unreadable

LABELMAP, COLOURS = "labelmap.txt", "label_colors.txt"
CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
_IMAGES = "JPEGImages"
_LEVELS = 4
_LONGEST = 1 << 20
_VOID = 255
_LINE = re.compile(r"\s*(.+?)\s*:\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?::.*)?$")
_COLOUR_LINE = re.compile(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\S.*?)\s*$")
_CAMVID, _KITTI, _CITYSCAPES = "annot", "semantic_rgb", "_gtFine_color"
_NUMBERED_FOLDERS = ("semantic", "instance")
_NUMBERED_ENDINGS = ("_labelIds", "_instanceIds", "_labelTrainIds")
_CITYSCAPES_IMAGE = "_leftImg8bit"
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
_PNG = b"\x89PNG\r\n\x1a\n"
_VOC_COLOURS = 256


class LabelmapImporter:
    """Reads the label map itself, to separate its images from its masks."""

    name = "labelmap"
    priority = 41
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise a text file of names and colours by the name that CVAT gives it."""
        if path.name not in (LABELMAP, COLOURS) or not read_labelmap(path):
            return None
        return "CVAT label map file" if path.name == LABELMAP else "label colours file"

    def belongings(self, path: Path) -> frozenset[Path]:
        """The pictures exported together with it, and the instance masks."""
        if path.name == COLOURS:
            return frozenset(
                file
                for file in path.parent.rglob("*.*")
                if file.suffix.lower() in _PICTURES and _colour_role(file) is None
            )
        folders = [path.parent / _IMAGES]
        if (path.parent / CLASSES).is_dir():
            folders.append(path.parent / OBJECTS)
        return frozenset(
            file for folder in folders if folder.is_dir() for file in folder.rglob("*.*")
        )

    def candidates(self, path: Path) -> Iterator[PassedOver]:
        """None: a label map holds no mask."""
        yield PassedOver(path, "", "it says what the masks' colours mean")


class ColourMaskImporter:
    """Reads PNG masks that lie with a ``labelmap.txt``, or in VOC's folder of class masks."""

    name = "cvat-masks"
    priority = 40
    endings: Mapping[str, str] = {}

    def forget(self) -> None:
        """Clear the cache: label maps may have changed."""
        _labelmaps.forget()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A PNG with a label map in a folder above, or in VOC's folder."""
        if not head.startswith(_PNG) or _IMAGES in path.parts[-_LEVELS:]:
            return None
        found = _labelmaps.of(path)
        if found is not None and found.name == COLOURS:
            return _colour_role(path)
        if found is not None:
            return "CVAT segmentation"
        return "Pascal VOC" if CLASSES in path.parts[-_LEVELS:] else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """No other files belong to a mask."""
        return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate, with its file's name."""
        labelmap = _labelmaps.of(path)
        role = _colour_role(path) if labelmap and labelmap.name == COLOURS else None
        if role == _NUMBERS:
            yield PassedOver(path, "", "numbers of what its coloured masks show")
            return
        if role is not None and labelmap is not None:
            stem = path.stem.removesuffix(_CITYSCAPES)
            yield Candidate(
                path,
                path.with_name(f"{stem}.png").as_posix(),
                role,
                partial(read_colour_mask, path, labelmap),
                other_names=(f"{stem}{_CITYSCAPES_IMAGE}.png",) if stem != path.stem else (),
                parts=(labelmap,),
            )
            return
        yield Candidate(
            path,
            path.as_posix(),
            "CVAT segmentation" if labelmap else "Pascal VOC",
            partial(read_colour_mask, path, labelmap) if labelmap else partial(_read_voc, path),
            tool="CVAT" if labelmap else None,
            parts=(labelmap,) if labelmap else (),
        )


IMPORTER = ColourMaskImporter()
MAP_IMPORTER = LabelmapImporter()


_NUMBERS = "numbered"


def _colour_role(path: Path) -> str | None:
    """A picture's role: the format of a colour mask, ``_NUMBERS``, or None for an image."""
    above = path.parts[-_LEVELS:-1]
    if path.stem.endswith(_CITYSCAPES):
        return "Cityscapes"
    if path.stem.endswith(_NUMBERED_ENDINGS):
        return _NUMBERS
    if _KITTI in above:
        return "KITTI"
    if path.parent.name in _NUMBERED_FOLDERS:
        return _NUMBERS
    return "CamVid" if any(part.endswith(_CAMVID) for part in above) else None


def find_labelmap(folder: Path) -> Path | None:
    """The nearest label map in a folder or a few levels above it."""
    folders = (folder, *folder.parents)[:_LEVELS]
    files = (one / name for one in folders for name in (LABELMAP, COLOURS))
    return next((file for file in files if read_labelmap(file)), None)


_labelmaps = FolderMemory(find_labelmap)


def read_labelmap(path: Path) -> Mapping[int, str]:
    """Class names by colour (0xRRGGBB); empty if the file is no label map."""
    try:
        status = path.stat()
        if status.st_size > _LONGEST:
            return {}
        return _labelmap(path, status.st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=32)
def _labelmap(path: Path, _changed: int) -> Mapping[int, str]:
    names: dict[int, str] = {}
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line) or _COLOUR_LINE.match(line)
        if found is None:
            return {}
        parts = found.groups() if found.re is _LINE else (found[4], found[1], found[2], found[3])
        red, green, blue = (int(part) for part in parts[1:])
        if max(red, green, blue) > 255:
            return {}
        names.setdefault(red << 16 | green << 8 | blue, parts[0])
    return names


def read_colour_mask(path: Path, labelmap: Path) -> MaskPixels:
    """Decode a mask by the colours of a label map.

    A mask of instances, each in its own colour, is read only if there is a single class.

    Raises
    ------
    ImageError : as for any picture; ``instances`` the class of an instance is not stored.
    """
    names = read_labelmap(labelmap)
    packed, colours = pack_colours(_rgb(path), path)
    drawn = set(colours) - {0}
    notes: tuple[str, ...] = ()
    if drawn and not drawn & names.keys() and drawn == set(voc_colours()[1 : len(drawn) + 1]):
        names = _of_instances(names, drawn, path)
        notes = (f"{len(drawn)} instances of {names[min(drawn)]!r} joined",)
    return MaskPixels(
        packed,
        "rows",
        names={value: names[value] for value in colours if value in names},
        notes=notes,
        colours=colours,
    )


def _of_instances(names: Mapping[int, str], drawn: set[int], path: Path) -> dict[int, str]:
    """The class of instances 1, 2, … in VOC's colours; known only with a single class."""
    classes = [name for name in names.values() if name.casefold() != "background"]
    if len(classes) != 1:
        raise ImageError(
            "its colours tell instances apart, not classes, and which class an instance has is "
            "not stored",
            where=str(path),
            remedy=f"Import the masks of {CLASSES}: CVAT exports both.",
            code="instances",
        )
    return dict.fromkeys(drawn, classes[0])


def _rgb(path: Path) -> NDArray[np.uint8]:
    """The picture's colours, ``(rows, columns, 3)``."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode not in ("RGB", "RGBA", "P", "L", "1"):
                raise ImageError(
                    f"a mask of mode {image.mode} has no colours that a label map could name",
                    where=str(path),
                    remedy="Export it from CVAT again.",
                    code="colour",
                )
            return np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"the mask is too large to be safe: {error}", where=str(path), code="too-large"
        ) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, zlib.error) as error:
        raise unreadable(path, error) from error


def _read_voc(path: Path) -> MaskPixels:
    """A VOC mask without a label map: palette indices, 255 is void."""
    pixels = read_picture_mask(path)
    return MaskPixels(pixels.array, "rows", notes=pixels.notes, void=(_VOID,))


@lru_cache(maxsize=1)
def voc_colours() -> tuple[int, ...]:
    """The 256 colours of Pascal VOC, in which instances are numbered (VOC development kit)."""
    colours = []
    for index in range(_VOC_COLOURS):
        red = green = blue = 0
        bits = index
        for shift in range(7, -1, -1):
            red |= (bits & 1) << shift
            green |= (bits >> 1 & 1) << shift
            blue |= (bits >> 2 & 1) << shift
            bits >>= 3
        colours.append(red << 16 | green << 8 | blue)
    return tuple(colours)
