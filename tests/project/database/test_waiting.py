"""A command waits for the process that holds the database, and says which one it is."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.database import waiting
from coldal_tui.project.database.store import Store
from coldal_tui.project.database.waiting import Waiting, holder

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def _held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the database until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.fixture
def database(tmp_path: Path) -> Path:
    Store(tmp_path / "project.db", create=True).close()
    return tmp_path / "project.db"


def test_a_wait_is_told_once_after_two_seconds_and_never_given_up(database: Path) -> None:
    said: list[str] = []
    times = iter([0.0, 1.9, 2.0, 600.0])
    slept: list[float] = []
    wait = Waiting(database, None, said.append, lambda: next(times), slept.append)
    assert [wait(tried) for tried in range(4)] == [True] * 4
    assert said == [
        "waiting for the project's database: another process holds it; Ctrl-C ends the wait"
    ]
    assert slept == [0.001, 0.002, 0.005, 0.01]


def test_a_wait_with_a_limit_ends_at_it_and_a_new_one_begins_anew(database: Path) -> None:
    times = iter([0.0, 14.9, 15.0, 20.0, 34.9])
    wait = Waiting(database, 15.0, None, lambda: next(times), lambda seconds: None)
    assert [wait(tried) for tried in (0, 1, 2)] == [True, True, False]
    assert [wait(tried) for tried in (0, 1)] == [True, True]


def test_nobody_holds_a_database_at_rest(database: Path) -> None:
    assert holder(database) is None
    store = Store(database)
    with store.transaction():
        store.replace("meta", key="a", value="b")
        # This process itself is no other process.
        assert holder(database) is None
    store.close()


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs Linux")
def test_an_error_names_the_process_that_holds_the_database(database: Path) -> None:
    store = Store(database, busy_ms=50)
    with _held(database) as process:
        if holder(database) is None:
            pytest.skip("this system's list of locks does not show them")
        with pytest.raises(ColdalError) as caught, store.transaction():
            pass
        assert caught.value.code == "busy"
        assert caught.value.what.startswith(
            f"another process holds the project's database: process {process.pid} ("
        )
    store.close()


def test_a_patient_store_waits_and_says_for_whom(
    database: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TELL_S", 0.0)
    # Without patience it would give up at once.
    store = Store(database, busy_ms=0, patient=True)
    with _held(database) as process, caplog.at_level(logging.WARNING):
        assert process.stdin is not None
        release = threading.Timer(0.2, process.stdin.close)
        release.start()
        with store.transaction():
            store.replace("meta", key="waited", value="yes")
        release.join()
    assert store.value("SELECT value FROM meta WHERE key = 'waited'") == "yes"
    assert "waiting for the project's database" in caplog.text
    store.close()


def test_the_list_of_locks_is_read_as_the_system_writes_it(tmp_path: Path) -> None:
    database = tmp_path / "project.db"
    shared = tmp_path / "project.db-shm"
    for file in (database, shared):
        file.write_bytes(b"")
    found = shared.stat()
    where = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    locks = tmp_path / "locks"
    reader = f"1: POSIX  ADVISORY  READ  1 {where} 123 123\n"
    waits = f"2: -> POSIX  ADVISORY  WRITE 2 {where} 120 120\n"
    other = f"3: POSIX  ADVISORY  WRITE 3 {where} 121 121\n"
    locks.write_text(reader + waits + other)
    assert holder(database, locks) is None
    locks.write_text(
        reader + waits + other + f"4: POSIX  ADVISORY  WRITE 999999999 {where} 120 120"
    )
    assert holder(database, locks) == "process 999999999"
