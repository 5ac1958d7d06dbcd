"""The rule for candidates (scans that may be picked), and the pool's rows for selection."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import OUT_STATUSES
from coldal_tui.project.records import USABLE
from coldal_tui.project.runs import run_entropies, with_scores
from coldal_tui.selection.rows import PoolRow

CANDIDATE, HELD_OUT = "candidate", "held out"

_FROZEN = (
    "SELECT patient_id FROM validation UNION SELECT t.patient_id FROM validation v "
    "JOIN scans t ON t.scan_id = v.scan_id"
)
_STATUSES = f"""
SELECT scans.scan_id AS scan_id, scans.patient_id AS patient_id,
    CASE
        WHEN l.scan_id IS NOT NULL THEN 'labelled'
        WHEN scans.state != 'present' THEN 'missing'
        WHEN scans.excluded IS NOT NULL THEN 'excluded'
        WHEN q.scan_id IS NOT NULL THEN q.status
        WHEN EXISTS (
            SELECT 1 FROM labels d
            WHERE d.scan_id = scans.scan_id AND d.state = 'drawn' AND d.purpose = ''
        ) THEN 'exported'
        WHEN scans.duplicate_of IS NOT NULL THEN 'duplicate'
        WHEN scans.patient_id IN ({_FROZEN}) THEN '{HELD_OUT}'
        ELSE '{CANDIDATE}'
    END AS status,
    l.scan_id IS NOT NULL AS labelled, {USABLE} AS usable
FROM scans
LEFT JOIN queue q ON q.scan_id = scans.scan_id
LEFT JOIN labels l ON l.scan_id = scans.scan_id AND l.state = 'active'
"""
"""The status of each scan, what counts most first: a label, then what keeps it from everything,
then the queue, then drawings that wait for a decision, then why it can't be picked. ``candidate``
alone may be picked; ``held out`` is a patient who was drawn for validation."""


def scan_statuses(project: Project) -> dict[str, str]:
    """``scan_id → status`` of every scan: ``candidate``, ``queued``, ``exported``, ``labelled``,
    ``skipped``, ``missing``, ``excluded``, ``duplicate`` or ``held out``."""
    return dict(project.store.tuples(f"SELECT scan_id, status FROM ({_STATUSES}) ORDER BY scan_id"))


@dataclass(frozen=True)
class Others:
    """Scans that are no candidates, some of a project's: their ids, statuses and a fact of each.

    ``covered``: the scan counts as picked, so that the next picks keep away from it.
    """

    scan_ids: tuple[str, ...]
    statuses: tuple[str, ...]
    covered: tuple[bool, ...]


def other_scans(project: Project) -> Iterator[Others]:
    """All scans that are no candidates, some at a time; every other scan is one.

    As a project may hold a million candidates, they are not read.
    """
    measured = validation_patients(project)
    query = (
        f"SELECT scan_id, status, patient_id, labelled, usable FROM ({_STATUSES}) "
        f"WHERE status != '{CANDIDATE}'"
    )
    for page in project.store.pages(query):
        yield Others(
            tuple(scan_id for scan_id, *_ in page),
            tuple(status for _, status, *_ in page),
            tuple(
                bool(usable) and _is_covered(patient, status, bool(labelled), measured)
                for _, status, patient, labelled, usable in page
            ),
        )


def _is_covered(patient_id: str, status: str, labelled: bool, measured: set[str]) -> bool:
    """Scans of ``measured`` patients are not: no pick keeps away from what trains nothing."""
    return patient_id not in measured and (labelled or status in OUT_STATUSES)


def scan_status(project: Project, scan_id: str) -> str | None:
    """The status of one scan (see ``scan_statuses``); None when there is no such scan."""
    value = project.store.value(
        f"SELECT status FROM ({_STATUSES} WHERE scans.scan_id = ?)", (scan_id,)
    )
    return None if value is None else str(value)


def any_candidate(project: Project) -> bool:
    """Whether any scan may still be picked."""
    found = project.store.value(
        f"SELECT EXISTS (SELECT 1 FROM ({_STATUSES}) WHERE status = '{CANDIDATE}')"
    )
    return bool(found)


def validation_patients(project: Project) -> set[str]:
    """Validation patients: as drawn, and as their scans are assigned to patients now."""
    return {row["patient_id"] for row in project.store.rows(_FROZEN)}


def pool_rows(
    project: Project, run_id: str | None = None, needs: Collection[str] = ()
) -> tuple[PoolRow, ...]:
    """Every usable scan in ``scan_id`` order with its state and entropy (see ``PoolRow``).

    Scans of validation patients are only measured, so they count neither as covered nor as
    labelled: no pick keeps away from a scan that nothing is trained on.

    ``needs`` are the pool fields that a strategy needs; if there are any besides the entropy and
    the embeddings, the rows have all scores of the run, and its features if they are among them.
    """
    scored = run_entropies(project, run_id)
    measured = validation_patients(project)
    rows = tuple(
        PoolRow(
            scan_id=scan_id,
            patient_id=patient_id,
            candidate=status == CANDIDATE,
            covered=_is_covered(patient_id, status, bool(labelled), measured),
            labelled=patient_id not in measured and bool(labelled),
            entropy=scored.get(scan_id),
        )
        for scan_id, patient_id, status, labelled in project.store.tuples(
            "SELECT scan_id, patient_id, status, labelled "
            f"FROM ({_STATUSES}) WHERE usable ORDER BY scan_id"
        )
    )
    if not needs or set(needs) <= {"entropy", "embeddings"}:
        return rows
    return tuple(with_scores(project, rows, run_id, features="features" in needs))
