"""Who may be picked, and what is left of the budget: the state that selection starts from."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from coldal_tui.jobs.spec import PoolRow
from coldal_tui.project.project import Project
from coldal_tui.simulation.cells import ScanScores

OUT_STATUSES = ("queued", "exported")


@dataclass(frozen=True)
class Budget:
    """Counts of scans. ``left`` is what may still be queued; never below 0."""

    total: int
    labelled: int
    queued: int
    exported: int
    skipped: int
    manual: int

    @property
    def spent(self) -> int:
        return self.labelled + self.queued + self.exported

    @property
    def left(self) -> int:
        return max(0, self.total - self.spent)


def budget(project: Project) -> Budget:
    """The budget as it stands; labels of scans that nobody queued count, skipped scans don't."""
    store = project.store
    counts = {
        row["status"]: row["n"]
        for row in store.rows("SELECT status, count(*) AS n FROM queue GROUP BY status")
    }
    labelled = labelled_scans(project)
    roles = store.rows("SELECT role FROM labels WHERE state = 'active'")
    return Budget(
        total=project.config.budget.total,
        labelled=len(labelled),
        queued=counts.get("queued", 0),
        exported=counts.get("exported", 0),
        skipped=counts.get("skipped", 0),
        manual=sum(row["role"] == "manual" for row in roles),
    )


def labelled_scans(project: Project) -> set[str]:
    rows = project.store.rows("SELECT scan_id FROM labels WHERE state = 'active'")
    return {row["scan_id"] for row in rows}


def validation_patients(project: Project) -> set[str]:
    """Patients as they were when they were drawn, and as their scans are assigned now."""
    rows = project.store.rows(
        "SELECT patient_id FROM validation UNION SELECT s.patient_id FROM validation v "
        "JOIN scans s ON s.scan_id = v.scan_id"
    )
    return {row["patient_id"] for row in rows}


def latest_run(project: Project) -> str | None:
    value = project.store.value("SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC")
    return None if value is None else str(value)


def entropies(project: Project, run_id: str | None) -> dict[str, float]:
    """``scan_id → H`` of a run, by the mean that the project asks for (``selection.entropy``).

    Scans that were scored before there were other means have none of these.
    """
    if run_id is None:
        return {}
    kind = project.config.selection.entropy
    wanted = "entropy" if kind == "mean" else f"json_extract(more, '$.{kind}')"
    rows = project.store.tuples(f"SELECT scan_id, {wanted} FROM scores WHERE run_id = ?", (run_id,))
    return {scan_id: value for scan_id, value in rows if value is not None}


def kept_scores(scores: ScanScores | None) -> dict[str, Any]:
    """The columns of ``scores`` beside the entropy."""
    if scores is None:
        return {}
    more = msgspec.to_builtins(scores)
    del more["entropy"]
    features = more.pop("features", None)
    found: dict[str, Any] = {"more": msgspec.json.encode(more).decode()}
    if features is not None:
        found["features"] = _as_halves(features)
    return found


def _as_halves(numbers: Sequence[float]) -> bytes:
    """Little-endian float16, without numpy: a supervisor keeps scores and stays small."""
    most = 65504.0
    within = (max(-most, min(most, number)) for number in numbers)
    return struct.pack(f"<{len(numbers)}e", *within)


def all_scores(project: Project, run_id: str | None) -> dict[str, ScanScores]:
    """Everything that a run's scorings found, features too."""
    if run_id is None:
        return {}
    rows = project.store.tuples(
        "SELECT scan_id, entropy, more, features FROM scores WHERE run_id = ?", (run_id,)
    )
    found = {}
    for scan_id, entropy, more, features in rows:
        values = {"entropy": entropy} | msgspec.json.decode(more)
        if features is not None:
            values["features"] = [half for (half,) in struct.iter_unpack("<e", features)]
        found[scan_id] = msgspec.convert(values, ScanScores)
    return found


def any_candidate(project: Project) -> bool:
    """Whether one scan may still be picked; by the rules of ``pool_rows``."""
    return bool(
        project.store.value(
            "SELECT EXISTS (SELECT 1 FROM scans s WHERE s.state = 'present' AND "
            "s.excluded IS NULL AND s.duplicate_of IS NULL "
            "AND s.scan_id NOT IN (SELECT scan_id FROM queue) "
            "AND s.scan_id NOT IN (SELECT scan_id FROM labels WHERE state = 'active') "
            "AND s.patient_id NOT IN (SELECT patient_id FROM validation UNION "
            "SELECT v2.patient_id FROM validation v JOIN scans v2 ON v2.scan_id = v.scan_id))"
        )
    )


def with_scores(project: Project, rows: Sequence[PoolRow], run_id: str | None) -> list[PoolRow]:
    """``rows`` with all that the run's scorings found of them, for strategies that need more than
    the entropy."""
    scores = all_scores(project, run_id)
    found = []
    for row in rows:
        one = scores.get(row.scan_id)
        if one is not None:
            row = msgspec.structs.replace(
                row,
                class_entropy=one.class_entropy or None,
                bald=one.bald,
                foreground_entropy=one.foreground,
                boundary_entropy=one.boundary,
                features=one.features,
            )
        found.append(row)
    return found


def pool_rows(project: Project, run_id: str | None = None) -> tuple[PoolRow, ...]:
    """Every usable scan in ``scan_id`` order with its state and entropy (see ``PoolRow``)."""
    labelled = labelled_scans(project)
    queue = {
        row["scan_id"]: row["status"]
        for row in project.store.rows("SELECT scan_id, status FROM queue")
    }
    frozen = validation_patients(project)
    scored = entropies(project, run_id)
    scans = project.store.tuples(
        "SELECT scan_id, patient_id FROM scans WHERE state = 'present' AND excluded IS NULL "
        "AND duplicate_of IS NULL ORDER BY scan_id"
    )
    return tuple(
        PoolRow(
            scan_id=scan_id,
            patient_id=patient_id,
            candidate=scan_id not in labelled and scan_id not in queue and patient_id not in frozen,
            covered=scan_id in labelled or queue.get(scan_id) in OUT_STATUSES,
            labelled=scan_id in labelled,
            entropy=scored.get(scan_id),
        )
        for scan_id, patient_id in scans
    )
