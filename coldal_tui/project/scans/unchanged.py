"""Checks by a stored digest whether the images folder has changed since the last index.

The digest covers every file's path, size and time, and everything that decides how files are read:
the [images] section, the patients CSV and this program's version. If it is equal, there is nothing
to compare or write.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from coldal_tui.imaging.walk import Walk
from coldal_tui.project.project import Project
from coldal_tui.version import __version__

_KEY = "last_index"


class LastIndex(msgspec.Struct, frozen=True):
    """The result of the last index: the folder's digest, known files, scans without a patient.

    ``lookalikes`` are scans that look like masks or thumbnails but stay scans. ``settings`` is the
    digest of everything but the files; empty where an older version wrote it.
    """

    digest: str
    files: int
    no_patient: int
    lookalikes: tuple[str, ...] = ()
    settings: str = ""


def folder_digest(project: Project, walk: Walk) -> str:
    """BLAKE2b-256 (hex) of the images folder's files and the settings for reading them."""
    digest = hashlib.blake2b(settings_digest(project, walk).encode(), digest_size=32)
    for rel_path, facts in walk.files.items():
        _add(digest, rel_path, facts.st_size, facts.st_mtime_ns)
    return digest.hexdigest()


def settings_digest(project: Project, walk: Walk) -> str:
    """BLAKE2b-256 (hex) of all that decides how files are read, and of what could not be walked."""
    section = project.config.images
    digest = hashlib.blake2b(digest_size=32)
    _add(digest, __version__, project.images)
    digest.update(msgspec.json.encode(section))
    if section.patients_csv:
        # The patient rule has read it and reported an unreadable file.
        digest.update(Path(project.root, section.patients_csv).read_bytes())
    for lost in walk.lost:
        _add(digest, *lost)
    return digest.hexdigest()


def _add(digest: hashlib.blake2b, *parts: object) -> None:
    digest.update("\0".join(map(str, parts)).encode("utf-8", "surrogateescape") + b"\n")


def unchanged(project: Project, digest: str) -> LastIndex | None:
    """The last index if a new one would find and write the same, else None."""
    last = last_index(project)
    if last is None or last.digest != digest:
        return None
    if last.files != project.store.value("SELECT count(*) FROM files"):
        return None
    return last if settled(project) else None


def last_index(project: Project) -> LastIndex | None:
    """The result of the last index that ended; None where there is none to trust."""
    text = project.meta(_KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=LastIndex)
    except msgspec.DecodeError:
        return None  # written by another version


def settled(project: Project) -> bool:
    """Whether an index of the same files would find the same: no copy and no file waits for it."""
    store = project.store
    # A missing or forbidden file may be readable now, with the same digest.
    if store.value("SELECT 1 FROM problems WHERE code IN ('missing', 'no-permission') LIMIT 1"):
        return False
    # A copy that came into use may become the original.
    return not store.value(
        "WITH used AS (SELECT scan_id FROM labels WHERE state = 'active' "
        "UNION SELECT scan_id FROM queue) "
        "SELECT 1 FROM scans WHERE duplicate_of IS NOT NULL AND scan_id IN used "
        "AND duplicate_of NOT IN used LIMIT 1"
    )


def remember(project: Project, found: LastIndex) -> None:
    """Store the result of this index (inside a transaction)."""
    project.store.replace("meta", key=_KEY, value=msgspec.json.encode(found).decode())


def forget(project: Project) -> None:
    """Delete the stored result before writing, so that it is not trusted after a crash."""
    if project.meta(_KEY) is not None:
        with project.store.transaction():
            project.store.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
