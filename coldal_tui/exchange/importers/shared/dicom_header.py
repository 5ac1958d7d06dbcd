"""Shared by the DICOM importers: object class, source images, author and time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.object import read_dataset
from coldal_tui.imaging.readers.limits import decoding
from coldal_tui.imaging.recognise import is_dicom

_UID = rb"(?P<uid>[0-9.]{5,64})"
_SOP_CLASS = (
    re.compile(rb"\x02\x00\x02\x00UI.." + _UID, re.DOTALL),
    re.compile(rb"\x08\x00\x16\x00(?:UI..|..\x00\x00)" + _UID, re.DOTALL),
    re.compile(rb"\x00\x08\x00\x16UI.." + _UID, re.DOTALL),
)
"""The SOP class in the file meta information, in a little-endian and in a big-endian data set."""


def sop_class(head: bytes) -> str:
    """The SOP class UID in the first bytes of a DICOM file; "" if there is none."""
    if not is_dicom(head):
        return ""
    found = (pattern.search(head) for pattern in _SOP_CLASS)
    first = next((match for match in found if match is not None), None)
    return first["uid"].decode() if first else ""


def read_without_pixels(path: Path) -> tuple[Any, int]:
    """Read the elements before the pixels; returns them and the pixels' size in bytes.

    Raises
    ------
    ImageError : damaged or truncated.
    """
    with decoding(path):
        dataset, available = read_dataset(path)
        return dataset, available or 0


def items(dataset: Any, *keywords: str) -> Iterator[Any]:
    """All items at the end of a path of nested sequences; empty if one is absent.

    Raises
    ------
    ImageError : a sequence is damaged: pydicom decodes it only now.
    """
    if not keywords:
        yield dataset
        return
    try:
        found = list(dataset.get(keywords[0]) or ())
    except Exception as error:  # pydicom's own and Python's, of every kind
        raise ImageError(
            f"its {keywords[0]} is damaged: {error}",
            remedy="write the file again with the program that made it",
            code="damaged",
        ) from error
    for item in found:
        yield from items(item, *keywords[1:])


def uids_of(found: Iterator[Any], keyword: str) -> list[str]:
    """The distinct UIDs of one attribute in many items, in order."""
    return list(dict.fromkeys(str(item.get(keyword)) for item in found if item.get(keyword)))


def drawn_on(dataset: Any, series: Sequence[str], instances: Sequence[str]) -> tuple[str, ...]:
    """UIDs for matching: series, then instances; the frame of reference only if both are absent,

    since several series may share it.
    """
    if series or instances:
        return (*series, *instances)
    frames = [dataset.get("FrameOfReferenceUID")]
    for item in items(dataset, "ReferencedFrameOfReferenceSequence"):
        frames.append(item.get("FrameOfReferenceUID"))
    return tuple(dict.fromkeys(str(uid) for uid in frames if uid))


def person(dataset: Any, *keywords: str) -> str | None:
    """The first person name present, family name last, without carets."""
    for keyword in keywords:
        text = str(dataset.get(keyword) or "").split("=")[0]
        family, _, rest = text.partition("^")
        given = " ".join(part for part in rest.split("^")[:2] if part)
        name = f"{given} {family}".strip()
        if name:
            return name
    return None


def tool(dataset: Any) -> str | None:
    """Manufacturer and model of the program that wrote the object."""
    words = [str(dataset.get(key) or "") for key in ("Manufacturer", "ManufacturerModelName")]
    return " ".join(dict.fromkeys(word.strip() for word in words if word.strip())) or None


def moment(dataset: Any, date: str, time: str) -> float | None:
    """Seconds since 1970 from a date and a time attribute, taken as UTC; None when unknown."""
    text = f"{dataset.get(date) or ''}{str(dataset.get(time) or '')[:6] or '000000'}"
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
