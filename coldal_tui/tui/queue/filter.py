"""The filter language of tables: ``cluster:3 role:medoid entropy>0.6 -status:skipped "free text"``.

Terms narrow each other; the values of one name widen: ``cluster:3 cluster:5``, or
``cluster:3,5``. ``-`` before a term turns it round. A word without a name is looked for in scan
ids and paths, whatever the case. Numbers take ``> >= < <= =`` and ``:``. Metadata columns have
the names that they came with.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import UsageError
from coldal_tui.project.queue.assign import people_of
from coldal_tui.project.views.queue_table import ScanTable, Words, as_number
from coldal_tui.redaction import revealed

Mask = NDArray[np.bool_]

OPERATORS: dict[str, Callable[[NDArray[np.float64], float], Mask]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    ":": operator.eq,
}
WORDS = {"role": "role", "status": "status", "to": "assignee", "patient": "patient"}
WORDS |= {"reason": "reason"}
SOMETIMES = {"several": "back", "server": "server"}
"""Columns that a table has only where there is something to tell."""
NUMBERS = {"entropy": "entropy", "diversity": "diversity", "score": "score"}
WHOLE = {"rank": "rank", "round": "round"}
ALIASES = {"h": "entropy", "d": "diversity", "s": "score", "#": "rank", "assignee": "to"}
ALIASES |= {"c": "cluster", "who": "to", "id": "scan", "file": "path"}
NONE = ("none", "nobody", "-", "–")
"""Values that mean: there is none."""
MOST_NAMED = 12
"""Values that an error lists."""

_TERM = re.compile(r'(-?)(?:([^\s:<>="]+)(>=|<=|>|<|=|:))?((?:"[^"]*"?|[^\s"])*)')


@dataclass(frozen=True)
class Term:
    """One word of a filter. ``name`` "" for free text; ``value`` without its quotes."""

    name: str
    operator: str
    value: str
    negated: bool
    last: bool

    @property
    def unfinished(self) -> bool:
        """Whether a term may still be incomplete: a name without a valid value."""
        return self.last and (bool(self.name) and not self.value)


def parse(text: str) -> list[Term]:
    """The terms of a filter, in order. Any text is valid; a closing quote may be missing."""
    terms = []
    text = revealed(text, lambda name: f'"{_bare(name)}"')
    for match in _TERM.finditer(text):
        minus, name, sign, value = match.groups()
        if not match[0].strip():
            continue
        last = match.end() == len(text)
        terms.append(Term((name or "").lower(), sign or "", _bare(value), bool(minus), last))
    return [term for term in terms if term.name or term.value]


def _bare(value: str) -> str:
    return value.replace('"', "")


def names(table: ScanTable) -> list[str]:
    """All names that a filter of this table may use."""
    server = [name for name in SOMETIMES if len(getattr(table, SOMETIMES[name]).codes)]
    own = ["cluster", *server, *WORDS, *NUMBERS, *WHOLE, "scan", "path", "is"]
    return own + [name for name in table.meta if name.lower() not in own]


def matching(table: ScanTable, text: str, *, typing: bool = False) -> Mask:
    """The rows that match a filter: bool of shape (N,).

    Returns bool of shape (N,).

    ``typing``: its last term may be unfinished (``cluster:``, ``clus``); then it is left out
    where it would let nothing through.

    Raises
    ------
    UsageError : no such column or value (the remedy says what there is), not a number.
    """
    found = np.ones(len(table), np.bool_)
    wanted: dict[str, Mask] = {}
    for term in parse(text):
        if typing and term.unfinished:
            continue
        mask = _term_mask(table, term)
        if typing and term.last and _may_become_a_name(table, term) and not mask.any():
            continue
        if term.negated:
            found &= ~mask
        elif term.operator == ":":
            known = wanted.get(term.name)
            wanted[term.name] = mask if known is None else known | mask
        else:
            found &= mask
    for mask in wanted.values():
        found &= mask
    return found


def _may_become_a_name(table: ScanTable, term: Term) -> bool:
    return not term.name and any(name.startswith(term.value.lower()) for name in names(table))


def _term_mask(table: ScanTable, term: Term) -> Mask:
    if not term.name:
        return _containing(table, term.value)
    name = ALIASES.get(term.name, term.name)
    if name == "cluster":
        return _cluster_mask(table, term)
    if name in WHOLE:
        whole = getattr(table, WHOLE[name])
        return _number_mask(np.where(whole < 0, np.nan, whole.astype(np.float64)), term)
    if name in NUMBERS:
        return _number_mask(getattr(table, NUMBERS[name]), term)
    if name == "to":
        return _words_mask(table.assignee, term, people_of)
    if name in SOMETIMES and len(getattr(table, SOMETIMES[name]).codes):
        return _words_mask(getattr(table, SOMETIMES[name]), term)
    if name in WORDS:
        return _words_mask(getattr(table, WORDS[name]), term)
    if name in ("scan", "path"):
        return _in_texts(table.scan_id if name == "scan" else table.path, term.value)
    if name == "is":
        return _is_mask(table, term)
    meta = {key.lower(): key for key in table.meta}
    key = meta.get(name.removeprefix("meta."))
    if key is None:
        raise UsageError(
            f"there is no column {term.name!r}",
            remedy="there is: " + ", ".join(names(table)),
            code="unknown-column",
        )
    return _words_mask(table.meta[key], term)


def _cluster_mask(table: ScanTable, term: Term) -> Mask:
    """Match clusters, numbered as on the screen: C1 is the first."""
    shown = table.cluster.astype(np.float64) + 1
    if term.operator != ":":
        return _compared(np.where(shown > 0, shown, np.nan), term)
    mask = np.zeros(len(table), np.bool_)
    for value in _values(term):
        if value.lower() in NONE:
            mask |= table.cluster < 0
            continue
        number = value.lower().removeprefix("c")
        there = sorted({int(n) for n in np.unique(table.cluster) if n >= 0})
        if not number.isdecimal() or int(number) - 1 not in there:
            raise _no_value("cluster", value, [f"C{n + 1}" for n in there])
        mask |= table.cluster == int(number) - 1
    return mask


def _number_mask(values: NDArray[np.float64], term: Term) -> Mask:
    if term.operator == ":" and any(value.lower() in NONE for value in _values(term)):
        return np.isnan(values)
    return _compared(values, term)


def _compared(values: NDArray[np.float64], term: Term) -> Mask:
    mask = np.zeros(len(values), np.bool_)
    compare = OPERATORS[term.operator]
    with np.errstate(invalid="ignore"):
        for value in _values(term):
            mask |= compare(values, _to_number(term.name, value))
    return mask


def _to_number(name: str, value: str) -> float:
    number = as_number(value)
    if np.isnan(number):
        raise UsageError(
            f"{name} is compared with a number, not with {value!r}",
            remedy=f"for example {name}>0.5",
            code="not-a-number",
        )
    return number


def _words_mask(
    words: Words, term: Term, parts: Callable[[str], Sequence[str]] | None = None
) -> Mask:
    """Match a whole text, else the beginning of one; comparisons use numbers.

    ``parts``: what a text is a list of, of which one has to match.
    """
    if term.operator != ":":
        if term.operator == "=" and np.isnan(words.numbers).all():
            there = Term(term.name, ":", term.value, term.negated, term.last)
            return _words_mask(words, there, parts)
        return _compared(words.numbers, term)
    folded = [name.casefold() for name in words.names]
    pieces = [parts(name) if parts is not None else (name,) for name in folded]
    wanted: set[int] = set()
    for value in _values(term):
        low = value.casefold()
        hits = [n for n, name in enumerate(folded) if name == low or low in pieces[n]]
        hits = hits or _equal_numbers(words, value)
        hits = hits or [
            n for n, found in enumerate(pieces) if any(one.startswith(low) for one in found)
        ]
        if low in NONE:
            hits = [n for n, name in enumerate(folded) if not name]
        elif not hits:
            raise _no_value(term.name, value, [name for name in words.names if name])
        wanted.update(hits)
    chosen = np.zeros(len(words.names) or 1, np.bool_)
    chosen[list(wanted)] = True
    mask: Mask = chosen[words.codes]
    return mask


def _equal_numbers(words: Words, value: str) -> list[int]:
    """Match texts that are equal as numbers: 55 is 55.0."""
    number = as_number(value)
    return [n for n, name in enumerate(words.names) if as_number(name) == number]


def _is_mask(table: ScanTable, term: Term) -> Mask:
    known = {"pinned": table.pinned, "open": table.is_open}
    if term.value.lower() not in known:
        raise _no_value("is", term.value, list(known))
    return known[term.value.lower()]


def _containing(table: ScanTable, text: str) -> Mask:
    """The rows whose scan id or path contains ``text``, in a single search."""
    mask = np.zeros(len(table), np.bool_)
    needle = text.casefold()
    haystack, starts = table.haystack
    at = haystack.find(needle)
    hits = []
    while at >= 0:
        row = int(np.searchsorted(starts, at, side="right")) - 1
        hits.append(row)
        if row + 1 == len(starts):
            break
        at = haystack.find(needle, int(starts[row + 1]))
    mask[hits] = True
    return mask


def _in_texts(texts: Sequence[str], value: str) -> Mask:
    needle = value.casefold()
    return np.fromiter((needle in text.casefold() for text in texts), np.bool_, len(texts))


def _values(term: Term) -> list[str]:
    return [value for value in term.value.split(",") if value]


def _no_value(name: str, value: str, there: Sequence[str]) -> UsageError:
    listed = sorted(there, key=lambda text: (len(text), text))[:MOST_NAMED]
    more = f" and {len(there) - len(listed):,} more" if len(there) > len(listed) else ""
    return UsageError(
        f"no {name} {value!r}",
        remedy=f"there is: {', '.join(listed)}{more}" if there else f"no row has a {name}",
        code="unknown-value",
    )


def complete(table: ScanTable, text: str) -> str | None:
    """``text`` with its last word completed to a column name or to one of its values."""
    start = max(text.rfind(" "), text.rfind(",")) + 1
    word = text[text.rfind(" ") + 1 :].removeprefix("-")
    name, colon, _ = word.partition(":")
    typed = text[start:].removeprefix("-")
    if colon:
        typed = typed.removeprefix(f"{name}:")
        options: Iterable[str] = _values_of(table, ALIASES.get(name.lower(), name.lower()))
    else:
        options = [f"{one}:" for one in names(table) if one not in NUMBERS]
        options += [f"{one}>" for one in NUMBERS]
    if not typed:
        return None
    for option in options:
        if option.casefold().startswith(typed.casefold()) and option.casefold() != typed.casefold():
            return text + option[len(typed) :]
    return None


def _values_of(table: ScanTable, name: str) -> Iterable[str]:
    meta = {key.lower(): words for key, words in table.meta.items()}
    if name == "is":
        return ("pinned", "open")
    words = getattr(table, WORDS[name]) if name in WORDS else meta.get(name)
    return () if words is None else (one for one in words.names if one and " " not in one)
