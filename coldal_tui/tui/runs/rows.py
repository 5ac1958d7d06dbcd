"""Runs, their scans, and scans under two runs, as table rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from coldal_tui.project.views.run_view import Comparison, RunMeasures, ScanScore
from coldal_tui.project.views.snapshot import RunState
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import duration, number, plus_minus, share
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.table_model import Cell

DICE, HD95 = 3, 1
"""Digits: runs differ by thousandths of Dice, and by tenths of a pixel or a millimetre."""
NOTE_INKS = {"missed": "error", "spurious": "warning"}


def distance(value: float | None, unit: str, look: Look, *, signed: bool = False) -> str:
    """``53.1 px``; a dash for mixed units."""
    if value is None:
        return look.dash
    return f"{number(value, HD95, look, signed=signed)} {unit}"


class RunRows:
    """One row per run, newest first; with several classes, one column per class."""

    def __init__(
        self, runs: Sequence[RunState], measures: Mapping[str, RunMeasures], look: Look
    ) -> None:
        self._runs, self._measures, self._look = tuple(reversed(runs)), measures, look
        self._classes = _class_names(runs)
        self._evaluated = any(known.evaluations for known in measures.values())
        self.columns = (
            Column("run", "run", max(7, *(len(run.run_id) for run in runs)), least=7),
            Column("round", "round", 5, align="right", priority=4),
            Column("labels", "labels", 6, align="right"),
            Column("dice", "Dice", 5, align="right"),
            Column("measured", "measured", 17, least=5, priority=2),
            Column("spread", plus_minus(look) + " SD", 5, align="right", priority=2),
            Column("hd95", "HD95", 8, align="right", priority=1),
            *(
                (Column("evaluated", "evaluated", 9, align="right", priority=5),)
                if self._evaluated
                else ()
            ),
            Column("coverage", "covers", 6, align="right", priority=3),
            Column("time", "trained", 9, align="right", priority=6),
            *(column for name in self._classes for column in _class_columns(name)),
        )

    @property
    def row_count(self) -> int:
        return len(self._runs)

    def key(self, row: int) -> str:
        return self._runs[row].run_id

    def find(self, key: str) -> int | None:
        return next((n for n, run in enumerate(self._runs) if run.run_id == key), None)

    def cells(self, row: int) -> Sequence[Cell]:
        run, look = self._runs[row], self._look
        known = self._measures.get(run.run_id)
        watched = known.measured if known else None
        evaluated = known.evaluations[-1].dice if known and known.evaluations else None
        mean = run.mean or {}
        unit = watched.unit if watched else next((c["unit"] for c in run.classes.values()), "")
        return (
            run.run_id,
            str(run.round),
            f"{run.labels:,}",
            Text(number(mean.get("dice"), DICE, look), style="bold"),
            run.measured or "not yet",
            number(watched.spread if watched else None, DICE, look),
            distance(mean.get("hd95"), unit, look),
            *((number(evaluated, DICE, look),) if self._evaluated else ()),
            share(known.coverage if known else None, look),
            duration(run.seconds),
            *(cell for name in self._classes for cell in self._of_class(run, name)),
        )

    def _of_class(self, run: RunState, name: str) -> tuple[str, str]:
        found = run.classes.get(name) or {}
        hd95 = distance(found.get("hd95"), found.get("unit", ""), self._look)
        return number(found.get("dice"), DICE, self._look), hd95


def _class_names(runs: Sequence[RunState]) -> tuple[str, ...]:
    """The classes of all runs; empty for a single one: its Dice is the mean Dice."""
    names = tuple(dict.fromkeys(name for run in runs for name in run.classes))
    return names if len(names) > 1 else ()


def _class_columns(name: str) -> tuple[Column, Column]:
    width = max(5, min(12, len(name)))
    return (
        Column(f"dice:{name}", name, width, align="right", priority=7),
        Column(f"hd95:{name}", "HD95", 8, align="right", priority=8),
    )


class ScanRows:
    """One row per scan in the given order (worst first)."""

    def __init__(self, scores: Sequence[ScanScore], look: Look) -> None:
        self._scores, self._look = scores, look
        several = any(len(score.classes) > 1 for score in scores)
        self.columns = (
            Column("scan", "scan", 14, least=8, most=60, cut="middle"),
            Column("dice", "Dice", 5, align="right"),
            Column("hd95", "HD95", 9, align="right", priority=1),
            *((Column("worst", "worst class", 18, least=11, priority=2),) if several else ()),
            Column("note", "", 10, least=6, most=24, priority=3),
        )
        self._several = several

    @property
    def row_count(self) -> int:
        return len(self._scores)

    def key(self, row: int) -> str:
        return self._scores[row].scan_id

    def find(self, key: str) -> int | None:
        return _find((score.scan_id for score in self._scores), key)

    def known(self, key: str) -> bool:
        """Whether it is a scan of this project."""
        return any(score.scan_id == key and score.known for score in self._scores)

    def cells(self, row: int) -> Sequence[Cell]:
        score, look = self._scores[row], self._look
        name, worst = score.worst
        return (
            score.scan_id,
            number(score.dice, DICE, look),
            distance(score.hd95, score.unit, look),
            *((f"{number(worst.dice, DICE, look)} {name}",) if self._several else ()),
            _note(score, self._several),
        )


def _note(score: ScanScore, several: bool) -> Text:
    """A complete failure on the scan: ``missed lung``, ``spurious``."""
    for note, ink in NOTE_INKS.items():
        names = [name for name, found in score.classes.items() if found.note == note]
        if names:
            return Text(f"{note} {', '.join(names)}" if several else note, style=ink)
    return Text("")


class PairRows:
    """One row per scan under two runs, in the given order (greatest losses first)."""

    def __init__(self, comparison: Comparison, look: Look) -> None:
        self._pairs, self._look = comparison.pairs, look
        change = "change" if look.name == "ascii" else "Δ"
        self.columns = (
            Column("scan", "scan", 14, least=8, most=60, cut="middle"),
            Column("change", change, 6, align="right"),
            Column("dice", "Dice", 5, align="right"),
            Column("hd95-change", change, 7, align="right", priority=1),
            Column("hd95", "HD95", 9, align="right", priority=2),
        )

    @property
    def row_count(self) -> int:
        return len(self._pairs)

    def key(self, row: int) -> str:
        return self._pairs[row].scan_id

    def find(self, key: str) -> int | None:
        return _find((pair.scan_id for pair in self._pairs), key)

    def known(self, key: str) -> bool:
        return any(pair.scan_id == key and pair.known for pair in self._pairs)

    def cells(self, row: int) -> Sequence[Cell]:
        pair, look = self._pairs[row], self._look
        return (
            pair.scan_id,
            changed(pair.dice, DICE, look),
            number(pair.after.dice, DICE, look),
            changed(pair.hd95, HD95, look, less_is_better=True),
            distance(pair.after.hd95, pair.after.unit, look),
        )


def changed(value: float | None, digits: int, look: Look, *, less_is_better: bool = False) -> Text:
    """A signed number in the colour for better or worse; uncoloured if it rounds to 0."""
    text = number(value, digits, look, signed=True)
    if value is None or round(value, digits) == 0:
        return Text(text, style="muted")
    return Text(text, style="success" if (value > 0) != less_is_better else "error")


def _find(scan_ids: Iterable[str], key: str) -> int | None:
    return next((n for n, scan_id in enumerate(scan_ids) if scan_id == key), None)
