"""Facts about one scan besides its pixels: place in the queue, label, history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.project.labels.files import stored_file
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.runs import (
    entropy_beside,
    entropy_file,
    out_of_sample,
    prediction_file,
    runs_newest_first,
    scan_entropies,
)
from coldal_tui.project.scans.left_out import read_left_out


@dataclass(frozen=True)
class QueuePlace:
    """The scan's place in the queue."""

    round: int
    rank: int
    role: str
    cluster: int | None
    status: str
    assignee: str | None
    reason: str | None
    score: float | None
    entropy: float | None
    diversity: float | None


@dataclass(frozen=True)
class LabelFact:
    """The active label. ``file`` is None when it is missing on disk."""

    version: int
    role: str
    source: str
    geometry: str
    notes: tuple[str, ...]
    voxels: dict[str, int]
    created_at: str
    file: Path | None
    sha256: str


@dataclass(frozen=True)
class PredictionFact:
    """A run's prediction; ``trained``: the run trained on this scan."""

    run_id: str
    file: Path
    entropy: Path | None
    trained: bool


@dataclass(frozen=True)
class Event:
    """Something that happened to the scan; ``at`` is UTC, ISO 8601; ``who`` empty if unknown."""

    at: str
    what: str
    who: str = ""


@dataclass(frozen=True)
class ScanFacts:
    """The facts about one scan. ``path`` is its first file.

    ``scored`` is the newest run that scored it, with its entropy H. ``waiting`` are its masks in
    quarantine: (number, reason). ``classes`` are the names of mask values 1, 2, …
    """

    record: ScanRecord
    path: Path
    classes: tuple[str, ...]
    place: QueuePlace | None
    label: LabelFact | None
    prediction: PredictionFact | None
    scored: tuple[str, float] | None
    waiting: tuple[tuple[int, str], ...]
    trouble: str
    history: tuple[Event, ...]

    @property
    def scan_id(self) -> str:
        return self.record.scan_id


def read_scan_facts(project: Project, scan_id: str, *, untrained: bool = False) -> ScanFacts:
    """Read the facts about a scan. Raises UsageError when there is no such scan.

    ``untrained``: use only predictions of runs that did not train on this scan.
    """
    record = project.scan(scan_id)
    store = project.store
    failure = store.value(
        "SELECT message FROM embed_failures WHERE scan_id = ? AND quick_hash = ?",
        (scan_id, record.quick_hash),
    )
    left_out = next((one.words for one in read_left_out(project) if one.scan_id == scan_id), "")
    masks = store.rows(
        "SELECT quarantine_id, message FROM quarantine WHERE scan_id = ? AND state = 'waiting' "
        "ORDER BY quarantine_id",
        (scan_id,),
    )
    scored = next(reversed(scan_entropies(project, scan_id)), None)
    return ScanFacts(
        record=record,
        path=project.image_of(record.files[0]),
        classes=project.config.classes.names,
        place=_place(project, scan_id),
        label=_label(project, scan_id),
        prediction=newest_prediction(project, scan_id, untrained=untrained),
        scored=(scored["run_id"], scored["entropy"]) if scored else None,
        waiting=tuple((row["quarantine_id"], row["message"]) for row in masks),
        trouble=failure or left_out,
        history=read_history(project, scan_id),
    )


def _place(project: Project, scan_id: str) -> QueuePlace | None:
    row = project.store.row(
        "SELECT round, rank, role, cluster, status, assignee, reason, score, entropy, diversity "
        "FROM queue WHERE scan_id = ?",
        (scan_id,),
    )
    return QueuePlace(**row) if row else None


def _label(project: Project, scan_id: str) -> LabelFact | None:
    row = project.store.row(
        "SELECT * FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,)
    )
    if row is None:
        return None
    return LabelFact(
        version=row["version"],
        role=row["role"],
        source=row["source"],
        geometry=row["geometry"],
        notes=tuple(json.loads(row["notes"])),
        voxels=json.loads(row["voxels"]),
        created_at=row["created_at"],
        file=stored_file(project, row),
        sha256=row["sha256"],
    )


def newest_prediction(
    project: Project, scan_id: str, *, untrained: bool = False
) -> PredictionFact | None:
    """The newest run's prediction; ``untrained``: by a network that did not train on the scan.

    The latter is the one that the agreement of its label is measured with.
    """
    for row in runs_newest_first(project):
        if untrained:
            found = out_of_sample(project, row, scan_id)
            if found is not None:
                entropy = entropy_beside(found[0], scan_id)
                return PredictionFact(row["run_id"], found[0], entropy, trained=False)
            continue
        trained = scan_id in row["train_scans"]
        file = prediction_file(project, row["run_id"], scan_id)
        if file is not None:
            entropy = entropy_file(project, row["run_id"], scan_id)
            return PredictionFact(row["run_id"], file, entropy, trained)
    return None


def read_history(project: Project, scan_id: str) -> tuple[Event, ...]:
    """The history of a scan, oldest first."""
    store = project.store
    events = [
        Event(store.value("SELECT added_at FROM scans WHERE scan_id = ?", (scan_id,)), "indexed")
    ]
    events += _picked(project, scan_id)
    events += _labelled(project, scan_id)
    events += [
        Event(row["created_at"], f"mask {row['quarantine_id']} to quarantine ({row['code']})")
        for row in store.rows("SELECT * FROM quarantine WHERE scan_id = ?", (scan_id,))
    ]
    events += _audited(project, scan_id)
    return tuple(sorted(events, key=lambda event: event.at))


def _picked(project: Project, scan_id: str) -> list[Event]:
    row = project.store.row(
        "SELECT q.role, q.rank, q.round, r.created_at FROM queue q JOIN rounds r "
        "ON r.round = q.round WHERE q.scan_id = ?",
        (scan_id,),
    )
    if row is None:
        return []
    return [
        Event(row["created_at"], f"picked: round {row['round']}, #{row['rank']}, {row['role']}")
    ]


def _labelled(project: Project, scan_id: str) -> list[Event]:
    rows = project.store.rows(
        "SELECT version, state, source, created_at FROM labels WHERE scan_id = ? ORDER BY version",
        (scan_id,),
    )
    events = []
    for row in rows:
        note = "" if row["state"] == "active" else f" ({row['state']})"
        what = f"label v{row['version']} from {Path(row['source']).name}{note}"
        events.append(Event(row["created_at"], what))
    return events


_DID = {
    "export": "exported",
    "queue skip": "skipped",
    "queue pin": "pinned",
    "queue assign": "assigned",
    "queue reopen": "reopened",
    "queue exclude": "excluded",
    "labels reject": "label rejected",
}


def _audited(project: Project, scan_id: str) -> list[Event]:
    """User actions that name this scan."""
    # The text is searched first: rows of large selections need not be parsed.
    rows = project.store.rows(
        "SELECT at, who, action, params, undone_by FROM audit WHERE instr(params, ?) > 0",
        (json.dumps(scan_id),),
    )
    events = []
    for row in rows:
        params: dict[str, Any] = json.loads(row["params"])
        if scan_id not in (params.get("scans") or ()):
            continue
        what = _DID.get(row["action"], row["action"].removeprefix("queue "))
        for key, words in (("assignee", " to "), ("folder", " to "), ("reason", ": ")):
            if params.get(key):
                value = Path(params[key]).name if key == "folder" else params[key]
                what += f"{words}{value}"
        events.append(
            Event(row["at"], what + (" (undone)" if row["undone_by"] else ""), row["who"])
        )
    return events
