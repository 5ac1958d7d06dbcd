"""Finds files that are probably of one person: names that differ only in side, view or visit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from coldal_tui.project.scans.not_scans import split

_WORDS = (
    r"l|r|left|right|lt|rt|od|os|"  # sides
    r"ap|pa|lat|lateral|frontal|(?:[lr][ _.\-]?)?(?:cc|mlo)|"  # views
    r"(?:v|visit|ses|session|tp|day|month|fu|follow[ _\-]?up)[_\-]?\d+|"  # visits
    r"baseline|bl|pre|post|fu|follow[ _\-]?up"
)
_ENDING = re.compile(rf"(?:[ _.\-](?:{_WORDS})|(?<=\d)[lr])+$", re.I)
_BIDS_SUBJECT = r"(?:^|/)(sub-[A-Za-z0-9]+)(?=[_/])"


@dataclass(frozen=True)
class SamePerson:
    """Files that look like several of one person: ``files`` of ``persons``, with an example.

    ``pattern`` is a ``patients_pattern`` that gives them one patient.
    """

    files: int
    persons: int
    example: tuple[str, str]
    pattern: str


def find_same_person(rel_paths: Sequence[str]) -> SamePerson | None:
    """Files whose paths differ only in a side, a view or a visit, or that name a BIDS subject.

    None where there are none, or only one person has several: that may be chance.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    endings: dict[str, str] = {}
    for path in rel_paths:
        folder, slash, name = path.rpartition("/")
        stem = split(name)[0]
        found = _ENDING.search(stem)
        if found and found.start():
            groups[f"{folder}{slash}{stem[: found.start()]}"].append(path)
            endings[path] = found[0]
    several = [paths for paths in groups.values() if len(paths) > 1]
    if len(several) > 1:
        ends = {_general(endings[path]) for paths in several for path in paths}
        return _told(several, rf"^(.+)(?:{'|'.join(sorted(ends))})\.[^/]*$")
    return _bids_subjects(rel_paths)


def _general(ending: str) -> str:
    """An ending as a part of a pattern: any number in place of the number of a visit."""
    if ending[0].isalpha():
        return rf"(?<=\d){ending}"
    return re.sub(r"\d+", r"\\d+", re.escape(ending))


def _bids_subjects(rel_paths: Sequence[str]) -> SamePerson | None:
    groups: dict[str, list[str]] = defaultdict(list)
    for path in rel_paths:
        found = re.search(_BIDS_SUBJECT, path)
        if found:
            groups[found[1]].append(path)
    several = [paths for paths in groups.values() if len(paths) > 1]
    return _told(several, _BIDS_SUBJECT) if len(several) > 1 else None


def _told(several: Sequence[Sequence[str]], pattern: str) -> SamePerson:
    first = min(sorted(paths) for paths in several)
    return SamePerson(sum(map(len, several)), len(several), (first[0], first[1]), pattern)
