"""Errors of the disk in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from coldal_tui.files import disk_error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_used_up_is_called_full(number: int) -> None:
    told = disk_error(OSError(number, os.strerror(number)), Path("/lab/labels/a.png"))
    assert (told.what, told.where) == ("the disk is full", "/lab/labels/a.png")
    assert told.remedy == "free space there, then run the same command again"


def test_a_disk_that_may_not_be_written_says_why() -> None:
    told = disk_error(OSError(errno.EROFS, os.strerror(errno.EROFS)), Path("/lab"))
    assert told.what == "can't write: Read-only file system"
    assert "free space" not in told.remedy
