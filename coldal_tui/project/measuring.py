"""The kinds of a run's Dice, and their means with intervals: the one place that says how.

A run is measured in three ways (``KINDS``), and on masks of one's own by ``evaluate``:

* frozen validation: scans that were drawn at the first selection and never train;
* cross-fitted: each training label by a network that was trained on other patients' labels;
* test-then-train: each returned mask against the prediction made before the mask was known.

The interval is the 95 % interval of the mean over scans by Student's t, with scans of one patient
as one cluster: V = G/(G-1) · Σ_g (Σ_i∈g (x_i - mean))² / n² for G patients and n scans, and G - 1
degrees of freedom (Cameron, Gelbach and Miller 2011). With one scan per patient this is the usual
t interval. It is cut at 0 and 1; one patient has none. It is about other patients like these; it
does not hold how much a further training would differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from statistics import NormalDist
from typing import Any

from coldal_tui.project.database.store import Row
from coldal_tui.project.project import Project

FROZEN, CROSS_FITTED, TEST_THEN_TRAIN = "validation", "cross-fitted", "test-then-train"
"""The splits under which the metrics are stored; others are ``evaluation-JOB``."""
KINDS = {
    FROZEN: "frozen validation",
    CROSS_FITTED: "cross-fitted",
    TEST_THEN_TRAIN: "test-then-train",
}
"""How each kind is called everywhere, in the order in which a run's Dice is taken from them."""
CONFIDENCE = 0.95
_LARGE = 1000
"""Degrees of freedom from which on t is taken as normal: they differ by 0.0024 at most."""


def kind_name(split: str) -> str:
    """``frozen validation``, ``cross-fitted``, ``test-then-train``, ``evaluation 8``."""
    return KINDS.get(split, split.replace("-", " "))


@dataclass(frozen=True)
class Measure:
    """A run measured in one way. ``low`` and ``high`` are the interval of ``dice``, if any.

    ``kind`` is in words (see ``kind_name``). Means are over the means of ``classes``; a class
    that no label holds is in none of them.
    """

    kind: str
    dice: float
    low: float | None
    high: float | None
    scans: int
    patients: int
    hd: float | None = None
    hd95: float | None = None
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def mean(self) -> dict[str, float | None]:
        """The means by name, as ``status --json`` has them."""
        return {name: getattr(self, name) for name in ("dice", "low", "high", "hd", "hd95")}


def interval(values: Mapping[str, Sequence[float]]) -> tuple[float, float] | None:
    """The interval of the mean of Dice values by patient; None for fewer than two patients."""
    every = [value for found in values.values() for value in found]
    groups = [found for found in values.values() if found]
    if len(groups) < 2:
        return None
    mean = math.fsum(every) / len(every)
    sums = [math.fsum(value - mean for value in found) for found in groups]
    count = len(groups)
    variance = count / (count - 1) * math.fsum(one * one for one in sums) / len(every) ** 2
    reach = t_quantile(count - 1) * math.sqrt(variance)
    return max(0.0, mean - reach), min(1.0, mean + reach)


@lru_cache
def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Where Student's t with ``freedom`` degrees has ``confidence`` between minus it and it.

    Own code (the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4, solved by bisection),
    since scipy would take longer to load than everything that ``status`` does.
    """
    if freedom > _LARGE:
        return NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = 0.0, 1.0
    while _t_within(high, freedom) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < confidence else (low, middle)
    return (low + high) / 2


def _t_within(t: float, freedom: int) -> float:
    """The probability that |T| is below ``t``."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for n in range(1 + odd, freedom, 2):
        total += term
        term *= n / (n + 1) * cosine * cosine
    if odd:
        return 2 / math.pi * (angle + sine * total)
    return sine * total


def read_measure(project: Project, run_id: str, split: str) -> Measure | None:
    """A run's measure from the stored metrics; None when there are none."""
    rows = project.store.rows(
        'SELECT m.scan_id, m."class" AS name, m.dice, m.hd, m.hd95, m.unit, m.note, s.patient_id '
        "FROM metrics m LEFT JOIN scans s ON s.scan_id = m.scan_id "
        "WHERE m.run_id = ? AND m.split = ? ORDER BY m.scan_id, m.rowid",
        (run_id, split),
    )
    return _measure(split, rows) if rows else None


def read_evaluation_measure(project: Project, job_id: int) -> Measure | None:
    """The measure of an ``evaluate`` job."""
    split = f"evaluation-{job_id}"
    run_id = project.store.value("SELECT run_id FROM metrics WHERE split = ? LIMIT 1", (split,))
    return None if run_id is None else read_measure(project, str(run_id), split)


def _measure(split: str, rows: Sequence[Row]) -> Measure:
    by_class: dict[str, list[Row]] = {}
    for row in rows:
        by_class.setdefault(row["name"], []).append(row)
    classes = {name: _class_summary(found) for name, found in by_class.items()}
    held = [
        name for name, one in classes.items() if one["both_empty"] + one["spurious"] < one["scans"]
    ]
    counted = held or list(classes)
    scans: dict[str, list[float]] = {}
    patient_of: dict[str, str] = {}
    for row in rows:
        if row["name"] in counted:
            scans.setdefault(row["scan_id"], []).append(row["dice"])
        # A scan that is not in the project stands for a patient of its own.
        patient_of[row["scan_id"]] = row["patient_id"] or f"scan {row['scan_id']}"
    patients: dict[str, list[float]] = {}
    for scan_id, values in scans.items():
        patients.setdefault(patient_of[scan_id], []).append(_mean(values))
    low, high = interval(patients) or (None, None)
    return Measure(
        kind=kind_name(split),
        dice=_mean([classes[name]["dice"] for name in counted]),
        low=low,
        high=high,
        scans=len(scans),
        patients=len(patients),
        hd=_mean_or_none([classes[name]["hd"] for name in counted]),
        hd95=_mean_or_none([classes[name]["hd95"] for name in counted]),
        classes=classes,
    )


def _class_summary(found: Sequence[Row]) -> dict[str, Any]:
    """As a worker summarises a class: means, and how often one or both masks were empty."""
    units = {row["unit"] for row in found}
    notes = [row["note"] for row in found]
    mixed = len(units) > 1
    return {
        "dice": _mean([row["dice"] for row in found]),
        "hd": None if mixed else _mean([row["hd"] for row in found]),
        "hd95": None if mixed else _mean([row["hd95"] for row in found]),
        "unit": "mixed" if mixed else units.pop(),
        "scans": len(found),
        "missed": notes.count("missed"),
        "spurious": notes.count("spurious"),
        "both_empty": notes.count("both-empty"),
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_or_none(values: Iterable[float | None]) -> float | None:
    known = list(values)
    some = [value for value in known if value is not None]
    return _mean(some) if some and len(some) == len(known) else None


def note_measure(project: Project, run_id: str, split: str) -> Measure | None:
    """Store a run's measure in its summary, from its metrics; for the caller's transaction."""
    text = project.store.value("SELECT summary FROM runs WHERE run_id = ?", (run_id,))
    found = read_measure(project, run_id, split)
    if text is None or found is None:
        return None
    summary = json.loads(text)
    summary["measures"] = summary.get("measures", {}) | {split: asdict(found)}
    project.store.update("runs", {"run_id": run_id}, summary=summary)
    return found


def stored_measures(
    project: Project, run_id: str, summary: Mapping[str, Any]
) -> tuple[Measure, ...]:
    """The measures in a run's summary, in the order of ``KINDS``.

    A run of an older version has only its frozen validation, without an interval.
    """
    known = summary.get("measures") or {}
    found = [Measure(**known[split]) for split in KINDS if split in known]
    older = summary.get("validation") or {}
    if FROZEN not in known and older.get("mean"):
        measured = read_measure(project, run_id, FROZEN)
        found.insert(0, measured or _older(older))
    return tuple(found)


def _older(validation: Mapping[str, Any]) -> Measure:
    mean, classes = validation["mean"], dict(validation.get("classes") or {})
    count = max((one.get("scans", 0) for one in classes.values()), default=0)
    return Measure(
        KINDS[FROZEN], mean["dice"], None, None, count, 0, mean.get("hd"), mean.get("hd95"), classes
    )
