"""Projects opened for reading: nothing is written, and folders that may not be written will do."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.database.schema import MIGRATIONS
from coldal_tui.project.project import Project
from coldal_tui.project.views.snapshot import take_snapshot


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
    }


def test_reading_changes_no_file(queued: Path) -> None:
    before = files_of(queued)
    with Project(queued, readonly=True) as project:
        assert len(take_snapshot(project).queue) == 3
    assert files_of(queued) == before


def test_writing_is_refused(queued: Path) -> None:
    with (
        Project(queued, readonly=True) as project,
        pytest.raises(ColdalError, match="can't be written"),
    ):
        project.store.update("queue", {"scan_id": "scan_0"}, status="skipped")


def test_no_folder_is_made(queued: Path) -> None:
    (queued / "exports").rmdir()
    Project(queued, readonly=True).close()
    assert not (queued / "exports").exists()


def test_changes_of_a_writer_are_seen(queued: Path) -> None:
    with Project(queued, readonly=True) as reader, Project(queued) as writer:
        before = reader.store.data_version()
        writer.store.update("queue", {"scan_id": "scan_0"}, status="skipped")
        assert reader.store.data_version() != before
        item = reader.store.row("SELECT status FROM queue WHERE scan_id = 'scan_0'")
        assert item == {"status": "skipped"}


def test_a_missing_database_is_said(queued: Path) -> None:
    for path in (queued / ".coldal").glob("project.db*"):
        path.unlink()
    with pytest.raises(ColdalError, match="database is missing"):
        Project(queued, readonly=True)
    assert not (queued / ".coldal" / "project.db").exists()


def test_an_older_schema_is_left_alone(queued: Path) -> None:
    database = queued / ".coldal" / "project.db"
    for path in database.parent.glob("project.db*"):
        path.unlink()
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        for script in MIGRATIONS[:-1]:
            connection.execute(script).fetchall()
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS) - 1}").fetchall()
    with pytest.raises(ColdalError, match="older coldal-tui"):
        Project(queued, readonly=True)
