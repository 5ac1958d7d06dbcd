"""The database: migrations, locks, damage, the audit trail, and undo."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.database import store as stores
from coldal_tui.project.database.schema import MIGRATIONS, UNDOABLE_TABLES
from coldal_tui.project.database.store import Store, current_user

NOON = datetime(2024, 5, 1, 12, 0, 3, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "project.db", clock=lambda: NOON, busy_ms=50, create=True)
    yield made
    made.close()


@pytest.fixture
def other(store):
    made = Store(store.path, clock=lambda: NOON, busy_ms=50)
    yield made
    made.close()


def put(store: Store, scan_id: str, status: str = "queued") -> None:
    store.insert("queue", scan_id=scan_id, round=0, rank=1, role="medoid", terms={}, status=status)


def test_an_empty_file_becomes_a_database(tmp_path):
    path = tmp_path / "project.db"
    path.touch()
    store = Store(path, create=True)
    tables = {row["name"] for row in store.rows("SELECT name FROM sqlite_master")}
    assert set(UNDOABLE_TABLES) <= tables
    assert store.value("PRAGMA user_version") == len(MIGRATIONS)
    assert store.value("PRAGMA synchronous") == 2
    assert store.value("PRAGMA journal_mode") == "wal"


def test_opening_again_migrates_nothing(store):
    put(store, "a")
    again = Store(store.path)
    assert again.value("SELECT count(*) FROM queue") == 1


def test_a_migration_that_is_missing_is_applied(store, monkeypatch):
    more = (*MIGRATIONS, "CREATE TABLE later (x); INSERT INTO later VALUES (5);")
    monkeypatch.setattr(stores, "MIGRATIONS", more)
    put(store, "a")
    again = Store(store.path)
    assert again.value("SELECT x FROM later") == 5
    assert again.value("SELECT count(*) FROM queue") == 1
    assert again.value("PRAGMA user_version") == len(MIGRATIONS) + 1


def test_a_migration_that_fails_leaves_the_old_schema(store, monkeypatch):
    monkeypatch.setattr(stores, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (x); nonsense;"))
    with pytest.raises(apsw.SQLError):
        Store(store.path)
    assert store.value("PRAGMA user_version") == len(MIGRATIONS)
    assert store.rows("SELECT name FROM sqlite_master WHERE name = 'later'") == []


def test_a_newer_schema_is_refused(store):
    store.execute("PRAGMA user_version = 99")
    with pytest.raises(ColdalError, match=r"newer coldal-tui \(schema 99\)") as caught:
        Store(store.path)
    assert caught.value.remedy == "update coldal-tui"


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "project.db"
    path.write_bytes(b"not a database, but long enough to be read as the header of one" * 20)
    with pytest.raises(ColdalError) as caught:
        Store(path)
    assert caught.value.code == "damaged"
    assert caught.value.where == str(path)


def test_damage_inside_is_told_when_it_is_met(tmp_path):
    path = tmp_path / "project.db"
    store = Store(path, create=True)
    with store.transaction():
        for n in range(2000):
            put(store, f"scan{n:05d}")
    store.close()
    content = bytearray(path.read_bytes())
    kept = len(content) * 3 // 4  # the schema and the first rows
    content[kept:] = b"\xff" * (len(content) - kept)
    path.write_bytes(content)
    store = Store(path)
    with pytest.raises(ColdalError) as caught:
        store.rows("SELECT * FROM queue")
    assert caught.value.code == "damaged"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ColdalError) as caught:
        Store(tmp_path / "gone" / "project.db")
    assert caught.value.code == "cant-open"


def test_a_second_writer_is_told_that_the_database_is_busy(store, other):
    with store.transaction(), pytest.raises(ColdalError) as caught, other.transaction():
        pass
    assert caught.value.code == "busy"
    assert "jobs list" in caught.value.remedy


def test_reading_goes_on_beside_a_writer_and_sees_one_state(store, other):
    put(store, "a")
    with other.reading():
        assert other.value("SELECT count(*) FROM queue") == 1
        with store.transaction():
            put(store, "b")
        assert other.value("SELECT count(*) FROM queue") == 1
    assert other.value("SELECT count(*) FROM queue") == 2


def test_data_version_tells_of_other_writers(store, other):
    before = store.data_version()
    with store.transaction():
        put(store, "mine")
    assert store.data_version() == before
    with other.transaction():
        put(other, "theirs")
    assert store.data_version() != before


def test_an_error_rolls_back(store):

    def fail() -> None:
        with store.action("x"):
            put(store, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.rows("SELECT * FROM queue") == []
    assert store.rows("SELECT * FROM audit") == []
    with store.transaction():
        put(store, "b")


def test_a_full_disk_changes_nothing(store):
    put(store, "a")
    pages = store.value("PRAGMA page_count")
    store.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ColdalError) as caught, store.transaction():
        store.insert("meta", key="big", value="x" * 1_000_000)
    assert caught.value.code == "disk"
    assert store.value("SELECT count(*) FROM meta") == 0
    with store.transaction():
        put(store, "b")
    assert store.value("SELECT count(*) FROM queue") == 2


def test_the_audit_row_says_who_when_what_and_from_what(store):
    with store.action("select", budget=5, names=["a"]) as action:
        put(store, "a")
        action.summary, action.seed = "one scan", 3
        action.inputs = {"map": "ff"}
    row = store.row("SELECT * FROM audit")
    assert row is not None
    assert (row["at"], row["who"]) == ("2024-05-01T12:00:03+00:00", current_user())
    assert (row["action"], row["summary"], row["seed"]) == ("select", "one scan", 3)
    assert json.loads(row["params"]) == {"budget": 5, "names": ["a"]}
    assert json.loads(row["inputs"]) == {"map": "ff"}


def test_undo_goes_back_step_by_step(store):
    with store.action("first"):
        put(store, "a")
    with store.action("second"):
        store.update("queue", {"scan_id": "a"}, status="skipped", reason="blurred")
        put(store, "b")
    assert store.undo_last()["action"] == "second"
    assert store.rows("SELECT scan_id, status, reason FROM queue") == [
        {"scan_id": "a", "status": "queued", "reason": None}
    ]
    assert store.undo_last()["action"] == "first"
    assert store.rows("SELECT * FROM queue") == []
    assert store.undo_last() is None
    undone = store.rows("SELECT action, undone_by FROM audit ORDER BY audit_id")
    assert [row["undone_by"] for row in undone] == [4, 3, None, None]
    assert [row["action"] for row in undone] == ["first", "second", "undo", "undo"]


def test_what_is_no_persons_doing_is_not_undone(store):
    with store.action("skip"):
        put(store, "a")
    with store.action("embed", undoable=False):
        store.insert("meta", key="k", value="v")
    with store.action("nothing changed"):
        pass
    with store.transaction():
        store.insert("meta", key="k2", value="v")
    assert store.undo_last()["action"] == "skip"
    assert store.value("SELECT count(*) FROM meta") == 2


def test_a_deleted_row_comes_back(store):
    with store.action("add"):
        put(store, "a")
    before = store.row("SELECT * FROM queue")
    with store.action("remove"):
        store.execute("DELETE FROM queue")
    store.undo_last()
    assert store.row("SELECT * FROM queue") == before


def test_an_undo_on_which_later_changes_stand_changes_nothing(store):
    with store.action("skip two"):
        put(store, "a")
        put(store, "b")
    store.update("queue", {"scan_id": "b"}, status="labelled")
    before = store.rows("SELECT * FROM queue")
    audit = store.rows("SELECT audit_id, undone_by FROM audit")
    with pytest.raises(ColdalError, match="later changes in queue stand on it") as caught:
        store.undo_last()
    assert caught.value.code == "undo-conflict"
    assert store.rows("SELECT * FROM queue") == before
    assert store.rows("SELECT audit_id, undone_by FROM audit") == audit


def test_lists_are_stored_as_json_and_the_row_id_comes_back(store):
    number = store.insert(
        "exports", folder="f", format="folder", scans=["a"], manifest_sha256="", created_at="t"
    )
    assert number == 1
    assert store.value("SELECT scans FROM exports") == '["a"]'
    assert store.update("exports", {"export_id": 1}, scans=("b", "c")) == 1
    assert store.update("exports", {"export_id": 2}, scans=()) == 0
    assert store.value("SELECT scans FROM exports") == '["b","c"]'


def test_another_program_reads_the_database(store):
    put(store, "a")
    with sqlite3.connect(store.path) as plain:
        assert plain.execute("SELECT scan_id FROM queue").fetchall() == [("a",)]


@pytest.mark.parametrize(
    ("kind", "expected"), [("nfs4", True), ("fuse.sshfs", True), ("ext4", False)]
)
def test_the_nearest_mount_decides_whether_locks_can_be_trusted(
    kind, expected, tmp_path, monkeypatch
):
    import psutil

    class Mount:
        def __init__(self, mountpoint: str, fstype: str) -> None:
            self.mountpoint, self.fstype = mountpoint, fstype

    home = tmp_path.resolve()
    mounts = [Mount("/", "ext4" if expected else "nfs"), Mount(str(home), kind)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    link = tmp_path / "link"
    (tmp_path / "data").mkdir()
    link.symlink_to(tmp_path / "data")
    assert stores.on_network_file_system(Path(link, "project.db")) is expected


def test_a_network_file_system_gets_no_wal(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "on_network_file_system", lambda path: True)
    store = Store(tmp_path / "project.db", create=True)
    assert store.value("PRAGMA journal_mode") == "delete"


def test_the_name_is_that_of_the_uid(monkeypatch):
    import os
    import pwd

    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    assert current_user() != "somebody-else"

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert current_user() == f"uid {os.getuid()}"
