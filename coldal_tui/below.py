"""Paths that somebody else may have written: resolved below the folder they belong to, or refused.

A project's database, its job specifications, receipts and manifests may come from another person.
Every path in them is opened, written or removed only after it went through here.
"""

from __future__ import annotations

import os
from pathlib import Path

from coldal_tui.errors import ColdalError


def below(folder: Path, name: str, *, links: bool = False) -> Path:
    """``folder / name``, which lies below ``folder``.

    ``links``: a link may lead out, as in a folder of images, which its owner arranges.

    Raises ColdalError (code ``outside``) for an absolute path, one that climbs out by ``..``, the
    folder itself, and, without ``links``, one that leads out by a link.
    """
    # The usual name costs next to nothing here: there may be a million of them.
    if not name or name[0] == "/" or "\0" in name or (".." in name and ".." in name.split("/")):
        raise outside(name, folder)
    path = folder / name
    if path == folder:
        raise outside(name, folder)
    if not links:
        stay_below(folder, path)
    return path


def stay_below(folder: Path, path: Path) -> None:
    """ColdalError (code ``outside``) unless ``path``, its links followed, lies below ``folder``."""
    home = os.path.realpath(folder)
    real = os.path.realpath(path)
    if not real.startswith(home.rstrip("/") + "/"):
        raise outside(str(path), folder)


def plain_name(name: str, what: str) -> str:
    """``name`` when it can be one part of a path; ColdalError (code ``outside``) when not."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ColdalError(
            f"this {what} can't be part of a file's name",
            where=repr(name),
            remedy="the project's database was written by another program or tampered with; "
            "don't use this project before whoever gave it to you has explained it",
            code="outside",
        )
    return name


def outside(name: str, folder: Path) -> ColdalError:
    """The error of a stored path that leads out of its folder."""
    return ColdalError(
        f"a stored path leads out of the folder it belongs to ({folder})",
        where=name or "an empty path",
        remedy="nothing there was touched; the project was tampered with or its folders were "
        "replaced by links: don't use it before whoever gave it to you has explained it",
        code="outside",
    )
