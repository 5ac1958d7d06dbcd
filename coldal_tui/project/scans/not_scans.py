"""Finds files that are not scans (masks, thumbnails, rendered pictures), and cases."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from coldal_tui.imaging.indexing import FileProblem, FoundScan

MASK, THUMBNAIL, DERIVED = "mask", "thumbnail", "derived-picture"
CODES = (MASK, THUMBNAIL, DERIVED)

_CHECKED = 5
"""Files of each pattern whose values are read."""
_MOST_VALUES = 32
_SHARE = 0.99
_MASK_WORDS = (
    "masks?|segs?|segmentations?|seg[-_]?masks?|labels?|labelmaps?|gt|ground[-_]?truths?|"
    "annotations?|rois?|lesions?"
)
_MASK_NAME = re.compile(rf"(?P<base>.+?)[ _.\-](?P<word>{_MASK_WORDS})(?:[_\-]?\d+)?", re.I)
_MASK_FOLDER = re.compile(rf"(?:{_MASK_WORDS})(?:Tr|Ts|[_\- ]?\w{{0,6}})", re.I)
_THUMB_NAME = re.compile(
    r"(?:(?P<base>.+?)[ _.\-](?:thumb|thumbnail)|(?:thumb|thumbnail)[ _.\-](?P<after>.+))",
    re.I,
)
_THUMB_FOLDER = re.compile(r"\.?thumb(?:nail)?s?", re.I)
_DERIVED_NAME = re.compile(
    r"(?P<base>.+?)[ _.\-](?:overlay|preview|heatmap|annotated|visuali[sz]ation|contours?)", re.I
)
_TELLING = re.compile(
    r"mask|seg|label|gt|ground|annot|roi|lesion|thumb|overlay|preview|heatmap|visuali|contour",
    re.I,
)
"""A part of every path that one of the patterns above matches."""
_CHANNEL = re.compile(r"(?P<base>.+)(?P<end>_\d{4})")
_SEQUENCE = re.compile(
    r"(?P<base>.+)(?P<end>[_\-](?:t1|t1ce|t1gd|t1c|t1n|t1w|t2|t2w|t2f|flair|adc|dwi|pd|pdw|swi|"
    r"hbv|ktrans|dce|ct|pet|suv))",
    re.I,
)


@dataclass(frozen=True)
class Cases:
    """Cases with several files: the endings of the file names, and the number of cases.

    ``endings`` are in the order of the channels.
    """

    endings: tuple[str, ...]
    count: int

    @property
    def pattern(self) -> str:
        """A ``patients_pattern`` that keeps the files of a case together."""
        ends = "|".join(re.escape(end) for end in self.endings)
        return rf"([^/]+)(?:{ends})\.[^/]*$"


def find_not_scans(scans: Sequence[FoundScan]) -> dict[str, FileProblem]:
    """Files of ``scans``, by path, that are masks, thumbnails or renderings of others.

    A mask has the name of another file and a word such as ``_mask`` or ``_seg``, or lies in a
    folder of such a name; it has the other's grid; and a few files of each such pattern are read
    and must hold few values. A thumbnail is smaller than the file that it is named after.
    """
    by_stem: dict[str, list[FoundScan]] = defaultdict(list)
    for scan in scans:
        for stem in {_stem(scan), _CHANNEL.sub(r"\g<base>", _stem(scan))}:
            by_stem[stem.lower()].append(scan)
    suspects: dict[str, list[tuple[FoundScan, FoundScan]]] = defaultdict(list)
    found: dict[str, FileProblem] = {}
    for scan in scans:
        if len(scan.ref.files) > 1:
            continue
        other = _thumbnail_of(scan, by_stem)
        if other is not None:
            found[scan.rel_path] = _problem(scan, THUMBNAIL, "a smaller copy", other)
            continue
        match = _DERIVED_NAME.fullmatch(_stem(scan))
        other = _partner(scan, match["base"], by_stem, beside=True) if match else None
        if other is not None:
            found[scan.rel_path] = _problem(scan, DERIVED, "a picture drawn", other)
            continue
        pattern, other = _mask_of(scan, by_stem)
        if other is not None:
            suspects[pattern].append((scan, other))
    for pairs in suspects.values():
        if _hold_few_values([scan for scan, _ in pairs]):
            for scan, other in pairs:
                found[scan.rel_path] = _problem(scan, MASK, "the mask", other)
    return found | _orphans(scans, found)


def is_judged_by_values(rel_path: str) -> bool:
    """Whether a file of this path is a mask or a scan by what it holds, and not by its path."""
    *folders, name = rel_path.split("/")
    return bool(
        _MASK_NAME.fullmatch(split(name)[0]) or any(_MASK_FOLDER.fullmatch(one) for one in folders)
    )


def bears_on_others(moving: Iterable[str], paths: Iterable[str]) -> bool:
    """Whether files that come or go may change what ``find_not_scans`` says of any file.

    They do where one of the ``moving`` paths is that of a mask, a thumbnail or a rendering, or has
    the name that one among all ``paths`` is named after. Only paths are looked at.
    """
    moving, paths = set(moving), list(paths)
    if not _TELLING.search("\n".join(paths)):
        return False
    names = {name for path in moving for name in _named_after(path)}
    for path in filter(_TELLING.search, paths):
        bases = _bases(path)
        if bases and (path in moving or bases & names):
            return True
    return False


def _bases(rel_path: str) -> set[str]:
    """The names, in lower case, that a mask, a thumbnail or a rendering may be named after."""
    *folders, name = rel_path.split("/")
    stem = split(name)[0]
    thumb = _THUMB_NAME.fullmatch(stem)
    matches = (_MASK_NAME.fullmatch(stem), _DERIVED_NAME.fullmatch(stem))
    bases = {match["base"] for match in matches if match}
    if thumb:
        bases.add(thumb["base"] or thumb["after"])
    if any(rule.fullmatch(one) for one in folders for rule in (_MASK_FOLDER, _THUMB_FOLDER)):
        bases.add(stem)
    return {base.lower() for base in bases}


def _named_after(rel_path: str) -> set[str]:
    """The names, in lower case, by which other files may be named after this one."""
    stem = split(rel_path.rpartition("/")[2])[0]
    whole = {stem, _CHANNEL.sub(r"\g<base>", stem)}
    return {name.lower() for one in whole for name in (one, _SEQUENCE.sub(r"\g<base>", one))}


def _orphans(
    scans: Sequence[FoundScan], found: Mapping[str, FileProblem]
) -> dict[str, FileProblem]:
    """Masks without their scan, in a folder that mostly holds masks."""
    members: dict[PurePosixPath, list[FoundScan]] = defaultdict(list)
    for scan in scans:
        members[PurePosixPath(scan.rel_path).parent].append(scan)
    orphans = {}
    for folder, inside in members.items():
        masks = [scan for scan in inside if scan.rel_path in found]
        if not _MASK_FOLDER.fullmatch(folder.name) or 2 * len(masks) <= len(inside):
            continue
        for scan in inside:
            if scan.rel_path not in found and _hold_few_values([scan]):
                reason = f"lies among masks in {folder.name}/ and has few values, so it is no scan"
                orphans[scan.rel_path] = FileProblem(scan.rel_path, MASK, reason, "not-an-image")
    return orphans


def pattern_of(rel_path: str) -> str:
    """The part of a path that marks a mask: ``*_mask.png``, or its folder ``labelsTr/``."""
    path = PurePosixPath(rel_path)
    stem, ending = split(path.name)
    match = _MASK_NAME.fullmatch(stem)
    if match:
        return f"*{stem[len(match['base']) : match.end('word')]}{ending}"
    return f"{path.parent.name}/"


def find_cases(scans: Sequence[FoundScan]) -> Cases | None:
    """Whether most files are parts of cases: ``_0000``, ``_0001``, or ``_t1``, ``_t2``, ``_flair``.

    The files of a case lie in one folder and have one grid.
    """
    for rule in (_CHANNEL, _SEQUENCE):
        cases: dict[tuple[str, str, tuple[int, ...]], set[str]] = defaultdict(set)
        for scan in scans:
            match = rule.fullmatch(_stem(scan))
            if match:
                folder = str(PurePosixPath(scan.rel_path).parent)
                cases[folder, match["base"], scan.header.shape].add(match["end"])
        several = [ends for ends in cases.values() if len(ends) > 1]
        if sum(map(len, several)) * 2 > len(scans):
            return Cases(tuple(sorted(set().union(*several))), len(several))
    return None


def split(name: str) -> tuple[str, str]:
    """Split a file's name into stem and extension."""
    for ending in (".nii.gz", ".ome.tif", ".ome.tiff"):
        if name.lower().endswith(ending):
            return name[: -len(ending)], name[-len(ending) :]
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def _stem(scan: FoundScan) -> str:
    return split(scan.rel_path.rpartition("/")[2])[0]


def _problem(scan: FoundScan, code: str, what: str, other: FoundScan) -> FileProblem:
    reason = f"looks like {what} of {other.rel_path}, so it is no scan"
    return FileProblem(scan.rel_path, code, reason, "not-an-image")


def _mask_of(
    scan: FoundScan, by_stem: Mapping[str, list[FoundScan]]
) -> tuple[str, FoundScan | None]:
    """The pattern of a mask's path, and the file that the mask would belong to."""
    if scan.header.channels not in (1, 3):
        return "", None
    match = _MASK_NAME.fullmatch(_stem(scan))
    if match:
        other = _partner(scan, match["base"], by_stem) or _sibling(scan, match["base"], by_stem)
        if other is not None:
            return pattern_of(scan.rel_path), other
    folders = scan.rel_path.split("/")[:-1]
    if any(_MASK_FOLDER.fullmatch(folder) for folder in folders):
        base = match["base"] if match else _stem(scan)
        other = _partner(scan, base, by_stem)
        if other is not None and not _in_mask_folder(other):
            return f"{folders[-1]}/", other
    return "", None


def _in_mask_folder(scan: FoundScan) -> bool:
    return any(_MASK_FOLDER.fullmatch(part) for part in scan.rel_path.split("/")[:-1])


def _partner(
    scan: FoundScan, base: str, by_stem: Mapping[str, list[FoundScan]], *, beside: bool = False
) -> FoundScan | None:
    """Another file that is called ``base`` and has the same grid."""
    folder = PurePosixPath(scan.rel_path).parent
    for other in by_stem.get(base.lower(), ()):
        near = not beside or PurePosixPath(other.rel_path).parent == folder
        if other is not scan and near and other.header.shape == scan.header.shape:
            return other
    return None


def _sibling(
    scan: FoundScan, base: str, by_stem: Mapping[str, list[FoundScan]]
) -> FoundScan | None:
    """A file of the same case beside it, such as ``case_t1`` of ``case_seg``, with its grid."""
    folder = PurePosixPath(scan.rel_path).parent
    for end in ("t1", "t1ce", "t1c", "t1n", "t1w", "t2", "t2w", "t2f", "flair", "adc", "dwi", "ct"):
        for mark in "_-":
            for other in by_stem.get(f"{base}{mark}{end}".lower(), ()):
                same = PurePosixPath(other.rel_path).parent == folder
                if same and other.header.shape == scan.header.shape:
                    return other
    return None


def _thumbnail_of(scan: FoundScan, by_stem: Mapping[str, list[FoundScan]]) -> FoundScan | None:
    match = _THUMB_NAME.fullmatch(_stem(scan))
    inside = any(_THUMB_FOLDER.fullmatch(part) for part in scan.rel_path.split("/")[:-1])
    base = (match["base"] or match["after"]) if match else _stem(scan) if inside else None
    for other in by_stem.get(base.lower(), ()) if base else ():
        small, large = scan.header.shape, other.header.shape
        if len(small) == len(large) and all(a < b for a, b in zip(small, large, strict=True)):
            return other
    return None


def _hold_few_values(scans: Sequence[FoundScan]) -> bool:
    """Whether a few of the files, evenly spread, all hold few values; unreadable ones don't."""
    from coldal_tui.imaging.reading import read_scan

    for n in np.unique(np.linspace(0, len(scans) - 1, _CHECKED).astype(int)):
        try:
            array = read_scan(scans[n].ref).array
        except Exception:
            return False
        counts = np.unique(array, return_counts=True)[1]
        most = np.sort(counts)[::-1][:_MOST_VALUES]
        if most.sum() < _SHARE * array.size:  # lossy compression adds a few other values
            return False
    return True
