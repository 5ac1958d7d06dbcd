"""Errors of the disk in words; what a group shares."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from coldal_tui.files import disk_error, open_to_append, share_all, share_tree


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_used_up_is_called_full(number: int) -> None:
    told = disk_error(OSError(number, os.strerror(number)), Path("/lab/labels/a.png"))
    assert (told.what, told.where) == ("the disk is full", "/lab/labels/a.png")
    assert told.remedy == "free space there, then run the same command again"


def test_a_disk_that_may_not_be_written_says_why() -> None:
    told = disk_error(OSError(errno.EROFS, os.strerror(errno.EROFS)), Path("/lab"))
    assert told.what == "can't write: Read-only file system"
    assert "free space" not in told.remedy


@pytest.fixture
def umask_077():
    before = os.umask(0o077)
    yield
    os.umask(before)


def modes(*paths: Path) -> list[str]:
    return [f"{stat.S_IMODE(path.stat().st_mode):o}" for path in paths]


@pytest.mark.usefixtures("umask_077")
@pytest.mark.parametrize(
    ("around", "folder", "file"),
    [(0o2770, "2770", "660"), (0o2775, "2770", "660"), (0o750, "700", "600")],
)
def test_what_is_made_has_the_bits_of_its_folder(
    tmp_path: Path, around: int, folder: str, file: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(around)
    (home / "made" / "in").mkdir(parents=True)
    (home / "made" / "in" / "a").touch()
    (home / "made" / "link").symlink_to(tmp_path / "elsewhere")
    share_tree(home / "made")
    open_to_append(home / "lock").close()
    made = home / "made", home / "made" / "in"
    assert modes(*made, made[1] / "a", home / "lock") == [folder, folder, file, file]
    # Of a process that shares all, nothing need be shared later.
    share_all(home)
    (home / "later").mkdir()
    (home / "later" / "b").touch()
    assert modes(home / "later", home / "later" / "b") == [folder, file]
