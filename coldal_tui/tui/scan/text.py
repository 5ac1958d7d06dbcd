"""A scan's facts and its problems, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import datetime

from textual.content import Content

from coldal_tui.project.views.scan_facts import QueuePlace, ScanFacts
from coldal_tui.project.views.scan_view import Trouble
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import ACCENT, BAD, BOLD, MUTED, WARN, arrow
from coldal_tui.visible import visible

NAMES, TIMES, DATES = 9, 12, 6
"""Cells for the names of facts, for times, and for dates without them."""
ROOMY = 32

Parts = list[tuple[str, str]]
"""Pieces of text with their styles."""


def facts_text(
    facts: ScanFacts, look: Look, width: int, now: datetime, *, agreement: str = ""
) -> Content:
    """The facts about a scan at ``now``, in lines of at most ``width`` cells."""
    parts: Parts = []
    _place(parts, facts, look, width)
    for name, value in _header_facts(facts, look):
        _fact(parts, name, value, width)
    _label_facts(parts, facts, look, width, agreement)
    for number, reason in facts.waiting:
        _fact(parts, "waiting", f"mask {number} in quarantine: {reason}", width, WARN)
    if facts.trouble:
        _fact(parts, "trouble", facts.trouble, width, BAD)
    parts.append(("\nhistory\n", MUTED))
    for event in facts.history:
        who = f", {event.who}" if event.who else ""
        at = when(event.at, now)
        names = TIMES if width >= ROOMY else DATES
        _fact(parts, at[:names], event.what + who, width, names=names)
    return _assembled(parts)


def when(stamp: str, now: datetime) -> str:
    """``3 Mar 14:02`` in the time zone of ``now``; in other years, the year replaces the time."""
    at = datetime.fromisoformat(stamp).astimezone(now.tzinfo)
    return f"{at.day:>2} {at:%b %Y}" if at.year != now.year else f"{at.day:>2} {at:%b %H:%M}"


def _assembled(parts: Parts) -> Content:
    return Content.assemble(*parts).rstrip()


def _place(parts: Parts, facts: ScanFacts, look: Look, width: int) -> None:
    place = facts.place
    status, ink = _status(facts)
    words = "not queued" if status == "candidate" else status
    parts.append((f"{look.state(status)} {words}\n", ink))
    if facts.record.duplicate_of is not None:
        _wrapped(parts, f"an exact copy of {facts.record.duplicate_of}", width)
    if place is None:
        parts.append(("\n", ""))
        return
    _wrapped(parts, f" {look.dot} ".join(_place_words(place, look)), width)
    numbers = ("H", place.entropy), ("D", place.diversity), ("S", place.score)
    known = "  ".join(f"{name} {value:.2f}" for name, value in numbers if value is not None)
    parts.append((f"{known}\n\n" if known else "\n", ""))


def _status(facts: ScanFacts) -> tuple[str, str]:
    if facts.record.state != "present":
        return "missing", BAD
    if facts.record.excluded is not None:
        return "excluded", MUTED
    if facts.label is not None:
        return "labelled", ACCENT
    return (facts.place.status, ACCENT) if facts.place else ("candidate", MUTED)


def _place_words(place: QueuePlace, look: Look) -> list[str]:
    words = [f"round {place.round}", f"rank {place.rank}", place.role]
    if place.cluster is not None:
        words.append(f"C{place.cluster + 1}\u00a0{look.cluster_glyph(place.cluster)}")
    if place.assignee:
        words.append(f"to\u00a0{place.assignee}")
    if place.reason:
        words.append(place.reason)
    return words


def _header_facts(facts: ScanFacts, look: Look) -> Iterable[tuple[str, str]]:
    record = facts.record
    times = "x" if look.name == "ascii" else "×"
    if not record.patient_id.startswith("scan:"):
        yield "patient", record.patient_id
    more = f" and {len(record.files) - 1:,} more" if len(record.files) > 1 else ""
    yield "file", record.rel_path + more
    channels = {1: "", 3: " RGB"}.get(record.channels, f", {record.channels} channels")
    yield "grid", times.join(map(str, record.shape)) + f" {record.dtype}{channels}"
    if record.spacing:
        yield "spacing", times.join(f"{size:.2f}" for size in record.spacing) + " mm"
    if record.modality:
        yield "modality", record.modality
    for key, value in record.meta.items():
        if key != "format" and value:
            yield key.replace("_", " "), value


def _label_facts(parts: Parts, facts: ScanFacts, look: Look, width: int, agreement: str) -> None:
    label, prediction = facts.label, facts.prediction
    if label is not None:
        source = label.source.rsplit("/", 1)[-1]
        _fact(parts, "label", f"v{label.version} from {source}", width)
        counts = (f"{name} {count:,}" for name, count in label.voxels.items())
        whole = (one.replace(" ", "\u00a0") for one in counts)
        _fact(parts, "", f"\u00a0{look.dot} ".join(whole) or "empty", width)
        if label.geometry not in ("", "match"):
            _fact(parts, "", f"geometry: {label.geometry}", width)
        for note in label.notes:
            _fact(parts, "", note, width)
    if prediction is not None:
        learnt = " (trained on it)" if prediction.trained else ""
        _fact(parts, "predicted", f"by {prediction.run_id}{learnt}", width)
    if agreement:
        _fact(parts, "agreement", agreement, width)
    if facts.scored is not None:
        run, entropy = facts.scored
        _fact(parts, "entropy", f"H {entropy:.2f} by {run}", width)


def _fact(
    parts: Parts, name: str, value: str, width: int, ink: str = "", names: int = NAMES
) -> None:
    """A name and its value; further lines of the value are indented below it."""
    name = visible(name)
    lines = _lines(visible(value), max(8, width - names - 1)) or [""]
    if len(name) > names:
        if len(name) + 1 + len(lines[0]) <= width and len(lines) == 1:
            parts += [(f"{name} ", MUTED), (f"{lines[0]}\n", ink)]
            return
        parts.append((f"{name}\n", MUTED))
        name = ""
    for line in lines:
        parts += [(name.ljust(names + 1), MUTED), (f"{line}\n", ink)]
        name = ""


def _wrapped(parts: Parts, value: str, width: int, style: str = "") -> None:
    for line in _lines(visible(value), max(8, width)):
        parts.append((f"{line}\n", style))


def _lines(value: str, width: int) -> list[str]:
    """Wrapped at spaces; at non-breaking ones (U+00A0) only if nothing else works."""
    lines = textwrap.wrap(value, width, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def trouble_text(trouble: Trouble, path: str, look: Look, width: int) -> Content:
    """Why there is no image, and the remedy."""
    parts: Parts = []
    _wrapped(parts, "no picture", width, BOLD)
    parts.append(("\n", ""))
    _wrapped(parts, trouble.what, width, BAD)
    _wrapped(parts, path, width, MUTED)
    if trouble.remedy:
        parts.append(("\n", ""))
        _wrapped(parts, f"{arrow(look)} {trouble.remedy}", width)
    return _assembled(parts)
