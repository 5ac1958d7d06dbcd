"""Labels and quarantined masks as table rows, and the text below the table."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.text import Text
from textual.content import Content

from coldal_tui.project.inbox import NO_SCAN, WAITS, ReturnedFile, by_person
from coldal_tui.project.labels.agreement import Agreement
from coldal_tui.project.labels.quality import LabelCheck
from coldal_tui.project.views.label_view import LabelLine, WaitingLine
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import ACCENT, BOLD, MUTED, WARN
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.table_model import Cell
from coldal_tui.visible import visible

QUARANTINE, LABELS, INBOX = "quarantine", "labels", "inbox"
ORDERS = ("disagreement", "scan", "newest", "check")
"""How labels may be ordered; at first those that the model disagrees with most."""

_POOR = 0.7
"""Agreement below which a label is worth a look."""


class WaitingRows:
    """Masks in quarantine, by number."""

    columns: Sequence[Column] = (
        Column("number", "#", 3, align="right"),
        Column("file", "file", 26, least=14, most=44, cut="middle"),
        Column("scan", "scan", 24, least=10, most=40, cut="middle", priority=2),
        Column("code", "what", 13, least=9),
        Column("reason", "reason", 40, least=26, most=90, priority=3),
    )

    def __init__(self, lines: Sequence[WaitingLine], look: Look) -> None:
        self._lines, self._look = lines, look
        self._rows = {str(line.number): n for n, line in enumerate(lines)}

    @property
    def row_count(self) -> int:
        return len(self._lines)

    def key(self, row: int) -> str:
        return str(self._lines[row].number)

    def find(self, key: str) -> int | None:
        return self._rows.get(key)

    def cells(self, row: int) -> Sequence[Cell]:
        line = self._lines[row]
        scan = visible(line.scan_id) if line.scan_id else Text("none known", style="warning")
        return (
            str(line.number),
            visible(file_name(line.source)),
            scan,
            Text(visible(line.code), style="warning"),
            visible(line.message.split("\n")[0]),
        )


class InboxRows:
    """Returned files by person, and what they are now."""

    columns: Sequence[Column] = (
        Column("person", "by", 10, least=5, most=24, cut="middle"),
        Column("file", "file", 26, least=14, most=44, cut="middle"),
        Column("now", "is now", 15, least=9),
        Column("scan", "scan", 20, least=10, most=40, cut="middle", priority=2),
        Column("at", "came", 11, least=11, priority=3),
        Column("reason", "reason", 40, least=20, most=90, priority=4),
    )

    def __init__(self, files: Sequence[ReturnedFile], look: Look) -> None:
        self._files, self._look = files, look
        self._rows = {str(one.number): n for n, one in enumerate(files)}

    @property
    def row_count(self) -> int:
        return len(self._files)

    def key(self, row: int) -> str:
        return str(self._files[row].number)

    def find(self, key: str) -> int | None:
        return self._rows.get(key)

    def cells(self, row: int) -> Sequence[Cell]:
        one, dash = self._files[row], Text(self._look.dash, style="muted")
        waits = one.now in (WAITS, NO_SCAN)
        return (
            visible(one.person) if one.person else dash,
            visible(file_name(one.file) + (f" [{one.key}]" if one.key else "")),
            Text(one.now, style="warning") if waits else one.now,
            visible(one.scan_id) if one.scan_id else dash,
            datetime.fromisoformat(one.at).astimezone().strftime("%d %b %H:%M"),
            visible(one.message.split("\n")[0]),
        )


class LabelRows:
    """Labels in one of the ``ORDERS``."""

    _columns = (
        Column("scan", "scan", 20, least=12, most=44, cut="middle"),
        Column("dice", "Dice", 5, align="right"),
        Column("check", "check", 5, align="right", priority=1),
        Column("worst", "worst class", 16, least=10, most=24, priority=3),
        Column("role", "role", 14, least=8, priority=2),
        Column("version", "v", 3, align="right", priority=4),
        Column("source", "from", 16, least=10, most=40, cut="middle", priority=5),
        Column("notes", "notes", 12, least=8, most=60, priority=6),
    )

    def __init__(
        self,
        lines: Sequence[LabelLine],
        agreements: Mapping[str, Agreement],
        order: str,
        look: Look,
        checks: Mapping[str, LabelCheck] | None = None,
    ) -> None:
        self._checks = checks or {}
        self._lines = ordered(lines, agreements, order, self._checks)
        self._agreements, self._look = agreements, look
        several = any(len(found.classes) > 1 for found in agreements.values())
        self.columns: Sequence[Column] = tuple(
            column for column in self._columns if several or column.key != "worst"
        )
        self._rows = {line.scan_id: n for n, line in enumerate(self._lines)}

    @property
    def row_count(self) -> int:
        return len(self._lines)

    def key(self, row: int) -> str:
        return self._lines[row].scan_id

    def find(self, key: str) -> int | None:
        return self._rows.get(key)

    def cells(self, row: int) -> Sequence[Cell]:
        line = self._lines[row]
        agreement = self._agreements.get(line.scan_id)
        notes = [line.geometry] if line.geometry not in ("", "match") else []
        cells: dict[str, Cell] = {
            "scan": visible(line.scan_id),
            "dice": self._dice(agreement),
            "check": self._check(self._checks.get(line.scan_id)),
            "worst": visible(worst_class(agreement)) or Text(self._look.dash, style="muted"),
            "role": line.role,
            "version": str(line.version),
            "source": visible(file_name(line.source)),
            "notes": visible("; ".join([*notes, *line.notes])),
        }
        return [cells[column.key] for column in self.columns]

    def _dice(self, agreement: Agreement | None) -> Cell:
        if agreement is None:
            return Text(self._look.dash, style="muted")
        text = f"{agreement.mean:.2f}"
        return Text(f"!{text}", style="warning") if agreement.mean < _POOR else text

    def _check(self, check: LabelCheck | None) -> Cell:
        return Text(self._look.dash, style="muted") if check is None else f"{check.score:.2f}"


def ordered(
    lines: Sequence[LabelLine],
    agreements: Mapping[str, Agreement],
    order: str,
    checks: Mapping[str, LabelCheck] | None = None,
) -> list[LabelLine]:
    """Sorted by lowest agreement or check (unknown last), by scan, or newest first."""
    known = {name: found.mean for name, found in agreements.items()}
    if order == "check":
        known = {name: check.score for name, check in (checks or {}).items()}
    if order == "newest":
        by_scan = sorted(lines, key=lambda line: line.scan_id)
        return sorted(by_scan, key=lambda line: line.created_at, reverse=True)
    if order == "scan":
        return sorted(lines, key=lambda line: line.scan_id)
    return sorted(lines, key=lambda line: (known.get(line.scan_id, 2.0), line.scan_id))


def worst_class(agreement: Agreement | None) -> str:
    """The class with the lowest Dice, and that Dice; empty with only one class."""
    if agreement is None or len(agreement.classes) < 2:
        return ""
    name, dice = min(agreement.classes.items(), key=lambda item: item[1])
    return f"{name} {dice:.2f}"


def file_name(source: str) -> str:
    """The last part of a path."""
    return source.rsplit("/", 1)[-1]


def switch_text(
    here: str, waiting: int, labels: int, returned: int, order: str, look: Look
) -> Content:
    """The names and sizes of the lists, with the visible one highlighted."""
    parts: list[tuple[str, str]] = []
    for name, count in ((QUARANTINE, waiting), (LABELS, labels), (INBOX, returned)):
        words = f"{look.cursor if name == here else ' '}{name} {count:,}"
        parts += [(words, f"{BOLD} {ACCENT}" if name == here else MUTED), ("   ", "")]
    if here == LABELS and labels:
        told = {
            "disagreement": "least agreement with the model first",
            "scan": "by scan",
            "newest": "newest first",
            "check": "worst check first",
        }
        parts.append((told[order], MUTED))
    return Content.assemble(*parts)


def waiting_details(line: WaitingLine, width: int, look: Look) -> Content:
    """Why a mask is in quarantine, where it is, and the keys that decide on it."""
    scan = f"for scan {line.scan_id}" if line.scan_id else "no scan is known for it"
    parts: list[tuple[str, str]] = [(f"mask {line.number} {look.dot} ", BOLD)]
    parts += [(f"{visible(file_name(line.source))} ", BOLD), (f"{visible(scan)}\n", "")]
    for text in textwrap.wrap(visible(line.message), max(20, width)):
        parts.append((f"{text}\n", WARN))
    parts.append((remedy_keys(line), ""))
    return Content.assemble(*parts)


def inbox_details(one: ReturnedFile | None, files: Sequence[ReturnedFile], width: int) -> Content:
    """The file under the cursor, and what became of all that its person returned."""
    if one is None:
        return Content("")
    name = f"{visible(file_name(one.file))}: {one.now}"
    parts: list[tuple[str, str]] = [(name, BOLD)]
    if one.scan_id:
        parts.append((f"  scan {visible(one.scan_id)}", ""))
    words = visible(one.message)
    parts += [(f"\n{text}", WARN) for text in textwrap.wrap(words, max(20, width))[:3]]
    counts = by_person(files)[one.person]
    said = ", ".join(f"{count:,} {now}" for now, count in counts.items())
    whose = visible(one.person) if one.person else "files of nobody known"
    parts.append((f"\n{whose}: {said}", MUTED))
    return Content.assemble(*parts)


def remedy_keys(line: WaitingLine) -> str:
    """The keys of this pane that may help with a mask."""
    if line.scan_id is None:
        return "Y name its scan   N leave it out"
    if line.code == "empty":
        return "E confirm that nothing is there   r try again   N leave it out"
    return "r try again once it is mended   Y accept it nevertheless   N leave it out"


def label_details(
    line: LabelLine,
    agreement: Agreement | None,
    width: int,
    look: Look,
    check: LabelCheck | None = None,
) -> Content:
    """A label's classes, source, agreement with the model, and check results."""
    counts = f" {look.dot} ".join(f"{visible(name)} {count:,}" for name, count in line.voxels)
    parts: list[tuple[str, str]] = [(f"{visible(line.scan_id)} ", BOLD), (f"v{line.version}", "")]
    parts.append((f" {look.dot} {counts or 'empty: nothing is there'}\n", ""))
    if agreement is None:
        parts.append(("no run has predicted this scan without training on it\n", MUTED))
    else:
        dices = ", ".join(f"{visible(n)} {dice:.2f}" for n, dice in agreement.classes.items())
        parts.append((f"Dice against {agreement.run_id}, {agreement.kind}: {dices}\n", ""))
    if check is not None and check.findings:
        words = visible(f"check {check.score:.2f}: {'; '.join(check.findings)}")
        parts += [(f"{text}\n", WARN) for text in textwrap.wrap(words, max(20, width))[:3]]
    notes = "; ".join(line.notes)
    where = f"from {line.source}" + (f" {look.dot} {notes}" if notes else "")
    lines = textwrap.wrap(visible(where), max(20, width))[:2]
    parts.append(("\n".join(lines), MUTED))
    return Content.assemble(*parts)


def nothing_text(here: str, arrivals: str) -> Content:
    """What to do when a list is empty; ``arrivals``: how masks come in."""
    if here == QUARANTINE:
        return Content.assemble(
            ("nothing in quarantine\n\n", BOLD),
            (
                "Every mask that came in was taken as a label. One that doesn't fit its scan, is "
                "empty, or holds unknown values waits here until someone decides on it.",
                MUTED,
            ),
        )
    if here == INBOX:
        return Content.assemble(("nothing came back yet\n\n", BOLD), (arrivals, MUTED))
    return Content.assemble(("no labels yet\n\n", BOLD), (arrivals, MUTED))
