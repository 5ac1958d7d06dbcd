"""Whether the images folder still is as the last index found it, told by one stored digest.

The digest is over every file's path, size and time, and over all that decides what becomes of
them: the [images] section, the patients CSV, this program's version. Where it is the same there
is nothing to compare and nothing to write.
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
    """What the last index found: the folder's digest, known files, scans without a patient.

    ``lookalikes`` are scans that look like masks or thumbnails, and stay scans.
    """

    digest: str
    files: int
    no_patient: int
    lookalikes: tuple[str, ...] = ()


def folder_digest(project: Project, walk: Walk) -> str:
    """BLAKE2b-256 (hex) of a walk through the images folder and of what reads it."""
    section = project.config.images
    digest = hashlib.blake2b(digest_size=32)

    def add(*parts: object) -> None:
        digest.update("\0".join(map(str, parts)).encode("utf-8", "surrogateescape") + b"\n")

    add(__version__, project.images)
    digest.update(msgspec.json.encode(section))
    if section.patients_csv:
        # The rule itself has read it and has told of a file that can't be read.
        digest.update(Path(project.root, section.patients_csv).read_bytes())
    for lost in walk.lost:
        add(*lost)
    for rel_path, facts in walk.files.items():
        add(rel_path, facts.st_size, facts.st_mtime_ns)
    return digest.hexdigest()


def unchanged(project: Project, digest: str) -> LastIndex | None:
    """The last index, when another would find and write the same; None when it might not."""
    text = project.meta(_KEY)
    if text is None:
        return None
    try:
        last = msgspec.json.decode(text, type=LastIndex)
    except msgspec.DecodeError:
        return None  # written by another version
    store = project.store
    if last.digest != digest or last.files != store.value("SELECT count(*) FROM files"):
        return None
    # A file that was not there or not allowed to be read may be by now, and looks the same.
    if store.value("SELECT 1 FROM problems WHERE code IN ('missing', 'no-permission') LIMIT 1"):
        return None
    # A copy that has come into use takes the place of an original that has not.
    if store.value(
        "WITH used AS (SELECT scan_id FROM labels WHERE state = 'active' "
        "UNION SELECT scan_id FROM queue) "
        "SELECT 1 FROM scans WHERE duplicate_of IS NOT NULL AND scan_id IN used "
        "AND duplicate_of NOT IN used LIMIT 1"
    ):
        return None
    return last


def remember(project: Project, found: LastIndex) -> None:
    """Keep what this index found (inside a transaction)."""
    project.store.replace("meta", key=_KEY, value=msgspec.json.encode(found).decode())


def forget(project: Project) -> None:
    """Before anything is written: were this index cut short, the next must not trust the last."""
    if project.meta(_KEY) is not None:
        with project.store.transaction():
            project.store.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
