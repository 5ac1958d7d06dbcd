"""Repairs disagreements of database and label files, using files, journal and backups."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.masks.label_summary import Drawn
from coldal_tui.files import make_folder, sha256_file
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.database.backups import backups, be_alone, put_back, verify
from coldal_tui.project.database.journal import labels_in
from coldal_tui.project.database.store import Row, Store
from coldal_tui.project.identity import ID_KEY, lost_actions
from coldal_tui.project.labels.files import (
    STAGED,
    label_name,
    split_name,
    stored_file,
    tidy_if_left,
    tidy_label_files,
)
from coldal_tui.project.labels.staging import count_voxels
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord

WITHDRAWN, CHANGED = "withdrawn-", "changed-"


@dataclass
class Repaired:
    """The repairs, by scan.

    ``taken_in``: from unrecorded files. ``put_back``: the file was lost. ``as_changed``: a person
    changed the file. ``lost``: labels without any file.
    """

    taken_in: list[str] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    as_changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A label file on disk: its scan, its path and its hash."""

    path: Path
    scan_id: str
    kind: str
    suffix: str
    sha256: str


def restore_database(layout: Layout, project_id: str | None) -> str:
    """Restore a lost database from the newest intact backup, or create an empty one.

    Returns what was done, in words. Raises ColdalError (``busy``, ``disk``).
    """
    be_alone(layout.database)
    for backup in reversed(backups(layout.database)):
        try:
            verify(backup.file)
        except ColdalError:
            continue
        put_back(backup.file, layout.database)
        return f"put back the copy {backup.file.name}"
    if layout.database.exists() and layout.database.stat().st_size:
        aside = layout.database.with_name("damaged-project.db")
        layout.database.replace(aside)
    for side in ("-wal", "-shm", "-journal"):
        layout.database.with_name(f"{layout.database.name}{side}").unlink(missing_ok=True)
    store = Store(layout.database, create=True)
    try:
        if project_id is not None:
            store.replace("meta", key=ID_KEY, value=project_id)
    finally:
        store.close()
    return "made an empty database: there was no copy"


def repair_labels(project: Project) -> Repaired:
    """Make rows and files agree again, in one undoable action.

    No file is deleted. A file that a person changed in place becomes a new version of the label,
    unless the accepted file still exists under another name.
    """
    if lost_actions(project.store) is None:
        tidy_if_left(project)
    done = Repaired()
    scans = {scan.scan_id: scan for scan in project.scans()}
    files = list(_label_files(project))
    with project.store.action("repair") as action:
        _mend_active(project, scans, files, done)
        _take_in_unknown(project, scans, files, done)
        action.summary = (
            f"repaired: {len(done.taken_in)} labels taken in from their files, "
            f"{len(done.put_back)} put back, {len(done.as_changed)} as they were changed"
        )
        action.params = {"lost": done.lost, "changed": done.as_changed}
    tidy_label_files(project)
    return done


def _label_files(project: Project) -> Iterator[_File]:
    layout = project.layout
    for folder in (layout.labels, layout.label_versions):
        if not folder.is_dir():
            continue
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            stem, suffix = split_name(entry.name)
            if not suffix or entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                continue
            path = Path(entry.path)
            scan_id, kind = stem, ""
            if folder == layout.label_versions:
                scan_id, _, kind = stem.rpartition(".")
            yield _File(path, scan_id, kind, suffix, sha256_file(path))


def _mend_active(
    project: Project, scans: dict[str, ScanRecord], files: list[_File], done: Repaired
) -> None:
    """Repair active labels whose file is missing or changed."""
    layout, store = project.layout, project.store
    by_hash = {(file.scan_id, file.sha256): file for file in files}
    for row in store.rows("SELECT * FROM labels WHERE state = 'active' ORDER BY scan_id"):
        scan_id, at = row["scan_id"], stored_file(project, row)
        place = layout.labels / label_name(scan_id, split_name(row["file"])[1])
        if at is not None and sha256_file(at) == row["sha256"]:
            continue
        intact = by_hash.get((scan_id, row["sha256"]))
        if intact is not None:
            if at is not None:
                _put_aside(at, scan_id, layout.label_versions)
            intact.path.replace(place)
            done.put_back.append(scan_id)
            files.remove(intact)
        elif at is None:
            done.lost.append(scan_id)
        else:
            changed = next((file for file in files if file.path == at), None)
            if changed is None or not _insert(
                project, scans.get(scan_id), changed, {"notes": '["changed by hand"]'}
            ):
                done.unusable.append(str(at))
                continue
            done.as_changed.append(scan_id)
            files.remove(changed)


def _put_aside(path: Path, scan_id: str, versions: Path) -> None:
    make_folder(versions)
    _, suffix = split_name(path.name)
    path.replace(versions / label_name(scan_id, suffix, f"{CHANGED}{sha256_file(path)[:8]}"))


def _take_in_unknown(
    project: Project, scans: dict[str, ScanRecord], files: list[_File], done: Repaired
) -> None:
    """Add rows for unrecorded files: from the journal, else from the file itself."""
    known = set(project.store.tuples("SELECT scan_id, sha256 FROM labels"))
    told = {(row["scan_id"], row["sha256"]): row for row in labels_in(project.layout.database)}
    # Older versions in their order, then the active ones.
    for file in sorted(files, key=lambda file: (not file.kind, _number(file), file.path.name)):
        if file.kind.startswith((WITHDRAWN, CHANGED)):
            continue
        if (file.scan_id, file.sha256) in known:
            if not file.kind:
                _let_count(project, file)
            continue
        journal = told.get((file.scan_id, file.sha256))
        if file.kind.startswith(STAGED) and journal is None:
            continue
        if _insert(project, scans.get(file.scan_id), file, journal or {}):
            done.taken_in.append(file.scan_id)
            known.add((file.scan_id, file.sha256))
        else:
            done.unusable.append(str(file.path))


def _number(file: _File) -> int:
    """The version number in a file's name; 0 when it has none."""
    return int(file.kind[1:]) if file.kind[:1] == "v" and file.kind[1:].isdigit() else 0


def _let_count(project: Project, file: _File) -> None:
    """Make a file in ``labels/`` the active label of its scan when the scan has none."""
    store = project.store
    if store.row("SELECT 1 FROM labels WHERE scan_id = ? AND state = 'active'", (file.scan_id,)):
        return
    row = store.row(
        "SELECT label_id, state FROM labels WHERE scan_id = ? AND sha256 = ? ORDER BY version DESC",
        (file.scan_id, file.sha256),
    )
    if row is not None and row["state"] == "superseded":
        store.update("labels", {"label_id": row["label_id"]}, state="active")


def _insert(project: Project, scan: ScanRecord | None, file: _File, told: dict[str, Any]) -> bool:
    """Insert a row for a label file; False when it doesn't belong to a known scan."""
    store = project.store
    if scan is None:
        return False
    try:
        label = read_label(file.path)
    except ColdalError:
        return False
    if tuple(label.shape) != tuple(scan.shape):
        return False
    last = store.value("SELECT max(version) FROM labels WHERE scan_id = ?", (scan.scan_id,)) or 0
    version = _free_version(project, scan.scan_id, file, told, int(last))
    counts = not file.kind or file.kind.startswith(STAGED)
    earlier = store.row("SELECT role FROM labels WHERE scan_id = ?", (scan.scan_id,))
    asked = store.row("SELECT role FROM queue WHERE scan_id = ?", (scan.scan_id,))
    role = told.get("role") or (earlier or asked or {"role": "manual"})["role"]
    if counts:
        store.update("labels", {"scan_id": scan.scan_id, "state": "active"}, state="superseded")
        store.update("queue", {"scan_id": scan.scan_id}, status="labelled")
    store.insert(
        "labels",
        scan_id=scan.scan_id,
        version=version,
        file=project.layout.relative(project.layout.labels / label_name(scan.scan_id, file.suffix)),
        sha256=file.sha256,
        state="active" if counts else "superseded",
        role=role,
        source=told.get("source") or str(file.path),
        source_sha256=told.get("source_sha256") or file.sha256,
        source_key=told.get("source_key") or "",
        author=told.get("author"),
        format=told.get("format") or "label",
        geometry=told.get("geometry") or "match",
        notes=[*json.loads(told.get("notes") or "[]"), "taken in from its file by doctor --repair"],
        voxels=count_voxels(Drawn.of(label), project.config.classes.names),
        created_at=told.get("created_at") or store.now(),
    )
    if file.kind.startswith(STAGED):
        name = label_name(scan.scan_id, file.suffix, f"v{version}")
        file.path.replace(file.path.with_name(name))
    return True


def _free_version(
    project: Project, scan_id: str, file: _File, told: dict[str, Any], last: int
) -> int:
    wanted = told.get("version") or _number(file) or None
    taken: list[Row] = project.store.rows(
        "SELECT 1 FROM labels WHERE scan_id = ? AND version = ?", (scan_id, wanted)
    )
    return last + 1 if wanted is None or taken else int(wanted)
