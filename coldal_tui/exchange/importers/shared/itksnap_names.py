"""Reads ITK-SNAP's label descriptions: a text file near a mask that names its values.

Lines are ``IDX R G B A VIS MSH "LABEL"``; alpha runs from 0 to 1.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from coldal_tui.exchange.importers.shared.volume_masks import VOLUME_ENDINGS, Names
from coldal_tui.exchange.names import file_stem, same_name

_ENDINGS = (".txt", ".label")
_LINE = re.compile(
    r'\s*(?P<value>\d{1,9})(?:\s+\d{1,3}){3}\s+[\d.]+\s+[01]\s+[01]\s+"(?P<name>.*)"\s*'
)
_OWN_ENDING = re.compile(r"[ _.-]labels?$", re.IGNORECASE)
_MOST_BYTES = 1 << 20
_MOST_FILES = 64


def names_for(path: Path) -> Names | None:
    """Class names for a mask: from the description with its name, else from the only one.

    ITK-SNAP's default names (``Label 3`` for 3) don't count; a description with no other names is
    skipped.
    """
    try:
        modified = path.parent.stat().st_mtime_ns
    except OSError:
        return None
    listing = _listing(path.parent, modified)
    stem = same_name(file_stem(path.name))
    own = [file for file, owner in listing if owner == stem]
    general = [file for file, owner in listing if owner is None]
    for files in (own, general):
        found = [names for file in files if (names := _described(file))]
        if found and all(names.of == found[0].of for names in found):
            return found[0]
        if found:
            return None
    return None


def parse_description(text: str) -> dict[int, str] | None:
    """Value to name; None if the text is no label description."""
    names: dict[int, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        names[int(match["value"])] = match["name"].strip()
    return names or None


@lru_cache(maxsize=64)
def _listing(folder: Path, mtime_ns: int) -> tuple[tuple[Path, str | None], ...]:
    """Text files of a folder, each with the stem of the only mask it applies to, if any."""
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return ()
    volumes = {
        same_name(file_stem(name)) for name in entries if name.lower().endswith(VOLUME_ENDINGS)
    }
    texts = [name for name in entries if name.lower().endswith(_ENDINGS)]
    listing = []
    for name in texts if len(texts) <= _MOST_FILES else ():
        stem = same_name(Path(name).stem)
        owners = [s for s in (stem, _OWN_ENDING.sub("", stem)) if s in volumes]
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
