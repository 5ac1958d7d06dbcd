"""Label files on disk: the path of each version, and keeping files and rows consistent."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.files import fsync_folder, make_folder, sha256_file
from coldal_tui.project.database.backups import UNTIDY_KEY
from coldal_tui.project.database.store import Row, told
from coldal_tui.project.identity import lost_actions
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project

SUFFIXES = (".nii.gz", ".png")
STAGED = "staged-"
LABEL_CHANGED = "label-changed"
_REPAIR = (
    "coldal-tui doctor --repair puts back what was accepted where that file is still there, "
    "and takes in as a new version what was changed by hand"
)
_ABANDONED_S = 24 * 3600
_NAMED = 5


def label_name(scan_id: str, suffix: str, version: str = "") -> str:
    """The file name of a scan's active label, or of another version."""
    return f"{scan_id}.{version}{suffix}" if version else f"{scan_id}{suffix}"


def stored_file(project: Project, row: Row) -> Path | None:
    """The file of the version in a row of ``labels``; None when it is missing.

    A process that ended right after a redo leaves it under its withdrawn name until the next
    command that writes.
    """
    kept = project.layout.label_versions / _version_name(row)
    if kept.exists():
        return kept
    active = project.file_of(row["file"])
    if row["state"] == "active" and active.exists():
        return active
    withdrawn = project.layout.label_versions / _withdrawn_name(row)
    return withdrawn if withdrawn.exists() else None


def checked_labels(project: Project, rows: Iterable[Row]) -> dict[str, Path]:
    """The files of rows of ``labels`` by scan, checked against the accepted hash.

    Raises ColdalError (code ``label-changed``) that names labels whose file is missing or changed.
    """
    found: dict[str, Path] = {}
    wrong: list[str] = []
    for row in rows:
        path = stored_file(project, row)
        if path is None:
            wrong.append(f"{row['scan_id']} (gone)")
        elif is_whole(path, row):
            found[row["scan_id"]] = path
        else:
            wrong.append(f"{row['scan_id']} (changed)")
    if wrong:
        raise ColdalError(
            f"{len(wrong)} of {len(wrong) + len(found)} label files are not the ones that were "
            f"accepted: {', '.join(wrong[:_NAMED])}{', …' if len(wrong) > _NAMED else ''}",
            where=str(project.layout.labels),
            remedy=_REPAIR,
            code=LABEL_CHANGED,
        )
    return found


def checked_label(project: Project, row: Row) -> Path:
    """The file of one row of ``labels``; raises ColdalError as ``checked_labels`` does."""
    path = stored_file(project, row)
    if path is None or not is_whole(path, row):
        what = "gone" if path is None else "not the one that was accepted"
        raise ColdalError(
            f"the label's file is {what}",
            where=str(path or project.file_of(row["file"])),
            remedy=_REPAIR,
            code=LABEL_CHANGED,
        )
    return path


def is_whole(path: Path, row: Row) -> bool:
    """Whether the file has the accepted hash of this label."""
    try:
        return sha256_file(path) == str(row["sha256"])
    except OSError:
        return False


def unknown_files(project: Project) -> list[Path]:
    """Label files without a row that should have one; withdrawn files need none."""
    if project.meta(UNTIDY_KEY) is not None:
        # Files are not matched to rows yet; the next command that writes does it.
        return []
    known = set(project.store.tuples("SELECT scan_id, version FROM labels"))
    active = {
        str(file).rpartition("/")[2]
        for (file,) in project.store.tuples(
            "SELECT file FROM labels WHERE state IN ('active', 'suspended')"
        )
    }
    found = []
    for path in sorted(_entries(project.layout.labels)):
        if _is_label(path) and path.name not in active:
            found.append(path)
    for path in sorted(_entries(project.layout.label_versions)):
        stem, suffix = split_name(path.name)
        scan_id, _, kind = stem.rpartition(".")
        numbered = kind[:1] == "v" and kind[1:].isdigit()
        if suffix and numbered and (scan_id, int(kind[1:])) not in known:
            found.append(path)
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def remove_abandoned(project: Project) -> None:
    """Remove old files that a killed import had staged; by age, as an import may be running.

    A staged file that a row refers to is a label whose renaming was lost: it is renamed.
    """
    staged = list(project.layout.label_versions.glob(f"*.{STAGED}*"))
    rows = _rows_by_content(project) if staged else {}
    for path in staged:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime <= _ABANDONED_S:
                continue
            stem, _ = split_name(path.name)
            row = rows.get((stem.rpartition(".")[0], sha256_file(path)))
            if row is None:
                path.unlink()
            elif stored_file(project, row) is None:
                path.replace(project.layout.label_versions / _version_name(row))


def _rows_by_content(project: Project) -> dict[tuple[str, str], Row]:
    rows = project.store.rows("SELECT scan_id, version, sha256, state, file FROM labels")
    return {(row["scan_id"], row["sha256"]): row for row in rows}


def tidy_if_left(project: Project) -> None:
    """Match label files to their rows when an earlier process could not."""
    if project.meta(UNTIDY_KEY) is not None:
        tidy_label_files(project)


def tidy_label_files(project: Project) -> None:
    """Run ``reconcile_label_files`` after an action that is stored already.

    Errors are reported, not raised: labels are found in either folder, and the next import,
    training or undo repeats this step.
    """
    try:
        reconcile_label_files(project)
    except (ColdalError, OSError) as error:
        told(f"it is done, but the label files could not be moved to their places yet: {error}")


def reconcile_label_files(project: Project) -> None:
    """Keep exactly the active versions in ``labels/`` and the others in ``labels/versions/``.

    No label is deleted: files without a row (of an undone import) are kept as ``withdrawn``. Files
    that are not labels stay where they are. The database's write lock is held, so that no other
    process does the same at the same time.
    """
    layout = project.layout
    make_folder(layout.label_versions)
    with project.store.transaction():
        rows = project.store.rows(
            "SELECT scan_id, version, sha256, state, file FROM labels ORDER BY label_id"
        )
        active = {row["file"].rpartition("/")[2]: row for row in rows if row["state"] == "active"}
        by_hash = {(row["scan_id"], row["sha256"]): row["version"] for row in rows}
        labels, versions = layout.labels, layout.label_versions
        waiting = {entry.name for entry in os.scandir(versions)}
        if lost_actions(project.store) is None:
            waiting -= _withdraw(rows, waiting, versions)
        waiting |= _bring_back(rows, waiting, layout)
        for path in sorted(labels.iterdir()):
            if _is_label(path) and not _in_place(path, active, waiting):
                _put_away(path, by_hash, versions)
        there = {entry.name for entry in os.scandir(labels)}
        for name, row in active.items():
            version = _version_name(row)
            if version in waiting and name not in there:
                os.replace(f"{versions}/{version}", f"{labels}/{name}")  # noqa: PTH105 - thousands
        if project.meta(UNTIDY_KEY) is not None:
            # Only what is on the disk is done.
            for folder in (versions, labels):
                fsync_folder(folder)
            project.store.execute("DELETE FROM meta WHERE key = ?", (UNTIDY_KEY,))


def _withdraw(rows: list[Row], waiting: set[str], versions: Path) -> set[str]:
    """Rename versions whose rows an undo took back, so that a later version can't replace them."""
    known = {_version_name(row) for row in rows}
    found = set()
    for name in waiting - known:
        stem, suffix = split_name(name)
        scan_id, _, kind = stem.rpartition(".")
        if suffix and scan_id and kind[:1] == "v" and kind[1:].isdigit():
            path = versions / name
            digest = sha256_file(path)
            path.replace(versions / f"{scan_id}.withdrawn-{digest[:8]}{suffix}")
            found.add(name)
    return found


def _bring_back(rows: list[Row], waiting: set[str], layout: Layout) -> set[str]:
    """Rename files that an undo withdrew and whose rows a redo restored.

    A label that was imported again after the undo already has its file.
    """
    found, versions = set(), layout.label_versions
    for row in rows:
        name = _version_name(row)
        withdrawn = _withdrawn_name(row)
        stem, suffix = split_name(row["file"].rpartition("/")[2])
        if withdrawn in waiting and name not in waiting:
            path, there = versions / withdrawn, layout.labels / f"{stem}{suffix}"
            anew = row["state"] == "active" and there.is_file()
            if anew and sha256_file(there) == row["sha256"]:
                continue
            if sha256_file(path) == row["sha256"]:
                path.replace(versions / name)
                found.add(name)
    return found


def _is_label(path: Path) -> bool:
    return path.name.endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()


def _in_place(path: Path, active: dict[str, Row], waiting: set[str]) -> bool:
    row = active.get(path.name)
    if row is None:
        return False
    return _version_name(row) not in waiting or sha256_file(path) == row["sha256"]


def _put_away(path: Path, by_hash: dict[tuple[str, str], int], versions: Path) -> None:
    digest = sha256_file(path)
    stem, suffix = split_name(path.name)
    version = by_hash.get((stem, digest))
    name = f"v{version}" if version is not None else f"withdrawn-{digest[:8]}"
    path.replace(versions / f"{stem}.{name}{suffix}")


def _version_name(row: Row) -> str:
    stem, suffix = split_name(row["file"].rpartition("/")[2])
    return f"{stem}.v{row['version']}{suffix}"


def _withdrawn_name(row: Row) -> str:
    """The name of a version's file while an undo has taken its row back."""
    stem, suffix = split_name(row["file"].rpartition("/")[2])
    return f"{stem}.withdrawn-{row['sha256'][:8]}{suffix}"


def split_name(name: str) -> tuple[str, str]:
    """The scan id and the extension in a label file's name."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""
