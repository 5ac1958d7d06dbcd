"""The queue, or all scans of a project, as columns for a table of any length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_tui.maps import load_cluster_array
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.raters.drawings import read_standings
from coldal_tui.project.minutes.expected import read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.budget import OUT_STATUSES
from coldal_tui.project.runs import latest_run, run_entropies
from coldal_tui.project.servers.states import read_item_states
from coldal_tui.selection.acquisition import scaled_entropy
from coldal_tui.visible import is_changed, visible

Scope = Literal["open", "rounds", "all"]
SCOPES: tuple[Scope, ...] = ("open", "rounds", "all")
"""Rounds that still have open items, and the newest; every round; every scan of the project."""
Scan = tuple[Any, ...]
MOST_META = 40
"""Columns of metadata; the rarest of more than these are left out."""


@dataclass(frozen=True, eq=False)
class Words:
    """N repeating short texts: row ``n`` has ``names[codes[n]]``; "" when it has none."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Iterable[str | None]) -> Words:
        index: dict[str, int] = {}
        codes = [index.setdefault(value or "", len(index)) for value in values]
        return cls(np.array(codes, np.int32), tuple(index))

    def __getitem__(self, row: int) -> str:
        return self.names[int(self.codes[row])]

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """(N,) every text as a number; NaN when it is not one."""
        return np.array([as_number(name) for name in self.names] or [np.nan])[self.codes]

    @cached_property
    def are_numbers(self) -> bool:
        """Whether every non-empty text is a number."""
        there = [name for name in self.names if name]
        return bool(there) and not any(np.isnan(as_number(name)) for name in there)

    @cached_property
    def longest(self) -> int:
        """Width in cells of the longest text."""
        return max((len(visible(name)) for name in self.names), default=0)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(N,) position of every text in alphabetical order, ignoring case."""
        place = np.empty(len(self.names), np.int64)
        place[sorted(range(len(self.names)), key=lambda n: self.names[n].casefold())] = range(
            len(self.names)
        )
        return place[self.codes]


def as_number(text: str) -> float:
    """A text as a number; NaN when it is not one."""
    try:
        return float(text)
    except ValueError:
        return np.nan


@dataclass(frozen=True, eq=False)
class ScanTable:
    """N rows. Whole numbers are -1 and floats NaN where a scan has no such value.

    ``entropy``, ``diversity`` and ``score`` are the terms of S, 0 to 1, at the step of the pick; a
    candidate's ``entropy`` is its newest one on the same scale (smallest to largest of all
    candidates). ``status`` is that of the queue, or ``candidate``, ``labelled``, ``excluded``,
    ``held out`` (its patient is frozen for validation), ``duplicate``, ``missing``. ``path`` is
    relative to the images folder. ``meta`` holds metadata columns that differ between scans.
    ``version`` changes with the project's state.
    """

    scope: Scope
    version: int
    scan_id: Sequence[str]
    path: Sequence[str]
    round: NDArray[np.int32]
    rank: NDArray[np.int32]
    cluster: NDArray[np.int32]
    pinned: NDArray[np.bool_]
    role: Words
    status: Words
    assignee: Words
    reason: Words
    patient: Words
    entropy: NDArray[np.float64]
    diversity: NDArray[np.float64]
    score: NDArray[np.float64]
    meta: Mapping[str, Words] = field(default_factory=dict)
    server: Words = field(default_factory=lambda: Words.of(()))
    """The state of each scan on a server of labelers; no codes where none was pushed."""
    minutes: NDArray[np.float64] | None = None
    """(N,) expected minutes of open items (NaN for others), once drawings say what scans take."""
    back: Words = field(default_factory=lambda: Words.of(()))
    """Of scans that several people draw: ``1 of 2 back`` or ``in dispute``; no codes where none is
    open."""

    def __len__(self) -> int:
        return len(self.scan_id)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each scan."""
        return {scan_id: n for n, scan_id in enumerate(self.scan_id)}

    @cached_property
    def longest_id(self) -> int:
        """Width in cells of the longest scan id."""
        if not is_changed() and all(map(str.isprintable, self.scan_id)):
            return max(map(len, self.scan_id), default=0)
        return max(len(visible(name)) for name in self.scan_id)

    @cached_property
    def is_open(self) -> NDArray[np.bool_]:
        """Which scans are queued or exported."""
        out = np.array([name in OUT_STATUSES for name in self.status.names], np.bool_)
        return out[self.status.codes]

    @cached_property
    def haystack(self) -> tuple[str, NDArray[np.int64]]:
        """All scan ids and paths in lower case, one line per row, and where each line starts."""
        lines = [f"{a}\t{b}\n".casefold() for a, b in zip(self.scan_id, self.path, strict=True)]
        ends = np.cumsum([len(line) for line in lines], dtype=np.int64)
        return "".join(lines), np.concatenate([[0], ends[:-1]]).astype(np.int64)


def read_queue_table(project: Project, scope: Scope, known: ScanTable | None = None) -> ScanTable:
    """The rows of a scope; ``known`` itself when nothing has changed since."""
    with project.store.reading():
        version = int(project.store.value("SELECT max(audit_id) FROM audit") or 0)
        if known is not None and (known.scope, known.version) == (scope, version):
            return known
        if scope == "all":
            return _read_scans(project, version)
        return _read_queue(project, version, scope)


_QUEUE = (
    "SELECT q.scan_id, q.round, q.rank, q.role, q.cluster, q.status, q.score, q.entropy, "
    "q.diversity, q.assignee, q.pinned, q.reason, s.rel_path, s.patient_id, s.meta "
    "FROM queue q JOIN scans s ON s.scan_id = q.scan_id {where} "
    "ORDER BY q.round, q.pinned DESC, q.rank, q.status = 'skipped', q.scan_id"
)
_OPEN_ROUNDS = (
    "WHERE q.round IN (SELECT round FROM queue WHERE status IN ('queued', 'exported') "
    "UNION SELECT max(round) FROM rounds)"
)


def _read_queue(project: Project, version: int, scope: Scope) -> ScanTable:
    where = _OPEN_ROUNDS if scope == "open" else ""
    rows = project.store.rows(_QUEUE.format(where=where))
    scans = [(r["scan_id"], r["rel_path"], r["patient_id"], r["meta"]) for r in rows]
    return _table(project, version, scope, scans, rows, [row["status"] for row in rows])


def _read_scans(project: Project, version: int) -> ScanTable:
    store = project.store
    scans = store.tuples("SELECT scan_id, rel_path, patient_id, meta FROM scans ORDER BY scan_id")
    queue = {row["scan_id"]: row for row in store.rows(_QUEUE.format(where=""))}
    status_of = candidates.scan_statuses(project)
    statuses = [status_of[scan[0]] for scan in scans]
    items = [queue.get(scan[0], _NOT_QUEUED) for scan in scans]
    return _table(project, version, "all", scans, items, statuses)


_NOT_QUEUED: Row = dict.fromkeys(
    ("round", "rank", "role", "cluster", "score", "entropy", "diversity", "assignee", "reason")
) | {"pinned": 0}


def _table(
    project: Project,
    version: int,
    scope: Scope,
    scans: Sequence[Scan],
    items: Sequence[Row],
    statuses: Sequence[str],
) -> ScanTable:
    """``scans`` begin with their id, path, patient and metadata."""
    scan_ids = [scan[0] for scan in scans]
    status = Words.of(statuses)
    entropy = _floats(items, "entropy")
    cluster = _whole(items, "cluster")
    if scope == "all":
        entropy = _with_newest(project, scan_ids, status, entropy)
        cluster = _with_newest_clusters(project, scan_ids, cluster)
    table = ScanTable(
        scope=scope,
        version=version,
        scan_id=scan_ids,
        path=[scan[1] for scan in scans],
        round=_whole(items, "round"),
        rank=_whole(items, "rank"),
        cluster=cluster,
        pinned=np.array([bool(item["pinned"]) for item in items], np.bool_),
        role=Words.of(item["role"] for item in items),
        status=status,
        assignee=Words.of(item["assignee"] for item in items),
        reason=Words.of(item["reason"] for item in items),
        patient=Words.of("" if s[2] == f"scan:{s[0]}" else s[2] for s in scans),
        entropy=entropy,
        diversity=_floats(items, "diversity"),
        score=_floats(items, "score"),
        meta=_meta([scan[3] for scan in scans]),
        server=_servers(project, scan_ids),
        minutes=_minutes(project, scan_ids, statuses),
        back=_backs(project, scan_ids),
    )
    _ = table.longest_id  # computed here, in the reader's thread
    return table


def _servers(project: Project, scan_ids: Sequence[str]) -> Words:
    states = read_item_states(project)
    return Words.of(
        [states[name].words if name in states else "" for name in scan_ids] if states else ()
    )


def _minutes(
    project: Project, scan_ids: Sequence[str], statuses: Sequence[str]
) -> NDArray[np.float64] | None:
    """(N,) expected minutes; None where only the default is known and nobody asked for minutes."""
    known = read_expectation(project)
    if not known.learned and project.config.budget.minutes is None:
        return None
    return np.array(
        [
            known.minutes(scan_id) if status in OUT_STATUSES and scan_id in known.sizes else np.nan
            for scan_id, status in zip(scan_ids, statuses, strict=True)
        ]
    )


def _backs(project: Project, scan_ids: Sequence[str]) -> Words:
    found = {name: one.words for name, one in read_standings(project.store).items() if one.words}
    return Words.of([found.get(name, "") for name in scan_ids] if found else ())


def _whole(items: Sequence[Row], name: str) -> NDArray[np.int32]:
    return np.array([-1 if item[name] is None else item[name] for item in items], np.int32)


def _floats(items: Sequence[Row], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if item[name] is None else item[name] for item in items], np.float64)


def _with_newest(
    project: Project, scan_ids: Sequence[str], status: Words, entropy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Candidates get the newest run's entropy, min-max scaled over the candidates."""
    scores = run_entropies(project, latest_run(project))
    if not scores:
        return entropy
    raw = np.array([scores.get(scan_id, np.nan) for scan_id in scan_ids])
    candidate = np.array([name == "candidate" for name in status.names])[status.codes]
    return np.where(candidate, scaled_entropy(raw, candidate), entropy)


def _with_newest_clusters(
    project: Project, scan_ids: Sequence[str], cluster: NDArray[np.int32]
) -> NDArray[np.int32]:
    file = project.store.value("SELECT clusters FROM rounds ORDER BY round DESC LIMIT 1")
    if not file:
        return cluster
    newest = load_cluster_array(project.file_of(file), tuple(scan_ids))
    return np.where(cluster < 0, newest, cluster).astype(np.int32)


def _meta(texts: Sequence[str]) -> dict[str, Words]:
    """Metadata columns that differ between scans; the most complete columns first."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    columns: dict[str, tuple[list[int], dict[str, int]]] = {}
    counts: Counter[str] = Counter()
    for n, text in enumerate(texts):
        for key, value in decoder.decode(text).items():
            if key not in columns:
                columns[key] = [0] * len(texts), {"": 0}
            codes, index = columns[key]
            codes[n] = index.setdefault(str(value), len(index))
            counts[key] += 1
    found = {}
    for key, count in counts.most_common(MOST_META):
        codes, index = columns[key]
        if len(index) > 2 or count < len(texts):
            found[key] = Words(np.array(codes, np.int32), tuple(index))
    return found
