"""Reads what the next labels are expected to gain from the measures of a project's runs.

Figures are of scans that the network had not seen: frozen validation, cross-fitted, and
test-then-train (see ``project.measuring``). A run is compared with the next one on the scans that
both were measured on. Estimated by ``simulation.expected_gain``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.raters.comparing import Comparer, pairs_of
from coldal_tui.project.labels.raters.drawings import newest_by_person
from coldal_tui.project.measuring import CROSS_FITTED, KINDS
from coldal_tui.project.minutes.expected import expected_of_next, read_expectation
from coldal_tui.project.minutes.time_model import Total
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import batch_size, next_round, read_budget
from coldal_tui.project.runs import IMPORTED
from coldal_tui.simulation.expected_gain import (
    LEAST_PATIENTS,
    LEAST_RUNS,
    Gain,
    RunFigures,
    expected_gain,
    usable,
)
from coldal_tui.visible import counted

_FOLDS = 5
"""Folds where the settings name none: as ``crossfit`` has them."""


@dataclass(frozen=True)
class Raters:
    """How alike people draw: the mean Dice over every two drawings of ``scans`` scans."""

    dice: float
    scans: int


@dataclass(frozen=True)
class Enough:
    """The answer to "Enough?". ``gain`` or else ``missing``, which says what it takes.

    ``worth``: the Dice that the next labels have to be able to gain (``[budget] enough``).
    ``since``: labels that came after the newest measured run. ``minutes`` is None where no drawing
    and no setting says how long a scan takes; ``raters`` where no two people drew the same scan.
    """

    gain: Gain | None
    missing: str
    worth: float
    run_id: str
    since: int = 0
    minutes: Total | None = None
    raters: Raters | None = None

    @property
    def stop(self) -> bool:
        """Whether even the upper end of the interval is below what is worth a round."""
        return self.gain is not None and self.gain.high < self.worth

    def as_json(self) -> dict[str, Any]:
        """JSON types, as ``status --json`` has them under ``enough``."""
        return asdict(self) | {"stop": self.stop}


def read_enough(project: Project) -> Enough | None:
    """What is known of the next round's gain; None before the first measured run."""
    with project.store.reading():
        return _read(project)


def _read(project: Project) -> Enough | None:
    runs = _measured_runs(project)
    if not runs:
        return None
    newest = runs[-1][0]
    worth = project.config.budget.enough
    figures = usable([found for _, found in runs])
    trained = {*json.loads(newest["train_scans"]), *json.loads(newest["validation_scans"])}
    labelled = {
        scan for (scan,) in project.store.tuples("SELECT scan_id FROM labels WHERE state='active'")
    }
    since = len(labelled - trained)
    raters = read_raters(project)
    more = _next_labels(project)
    patients = _patients(project, figures)
    missing = _missing(runs, figures, patients)
    if missing:
        return Enough(None, missing, worth, newest["run_id"], since, None, raters)
    gain = expected_gain(figures, patients, more)
    return Enough(gain, "", worth, newest["run_id"], since, _minutes(project, more), raters)


def _measured_runs(project: Project) -> list[tuple[Row, RunFigures]]:
    """Runs that can be compared with the newest measured one, in the order of their training.

    These have the same classes and are of the same model: trained here, or imported from it.
    """
    splits = ",".join("?" * len(KINDS))
    dice: dict[str, dict[str, dict[str, float]]] = {}
    split_of: dict[tuple[str, str], str] = {}
    held: dict[str, set[str]] = {}
    classes: dict[str, set[str]] = {}
    for row in project.store.rows(
        f'SELECT run_id, split, scan_id, "class" AS name, dice, note FROM metrics '
        f"WHERE split IN ({splits})",
        tuple(KINDS),
    ):
        run = row["run_id"]
        classes.setdefault(run, set()).add(row["name"])
        if row["dice"] is None:
            continue
        dice.setdefault(run, {}).setdefault(row["scan_id"], {})[row["name"]] = row["dice"]
        split_of[run, row["scan_id"]] = row["split"]
        if row["note"] in ("", "missed"):
            held.setdefault(run, set()).add(row["name"])
    rows = project.store.rows(
        "SELECT run_id, train_scans, validation_scans, "
        f"json_extract(summary, '$.{IMPORTED}') AS {IMPORTED} FROM runs "
        "ORDER BY created_at, run_id"
    )
    known = [row for row in rows if row["run_id"] in dice]
    if not known:
        return []
    newest = known[-1]
    # A class that no label of the newest run holds is in no mean, as in ``project.measuring``.
    counted_classes = held.get(newest["run_id"]) or classes[newest["run_id"]]
    found = []
    for row in known:
        run = row["run_id"]
        if row[IMPORTED] != newest[IMPORTED] or classes[run] != classes[newest["run_id"]]:
            continue
        labels = len(json.loads(row["train_scans"]))
        folded = labels * _kept(project, labels)
        scans = {
            scan: (
                math.fsum(values[name] for name in counted_classes) / len(counted_classes),
                folded if split_of[run, scan] == CROSS_FITTED else float(labels),
            )
            for scan, values in dice[run].items()
            if counted_classes <= values.keys()
        }
        if labels > 0 and scans:
            found.append((row, RunFigures(labels, scans)))
    return found if found and found[-1][0] is newest else []


def _kept(project: Project, labels: int) -> float:
    """The share of a run's labels that each network of its cross-fitting trained on."""
    folds = max(2, min(project.config.validation.folds or _FOLDS, labels))
    return 1 - 1 / folds


def _patients(project: Project, figures: Sequence[RunFigures]) -> dict[str, str]:
    """Scan → patient; a scan that has left the project stands for a patient of its own."""
    scans = sorted({scan for run in figures for scan in run.scans})
    known = {scan.scan_id: scan.patient_id for scan in project.scans_named(scans)}
    return {scan: known.get(scan) or f"scan {scan}" for scan in scans}


def _missing(
    runs: Sequence[tuple[Row, RunFigures]],
    figures: Sequence[RunFigures],
    patients: Mapping[str, str],
) -> str:
    """What an estimate still takes, in words; empty when there is enough."""
    if len(figures) < LEAST_RUNS:
        counts = len({run.labels for _, run in runs})
        if counts >= LEAST_RUNS:
            return (
                f"{counted(counts, 'measured run')}, but no scan that one and the next were both "
                "measured on: coldal-tui crossfit --run RUN measures a run on its labels"
            )
        return (
            f"it takes measured runs with {LEAST_RUNS} different label counts, there "
            f"{'is' if len(figures) == 1 else 'are'} {len(figures)}"
        )
    measured = len({patients[scan] for scan in figures[-1].scans})
    if measured < LEAST_PATIENTS:
        return f"it takes {LEAST_PATIENTS} measured patients, there are {measured}"
    return ""


def _next_labels(project: Project) -> int:
    """The size of the next round, within the budget that is left, if any."""
    wanted = batch_size(project, max(1, next_round(project)))
    left = read_budget(project).left
    return min(wanted, left) if left else wanted


def _minutes(project: Project, count: int) -> Total | None:
    """Expected minutes of the next labels; None when nothing says how long a scan takes."""
    said = project.config.budget.minutes_per_scan is not None
    if not said and not read_expectation(project).learned:
        return None
    return expected_of_next(project, count)


def read_raters(project: Project) -> Raters | None:
    """How alike people draw, from comparisons that are stored already: masks are not opened."""
    rows = project.store.rows(
        "SELECT scan_id, version, file, sha256, state, author, purpose, decided FROM labels "
        "WHERE scan_id IN (SELECT scan_id FROM labels WHERE author IS NOT NULL "
        "AND purpose = '' GROUP BY scan_id HAVING count(DISTINCT author) > 1) "
        "ORDER BY scan_id, version"
    )
    by_scan: dict[str, list[Row]] = {}
    for row in rows:
        by_scan.setdefault(row["scan_id"], []).append(row)
    comparer = Comparer(project, stored_only=True)
    found: dict[str, list[float]] = {}
    for scan_id, own in by_scan.items():
        for first, second in pairs_of(list(newest_by_person(own).values())):
            made = comparer.compare(first, second)
            if made is not None:
                found.setdefault(scan_id, []).append(made.dice)
    every = [dice for values in found.values() for dice in values]
    return Raters(math.fsum(every) / len(every), len(found)) if every else None
