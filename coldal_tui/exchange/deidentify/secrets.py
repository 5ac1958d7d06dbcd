"""The identifiers that a de-identified export must not contain, in all usual spellings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

_SEPARATORS = (" ", "^", "_", "-", ".", ", ", ",", "")
_LETTER = re.compile(r"[^\W\d_]")
WORD = re.compile(r"[^\W_]+")
_STRONG, _STRONG_DIGITS, _MEDIUM_DIGITS, _SHORTEST = 6, 8, 5, 3
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass
class Secrets:
    """Everything that identifies the patients of an export.

    ``names`` are names of people (``Doe^Jane``, ``Jane Doe``), ``ids`` identify patients, visits
    and places, ``paths`` are paths and file names, ``dates`` are ``YYYYMMDD``. ``allowed`` are
    words that the export may contain: class names, the project's name.
    """

    names: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    allowed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Needle:
    """One spelling of a secret.

    ``kind`` is ``name``, ``id``, ``path``, ``date`` or ``UID``. ``bounded``: it counts only without
    an adjoining letter or digit. ``shown`` is the secret as the project knows it.
    """

    text: str
    kind: str
    shown: str
    bounded: bool = False


@dataclass(frozen=True)
class Needles:
    """All needles, grouped by how reliable a finding is.

    ``strong`` ones are too long to occur by chance: they are searched for in all bytes.
    ``medium`` ones are searched for in texts, as whole words. ``weak`` ones are too short for that:
    they are compared with whole values of identifying attributes.
    """

    strong: tuple[Needle, ...]
    medium: tuple[Needle, ...]
    weak: tuple[Needle, ...]


def needles(secrets: Secrets) -> Needles:
    """All spellings of the secrets, without duplicates and the export's own words."""
    allowed = {folded(word) for word in secrets.allowed} | own_words()
    strong: dict[str, Needle] = {}
    medium: dict[str, Needle] = {}
    weak: dict[str, Needle] = {}
    for needle in _all(secrets):
        text = folded(needle.text)
        if not text or text in allowed:
            continue
        needle = Needle(text, needle.kind, needle.shown, needle.bounded)
        digits = not _LETTER.search(text)
        if needle.kind in ("date", "UID") or len(text) >= (_STRONG_DIGITS if digits else _STRONG):
            strong.setdefault(text, needle)
        elif len(text) >= (_MEDIUM_DIGITS if digits else _shortest(text)):
            medium.setdefault(text, needle)
        elif needle.kind == "id":
            weak.setdefault(text, needle)
    return Needles(tuple(strong.values()), tuple(medium.values()), tuple(weak.values()))


def _shortest(text: str) -> int:
    """The shortest name to search for: Chinese and Korean names may have two letters."""
    return _SHORTEST if text.isascii() else _SHORTEST - 1


def _all(secrets: Secrets) -> Iterator[Needle]:
    for name in sorted(secrets.names):
        parts = set(name_parts(name))
        for text in written_names(name):
            # A single part may be the start of another word; a whole name is not.
            yield Needle(text, "name", name, bounded=text in parts)
    for kind, values in (("id", secrets.ids), ("path", secrets.paths)):
        for value in sorted(values):
            yield Needle(value, kind, value, bounded=not _LETTER.search(value))
    for day in sorted(secrets.dates):
        for text in written_dates(day):
            yield Needle(text, "date", day, bounded=True)
    for uid in sorted(secrets.uids):
        if len(uid) >= _STRONG_DIGITS:
            yield Needle(uid, "UID", uid, bounded=True)


def written_names(name: str) -> Iterator[str]:
    """A person's name in all usual orders and separators, and its single parts."""
    for group in name.split("="):
        parts = name_parts(group)
        if len(parts) > 1:
            first, second = parts[:2]
            for separator in _SEPARATORS:
                yield first + separator + second
                yield second + separator + first
        yield from parts


def name_parts(name: str) -> list[str]:
    """The words of a person's name."""
    return [part for part in re.split(r"[\s^,=]+", name) if part]


def written_dates(day: str) -> Iterator[str]:
    """A date ``YYYYMMDD`` as people and programs write it."""
    if not re.fullmatch(r"\d{8}", day):
        return
    year, month, number = day[:4], day[4:6], day[6:]
    yield day
    for separator in "-/._":
        yield separator.join((year, month, number))
        yield separator.join((number, month, year))
        yield separator.join((month, number, year))
    if 1 <= int(month) <= 12:
        name = _MONTHS[int(month) - 1]
        yield f"{number} {name} {year}"
        yield f"{number}-{name}-{year}"
        yield f"{name} {number}, {year}"


def folded(text: str) -> str:
    """Normalize a text: Unicode composed and case-folded, so that look-alikes are equal."""
    return unicodedata.normalize("NFC", text).casefold()


@cache
def own_words() -> frozenset[str]:
    """Words that every export contains: an equal file or family name can't be detected."""
    folder = files("coldal_tui.exchange.exporters")
    texts = [
        entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith((".py", ".txt"))
    ]
    return frozenset(_words(texts))


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for word in WORD.findall(text):
            yield word.casefold()
