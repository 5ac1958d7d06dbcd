"""Indexes scans by name, and looks them up by increasingly loose interpretations."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.names.name_readings import (
    UID,
    Reading,
    is_general,
    of_series,
    without_derived,
)
from coldal_tui.exchange.names import file_stem, folders, same_name

SUFFIX = re.compile(
    r"[ _.-](?:mask|masks|seg|segmentation|label|labels|labelmap|annotation|gt|manual)$",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"_\d{4}$")
_NEAREST = 3
_LIKENESS = 0.55
_COMPARED = 2_000
"""Maximum number of scans compared for the nearest name, to limit the time."""
_MOST_SEARCHES = 500

Key = TypeVar("Key")


@dataclass(frozen=True)
class Found:
    """The scans found for a name, and how the name was interpreted."""

    scans: set[str]
    how: str


class ScanNames:
    """Scans by name. Built once per import; look-ups use dictionaries."""

    def __init__(self, targets: Iterable[ScanTarget]) -> None:
        self._ids: set[str] = set()
        self._files: dict[str, set[str]] = {}
        self._stems: dict[str, set[str]] = {}
        self._aliases: dict[str, set[str]] = {}
        self._folded: dict[str, set[str]] = {}
        self._patients: dict[str, set[str]] = {}
        self._folders: dict[str, set[str]] = {}
        self._named_folders: dict[str, set[str]] = {}
        self._keys: dict[tuple[str, ...], set[str]] = {}
        self._kinds: dict[str, set[str]] = {}
        self._spelt: dict[str, str] = {}
        self._searches = 0
        for target in targets:
            self._add(target)

    def _add(self, target: ScanTarget) -> None:
        scan_id = target.scan_id
        self._ids.add(scan_id)
        for number, name in enumerate(target.names):
            stem = same_name(file_stem(name))
            file_name = same_name(name.replace("\\", "/").rstrip("/").rpartition("/")[2])
            _put(self._files, file_name, scan_id)
            _put(self._stems, stem, scan_id)
            _put(self._folded, stem.casefold(), scan_id)
            if _CHANNEL.search(stem):
                _put(self._aliases, _CHANNEL.sub("", stem), scan_id)
            if number < len(target.names) - target.pseudonyms:
                self._add_path(target, name, stem)
        _put(self._folded, same_name(scan_id).casefold(), scan_id)
        if target.patient:
            _put(self._patients, same_name(target.patient).casefold(), scan_id)

    def _add_path(self, target: ScanTarget, name: str, stem: str) -> None:
        """Index a scan by its folders, and by its name without general words."""
        scan_id, above = target.scan_id, folders(name)
        series = len(target.files) > 1
        reading = Reading.of(stem)
        for folder in above:
            _put(self._folders, folder.casefold(), scan_id)
            if series or not reading.key:
                _put(self._named_folders, folder.casefold(), scan_id)
        key = () if series else reading.key
        kinds = set() if series else set(reading.kind)
        if not key:
            key = next((k for folder in above if (k := Reading.of(folder).key)), ())
        if key:
            _put(self._keys, key, scan_id)
            self._kinds.setdefault(scan_id, set()).update(kinds)
        self._spelt.setdefault(scan_id, stem if not series else scan_id)

    def of_file(self, name: str) -> set[str]:
        """Scans with this image file name, including the ending."""
        return self._files.get(name, set())

    def of_patient(self, patient: str) -> set[str]:
        return self._patients.get(same_name(patient).casefold(), set())

    def in_folder(self, folder: str) -> set[str]:
        """Scans below a folder of this name."""
        return self._folders.get(same_name(folder).casefold(), set())

    def of_stem(self, value: str) -> set[str]:
        """Scans that match this value of ``{stem}``."""
        for found in (
            self._stems.get(value, set()),
            self._aliases.get(value, set()),
            self.series_folder(value).scans,
            self._of_key(Reading.of(value)),
        ):
            if found:
                return found
        return set()

    def only(self, name: str) -> str | None:
        """The only scan with this name."""
        found = self._stems.get(same_name(name), set())
        return next(iter(found)) if len(found) == 1 else None

    def plain(self, stem: str) -> Iterator[Found]:
        """Find by the whole name: unchanged, or without a final word for masks."""
        exact = {stem} & self._ids
        how = "scan id" if exact else "file name"
        yield Found(exact | self._stems.get(stem, set()), how)
        # case_0000.nii.gz is the image, case.nii.gz its mask; photo.jpg.png the mask of photo.jpg
        yield Found(self._aliases.get(stem, set()), "file name without its channel number")
        yield Found(self._files.get(stem, set()), "full image name")
        how = "file name, other upper and lower case"
        yield Found(self._folded.get(stem.casefold(), set()), how)
        short = SUFFIX.sub("", stem)
        if short != stem:
            how = f"file name without {stem[len(short) :]!r}"
            yield Found({short} & self._ids | self._stems.get(short, set()), how)
            yield Found(self._aliases.get(short, set()), how)
            yield Found(self._folded.get(short.casefold(), set()), how)

    def series_in(self, stem: str) -> list[str]:
        """UIDs in a name."""
        return UID.findall(stem)

    def series_folder(self, stem: str) -> Found:
        """Find by the folder of a series, of an image with a general name, or by the patient."""
        for name in dict.fromkeys((stem, SUFFIX.sub("", stem))):
            found = self._named_folders.get(name.casefold(), set())
            if found:
                return Found(found, "folder of its images")
            found = self.of_patient(name)
            if found:
                return Found(found, "patient")
        series = of_series(stem)
        if series is not None:
            found = self._named_folders.get(series[0].casefold(), set())
            return Found(found, "folder in the name that dcm2niix gave")
        return Found(set(), "")

    def by_folders(self, above: str) -> Found:
        """Find by the folders of a mask with a general name, innermost first."""
        for folder in folders(f"{above}/x"):
            if is_general(folder):
                continue
            for found in (*self.plain(folder), self.series_folder(folder)):
                if found.scans:
                    return Found(found.scans, "the folder that it lies in")
            scans = self._of_key(Reading.of(folder))
            if scans:
                return Found(scans, "the folder that it lies in")
            return Found(self.in_folder(folder), "the folder that it lies in")
        return Found(set(), "")

    def loose(self, stem: str, name: str) -> Found:
        """Find by the name without words for masks and images.

        ``segmentation-1`` is the mask of ``volume-1``, ``21_manual1`` of ``21_training``,
        ``sub-01_dseg`` of ``sub-01_T1w``, and ``case_1/segmentation`` of ``case_1/imaging``. A word
        for images in the mask's name must be in the image's name, too.
        """
        short = without_derived(stem)
        for one in dict.fromkeys((stem, short)):
            reading = Reading.of(one)
            if not reading.says_mask:
                continue
            if not reading.key:
                return self.by_folders(name.replace("\\", "/").rpartition("/")[0])
            scans = self._of_key(reading)
            if scans:
                return Found(scans, "file name without words for masks and images")
        return Found(set(), "")

    def _of_key(self, reading: Reading) -> set[str]:
        found = self._keys.get(reading.key, set())
        return {scan_id for scan_id in found if reading.kind <= self._kinds[scan_id]}

    def nearest(self, *names: str) -> tuple[str, ...]:
        """The scans whose names are most similar to one of these; empty if all differ much."""
        self._searches += 1
        if self._searches > _MOST_SEARCHES:
            return ()
        wanted = [name.casefold() for name in names if name and not is_general(name)]
        spelt = list(self._spelt.items())
        if len(spelt) > _COMPARED:
            tokens = {word for name in wanted for word in Reading.of(name).key}
            spelt = [one for one in spelt if tokens & set(Reading.of(one[1]).key)][:_COMPARED]
        scored = []
        for scan_id, stem in spelt:
            likeness = max(
                (
                    max(
                        difflib.SequenceMatcher(None, name, known.casefold()).ratio(),
                        _shared_words(name, known),
                    )
                    for name in wanted
                    for known in {stem, scan_id}
                ),
                default=0.0,
            )
            if likeness >= _LIKENESS:
                scored.append((-likeness, scan_id))
        return tuple(scan_id for _, scan_id in sorted(scored)[:_NEAREST])

    def first(self) -> list[str]:
        """A few scans, as examples of their names."""
        return sorted(self._ids)[:_NEAREST]


def _shared_words(name: str, known: str) -> float:
    """At least ``_LIKENESS`` if one name has all words of the other, but for kinds; else 0."""
    small, large = sorted((_words(name), _words(known)), key=len)
    if not small or not small <= large:
        return 0.0
    return _LIKENESS + (1 - _LIKENESS) * len(small) / len(large)


@lru_cache(maxsize=4 * _COMPARED)
def _words(name: str) -> frozenset[str]:
    return frozenset(Reading.of(name).key)


def _put(table: dict[Key, set[str]], key: Key, scan_id: str) -> None:
    table.setdefault(key, set()).add(scan_id)
