"""Reads back a de-identified export and refuses it when it still identifies a patient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.deidentify.bytesearch import ByteSearch
from coldal_tui.exchange.deidentify.layers import Layer, layers
from coldal_tui.exchange.deidentify.secrets import (
    WORD,
    Needle,
    Secrets,
    folded,
    needles,
)

_SHOWN = 5
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Leak:
    """An identifier of a patient that is still in the export.

    ``path`` is relative to the export; ``where`` says in which part of the file (``""``: its raw
    bytes), or ``name`` for the file's own name; ``kind`` is ``name``, ``id``, ``path``, ``date`` or
    ``UID``.
    """

    path: str
    where: str
    kind: str
    secret: str

    def __str__(self) -> str:
        inside = f" ({self.where.strip()})" if self.where.strip() else ""
        return f"{self.path}{inside}: {self.kind} {self.secret!r}"


def refuse_leaks(folder: Path, secrets: Secrets) -> None:
    """Raise an error when a folder still identifies a patient.

    Raises
    ------
    ColdalError : code ``leak``, with the first findings; or ``unreadable``: a file of the export
        can't be read back.
    """
    found = find_leaks(folder, secrets)
    if not found:
        return
    shown = "; ".join(str(leak) for leak in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise ColdalError(
        f"the export still says who a patient is: {shown}{more}",
        remedy="Nothing was handed out. Exclude the scan (queue exclude), or clean its source; if "
        "the find is a coincidence, such as a class called like a patient, rename the one.",
        code="leak",
    )


def find_leaks(folder: Path, secrets: Secrets) -> list[Leak]:
    """Find known names, ids, paths, dates and UIDs in a folder's file names and contents.

    Searched: all raw bytes (UTF-8, Latin-1, UTF-16, ignoring case), gzip, zip, PNG text chunks, and
    DICOM attributes in their character set. Secrets of fewer than six
    characters (of digits: eight) are searched for as whole words in texts only, those of fewer
    than three (five) in DICOM's attributes about the patient only: in pixels they would be found
    by chance.

    Raises
    ------
    ColdalError : code ``unreadable``, a file can't be read back.
    """
    search = _Search(secrets)
    found: dict[Leak, None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        for needle in search.in_text(path.name):
            found.setdefault(Leak(name, "name", needle.kind, needle.shown))
        if not path.is_file():
            continue
        try:
            for layer in layers(path):
                for needle in search.in_layer(layer):
                    found.setdefault(Leak(name, layer.where, needle.kind, needle.shown))
        except Exception as error:  # whatever a decoder makes of a damaged file
            raise ColdalError(
                f"a file of the export can't be read back: {type(error).__name__}: {error}",
                where=name,
                remedy="Nothing was handed out. Export without that scan.",
                code="unreadable",
            ) from error
    return list(found)


class _Search:
    """All secrets of an export, prepared for the search."""

    def __init__(self, secrets: Secrets) -> None:
        found = needles(secrets)
        self._strong = {needle.text: needle for needle in found.strong}
        self._words: dict[str, list[Needle]] = {}
        for needle in (*found.strong, *found.medium):
            words = WORD.findall(needle.text)
            if words:
                self._words.setdefault(max(words, key=len), []).append(needle)
        self._weak = {needle.text: needle for needle in found.weak}
        self._bytes = ByteSearch(self._strong)

    def in_layer(self, layer: Layer) -> Iterator[Needle]:
        yield from self._in_bytes(layer.data)
        for text in layer.texts:
            yield from self.in_text(text)
        for value in layer.values:
            needle = self._weak.get(folded(value))
            if needle is not None:
                yield needle

    def _in_bytes(self, data: bytes) -> Iterator[Needle]:
        reach = self._bytes.longest
        for start in range(0, len(data), _BLOCK):
            first = max(start - reach, 0)
            block = memoryview(data)[first : start + _BLOCK]
            for low, high, text in self._bytes.find(block):
                needle = self._strong[text]
                if not needle.bounded or _stands_alone(data, first + low, first + high):
                    yield needle

    def in_text(self, text: str) -> Iterator[Needle]:
        """Needles that occur in a text as whole words."""
        whole = folded(text)
        for word in set(WORD.findall(whole)):
            for needle in self._words.get(word, ()):
                if _as_words(whole, needle.text):
                    yield needle


def _as_words(text: str, part: str) -> bool:
    """Whether ``part`` occurs in the text without an adjoining letter or digit."""
    at = text.find(part)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(part) : at + len(part) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        at = text.find(part, at + 1)
    return False


def _stands_alone(data: bytes, low: int, high: int) -> bool:
    """Whether no digit or ASCII letter adjoins; a time of day may follow a date."""
    before, after = data[max(low - 2, 0) : low], data[high : high + 6]
    if data[high - 1 : high] == b"\0" or data[low : low + 1] == b"\0":
        return True  # UTF-16: the neighbouring bytes are zero
    if before[-1:].isalnum() or (before[-1:] == b"." and before[-2:-1].isdigit()):
        return False
    clock = len(after) == 6 and after.isdigit() and after[:2] < b"24" and after[2:4] < b"60"
    return clock or not after[:1].isalnum()


__all__: Sequence[str] = ("Leak", "Secrets", "find_leaks", "refuse_leaks")
