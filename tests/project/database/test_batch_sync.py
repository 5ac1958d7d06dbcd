"""Many files are synced together where that is certain; elsewhere each by itself."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.files import opening_mode, share
from coldal_tui.project.database import batch_sync
from coldal_tui.project.database.batch_sync import MANY, BatchSync

EXT4, OVERLAY = 0xEF53, 0x794C7630


class Kernel:
    """A C library that reports one kind of file system, and an error of syncfs."""

    def __init__(self, kind: int, error: int = 0) -> None:
        self.kind, self.error, self.together = kind, error, 0

    def fstatfs(self, _descriptor: int, found) -> int:
        found._obj[0] = self.kind
        return 0

    def syncfs(self, _descriptor: int) -> int:
        self.together += 1
        ctypes.set_errno(self.error)
        return -1 if self.error else 0


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(MANY)]
    for path in paths:
        path.write_bytes(b"label")
    return paths


def sync(monkeypatch, kernel: Kernel, files: list[Path], *, release="6.1.0-generic", unwritten=0):
    """The number of syncs of all, and of single files."""
    singly = []
    monkeypatch.setattr(batch_sync, "_libc", lambda: kernel)
    monkeypatch.setattr(batch_sync, "_unwritten_kib", lambda: unwritten)
    system = type("uname", (), {"sysname": "Linux", "release": release})
    monkeypatch.setattr("os.uname", lambda: system)
    monkeypatch.setattr("os.fsync", lambda descriptor: singly.append(os.fstat(descriptor).st_ino))
    syncing = BatchSync(files[0].parent)
    try:
        syncing.sync(files)
    finally:
        syncing.close()
    assert not singly or sorted(singly) == sorted(path.stat().st_ino for path in files)
    return kernel.together, len(singly)


def test_many_files_are_synced_together(monkeypatch, files):
    assert sync(monkeypatch, Kernel(EXT4), files) == (1, 0)


def test_few_files_are_synced_each(monkeypatch, files):
    assert sync(monkeypatch, Kernel(EXT4), files[1:]) == (0, MANY - 1)


@pytest.mark.parametrize(
    ("kernel", "more"),
    [
        (Kernel(OVERLAY), {}),
        (Kernel(EXT4), {"release": "5.15.0-91-generic"}),
        (Kernel(EXT4), {"release": "unknown"}),
        (Kernel(EXT4), {"unwritten": 10 << 20}),
    ],
    ids=["another file system", "an old kernel", "an unknown kernel", "a busy disk"],
)
def test_each_is_synced_where_one_sync_may_not_do(monkeypatch, files, kernel, more):
    assert sync(monkeypatch, kernel, files, **more) == (0, MANY)


def test_each_is_synced_where_the_call_is_not_allowed(monkeypatch, files):
    assert sync(monkeypatch, Kernel(EXT4, errno.EPERM), files) == (1, MANY)


def test_an_error_of_the_disk_is_told(monkeypatch, files):
    with pytest.raises(ColdalError, match=os.strerror(errno.EIO)) as caught:
        sync(monkeypatch, Kernel(EXT4, errno.EIO), files)

    assert (caught.value.code, caught.value.where) == ("disk", str(files[0].parent))


def test_what_the_system_says_is_understood(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert batch_sync._kind_of(descriptor) > 0
    finally:
        os.close(descriptor)
    assert 0 <= batch_sync._unwritten_kib() < float("inf")


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
@pytest.mark.parametrize("around", [0o700, 0o750, 0o770, 0o775, 0o2770, 0o2775, 0o2750])
def test_files_opened_with_the_folder_s_mode_are_shared_as_others_are(tmp_path, around, umask):
    folder = tmp_path / "labels"
    folder.mkdir()
    folder.chmod(around)
    before = os.umask(umask)
    try:
        with (folder / "one").open("xb") as stream:
            share(stream.fileno(), folder)
        mode, grouped = opening_mode(folder)
        descriptor = os.open(folder / "other", os.O_WRONLY | os.O_CREAT, mode)
        if grouped:
            share(descriptor, folder)
        os.close(descriptor)
    finally:
        os.umask(before)
    assert (folder / "one").stat().st_mode == (folder / "other").stat().st_mode
