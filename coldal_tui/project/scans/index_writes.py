"""Writes changes found by an index, in transactions short enough not to delay others."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from coldal_tui.imaging.indexing import FoundScan, IndexResult
from coldal_tui.project.database.store import Row, Store, pack
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.scans.dicom_uids import read_uids, write_uids
from coldal_tui.project.scans.patients import PatientRule

Write = Callable[[], object]

LOCK_S = 0.04
"""How long a transaction collects writes; storing them takes as long again."""
_PAUSE_S = 0.01
_PAGE, _AT_ONCE = 2_000, 500
_OWN = (
    "rel_path",
    "kind",
    "files",
    "shape",
    "channels",
    "dtype",
    "spacing",
    "affine",
    "modality",
    "patient_id",
    "meta",
    "quick_hash",
    "size",
    "duplicate_of",
    "state",
)
"""What an index knows of a scan; the columns that are compared."""


def write_shortly(store: Store, writes: Iterable[Write]) -> None:
    """Run writes in transactions of about ``LOCK_S`` each, with pauses for other writers.

    Values are computed while no lock is held. Each write is complete in itself: after a crash
    between two of them the next index continues.
    """
    waiting = iter(writes)
    while batch := deque(islice(waiting, _AT_ONCE)):
        while batch:
            with store.transaction():
                until = time.monotonic() + LOCK_S
                batch.popleft()()
                while batch and time.monotonic() < until:
                    batch.popleft()()
            if batch:
                time.sleep(_PAUSE_S)


def scan_writes(
    project: Project,
    matches: Mapping[str, FoundScan],
    duplicates: Mapping[str, str],
    before: Mapping[str, ScanRecord],
    patients: PatientRule,
) -> Iterator[Write]:
    """A write for every scan that is new or differs from what is stored."""
    uids = read_uids(project)
    known = sorted(scan_id for scan_id in matches if scan_id in before)
    for start in range(0, len(known), _PAGE):
        page = known[start : start + _PAGE]
        stored = _stored(project.store, page[0], page[-1])
        for scan_id in page:
            found = matches[scan_id]
            values = scan_values(project, scan_id, found, duplicates.get(scan_id), patients)
            row = stored[scan_id]
            if row != values or uids.get(scan_id) != found.uids:
                yield partial(update_scan, project, scan_id, found, values)
    for scan_id in sorted(matches.keys() - before.keys()):
        found = matches[scan_id]
        values = scan_values(project, scan_id, found, duplicates.get(scan_id), patients)
        yield partial(insert_scan, project, scan_id, found, values)


def file_writes(store: Store, result: IndexResult) -> Iterator[Write]:
    """A write for every file and problem that differs from what is stored."""
    stored: set[str] = set()
    last = ""
    while page := store.tuples(
        "SELECT rel_path, entry FROM files WHERE rel_path > ? ORDER BY rel_path LIMIT ?",
        (last, _PAGE),
    ):
        last = str(page[-1][0])
        for rel_path, entry in page:
            stored.add(rel_path)
            known = result.known.get(rel_path)
            if known is None:
                yield partial(_delete, store, "files", rel_path)
            elif (text := msgspec.json.encode(known).decode()) != entry:
                yield partial(store.replace, "files", rel_path=rel_path, entry=text)
    for rel_path, known in result.known.items():
        if rel_path not in stored:
            text = msgspec.json.encode(known).decode()
            yield partial(store.replace, "files", rel_path=rel_path, entry=text)
    problems = {row["rel_path"]: row for row in store.rows("SELECT * FROM problems")}
    for problem in result.problems:
        values = {
            "rel_path": problem.rel_path,
            "kind": problem.kind,
            "code": problem.code,
            "reason": problem.reason,
        }
        if problems.pop(problem.rel_path, None) != values:
            yield partial(store.replace, "problems", **values)
    for rel_path in problems:
        yield partial(_delete, store, "problems", rel_path)


def _stored(store: Store, first: str, last: str) -> dict[str, Row]:
    """The stored scans from ``first`` to ``last``, in the columns of ``_OWN``."""
    rows = store.tuples(
        f"SELECT scan_id, {', '.join(_OWN)} FROM scans WHERE scan_id BETWEEN ? AND ?",
        (first, last),
    )
    return {row[0]: dict(zip(_OWN, row[1:], strict=True)) for row in rows}


def scan_values(
    project: Project,
    scan_id: str,
    found: FoundScan,
    duplicate_of: str | None,
    patients: PatientRule,
) -> Row:
    """The values of a scan for the columns of ``_OWN``."""
    header = found.header
    patient_id, extra = patients.patient(found.rel_path, scan_id, header.patient_id)
    prefix = str(project.images) + os.sep
    values = {
        "rel_path": found.rel_path,
        "kind": found.ref.kind,
        "files": [_below(name, prefix, project.images) for name in found.ref.files],
        "shape": list(header.shape),
        "channels": header.channels,
        "dtype": header.dtype,
        "spacing": list(header.spacing) if header.spacing else None,
        "affine": [list(row) for row in header.affine] if header.affine else None,
        "modality": header.modality,
        "patient_id": patient_id,
        "meta": {**header.meta, **extra},
        "quick_hash": found.quick_hash,
        "size": found.size,
        "duplicate_of": duplicate_of,
        "state": "present",
    }
    return {name: pack(value) for name, value in values.items()}


def _below(name: str, prefix: str, images: Path) -> str:
    if os.sep == "/" and name.startswith(prefix):
        return name[len(prefix) :]
    return Path(name).relative_to(images).as_posix()


def insert_scan(project: Project, scan_id: str, found: FoundScan, values: Row) -> None:
    """Store a new scan and its UIDs (inside a transaction)."""
    project.store.insert("scans", scan_id=scan_id, added_at=project.store.now(), **values)
    write_uids(project, scan_id, found.uids)


def update_scan(project: Project, scan_id: str, found: FoundScan, values: Row) -> None:
    """Store what is known of a scan now (inside a transaction); other bytes void its scores."""
    store = project.store
    old = store.value("SELECT quick_hash FROM scans WHERE scan_id = ?", (scan_id,))
    if old != found.quick_hash:
        values = {**values, "sha256": None}
        # Results of a run for other bytes are no longer valid for this scan.
        store.execute("DELETE FROM scores WHERE scan_id = ?", (scan_id,))
    store.update("scans", {"scan_id": scan_id}, **values)
    write_uids(project, scan_id, found.uids)


def _delete(store: Store, table: str, rel_path: str) -> None:
    store.execute(f"DELETE FROM {table} WHERE rel_path = ?", (rel_path,))
