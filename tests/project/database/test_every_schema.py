"""A database of every schema that was ever released opens, is migrated, backed up and restored."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import apsw
import pytest

from coldal_tui.project.database.backups import backups, be_alone, put_back, verify
from coldal_tui.project.database.foreign_schema import check_schema
from coldal_tui.project.database.schema import MIGRATIONS
from coldal_tui.project.project import Project
from tests.support.lab import Lab

AT = "2024-01-01T00:00:00+00:00"
_ROWS = (
    "INSERT INTO scans (scan_id, rel_path, kind, files, shape, channels, dtype, patient_id, meta, "
    "quick_hash, size, added_at) VALUES ('s00', 's00.png', 'raster', '[\"s00.png\"]', '[6,9]', 1, "
    f"'uint8', 'P1', '{{}}', 'q', 1, '{AT}')",
    "INSERT INTO queue (scan_id, round, rank, role, terms) VALUES ('s00', 0, 1, 'medoid', '{}')",
    "INSERT INTO labels (scan_id, version, file, sha256, state, role, source, source_sha256, "
    "format, geometry, notes, voxels, created_at) VALUES ('s00', 1, 'labels/s00.png', 'h', "
    f"'superseded', 'manual', 'm', 'm', 'mask', 'match', '[]', '{{}}', '{AT}')",
    "INSERT INTO quarantine (file, source, source_sha256, code, message, state, created_at) "
    f"VALUES ('', 'x', 'x', 'empty', 'x', 'waiting', '{AT}')",
    "INSERT INTO exports (folder, format, scans, manifest_sha256, created_at) VALUES "
    f"('exports/x', 'folder', '[\"s00\"]', 'x', '{AT}')",
    "INSERT INTO runs VALUES ('run-001', 0, 0, '[]', '[]', '{}', '2024')",
    "INSERT INTO scores (run_id, scan_id, entropy) VALUES ('run-001', 's00', 0.25)",
    "INSERT INTO jobs (kind, request, status, depends_on, folder, backend, created_at) VALUES "
    f"('map', '{{}}', 'done', '[]', '.coldal/jobs/000001-map', 'local', '{AT}')",
    "INSERT INTO audit (at, who, host, action, summary, params, inputs) VALUES "
    f"('{AT}', 'ana', 'h', 'select', 'picked', '{{}}', '{{}}')",
)


def _old(lab: Lab, version: int) -> Project:
    """A project whose database is what the program of ``version`` left."""
    project = lab.start(index=False)
    project.close()
    lab.configure("")
    database = project.layout.database
    for path in database.parent.glob("project.db*"):
        path.unlink()
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        for script in MIGRATIONS[:version]:
            connection.execute(script).fetchall()
        for row in _ROWS:
            connection.execute(row).fetchall()
        for table in _tables(connection):
            if not connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                _fill(connection, table)
        connection.execute(f"PRAGMA user_version={version}").fetchall()
    return project


Content = dict[str, list[dict[str, object]]]


def _tables(connection: apsw.Connection) -> list[str]:
    told = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [name for (name,) in told if not name.startswith("sqlite_")]


def _fill(connection: apsw.Connection, table: str) -> None:
    """A row with something in every column."""
    told = connection.execute(f"PRAGMA table_info({table})").fetchall()
    values = {"INTEGER": 1, "REAL": 0.5}
    row = {name: values.get(kind, json.dumps({name: name})) for _, name, kind, *_ in told}
    marks = ", ".join("?" * len(row))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
    ).fetchall()


def _content(file: Path) -> Content:
    """All rows of all tables."""
    with contextlib.closing(apsw.Connection(str(file), apsw.SQLITE_OPEN_READONLY)) as connection:
        found: Content = {}
        for table in _tables(connection):
            told = connection.execute(f"PRAGMA table_info({table})").fetchall()
            names = [name for _, name, *_ in told]
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            found[table] = [dict(zip(names, row, strict=True)) for row in rows]
        return found


def _known(project: Project) -> list[object]:
    store = project.store
    return [
        store.value("SELECT entropy FROM scores WHERE scan_id = 's00'"),
        store.value("SELECT role FROM queue WHERE scan_id = 's00'"),
        store.value("SELECT state FROM labels WHERE scan_id = 's00'"),
        store.value("SELECT code FROM quarantine"),
        store.value("SELECT folder FROM exports"),
        store.value("SELECT who FROM audit WHERE action = 'select'"),
        store.value("SELECT status FROM jobs"),
        project.scan("s00").patient_id,
    ]


def _holds(project: Project, before: Content) -> None:
    """Every value of every column of every row is there still."""
    for table, rows in before.items():
        columns = ", ".join(rows[0])
        found = project.store.rows(f"SELECT {columns} FROM {table}")
        assert [row for row in rows if row not in [dict(one) for one in found]] == [], table


WANTED = [0.25, "medoid", "superseded", "empty", "exports/x", "ana", "done", "P1"]


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_every_schema_opens_with_all_that_is_in_it(version: int, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.picture("s00.png")
    layout = _old(lab, version).layout
    before = _content(layout.database)
    assert all(before.values())
    with lab.open() as project:
        assert _known(project) == WANTED
        _holds(project, before)
        assert project.store.value("PRAGMA user_version") == len(MIGRATIONS)
        made = project.store.back_up()
        with project.store.action("later") as action:
            action.summary = "after the copy"
    kept = [one for one in backups(layout.database) if one.kind == "migration"]
    # What was there before the change of the schema is kept, as it was.
    assert [verify(one.file) for one in kept] == ([version] if version < len(MIGRATIONS) else [])
    be_alone(layout.database)
    put_back(kept[0].file if kept else made.file, layout.database)
    with Project(lab.root, repairing=True) as project:
        assert _known(project) == WANTED
        _holds(project, before)
        check_schema(project.store._connection, MIGRATIONS, "restored")


RELEASED = (
    "5290de1717ded081",
    "58c2dd12cb1fbbc7",
    "c67a9cdd006c09d8",
    "1a1fbc50096dbf50",
    "8c5f625f699101ab",
    "5cd6c0bc9dff2891",
    "fd47821345031b80",
    "76b5744893670f70",
    "f25d51a45b1ef3f3",
    "12637bcb25357f3f",
    "66497c591c1f3dce",
    "3ffd463d5d7766ff",
    "56470795ca767964",
    "ea539abbac892c19",
    "80e78ef6f573532b",
    "447bc281d5585715",
)
"""The first digits of the SHA-256 of each script: what made people's databases stays."""


def test_a_released_schema_never_changes() -> None:
    made = [hashlib.sha256(script.encode()).hexdigest()[:16] for script in MIGRATIONS]
    assert made[: len(RELEASED)] == list(RELEASED)
    assert len(made) == len(RELEASED), "add the hash of the new schema"
