"""The inbox: every file that came back from labelers, by person, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.project.project import Project

NOBODY = ""
"""The person of a file that nobody is known for."""
LABEL, VERSION, WAITS = "label", "further version", "in quarantine"
NO_SCAN, PASSED_OVER = "no scan", "passed over"
REPLACED, REJECTED, LEFT_OUT = "replaced", "rejected", "left out"
SUSPENDED, TAKEN_BACK = "its image changed", "taken back"
_OF_LABEL = {
    "active": LABEL,
    "superseded": REPLACED,
    "rejected": REJECTED,
    "suspended": SUSPENDED,
    "drawn": VERSION,
}
_WAITING = {"quarantined": WAITS, "unmatched": NO_SCAN}


@dataclass(frozen=True)
class ReturnedFile:
    """A file that an import saw (``key``: the mask within it), and what it is ``now``."""

    number: int
    person: str
    file: str
    key: str
    scan_id: str | None
    now: str
    code: str
    message: str
    at: str


def note_returned(project: Project, outcomes: Iterable[tuple[str, Verdict]]) -> None:
    """Record what became of each file (inside the action of the import).

    A file is there once, with its last outcome; one that is unchanged keeps its earlier entry.
    """
    store = project.store
    for status, verdict in outcomes:
        source, sha256 = _storable(verdict.origin), verdict.sha256 or ""
        same = "source = ? AND source_key = ?"
        if status == "unchanged" and store.row(
            f"SELECT 1 FROM returned_files WHERE {same} AND source_sha256 = ?",
            (source, verdict.key, sha256),
        ):
            continue
        store.execute(f"DELETE FROM returned_files WHERE {same}", (source, verdict.key))
        store.insert(
            "returned_files",
            source=source,
            source_key=verdict.key,
            source_sha256=sha256,
            person=verdict.author or NOBODY,
            scan_id=verdict.scan_id,
            status=status,
            code=verdict.code,
            message=_storable(verdict.explanation),
            at=store.now(),
        )


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def read_inbox(project: Project) -> tuple[ReturnedFile, ...]:
    """All returned files: by person, those of nobody last; the newest first."""
    store = project.store
    labels: dict[tuple[str, str, str | None], str] = {}
    scans: dict[tuple[str, str], str] = {}
    for sha256, key, scan_id, state in store.tuples(
        "SELECT source_sha256, source_key, scan_id, state FROM labels "
        "ORDER BY state = 'active', label_id"
    ):
        labels[sha256, key, scan_id] = labels[sha256, key, None] = state
        scans[sha256, key] = scan_id
    waiting: dict[tuple[str, str, str | None], str] = {}
    for sha256, source, key, scan_id, state in store.tuples(
        "SELECT source_sha256, source, source_key, scan_id, state FROM quarantine "
        "ORDER BY quarantine_id"
    ):
        waiting[sha256 or source, key, scan_id] = state
    files = []
    for row in store.rows("SELECT * FROM returned_files ORDER BY returned_id DESC"):
        sha256, key, scan_id = row["source_sha256"], row["source_key"], row["scan_id"]
        label = labels.get((sha256, key, scan_id)) if sha256 else None
        now = _now(row["status"], label, waiting.get((sha256 or row["source"], key, scan_id)))
        files.append(
            ReturnedFile(
                number=row["returned_id"],
                person=row["person"],
                file=row["source"],
                key=key,
                scan_id=scan_id or (scans.get((sha256, key)) if sha256 else None),
                now=now,
                code=row["code"],
                message=row["message"],
                at=row["at"],
            )
        )
    return tuple(sorted(files, key=lambda one: (one.person == NOBODY, one.person)))


def _now(status: str, label: str | None, waiting: str | None) -> str:
    """What a file is now, after people have decided on it or taken the import back.

    ``label`` and ``waiting`` are the states of its label and of its entry in quarantine.
    """
    if status == "ignored":
        return PASSED_OVER
    if status in _WAITING and waiting == "waiting":
        return _WAITING[status]
    if status in _WAITING and waiting == "rejected":
        return LEFT_OUT
    if label == "superseded" and status == "kept":
        return VERSION
    return TAKEN_BACK if label is None else _OF_LABEL.get(label, label)


def by_person(files: Iterable[ReturnedFile]) -> dict[str, dict[str, int]]:
    """For each person, how many files are what."""
    counts: dict[str, dict[str, int]] = {}
    for one in files:
        found = counts.setdefault(one.person, {})
        found[one.now] = found.get(one.now, 0) + 1
    return counts
