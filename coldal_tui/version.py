"""The version of coldal-tui, and the commit that it was made from."""

from __future__ import annotations

import os
from pathlib import Path

__version__ = "0.1.0"
"""The release: what digests are made with, the same for all its commits."""

PACKAGE = Path(__file__).resolve().parent
COMMIT_FILE = "commit.txt"
"""Beside this file in an sdist and a wheel; ``scripts/build_hook.py`` writes it."""


def full_version(package: Path = PACKAGE) -> str:
    """``0.1.0+g1234abcde``, where the commit of ``package`` is known, else ``0.1.0``."""
    try:
        commit = (package / COMMIT_FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        commit = git_commit(package.parent)
    return f"{__version__}+g{commit}" if commit.isalnum() else __version__


def git_commit(root: Path) -> str:
    """The first digits of the checked-out commit; "" where ``root`` is no checkout, or without git.

    A folder inside another checkout is none: that commit is not its own.
    """
    if not (root / ".git").exists():
        return ""
    import subprocess  # here: each start imports this module

    command = ["git", "-C", str(root), "rev-parse", "--short=9", "HEAD"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, env=plain, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
