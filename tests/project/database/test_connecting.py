"""Connections wait for a process that holds the database for a moment."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from coldal_tui.project.database import connecting


@pytest.mark.parametrize("how", ["open_for_reading", "open_for_writing"])
def test_opening_waits_while_another_process_ends(tmp_path: Path, how: str) -> None:
    """Whoever closes a database last holds it alone: opening then is no error."""
    path = tmp_path / "project.db"
    other = apsw.Connection(str(path))
    other.execute(
        "PRAGMA journal_mode=WAL; CREATE TABLE t (n); INSERT INTO t VALUES (7)"
    ).fetchall()
    other.close()
    holder = apsw.Connection(str(path))
    holder.execute("PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES (8)").fetchall()
    release = threading.Timer(0.3, holder.close)
    release.start()
    opened = getattr(connecting, how)(path)
    release.join()
    connection = opened.connection if how == "open_for_reading" else opened
    assert connection.execute("SELECT n FROM t ORDER BY n").fetchall() == [(7,), (8,)]
    opened.close()
