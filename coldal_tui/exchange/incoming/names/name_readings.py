"""Parses mask names: words for masks and images, sides, numbers, classes, BIDS entities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coldal_tui.exchange.names import same_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MASK_WORDS = _words(
    "mask masks seg segs segm segmentation segmentations label labels labelmap labelmaps "
    "annotation annotations annotated gt groundtruth manual manual1 manual2 dseg aseg roi rois "
    "probseg msk annot annots truth contour contours delineation delineations structure structures "
    "prediction pred"
)
"""Words that mark a mask but don't identify its scan."""

IMAGE_WORDS = _words(
    "image images img imgs imaging im volume volumes vol scan scans picture frame training train "
    "test testing val validation orig original ct cta cect mr mri pet us cxr xr xray t1 t1w t1ce "
    "t1c t1gd t1n t2 t2w t2f flair dwi adc bold pd pdw"
)
"""Words for kinds of images that don't identify the patient."""

FOLDER_WORDS = _words(
    "anat func dicom dicoms dcm nifti nii series study studies final data dataset files output "
    "outputs results returned export left right"
)
_SIDES = ("left", "right")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s_.\-()\[\]]+")
_WORD_AND_NUMBER = re.compile(r"([a-z]+)(\d+)")
_DERIVED = re.compile(r"(?:^|_)(?:label|desc|seg|atlas|res|den|model|space)-[^_]+")
_LABEL = re.compile(r"(?:^|_)label-([^_]+)")
_NUMBERED = re.compile(
    r"(?P<base>.+[ _.-](?:mask|masks|seg|segmentation|label|labels|annotation|gt|roi))"
    r"[ _.-]?(?P<number>\d{1,3})",
    re.IGNORECASE,
)
_SIDE = re.compile(r"(?P<base>.+)[ _.-](?P<side>left|right)", re.IGNORECASE)
_ONE_SIDE = re.compile(
    r"(?:^|(?<=[ _.-]))(?P<side>left|right)[ _.-]+|[ _.-]+(?P<last>left|right)$", re.IGNORECASE
)
UID = re.compile(r"\d+(?:\.\d+){4,}")
_DCM2NIIX = re.compile(r"(?P<folder>.+?)_(?:.*_)?\d{14}_(?P<series>\d+)[a-z]*")
"""``%f_%p_%t_%s``: folder, protocol, time, series number (dcm2niix manual, file names)."""


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: ``leftMask`` is left, mask; ``volume12`` volume, 12."""
    found: list[str] = []
    for word in _SEPARATORS.split(_CAMEL.sub(" ", same_name(name))):
        low = word.casefold()
        split = _WORD_AND_NUMBER.fullmatch(low)
        if not low:
            continue
        if low in MASK_WORDS or low in IMAGE_WORDS or split is None:
            found.append(low)
        elif split[1] in MASK_WORDS or split[1] in IMAGE_WORDS:
            found += [split[1], split[2]]
        else:
            found.append(low)
    return tuple(found)


@dataclass(frozen=True)
class Reading:
    """A name without its words for masks and images (``key``), and those words."""

    key: tuple[str, ...]
    kind: frozenset[str]
    says_mask: bool

    @staticmethod
    def of(name: str) -> Reading:
        words = words_of(name)
        plain = tuple(word for word in words if word not in MASK_WORDS and word not in IMAGE_WORDS)
        kind = frozenset(word for word in words if word in IMAGE_WORDS)
        return Reading(plain, kind, any(word in MASK_WORDS for word in words))


def without_derived(stem: str) -> str:
    """A BIDS name without the entities that a derived file adds (``label-``, ``desc-``, …)."""
    return _DERIVED.sub("", stem).lstrip("_")


def bids_label(stem: str) -> str | None:
    """The value of BIDS' ``label-`` entity: ``sub-01_label-lesion_roi`` shows the lesion."""
    found = _LABEL.search(stem)
    return found[1] if found else None


def numbered(stem: str) -> tuple[str, str] | None:
    """Split ``case_mask_2`` into ``case_mask`` and ``2``; None for other names."""
    found = _NUMBERED.fullmatch(stem)
    return (found["base"], str(int(found["number"]))) if found else None


def sided(stem: str) -> tuple[str, str] | None:
    """Split ``case_left`` into ``case`` and ``left``; None for other names."""
    found = _SIDE.fullmatch(stem)
    return (found["base"], found["side"].lower()) if found else None


def side_of(folder: str) -> str | None:
    """``left`` or ``right`` if a folder's name contains one of them."""
    found = [word for word in words_of(folder) if word in _SIDES]
    return found[0] if len(found) == 1 else None


def of_series(stem: str) -> tuple[str, str] | None:
    """Folder and series number in a default name of dcm2niix."""
    found = _DCM2NIIX.fullmatch(stem)
    return (found["folder"], found["series"]) if found else None


def is_general(name: str) -> bool:
    """Whether a name does not identify a scan: ``segmentation``, ``masks``, ``anat``."""
    known = MASK_WORDS | IMAGE_WORDS | FOLDER_WORDS
    return all(word in known for word in words_of(name))


class ClassWords:
    """Finds the project's classes by words in file and folder names."""

    def __init__(
        self, classes: Sequence[str] = (), said: Mapping[int | str, int | str] | None = None
    ) -> None:
        """``said`` is the user's class map of names: ``{"tumor": "lesion"}`` or a class number."""
        self._classes = tuple(classes)
        self._known: dict[tuple[str, ...], str] = {}
        for name in classes:
            self._known[words_of(name)] = name
        by_name = {name.casefold(): name for name in classes}
        for raw, meaning in (said or {}).items():
            if not isinstance(raw, str) or raw.startswith("#"):
                continue
            meant = self._class(meaning, by_name)
            if meant is not None:
                self._known[words_of(raw)] = meant
        self._known.pop((), None)

    def _class(self, meaning: int | str, by_name: Mapping[str, str]) -> str | None:
        if isinstance(meaning, int):
            inside = 1 <= meaning <= len(self._classes)
            return self._classes[meaning - 1] if inside else None
        return by_name.get(meaning.strip().casefold())

    def __bool__(self) -> bool:
        return bool(self._known)

    def named(self, name: str) -> str | None:
        """The class that a name states, apart from words for masks: ``lungMask`` is the lung."""
        words = words_of(name)
        exact = self._known.get(words)
        if exact is not None:
            return exact
        return self._known.get(tuple(word for word in words if word not in MASK_WORDS))

    def of_one_side(self, name: str) -> tuple[str, str] | None:
        """The class and the side that a name states, if no class is of a side: ``left lung``."""
        words = words_of(name)
        sides = [word for word in words if word in _SIDES]
        if len(sides) != 1 or self.of_side(sides[0])[0]:
            return None
        known = self.named(" ".join(word for word in words if word not in _SIDES))
        return (known, sides[0]) if known is not None else None

    def ending(self, stem: str) -> Iterable[tuple[str, str]]:
        """The class at the end or beginning of a name (longest first), and the rest."""
        low = stem.casefold()
        for words, name in sorted(self._known.items(), key=lambda one: -len("".join(one[0]))):
            word = r"[\s_.-]*".join(re.escape(one) for one in words)
            mask = r"(?:[\s_.-]+(?:mask|seg|label|segmentation))?"
            for pattern in (rf"(.+?)[\s_.-]+{word}{mask}", rf"{word}[\s_.-]+(.+)"):
                found = re.fullmatch(pattern, low)
                if found:
                    start, end = found.span(1)
                    yield stem[start:end], name
                    break

    def ending_of_one_side(self, stem: str) -> Iterable[tuple[str, str, str]]:
        """As ``ending``, and the side beside the class, if no class is of a side."""
        for found in _ONE_SIDE.finditer(stem):
            side = (found["side"] or found["last"]).lower()
            if not self.of_side(side)[0]:
                rest = stem[: found.start()] + stem[found.end() :]
                yield from ((case, name, side) for case, name in self.ending(rest))

    def of_side(self, side: str) -> tuple[bool, str | None]:
        """Whether class names contain sides, and the only class of this side."""
        sides = [name for name in self._classes if any(w in _SIDES for w in words_of(name))]
        mine = [name for name in sides if side in words_of(name)]
        return bool(sides), mine[0] if len(mine) == 1 else None
