"""Who may be picked: the state that selection starts from."""

from __future__ import annotations

from coldal_tui.jobs.spec import PoolRow
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import OUT_STATUSES, labelled_scans
from coldal_tui.project.runs import (
    run_entropies,
)


def validation_patients(project: Project) -> set[str]:
    """Patients as they were when they were drawn, and as their scans are assigned now."""
    rows = project.store.rows(
        "SELECT patient_id FROM validation UNION SELECT s.patient_id FROM validation v "
        "JOIN scans s ON s.scan_id = v.scan_id"
    )
    return {row["patient_id"] for row in rows}


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


def pool_rows(project: Project, run_id: str | None = None) -> tuple[PoolRow, ...]:
    """Every usable scan in ``scan_id`` order with its state and entropy (see ``PoolRow``)."""
    labelled = labelled_scans(project)
    queue = {
        row["scan_id"]: row["status"]
        for row in project.store.rows("SELECT scan_id, status FROM queue")
    }
    frozen = validation_patients(project)
    scored = run_entropies(project, run_id)
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
