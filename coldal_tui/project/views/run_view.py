"""Runs in detail: spread over scans, worst scans, and comparison of two runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coldal_tui.project.database.store import Row
from coldal_tui.project.measuring import KINDS, interval, kind_name
from coldal_tui.project.project import Project
from coldal_tui.project.views.coverage import coverage_by
from coldal_tui.project.views.map_view import MapView
from coldal_tui.project.views.snapshot import RunState

_WITH_HELD = (
    "WITH held AS MATERIALIZED (SELECT DISTINCT run_id, split, class FROM metrics "
    "WHERE note IN ('', 'missed')) "
)
_HELD = (
    "((m.run_id, m.split, m.class) IN (SELECT run_id, split, class FROM held) "
    "OR (m.run_id, m.split) NOT IN (SELECT run_id, split FROM held))"
)
"""Classes that a label of the split holds, all where none does; others are in no mean."""
SAME = 0.0005
"""Two Dice that differ by less look the same with three decimals, and count as such."""


@dataclass(frozen=True)
class SplitState:
    """One run measured on one set of scans; Dice is the mean over the classes of a scan.

    ``spread`` is the standard deviation over the scans (n - 1), None for a single one; ``hd95`` is
    None when millimetres and pixels are mixed (``unit`` is ``mixed`` then). ``low`` and ``high``
    are the interval of the mean over patients (see ``project.measuring``), None for one patient.
    """

    split: str
    scans: int
    dice: float
    spread: float | None
    lowest: float
    highest: float
    hd95: float | None
    unit: str
    at: str
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """``frozen validation``, ``cross-fitted``, ``test-then-train``, ``evaluation 8``."""
        return kind_name(self.split)


@dataclass(frozen=True)
class RunMeasures:
    """The measures of a run; ``measured`` is what its Dice is taken from, None without any.

    ``others`` are of further kinds, ``evaluations`` on masks of one's own. ``coverage`` is the
    share of the map near its training and validation scans; None without a map.
    """

    run_id: str
    measured: SplitState | None
    evaluations: tuple[SplitState, ...]
    coverage: float | None
    others: tuple[SplitState, ...] = ()

    @property
    def splits(self) -> tuple[SplitState, ...]:
        """All of them, that of the run's Dice first, evaluations last."""
        return (*([self.measured] if self.measured else []), *self.others, *self.evaluations)


@dataclass(frozen=True)
class ClassScore:
    """One class of one scan; ``note`` is ``missed``, ``spurious``, ``both-empty`` or empty."""

    dice: float
    hd95: float
    unit: str
    note: str


@dataclass(frozen=True)
class ScanScore:
    """One scan under one run; ``known``: it is a scan of the project and can be opened."""

    scan_id: str
    classes: dict[str, ClassScore]
    known: bool

    @property
    def dice(self) -> float:
        """The mean over the classes."""
        return math.fsum(one.dice for one in self.classes.values()) / len(self.classes)

    @property
    def hd95(self) -> float:
        """The mean over the classes, in ``unit``."""
        return math.fsum(one.hd95 for one in self.classes.values()) / len(self.classes)

    @property
    def unit(self) -> str:
        return next(iter(self.classes.values())).unit

    @property
    def worst(self) -> tuple[str, ClassScore]:
        """The class with the lowest Dice; ties: the first."""
        return min(self.classes.items(), key=lambda item: item[1].dice)


@dataclass(frozen=True)
class Pair:
    """One scan under two runs: ``after`` minus ``before``. Lower HD95 is better."""

    scan_id: str
    before: ScanScore
    after: ScanScore

    @property
    def dice(self) -> float:
        return self.after.dice - self.before.dice

    @property
    def hd95(self) -> float:
        return self.after.hd95 - self.before.hd95

    @property
    def known(self) -> bool:
        return self.after.known


@dataclass(frozen=True)
class ClassChange:
    """Means of one class over the scans that both runs were measured on."""

    name: str
    dice: float
    dice_change: float
    hd95: float | None
    hd95_change: float | None
    unit: str


@dataclass(frozen=True)
class Comparison:
    """Two runs on the scans measured under both, the largest losses first.

    ``mean`` and ``spread`` refer to the differences in Dice (spread: n - 1; None for one scan).
    """

    pairs: tuple[Pair, ...]
    classes: tuple[ClassChange, ...]
    better: int
    worse: int
    same: int
    mean: float
    spread: float | None


def read_measures(
    project: Project, runs: Sequence[RunState], map_view: MapView | None, picks: Sequence[str]
) -> dict[str, RunMeasures]:
    """``run_id → measures`` of ``runs`` (of a snapshot); as slow as ``views.coverage``."""
    splits = _splits(project)
    coverage = _coverage(project, runs, map_view, picks)
    return {
        run.run_id: _measures(run.run_id, splits.get(run.run_id, []), coverage.get(run.run_id))
        for run in runs
    }


def _measures(run_id: str, splits: Sequence[SplitState], coverage: float | None) -> RunMeasures:
    own = [state for kind in KINDS for state in splits if state.split == kind]
    evaluations = tuple(state for state in splits if state.split not in KINDS)
    return RunMeasures(run_id, own[0] if own else None, evaluations, coverage, tuple(own[1:]))


def read_scores(project: Project, run_id: str, split: str) -> tuple[ScanScore, ...]:
    """Every scan of a split under a run, the worst first: by Dice, then by HD95, then by name."""
    rows = project.store.rows(
        f"{_WITH_HELD}SELECT m.*, s.scan_id IS NOT NULL AS known FROM metrics m LEFT JOIN scans s "
        f"ON s.scan_id = m.scan_id WHERE m.run_id = ? AND m.split = ? AND {_HELD} "
        "ORDER BY m.scan_id, m.rowid",
        (run_id, split),
    )
    classes: dict[str, dict[str, ClassScore]] = {}
    known: dict[str, bool] = {}
    for row in rows:
        score = ClassScore(row["dice"], row["hd95"], row["unit"], row["note"])
        classes.setdefault(row["scan_id"], {})[row["class"]] = score
        known[row["scan_id"]] = bool(row["known"])
    scores = [ScanScore(name, found, known[name]) for name, found in classes.items()]
    return tuple(sorted(scores, key=lambda score: (score.dice, -score.hd95, score.scan_id)))


def read_comparison(
    project: Project, before: str, after: str, split: str
) -> tuple[str, Comparison | None]:
    """``after`` on ``split`` against ``before`` on the same scans, and the split of ``before``.

    Every evaluation is a separate split: among those of ``before`` the one with the most common
    scans is used (ties: the newest). None when no scan was measured under both.
    """
    mine = read_scores(project, after, split)
    wanted = {score.scan_id for score in mine}
    best, shared = split, -1
    for candidate in _splits_of(project, before, split):
        count = sum(row in wanted for row in _scans_of(project, before, candidate))
        if count >= shared:
            best, shared = candidate, count
    return best, compare(read_scores(project, before, best), mine)


def compare(before: Iterable[ScanScore], after: Iterable[ScanScore]) -> Comparison | None:
    """Scans paired by name; None when there is no pair."""
    known = {score.scan_id: score for score in before}
    pairs = [
        Pair(score.scan_id, known[score.scan_id], score)
        for score in after
        if score.scan_id in known
    ]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: (pair.dice, -pair.hd95, pair.scan_id))
    changes = [pair.dice for pair in pairs]
    better = sum(change >= SAME for change in changes)
    worse = sum(change <= -SAME for change in changes)
    return Comparison(
        pairs=tuple(pairs),
        classes=_class_changes(pairs),
        better=better,
        worse=worse,
        same=len(pairs) - better - worse,
        mean=math.fsum(changes) / len(changes),
        spread=_deviation(changes),
    )


def _class_changes(pairs: Sequence[Pair]) -> tuple[ClassChange, ...]:
    """Changes of the classes that both runs have."""
    names = [
        name
        for name in pairs[0].after.classes
        if all(name in pair.before.classes and name in pair.after.classes for pair in pairs)
    ]
    return tuple(_class_change(name, pairs) for name in names)


def _class_change(name: str, pairs: Sequence[Pair]) -> ClassChange:
    before = [pair.before.classes[name] for pair in pairs]
    after = [pair.after.classes[name] for pair in pairs]
    units = {one.unit for one in (*before, *after)}
    count = len(pairs)
    dice = math.fsum(one.dice for one in after) / count
    change = dice - math.fsum(one.dice for one in before) / count
    if len(units) > 1:
        return ClassChange(name, dice, change, None, None, "mixed")
    hd95 = math.fsum(one.hd95 for one in after) / count
    hd95_change = hd95 - math.fsum(one.hd95 for one in before) / count
    return ClassChange(name, dice, change, hd95, hd95_change, units.pop())


def _splits(project: Project) -> dict[str, list[SplitState]]:
    """The splits of every run; evaluations in the order in which they were made."""
    ended = {
        f"evaluation-{row['job_id']}": row["ended_at"] or ""
        for row in project.store.rows("SELECT job_id, ended_at FROM jobs WHERE kind = 'evaluate'")
    }
    rows = project.store.rows(
        f"{_WITH_HELD}SELECT m.run_id, m.split, avg(m.dice) AS dice, avg(m.hd95) AS hd95, "
        "min(m.unit) AS unit, min(m.unit) != max(m.unit) AS mixed, "
        "coalesce(s.patient_id, 'scan ' || m.scan_id) AS patient FROM metrics m "
        f"LEFT JOIN scans s ON s.scan_id = m.scan_id WHERE {_HELD} "
        "GROUP BY m.run_id, m.split, m.scan_id"
    )
    splits: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        splits.setdefault((row["run_id"], row["split"]), []).append(row)
    found: dict[str, list[SplitState]] = {}
    for run_id, split in sorted(splits, key=lambda key: (_number(key[1]), key[1])):
        state = _split_state(split, splits[run_id, split], ended.get(split, ""))
        found.setdefault(run_id, []).append(state)
    return found


def _split_state(split: str, scans: Sequence[Row], at: str) -> SplitState:
    """A split's state, from one row per scan: its means over the classes."""
    dice = [row["dice"] for row in scans]
    units = {"mixed" if row["mixed"] else row["unit"] for row in scans}
    unit = units.pop() if len(units) == 1 else "mixed"
    patients: dict[str, list[float]] = {}
    for row in scans:
        patients.setdefault(row["patient"], []).append(row["dice"])
    low, high = interval(patients) or (None, None)
    return SplitState(
        split=split,
        scans=len(scans),
        dice=math.fsum(dice) / len(dice),
        spread=_deviation(dice),
        lowest=min(dice),
        highest=max(dice),
        hd95=None if unit == "mixed" else math.fsum(row["hd95"] for row in scans) / len(scans),
        unit=unit,
        at=at,
        low=low,
        high=high,
    )


def _number(split: str) -> int:
    tail = split.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _coverage(
    project: Project, runs: Sequence[RunState], map_view: MapView | None, picks: Sequence[str]
) -> Mapping[str, float]:
    if map_view is None:
        return {}
    seen = {
        row["run_id"]: {*json.loads(row["train_scans"]), *json.loads(row["validation_scans"])}
        for row in project.store.rows("SELECT run_id, train_scans, validation_scans FROM runs")
    }
    shares = coverage_by(map_view, picks, [seen.get(run.run_id, set()) for run in runs])
    return dict(zip((run.run_id for run in runs), shares, strict=True)) if shares else {}


def _splits_of(project: Project, run_id: str, like: str) -> list[str]:
    """Splits of a run that can be compared with ``like``, oldest first."""
    if like in KINDS:
        return [like]
    rows = project.store.rows("SELECT DISTINCT split FROM metrics WHERE run_id = ?", (run_id,))
    splits = [row["split"] for row in rows if row["split"] not in KINDS]
    return sorted(splits, key=lambda split: (_number(split), split))


def _scans_of(project: Project, run_id: str, split: str) -> list[str]:
    rows = project.store.rows(
        "SELECT DISTINCT scan_id FROM metrics WHERE run_id = ? AND split = ?", (run_id, split)
    )
    return [row["scan_id"] for row in rows]


def _deviation(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
