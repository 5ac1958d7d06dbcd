"""Turns SQLite's errors about disks and files into errors with a remedy."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw

from coldal_tui.errors import ColdalError
from coldal_tui.project.database.waiting import holder

_LEAST_BYTES = 256 * 1024

_TROUBLES: dict[type[apsw.Error], tuple[str, str, str]] = {
    apsw.BusyError: (
        "another process holds the project's database",
        "try again in a moment; coldal-tui jobs list shows what is running",
        "busy",
    ),
    apsw.FullError: (
        "the disk is full; nothing was changed",
        "free space and run the same command again",
        "disk",
    ),
    apsw.CantOpenError: (
        "the project's database can't be opened",
        "check that the folder exists and that you may write to it",
        "cant-open",
    ),
    apsw.ReadOnlyError: (
        "the project's database can't be written",
        "check that you may write to its folder",
        "read-only",
    ),
    apsw.IOError: (
        "the disk failed to read or write the project's database",
        "check the disk or the network, then run the same command again",
        "disk",
    ),
    apsw.NotADBError: (
        "the project's database is damaged",
        "coldal-tui restore puts a backup back; images, labels and coldal.toml are not touched",
        "damaged",
    ),
}
_TROUBLES[apsw.CorruptError] = _TROUBLES[apsw.NotADBError]


@contextlib.contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors on the database at ``path`` as ``ColdalError``."""
    try:
        yield
    except tuple(_TROUBLES) as error:
        trouble = next(known for kind, known in _TROUBLES.items() if isinstance(error, kind))
        if isinstance(error, apsw.IOError) and is_full(path):
            # Without room for the files beside the database, SQLite reports a broken one.
            trouble = _TROUBLES[apsw.FullError]
        what, remedy, code = trouble
        if code == "busy" and (who := holder(path)) is not None:
            what = f"{what}: {who}"
        raise ColdalError(what, where=str(path), remedy=remedy, code=code) from error


def is_full(path: Path) -> bool:
    """Whether the disk below ``path`` has no room for another transaction."""
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_BYTES
    except OSError:
        return False
