"""The database's own life: who makes it, whose it is, its backups, its journal, a lost COMMIT."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.database import connecting
from coldal_tui.project.database.backups import backups, be_alone, put_back, verify
from coldal_tui.project.database.journal import journal_of, labels_in, last_entry
from coldal_tui.project.database.schema import MIGRATIONS
from coldal_tui.project.database.store import Store
from coldal_tui.project.job_rows import list_jobs
from coldal_tui.project.project import Project
from coldal_tui.scheduler.queue import submit_chain

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    made = Store(tmp_path / "project.db", clock=clock, busy_ms=50, create=True)
    yield made
    made.close()


def act(store: Store, name: str) -> None:
    with store.action(name) as action:
        store.insert("queue", scan_id=name, round=0, rank=1, role="medoid", terms={})
        action.summary = f"did {name}"


def refusal(call) -> str:
    with pytest.raises(ColdalError) as caught:
        call()
    return caught.value.code


def test_only_init_makes_a_database(lab):
    lab.pictures("a")
    project = lab.start()
    database = project.layout.database
    project.close()
    for path in database.parent.glob("project.db*"):
        path.unlink()
    assert refusal(lambda: Project(lab.root)) == "no-database"
    assert not database.exists()
    database.touch()
    assert refusal(lambda: Project(lab.root)) == "no-database"
    assert refusal(lambda: Project(lab.root, readonly=True)) == "no-database"
    assert database.stat().st_size == 0


def test_another_projects_database_is_refused(lab):
    lab.pictures("a")
    lab.start().close()
    other = Project.create(lab.folder / "other", lab.images)
    other.close()
    other.layout.database.replace(lab.root / ".coldal" / "project.db")
    assert refusal(lambda: Project(lab.root)) == "other-project"


def test_a_project_without_an_id_opens_without_a_question(lab):
    lab.pictures("a")
    project = lab.start('[images]\ndir = "../images"\n')
    project.store.execute("DELETE FROM meta WHERE key = 'project_id'")
    project.close()
    assert len(lab.open().scans()) == 1


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("CREATE TRIGGER t AFTER UPDATE ON queue BEGIN DELETE FROM labels; END", "trigger t"),
        ("CREATE VIEW v AS SELECT 1", "view v"),
        ("CREATE TABLE more (x)", "table more"),
        ("DROP TABLE labels", "missing: index labels_by_source, table labels"),
        ("ALTER TABLE meta ADD COLUMN x", "changed: table meta"),
    ],
)
def test_a_schema_that_is_not_ours_is_refused(store, statement, told):
    with contextlib.closing(apsw.Connection(str(store.path))) as connection:
        connection.execute(statement).fetchall()
    with pytest.raises(ColdalError) as caught:
        Store(store.path)
    assert caught.value.code == "foreign-schema"
    assert told in caught.value.what


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_every_released_schema_opens_and_is_backed_up_before_it_changes(tmp_path, version):
    path = tmp_path / "project.db"
    with contextlib.closing(apsw.Connection(str(path))) as old:
        for script in MIGRATIONS[:version]:
            old.execute(script).fetchall()
        old.execute("INSERT INTO meta VALUES ('k', 'v')").fetchall()
        old.execute(f"PRAGMA user_version={version}").fetchall()
    with contextlib.closing(Store(path)) as store:
        assert store.value("PRAGMA user_version") == len(MIGRATIONS)
        assert store.value("SELECT value FROM meta") == "v"
    (kept,) = backups(path)
    assert (kept.kind, verify(kept.file)) == ("migration", version)
    put_back(kept.file, path)
    with contextlib.closing(Store(path)) as store:
        assert store.value("SELECT value FROM meta") == "v"


def test_a_backup_a_day_and_seven_of_them_stay(store, clock):
    for day in range(9):
        clock.now = NOON + timedelta(days=day)
        act(store, f"a{day}")
        act(store, f"b{day}")
    there = backups(store.path)
    assert [one.at for one in there] == [NOON + timedelta(days=day) for day in range(2, 9)]
    assert {one.kind for one in there} == {"daily"}
    with contextlib.closing(Store(there[0].file)) as copy:
        # Made after the first action of its day.
        assert copy.value("SELECT count(*) FROM queue") == 5


def test_a_backup_that_fails_is_told_and_no_failure(store, caplog):
    (store.path.parent / "backups").write_text("in the way")
    act(store, "a")
    assert "the daily backup of the database failed" in caplog.text
    assert store.value("SELECT count(*) FROM queue") == 1


def test_a_backup_is_put_back_and_what_was_there_is_kept(store):
    act(store, "a")
    kept = store.back_up()
    act(store, "b")
    store.close()
    be_alone(store.path)
    aside = put_back(kept.file, store.path)
    with contextlib.closing(Store(store.path)) as back:
        assert back.value("SELECT count(*) FROM queue") == 1
    assert aside is not None
    with contextlib.closing(Store(aside)) as before:
        assert before.value("SELECT count(*) FROM queue") == 2


def test_nothing_is_put_back_from_a_damaged_copy(store):
    act(store, "a")
    kept = store.back_up()
    content = bytearray(kept.file.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    kept.file.write_bytes(content)
    assert refusal(lambda: put_back(kept.file, store.path)) == "backup"
    assert store.value("SELECT count(*) FROM queue") == 1


def test_nothing_is_put_back_while_another_process_has_it_open(store):
    with store.transaction():
        assert refusal(lambda: be_alone(store.path)) == "busy"


def test_a_log_that_cannot_be_opened_is_told_before_anything_is_put_back(store):
    act(store, "a")
    store.close()
    store.path.with_name("project.db-wal").mkdir()
    assert refusal(lambda: be_alone(store.path)) == "cant-open"


def test_the_journal_tells_actions_and_labels(lab):
    lab.pictures("a")
    project = lab.start()
    from coldal_tui.project.labels.importing import import_masks

    lab.mask("a.png")
    import_masks(project, lab.masks)
    label = project.store.row("SELECT * FROM labels")
    assert list(labels_in(project.layout.database)) == [label]
    last = last_entry(project.layout.database)
    audit = project.store.row("SELECT * FROM audit ORDER BY audit_id DESC")
    assert last is not None
    assert audit is not None
    assert (last.audit_id, last.token) == (audit["audit_id"], audit["token"])
    assert audit["uid"] == os.getuid()


def test_a_half_line_of_a_killed_writer_spoils_no_other(store):
    act(store, "a")
    with journal_of(store.path).open("a") as stream:
        stream.write('{"audit": 7, "tok')
    act(store, "b")
    last = last_entry(store.path)
    assert last is not None
    assert last.token == store.value("SELECT token FROM audit WHERE action = 'b'")


def test_an_older_database_put_back_is_noticed(lab):
    lab.pictures("a")
    project = lab.start()
    kept = project.store.back_up()
    act(project.store, "later")
    project.close()
    put_back(kept.file, project.layout.database)
    assert refusal(lambda: Project(lab.root)) == "rolled-back"
    # Reading shows what is there.
    with Project(lab.root, readonly=True) as reader:
        assert len(reader.scans()) == 1


class BrokenCommit:
    """A connection whose COMMIT fails, after SQLite has done it or before."""

    def __init__(self, real: apsw.Connection, *, done: bool) -> None:
        self._real, self._done = real, done

    def __getattr__(self, name: str):
        return getattr(self._real, name)

    def execute(self, sql: str, *values):
        if sql == "COMMIT":
            self._real.execute("COMMIT" if self._done else "ROLLBACK")
            raise apsw.IOError("disk I/O error")
        return self._real.execute(sql, *values)


Session = apsw.Session


def unwrapped(connection, name: str) -> apsw.Session:
    return Session(getattr(connection, "_real", connection), name)


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_that_fails_is_looked_up(store, caplog, monkeypatch, done):
    real = store._connection
    monkeypatch.setattr(apsw, "Session", unwrapped)
    store._connection = BrokenCommit(real, done=done)
    if done:
        act(store, "a")
        assert "but it is stored" in caplog.text
    else:
        assert refusal(lambda: act(store, "a")) == "disk"
    assert store.value("SELECT count(*) FROM queue") == int(done)
    act(store, "b")
    assert store.value("SELECT count(*) FROM audit") == 1 + int(done)


@pytest.mark.parametrize("done", [True, False])
def test_jobs_whose_commit_fails_are_looked_up(lab, caplog, done):
    lab.pictures("a")
    project = lab.start()
    project.store._connection = BrokenCommit(project.store._connection, done=done)
    steps: list = [("embed", {}), ("map", {})]
    if done:
        assert submit_chain(project, steps) == [1, 2]
        assert "but it is stored" in caplog.text
    else:
        assert refusal(lambda: submit_chain(project, steps)) == "disk"
    assert [job.kind for job in list_jobs(project)] == (["embed", "map"] if done else [])


def test_a_commit_of_which_nothing_can_be_known_says_so(store, monkeypatch):
    real = store._connection
    monkeypatch.setattr(apsw, "Session", unwrapped)
    store._connection = BrokenCommit(real, done=False)

    def gone(path):
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr(connecting, "open_for_writing", gone)
    assert refusal(lambda: act(store, "a")) == "unsure"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("umask", "folder", "file"),
    [(0o022, 0o750, 0o640), (0o002, 0o770, 0o660), (0o077, 0o700, 0o600)],
)
def test_a_new_project_is_for_owner_and_group(lab, umask, folder, file):
    lab.pictures("a")
    before = os.umask(umask)
    try:
        project = lab.start()
        act(project.store, "a")
    finally:
        os.umask(before)
    database = project.layout.database
    for path in (lab.root, lab.root / "labels", lab.root / ".coldal", database.parent / "backups"):
        assert mode(path) == folder, path
    for path in (database, database.with_name("project.db-wal"), journal_of(database)):
        assert mode(path) == file, path
    assert mode(lab.root / "coldal.toml") == file
    assert [mode(one.file) for one in backups(database)] == [file]


def test_in_a_groups_folder_the_group_works_whatever_the_umask(lab):
    lab.pictures("a")
    lab.root.mkdir()
    lab.root.chmod(0o2770)
    before = os.umask(0o022)
    try:
        project = lab.start()
        act(project.store, "a")
    finally:
        os.umask(before)
    assert mode(project.layout.labels) == 0o2770
    assert mode(project.layout.database) == 0o660
    assert mode(journal_of(project.layout.database)) == 0o660


def test_reading_where_nothing_may_be_written_leaves_nothing(store, monkeypatch):
    act(store, "a")
    store.close()
    monkeypatch.setattr(os, "access", lambda path, how: False)
    before = {path.name for path in store.path.parent.iterdir()}
    reader = Store(store.path, readonly=True)
    seen = reader.data_version()
    assert reader.value("SELECT count(*) FROM queue") == 1
    assert {path.name for path in store.path.parent.iterdir()} == before
    writer = Store(store.path)
    act(writer, "b")
    assert reader.data_version() != seen
    assert reader.value("SELECT count(*) FROM queue") == 2
    reader.close()
    writer.close()


def test_a_log_that_nobody_took_in_is_read_from_a_copy(store, tmp_path, monkeypatch):
    act(store, "a")
    left = tmp_path / "left"
    left.mkdir()
    for name in ("project.db", "project.db-wal"):
        (left / name).write_bytes((store.path.parent / name).read_bytes())
    monkeypatch.setattr(os, "access", lambda path, how: False)
    reader = Store(left / "project.db", readonly=True)
    assert reader.value("SELECT count(*) FROM queue") == 1
    reader.close()
    assert sorted(path.name for path in left.iterdir()) == ["project.db", "project.db-wal"]


def test_a_journal_line_is_json_with_who_and_what(store):
    act(store, "a")
    line = json.loads(journal_of(store.path).read_text().splitlines()[-1])
    assert (line["audit"], line["action"], line["summary"]) == (1, "a", "did a")
    assert line["uid"] == os.getuid()
