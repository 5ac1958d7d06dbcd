"""Three people of one group share a project, whatever their umasks; only root can be three."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from tests.support.places import ROOT


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be several people")
def test_three_people_of_one_group_lock_nobody_out() -> None:
    # Not below pytest's own folder, which is closed to others.
    with tempfile.TemporaryDirectory(prefix="coldal-people-") as folder:
        words = [sys.executable, "-m", "tests.faults.people", folder, "002", "022", "077"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]
