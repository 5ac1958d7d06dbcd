"""Replaces names by stable pseudonyms in what is shown: ``--redact``, for screen sharing.

One ``Redactor`` answers for the whole process. Every line for people passes ``visible``, which
asks it; streams, JSON documents and the app's lines ask it once more. Files are never changed.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from coldal_tui import visible as words

VARIABLE = "COLDAL_REDACT"
NOTE = "names are hidden; text that is burned into pictures, and faces, are not"
SHORT_DIGITS, SHORT_WORD, LONG_WORD = 3, 3, 5
"""Numbers of so few digits stay in sentences, words of so few letters count with their case only,
and words of so many letters are found at the start of longer ones, too."""
NAME_KEYS = frozenset(
    {"scan", "scan_id", "scans", "patient", "patient_id", "patients", "person", "author"}
    | {"assignee", "who", "rater", "raters", "labeler", "annotator", "train_scans"}
    | {"validation_scans", "to", "by", "names"}
)
"""Keys of JSON and titles of columns whose values are names, even short ones."""

_FILE_ENDS = (
    r"nii(?:\.gz)?|nrrd|nhdr|mha|mhd|raw|zraw|dcm|ima|png|jpe?g|tiff?|bmp|gif|svs|npy|npz|mat|h5|zip"
    r"|tar(?:\.gz)?|tgz|7z|xlsx?|docx?|pdf"
)
_FOUND = (
    r"(?P<issued>\b(?:[a-z]+) (?:[0-9]{3,}|[A-Z]{1,2}|[0-9a-f]{4})\b)"
    r"|(?P<address>\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<url>\b[a-z][a-z0-9+]*://[^\s'\"<>]+)"
    r"|(?P<path>(?<![^\s'\"(\[{=:,<>])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s'\":;,<>()\[\]]+)"
    r"|(?P<uid>(?<![\w.])\d+(?:\.\d+){5,}(?![\w.]))"
    rf"|(?P<file>(?<![\w])[\w.+@~-]*[\w+@~-]\.(?:{_FILE_ENDS})(?![\w]))"
    r"|(?P<word>[^\W_]+)"
)
"""Compiled by who hides names: other calls should not wait for it."""
_NO_WORD = re.compile(r"\W+")
_WORD = re.compile(r"[^\W_]+")
_ISSUED = re.compile(
    r"(?P<quote>[\"']?)(?P<name>\b[a-z]+ (?:[0-9]{3,}|[A-Z]{1,2}|[0-9a-f]{4}))(?P=quote)"
)


@dataclass(frozen=True)
class Hidden:
    """A piece of a text (``start`` to ``end``) and what stands in its place."""

    start: int
    end: int
    shown: str


class Redactor:
    """Known names and their pseudonyms; numbers follow the order in which names are learned.

    Unknown paths, image files, addresses and UIDs are found by their form and get a short hash.
    """

    def __init__(self) -> None:
        self._found = re.compile(_FOUND, re.IGNORECASE)
        self._shown: dict[str, str] = {}
        self._real: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._starts: dict[str, list[tuple[int, int, str]]] = {}
        self._long: dict[str, str] = {}
        self.learn_more: Callable[[], None] = _nothing

    def learn(self, kind: str, names: Iterable[str]) -> None:
        """Give each new name the next pseudonym of its kind: ``scan 017``, ``person B``."""
        for name in names:
            if name.strip() and name not in self._shown:
                number = self._counts[kind] = self._counts.get(kind, 0) + 1
                shown = f"{kind} {_letters(number) if kind == 'person' else f'{number:03d}'}"
                self._real[shown] = name
                self.alias(name, shown)

    def alias(self, name: str, shown: str) -> None:
        """Another spelling of something known, or a word of one's own for it."""
        for spelling in _spellings(name):
            if spelling not in self._shown:
                self._shown[spelling] = shown
                self._index(spelling, shown)

    def pseudonym(self, name: str) -> str | None:
        """The pseudonym of a known name."""
        return self._shown.get(name)

    def named(self, name: str) -> str:
        """What to show for a value that is known to be a name, however short it is."""
        return self._shown.get(name) or self(name)

    def _index(self, name: str, shown: str) -> None:
        first = _WORD.search(name)
        if first is None or len(name) < 2 or (name.isdigit() and len(name) <= SHORT_DIGITS):
            return
        at_word = self._starts.setdefault(first[0].casefold(), [])
        insort(at_word, (-len(name), first.start(), name))
        if first[0] == name and len(name) >= LONG_WORD and not name.isdigit():
            self._long[name.casefold()] = shown

    def __call__(self, text: str) -> str:
        """``text`` with pseudonyms; calling it on its own answer changes nothing."""
        pieces, at = [], 0
        for hidden in self.hidden(text):
            pieces += [text[at : hidden.start], hidden.shown]
            at = hidden.end
        return "".join(pieces) + text[at:] if pieces else text

    def hidden(self, text: str) -> Iterator[Hidden]:
        """What is to be hidden in ``text``, in order; pieces don't overlap."""
        at = 0
        while found := self._found.search(text, at):
            kind = found.lastgroup
            if kind == "issued" and found[0] in self._real:
                at = found.end()
                continue
            known = self._known_at(text, found.start(), at)
            if known is not None:
                yield known
                at = known.end
            elif kind in ("path", "url", "address", "uid"):
                shown = self._hashed("path" if kind == "url" else str(kind), found[0])
                yield Hidden(found.start(), found.end(), shown)
                at = found.end()
            elif kind == "file" and not any(self._known_in(text, found.start(), found.end())):
                yield Hidden(found.start(), found.end(), self._hashed("file", found[0]))
                at = found.end()
            else:
                at = self._word_end(text, found.start())
                longer = self._start_of(text[found.start() : at])
                if longer is not None:
                    yield Hidden(found.start(), found.start() + longer[0], longer[1])

    def _word_end(self, text: str, start: int) -> int:
        found = _WORD.search(text, start)
        return found.end() if found else len(text)

    def _known_at(self, text: str, start: int, floor: int) -> Hidden | None:
        """The longest known name whose first word is the one at ``start``."""
        found = _WORD.search(text, start)
        if found is None:
            return None
        for length, offset, name in self._starts.get(found[0].casefold(), ()):
            begin, end = found.start() - offset, found.start() - offset - length
            if begin < floor or not _same(text[begin:end], name):
                continue
            if end < len(text) and name[-1].isalnum() and text[end].isalnum():
                continue
            return Hidden(begin, end, self._shown[name])
        return None

    def _known_in(self, text: str, start: int, end: int) -> Iterator[Hidden]:
        for found in _WORD.finditer(text, start, end):
            known = self._known_at(text, found.start(), start)
            if known is not None:
                yield known

    def _start_of(self, word: str) -> tuple[int, str] | None:
        """The longest known word that ``word`` begins with."""
        folded = word.casefold()
        if len(folded) == len(word):
            for length in range(len(word) - 1, LONG_WORD - 1, -1):
                if shown := self._long.get(folded[:length]):
                    return length, shown
        return None

    def _hashed(self, kind: str, text: str) -> str:
        import hashlib

        shown = f"{kind} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:4]}"
        self._real.setdefault(shown, text)
        return shown

    def document(self, data: Any, key: str = "") -> Any:
        """A JSON document with pseudonyms in its texts; keys only where they are names."""
        if isinstance(data, str):
            return self.named(data) if key in NAME_KEYS else self(data)
        if isinstance(data, dict):
            shown = self.named if key in NAME_KEYS else self
            return {shown(str(name)): self.document(value, name) for name, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.document(value, key) for value in data]
        return data

    def revealed(self, text: str, quote: Callable[[str], str] = shlex.quote) -> str:
        """What was typed, with names in place of pseudonyms; ``quote`` is that of the reader."""

        def name(found: re.Match[str]) -> str:
            real = self._real.get(found["name"])
            return found[0] if real is None else quote(real)

        return _ISSUED.sub(name, text)

    def revealed_word(self, word: str) -> str:
        """A word of a call that is a pseudonym as a whole, as its name."""
        return self._real.get(word, word)


class _Active:
    """The redactor of this process: what one thread or command shows, all must hide alike."""

    redactor: Redactor | None = None


def redact_with(redactor: Redactor | None) -> None:
    """Hide names in everything that this process shows from now on; None: show them."""
    _Active.redactor = redactor
    words.show_through(redactor)


def is_asked(environment: str | None) -> bool:
    """Whether the value of ``COLDAL_REDACT`` asks for it: neither missing nor empty nor 0."""
    return environment not in (None, "", "0")


def active() -> Redactor | None:
    """The redactor in force."""
    return _Active.redactor


def refresh() -> None:
    """Learn the names that have come since; nothing without a redactor."""
    if _Active.redactor is not None:
        _Active.redactor.learn_more()


def revealed(text: str, quote: Callable[[str], str] = shlex.quote) -> str:
    """What a person typed, with names in place of the pseudonyms that the screen shows."""
    return text if _Active.redactor is None else _Active.redactor.revealed(text, quote)


def named(name: str) -> str:
    """What to show for a value that is a name as a whole."""
    return words.escaped(name if _Active.redactor is None else _Active.redactor.named(name))


def shown_document(data: Any) -> Any:
    """A JSON document as it may be shown."""
    return data if _Active.redactor is None else _Active.redactor.document(data)


def _nothing() -> None:
    """Nothing more to learn."""


def _same(text: str, name: str) -> bool:
    return text == name if len(name) <= SHORT_WORD else text.casefold() == name.casefold()


def _spellings(name: str) -> Iterator[str]:
    """The forms in which a name may stand in a text: composed, escaped, quoted, in a file name."""
    yield name
    for form in ("NFC", "NFD"):
        yield unicodedata.normalize(form, name)
    yield words.escaped(name)
    yield json.dumps(name)[1:-1]
    yield ascii(name)[1:-1]
    yield shlex.quote(name).strip("'")
    for joint in "_-":
        yield _NO_WORD.sub(joint, name).strip(joint)


def _letters(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
