"""Names of new scans: readable, unique and safe in file names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from coldal_tui.imaging.indexing import FoundScan

_MOST_BYTES = 160
"""Of a scan's id: files are named after it, with an ending, and a name has at most 255."""
_GENERIC = re.compile(
    r"(?:img|image|im|i|slice|frame|scan|volume|vol|series|ser|file|data|raw|orig|original|ct|mr|"
    r"mri|t1|t2|flair|xray|x-ray)?[-_. ]?\d*(?:[-_. ]\d+)*",
    re.I,
)
"""Names that a scanner or a script gives, the same in every folder."""


def new_ids(
    images_name: str, new: Sequence[FoundScan], taken: Iterable[str]
) -> dict[str, FoundScan]:
    """New ids: readable, unique, valid file names; folder names make equal names different."""
    names = [safe_name(found.name) for found in new]
    folded = Counter(name.lower() for name in names)
    used = {name.lower() for name in taken}
    given: dict[str, FoundScan] = {}
    for name, found in zip(names, new, strict=True):
        candidate = name
        generic = "/" in found.rel_path and _GENERIC.fullmatch(found.name)
        if folded[name.lower()] > 1 or name.lower() in used or generic:
            candidate = safe_name(f"{_telling_folder(images_name, found)}-{name}")
        given[unique_name(candidate, used)] = found
    return given


def _telling_folder(images_name: str, found: FoundScan) -> str:
    """The nearest folder whose name is not yet part of the scan's name."""
    folders = [folder.name for folder in PurePosixPath(found.rel_path).parents if folder.name]
    return next((name for name in folders if not found.name.startswith(name)), images_name)


def safe_name(name: str) -> str:
    """Keep letters, digits, ``.``, ``_`` and ``-``; at most 80 characters; never empty.

    Latin letters lose their accents; letters of other scripts stay, so that names stay readable.
    """
    import unicodedata

    composed = unicodedata.normalize("NFC", name)
    kept = re.sub(r"[^\w.-]+", "_", "".join(map(_plain, composed))).strip("._-")
    cut = kept[:80]
    while len(cut.encode()) > _MOST_BYTES:
        cut = cut[:-1]
    return cut.rstrip("._-") or "scan"


def _plain(char: str) -> str:
    """A letter without its accent; another script's letter unchanged; else a space."""
    import unicodedata

    latin = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return latin or (char if char.isalnum() else "" if unicodedata.combining(char) else " ")


def unique_name(name: str, used: set[str]) -> str:
    """``name``, numbered when ``used`` (lower case) holds it; the result is added to ``used``."""
    unique, number = name, 2
    while unique.lower() in used:
        unique, number = f"{name}-{number}", number + 1
    used.add(unique.lower())
    return unique
