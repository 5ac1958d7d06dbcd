"""An immutable snapshot of a project, for ``status`` and the screens."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from coldal_tui.maps import load_cluster_array, load_cluster_sizes
from coldal_tui.project.hooks.running import HookEnd, hook_failures
from coldal_tui.project.job_rows import JobState, job_state, list_jobs
from coldal_tui.project.labels.raters.drawings import read_standings
from coldal_tui.project.measuring import Measure, stored_measures
from coldal_tui.project.minutes.expected import Expectation, read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue.assign import people_of
from coldal_tui.project.queue.budget import OUT_STATUSES, Budget, labelled_scans, read_budget
from coldal_tui.project.queue.minute_budget import MinuteBudget, read_minute_budget
from coldal_tui.project.records import USABLE
from coldal_tui.project.scans.left_out import LeftOut, read_left_out
from coldal_tui.project.servers.states import ServerState, labelers, read_server_states
from coldal_tui.project.stale_runs import why_stale
from coldal_tui.project.views.next_step import NextStep, failed_jobs, next_step, step_after_failure


@dataclass(frozen=True)
class ClusterState:
    """Counts of scans in one cluster of the newest round."""

    id: int
    size: int
    labelled: int
    queued: int
    exported: int


@dataclass(frozen=True)
class RoundState:
    """One selection. ``silhouettes`` are ``(k, mean silhouette)``; round 0 computes them.

    ``estimated``: some silhouettes are estimates (many scans, or a k far from the best).
    """

    round: int
    strategy: str
    seed: int
    alpha: float | None
    size: int
    labelled: int
    map_id: int
    run_id: str | None
    k: int
    silhouettes: tuple[tuple[int, float], ...]
    estimated: bool
    notes: tuple[str, ...]
    created_at: str


@dataclass(frozen=True)
class QueueItem:
    """One queue item; ``terms`` are the numbers behind the pick."""

    rank: int
    scan_id: str
    round: int
    role: str
    cluster: int | None
    status: str
    score: float | None
    entropy: float | None
    diversity: float | None
    path: str
    assignee: str | None
    pinned: bool
    reason: str | None
    terms: dict[str, Any]
    back: str = ""
    """Of a scan that several people draw: ``1 of 2 back``, or ``in dispute``."""
    expected_minutes: float | None = None
    """Of one drawing, where they were asked for."""

    def as_json(self) -> dict[str, Any]:
        """JSON types with the stable keys that scripts rely on, in order."""
        more: dict[str, Any] = {"back": self.back} if self.back else {}
        if self.expected_minutes is not None:
            more["expected_minutes"] = round(self.expected_minutes, 2)
        return more | {
            "scan_id": self.scan_id,
            "rank": self.rank,
            "round": self.round,
            "role": self.role,
            "cluster": self.cluster,
            "score": self.score,
            "entropy": self.entropy,
            "diversity": self.diversity,
            "status": self.status,
            "path": self.path,
            "assignee": self.assignee,
            "pinned": self.pinned,
            "reason": self.reason,
            "terms": self.terms,
        }


@dataclass(frozen=True)
class RunState:
    """One trained model. ``measures`` are all that is known of its Dice, each of its own kind.

    ``mean`` (with the interval ``low`` to ``high``) and ``classes`` are the first of them, and
    ``measured`` says of which kind that is: frozen validation, else cross-fitted, else
    test-then-train; empty when the run was not measured. ``validation`` counts its frozen scans.
    ``networks``: how many were trained; the first one predicts and is measured. ``labels`` counts
    its training labels; ``left_out`` the labelled scans that it could not use. ``stale`` says why
    the run no longer fits the project, if so.
    """

    run_id: str
    round: int
    labels: int
    validation: int
    mean: dict[str, Any] | None
    classes: dict[str, Any]
    seconds: float
    created_at: str
    networks: int = 1
    left_out: int = 0
    stale: str = ""
    measured: str = ""
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A project at one moment, read in one transaction.

    ``unreadable`` counts files that the index refused and scans that a job could not use;
    ``left_out`` only the latter. ``images_gone``: the images folder is missing or empty.
    """

    name: str
    root: str
    host: str
    at: str
    images: str
    scans: int
    usable: int
    duplicates: int
    excluded: int
    missing: int
    unreadable: int
    left_out: int
    images_gone: bool
    patients: int
    encoder: str
    embedded: int
    map_id: int | None
    budget: Budget
    clusters: tuple[ClusterState, ...]
    rounds: tuple[RoundState, ...]
    queue: tuple[QueueItem, ...]
    labels: int
    quarantined: int
    validation_patients: int
    runs: tuple[RunState, ...]
    jobs: tuple[JobState, ...]
    next: NextStep
    then: NextStep | None = None
    """What to do once the failure has been looked at, where ``next`` is to look at one."""
    minutes: MinuteBudget | None = None
    returned: int = 0
    """Files that came back from labelers: the inbox."""
    servers: tuple[ServerState, ...] = ()
    """Servers of labelers, as last known."""
    hooks: tuple[HookEnd, ...] = ()
    """Programs of ``[hooks]`` whose last run failed."""

    @property
    def failed(self) -> tuple[JobState, ...]:
        """Failed jobs whose work was not started again since, newest first."""
        return failed_jobs(self.jobs)

    def as_json(self) -> dict[str, Any]:
        """``status --json``: plain types only."""
        data = asdict(self)
        data["budget"]["left"] = self.budget.left
        del data["minutes"]
        if self.minutes is not None:
            data["budget"]["minutes"] = self.minutes.as_json()
        del data["queue"]
        return data


def take_snapshot(project: Project) -> Snapshot:
    """Read the project's current state, consistent even while others write."""
    with project.store.reading():
        return _take(project)


def _take(project: Project) -> Snapshot:
    store = project.store
    expected = read_expectation(project)
    queue = read_queue(project, expected=expected)
    known = project.current_encoder_hash()
    embedded = store.value(
        "SELECT count(*) FROM embeddings e JOIN scans ON scans.scan_id = e.scan_id "
        f"AND scans.quick_hash = e.quick_hash WHERE e.encoder_hash = ? AND {USABLE}",
        (known,),
    )
    left_out = read_left_out(project)
    state: dict[str, Any] = {
        "name": project.name,
        "root": str(project.root),
        "host": socket.gethostname(),
        "at": store.now(),
        "images": str(project.images),
        **_scan_counts(project),
        "unreadable": _unreadable(project, left_out),
        "left_out": len({one.scan_id for one in left_out}),
        "images_gone": project.images_gone,
        "encoder": project.config.encoder.name,
        "embedded": embedded or 0,
        "map_id": store.value("SELECT max(map_id) FROM maps WHERE encoder_hash = ?", (known,)),
        "budget": read_budget(project),
        "minutes": read_minute_budget(project, expected),
        "clusters": _clusters(project, queue),
        "rounds": _rounds(project),
        "queue": queue,
        "labels": store.value("SELECT count(*) FROM labels WHERE state = 'active'"),
        "quarantined": store.value("SELECT count(*) FROM quarantine WHERE state = 'waiting'"),
        "returned": store.value("SELECT count(*) FROM returned_files"),
        "validation_patients": store.value("SELECT count(*) FROM validation"),
        "runs": _runs(project),
        "servers": labelers(read_server_states(project)),
        "hooks": tuple(hook_failures(project.layout, project.config.hooks)),
        "jobs": _jobs(project),
    }
    step = next_step(project, state)
    then = step_after_failure(project, state) if step.action == "failed" else None
    return Snapshot(**state, next=step, then=then)


def with_progress(project: Project, known: Snapshot) -> Snapshot:
    """``known`` with the progress of its jobs as it is now: files that workers write."""
    return replace(known, at=project.store.now(), jobs=_jobs(project))


def _jobs(project: Project) -> tuple[JobState, ...]:
    return tuple(job_state(job) for job in list_jobs(project, newest=50))


def _scan_counts(project: Project) -> dict[str, int]:
    """Counted by the database: a project may hold a million scans."""
    row = project.store.row(
        f"SELECT count(*) AS scans, count(*) FILTER (WHERE {USABLE}) AS usable, "
        "count(duplicate_of) AS duplicates, count(excluded) AS excluded, "
        "count(*) FILTER (WHERE state != 'present') AS missing, "
        f"count(DISTINCT patient_id) FILTER (WHERE {USABLE}) AS patients FROM scans"
    )
    assert row is not None  # an aggregate always has a row
    return row


def _unreadable(project: Project, left_out: Iterable[LeftOut]) -> int:
    """Files that the index could not read or refused, and scans that a job could not use."""
    rows = project.store.rows("SELECT rel_path FROM problems WHERE kind != 'not-an-image'")
    known = {str(project.images / row["rel_path"]) for row in rows}
    return len(rows) + len({one.scan_id for one in left_out if one.file not in known})


def read_queue(
    project: Project, *, skipped: bool = True, expected: Expectation | None = None
) -> tuple[QueueItem, ...]:
    """Queue items by round and rank, pinned ones of a round first.

    With ``expected``, open items have their expected minutes.
    """
    rows = project.store.rows(
        "SELECT q.*, s.rel_path FROM queue q JOIN scans s ON s.scan_id = q.scan_id "
        "ORDER BY q.round, q.pinned DESC, q.rank, q.scan_id"
    )
    standings = read_standings(project.store)
    return tuple(
        QueueItem(
            rank=row["rank"],
            scan_id=row["scan_id"],
            round=row["round"],
            role=row["role"],
            cluster=row["cluster"],
            status=row["status"],
            score=row["score"],
            entropy=row["entropy"],
            diversity=row["diversity"],
            path=str(project.image_of(row["rel_path"])),
            assignee=row["assignee"],
            pinned=bool(row["pinned"]),
            reason=row["reason"],
            terms=json.loads(row["terms"]),
            back=standings[row["scan_id"]].words if row["scan_id"] in standings else "",
            expected_minutes=expected.minutes(row["scan_id"], _one_of(row["assignee"]))
            if expected is not None and row["status"] in OUT_STATUSES
            else None,
        )
        for row in rows
        if skipped or row["status"] != "skipped"
    )


def _one_of(assignee: str | None) -> str:
    """The person who is to draw a scan; empty for nobody, and for several."""
    people = people_of(assignee)
    return people[0] if len(people) == 1 else ""


def _clusters(project: Project, queue: tuple[QueueItem, ...]) -> tuple[ClusterState, ...]:
    file = project.store.value("SELECT clusters FROM rounds ORDER BY round DESC LIMIT 1")
    if not file:
        return ()
    path = project.file_of(file)
    counts = [
        {"size": size, "labelled": 0, "queued": 0, "exported": 0}
        for size in load_cluster_sizes(path)
    ]
    labelled = dict.fromkeys(labelled_scans(project), "labelled")
    status = {item.scan_id: item.status for item in queue} | labelled
    numbers = load_cluster_array(path, tuple(status)).tolist()
    for number, state in zip(numbers, status.values(), strict=True):
        if number >= 0 and state in ("labelled", *OUT_STATUSES):
            counts[number][state] += 1
    return tuple(ClusterState(id=number, **count) for number, count in enumerate(counts))


def _rounds(project: Project) -> tuple[RoundState, ...]:
    rows = project.store.rows(
        "SELECT r.*, (SELECT count(*) FROM queue q WHERE q.round = r.round "
        "AND q.status != 'skipped') AS size, (SELECT count(*) FROM queue q WHERE "
        "q.round = r.round AND q.status = 'labelled') AS labelled FROM rounds r ORDER BY r.round"
    )
    params = [json.loads(row["params"]) for row in rows]
    return tuple(
        RoundState(
            round=row["round"],
            strategy=row["strategy"],
            seed=row["seed"],
            alpha=row["alpha"],
            size=row["size"],
            labelled=row["labelled"],
            map_id=row["map_id"],
            run_id=row["run_id"],
            k=row["k"],
            silhouettes=tuple((k, score) for k, score in json.loads(row["silhouettes"])),
            estimated=bool(told.get("estimated")),
            notes=tuple(told["notes"]),
            created_at=row["created_at"],
        )
        for row, told in zip(rows, params, strict=True)
    )


def _image_hashes(project: Project) -> dict[str, str]:
    """Image hashes of the scans that have or had a label."""
    rows = project.store.tuples(
        "SELECT scan_id, quick_hash FROM scans WHERE scan_id IN (SELECT scan_id FROM labels)"
    )
    return dict(rows)


def _runs(project: Project) -> tuple[RunState, ...]:
    runs = []
    hashes = _image_hashes(project)
    for row in project.store.rows("SELECT * FROM runs ORDER BY created_at, run_id"):
        summary = json.loads(row["summary"])
        measures = stored_measures(project, row["run_id"], summary)
        first = measures[0] if measures else None
        runs.append(
            RunState(
                run_id=row["run_id"],
                round=row["round"],
                labels=len(json.loads(row["train_scans"])),
                validation=len(json.loads(row["validation_scans"])),
                mean=first.mean if first else None,
                classes=first.classes if first else {},
                seconds=summary.get("seconds", 0.0),
                created_at=row["created_at"],
                networks=summary.get("networks", 1),
                left_out=len(summary.get("left_out", ())),
                stale=why_stale(project, hashes, summary),
                measured=first.kind if first else "",
                measures=measures,
            )
        )
    return tuple(runs)
