"""Reads label descriptions near a mask: of ITK-SNAP, and colour tables (3D Slicer, FreeSurfer).

A line of ITK-SNAP is ``IDX R G B A VIS MSH "LABEL"`` with alpha from 0 to 1, one of a colour table
is ``IDX LABEL R G B A``; 3D Slicer also writes it as a CSV (``LabelValue,Name,…``).
"""

from __future__ import annotations

import csv
import os
import re
from functools import lru_cache
from pathlib import Path

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.shared.volume_masks import MASK_ENDINGS, Names
from coldal_tui.exchange.names import file_stem, same_name

_ENDINGS = (".txt", ".label", ".lbl", ".labels", ".ctbl", ".lut", ".csv")
_ITKSNAP = re.compile(
    r'\s*(?P<value>\d{1,9})(?:\s+\d{1,3}){3}\s+[\d.]+\s+[01]\s+[01]\s+"(?P<name>.*)"\s*'
)
_TABLE = re.compile(r"\s*(?P<value>\d{1,9})\s+(?P<name>[^\s\d]\S*)(?:\s+\d{1,3}){3,4}\s*")
_CSV_COLUMNS = ("LabelValue", "Name")
_OWN_ENDING = re.compile(r"[ _.-](?:labels?|colortable)$", re.IGNORECASE)
_MOST_BYTES = 1 << 20
_MOST_FILES = 64
LEVELS = 2
"""Folders searched for a description: the mask's own, and the one above it."""


def names_for(path: Path) -> Names | None:
    """Class names for a mask: from the description with its name, else from the nearest one.

    ITK-SNAP's default names (``Label 3`` for 3) don't count; a description with no other names is
    skipped.

    Raises
    ------
    ImageError : ``label-descriptions``: two of one folder name the values differently.
    """
    stem = same_name(file_stem(path.name))
    for folder in (path.parent, *path.parent.parents)[:LEVELS]:
        try:
            modified = folder.stat().st_mtime_ns
        except OSError:
            return None
        listing = _listing(folder, modified)
        own = [file for file, owner in listing if owner == stem] if folder == path.parent else []
        general = [file for file, owner in listing if owner is None]
        for files in (own, general):
            found = [names for file in files if (names := _described(file))]
            if found:
                return _agreed(found)
    return None


def may_have(folder: Path) -> bool:
    """Whether a folder, or the one above, holds a file that may be a label description."""
    try:
        return any(
            is_text(entry.name)
            for one in (folder, *folder.parents)[:LEVELS]
            for entry in os.scandir(one)
        )
    except OSError:
        return True


def is_text(name: str) -> bool:
    """Whether a file of this name may be a label description."""
    return name.lower().endswith(_ENDINGS)


def _agreed(found: list[Names]) -> Names:
    """The names that all descriptions give."""
    first = found[0]
    other = next((names for names in found if names.of != first.of), None)
    if other is None:
        return first
    raise ImageError(
        f"{first.source.name} and {other.source.name} name its values differently",
        where=str(first.source.parent),
        remedy="Keep one of them there, or give each the name of its mask.",
        code="label-descriptions",
    )


def parse_description(text: str) -> dict[int, str] | None:
    """Value to name; None if the text is no label description."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and set(_CSV_COLUMNS) <= {name.strip() for name in lines[0].split(",")}:
        return _parse_csv(lines)
    names: dict[int, str] = {}
    for line in lines:
        match = _ITKSNAP.fullmatch(line) or _TABLE.fullmatch(line)
        if match is None:
            return None
        names[int(match["value"])] = match["name"].strip()
    return names or None


def _parse_csv(lines: list[str]) -> dict[int, str] | None:
    reader = csv.DictReader(lines, skipinitialspace=True)
    try:
        return {int(row["LabelValue"]): (row["Name"] or "").strip() for row in reader} or None
    except (TypeError, ValueError, KeyError, csv.Error):
        return None


@lru_cache(maxsize=256)
def _listing(folder: Path, mtime_ns: int) -> tuple[tuple[Path, str | None], ...]:
    """Text files of a folder, each with the stem of the only mask it applies to, if any."""
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return ()
    masks = {same_name(file_stem(name)) for name in entries if name.lower().endswith(MASK_ENDINGS)}
    texts = [name for name in entries if is_text(name)]
    listing = []
    for name in texts if len(texts) <= _MOST_FILES else ():
        stem = same_name(Path(name).stem)
        owners = [s for s in (stem, _OWN_ENDING.sub("", stem)) if s in masks]
        listing.append((folder / name, owners[0] if owners else None))
    return tuple(listing)


def _described(path: Path) -> Names | None:
    try:
        status = path.stat()
        if status.st_size > _MOST_BYTES:
            return None
        names = _parsed(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return None
    telling = {value for value, name in (names or {}).items() if value and name != f"Label {value}"}
    return Names(names, path) if names and telling else None


@lru_cache(maxsize=256)
def _parsed(path: Path, mtime_ns: int, size: int) -> dict[int, str] | None:
    return parse_description(path.read_text("utf-8", "replace"))
