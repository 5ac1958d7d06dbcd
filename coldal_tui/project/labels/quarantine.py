"""Quarantine: masks that were not accepted, kept with the reason until a person decides."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.header_parts import companion_files
from coldal_tui.exchange.incoming.importing import Verdict
from coldal_tui.exchange.names import file_stem, person_key
from coldal_tui.files import atomic_write, disk_error, make_folder, sha256_file
from coldal_tui.project.database.store import Row
from coldal_tui.project.project import Project

WAITING, RESOLVED, REJECTED = "waiting", "resolved", "rejected"
ARCHIVE = "archive"
"""The format of an archive that could not be unpacked."""

_LONGEST_NAME = 200
"""Bytes; file systems take 255, and a file is written beside its place first."""

_CONTEXT = 3
"""Folders above the files whose names are kept."""

_JOINED_KEY = re.compile(r"\d+ (?:files|slices) [0-9a-f]{16}")

NO_SCAN = "no-scan"
"""The code of a mask that found no scan."""


def put_in_quarantine(
    project: Project, verdict: Verdict, kept: str, match: str | None = None
) -> None:
    """Record the reason and the copy's path (inside an action); update a known mask.

    ``match`` is the pattern of ``--match``, needed to join the files of one mask again.

    A mask is known by its content, key and scan; without a scan, or when the file can't be read, by
    its file.
    """
    store = project.store
    sha256, source = verdict.sha256 or "", _storable(verdict.origin)
    known = store.row(
        "SELECT quarantine_id, code, message, file, joined FROM quarantine WHERE state = ? "
        "AND scan_id IS ? AND source_sha256 = ? AND source_key = ? AND (source = ? OR "
        "(scan_id IS NOT NULL AND source_sha256 != ''))",
        (WAITING, verdict.scan_id, sha256, verdict.key, source),
    )
    code = NO_SCAN if verdict.status == "unmatched" else verdict.code
    reason = {
        "code": code,
        "message": _storable(verdict.explanation),
        "file": kept,
        "joined": describe_joined(verdict, match),
    }
    if verdict.scan_id is not None:
        # No scan was found for it the last time.
        store.execute(
            "UPDATE quarantine SET state = ? WHERE state = ? AND scan_id IS NULL "
            "AND source_sha256 = ? AND source_key = ? AND source_sha256 != ''",
            (RESOLVED, WAITING, sha256, verdict.key),
        )
    if known is None:
        store.insert(
            "quarantine",
            scan_id=verdict.scan_id,
            source=source,
            source_sha256=sha256,
            source_key=verdict.key,
            format=verdict.format,
            state=WAITING,
            created_at=store.now(),
            class_name=verdict.class_name,
            author=verdict.author,
            nearest=list(verdict.nearest),
            **reason,
        )
    elif any(known[key] != value for key, value in reason.items()):
        store.update("quarantine", {"quarantine_id": known["quarantine_id"]}, **reason)


def keep_copy(project: Project, verdict: Verdict) -> str:
    """Copy the source to ``.coldal/quarantine``; return the path relative to the project.

    Further files of the mask are copied to the same relative places. Empty for an unreadable file
    and for an archive: only the reason is kept for those.
    """
    if verdict.sha256 is None or verdict.format == ARCHIVE:
        return ""
    parts = verdict.parts or _companions(verdict.file)
    common = Path(os.path.commonpath([verdict.file.parent, *(part.parent for part in parts)]))
    # A part that links to a place outside the source is not the labeler's file.
    home = f"{os.path.realpath(common).rstrip('/')}/"
    parts = tuple(part for part in parts if os.path.realpath(part).startswith(home))
    common = joined_root(verdict) if is_joined(verdict.key) else common
    folder = project.layout.quarantine / _content_name(verdict.sha256, verdict.parts)
    for file in parts:
        _copy(file, folder / file.relative_to(common))
    place = verdict.file.relative_to(common)
    if not parts and not _is_plain(place.name):
        place = Path(f"mask{_ending(place.name)}")
    return project.layout.relative(folder / place) if _copy(verdict.file, folder / place) else ""


def _storable(text: str) -> str:
    """Text that can be stored: bytes of a name that are not UTF-8 become ``\\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_plain(name: str) -> bool:
    """Whether this file name is valid in any folder and can be stored as text."""
    return name == _storable(name) and len(name.encode()) <= _LONGEST_NAME


def _ending(name: str) -> str:
    return name[len(file_stem(name)) :]


def _companions(file: Path) -> tuple[Path, ...]:
    try:
        return companion_files(file)
    except ColdalError:
        return ()


def _content_name(sha256: str, parts: Sequence[Path]) -> str:
    """A folder name from the contents of a file and its parts."""
    if not parts:
        return sha256[:16]
    made = hashlib.sha256(sha256.encode())
    for part in sorted(parts):
        with contextlib.suppress(OSError):
            made.update(f"{part.name} {sha256_file(part)}\n".encode())
    return made.hexdigest()[:16]


def _copy(source: Path, target: Path) -> bool:
    if target.exists():
        return True
    try:
        stream = source.open("rb")
    except OSError:
        return False
    with stream:
        try:
            make_folder(target.parent)
        except OSError as error:
            raise disk_error(error, target.parent) from error
        atomic_write(target, lambda copy: shutil.copyfileobj(stream, copy))
        with contextlib.suppress(OSError):
            # When the mask was drawn is asked of the copy, too.
            drawn = os.fstat(stream.fileno()).st_mtime
            os.utime(target, (drawn, drawn))
    return True


def resolve_quarantine(
    project: Project,
    labelled: Mapping[str, tuple[str | None, str]],
    open_: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Close the quarantine of scans whose masks have been accepted.

    Also close these masks (hash of the file, key within it) when they waited because no scan was
    found. Masks of other scans in the same file stay. ``open_`` are scans that other people's
    drawings count for, too, with the people (``person_key``) whose drawings were accepted: what
    somebody else sent for them still has to be mended.
    """
    for row in project.store.rows(
        "SELECT quarantine_id, scan_id, source_sha256, source_key, author FROM quarantine "
        "WHERE state = ?",
        (WAITING,),
    ):
        mask, scan_id = (row["source_sha256"], row["source_key"]), row["scan_id"]
        if scan_id is None:
            done = mask in labelled.values()
        elif open_ and scan_id in open_ and mask != labelled.get(scan_id):
            done = person_key(row["author"] or "") in open_[scan_id]
        else:
            done = scan_id in labelled
        if done:
            here = {"quarantine_id": row["quarantine_id"]}
            project.store.update("quarantine", here, state=RESOLVED)


def waiting(project: Project) -> list[Row]:
    return project.store.rows(
        "SELECT quarantine_id, scan_id, file, source, source_key, source_sha256, format, code, "
        "message, created_at, class_name, author, nearest, joined FROM quarantine WHERE state = ? "
        "ORDER BY quarantine_id",
        (WAITING,),
    )


def select_waiting(project: Project, words: Sequence[str]) -> list[Row]:
    """Select quarantined masks by number, else by scan; all when ``words`` is empty."""
    rows = waiting(project)
    if not words:
        return rows
    chosen: dict[int, Row] = {}
    for word in words:
        found = [row for row in rows if str(row["quarantine_id"]) == word] or [
            row for row in rows if row["scan_id"] == word
        ]
        if not found:
            raise UsageError(
                "nothing in quarantine under this name",
                where=word,
                remedy="coldal-tui labels list shows the numbers",
            )
        chosen |= {row["quarantine_id"]: row for row in found}
    return list(chosen.values())


def reject_quarantined(project: Project, rows: Sequence[Row]) -> None:
    """Reject these masks for good; their files stay where they are."""
    with project.store.action("quarantine reject") as action:
        for row in rows:
            project.store.update(
                "quarantine", {"quarantine_id": row["quarantine_id"]}, state=REJECTED
            )
        action.summary = f"rejected {len(rows)} masks in quarantine"


def is_joined(key: str) -> bool:
    """Whether a mask's key says that it was joined from several files or slices."""
    return _JOINED_KEY.fullmatch(key) is not None


def joined_root(verdict: Verdict) -> Path:
    """The folder to which the paths of a joined mask's files are relative.

    It is a few folders above them: their names may say which scan and class a file is of.
    """
    files = (verdict.file, *verdict.parts)
    common = Path(os.path.commonpath([file.parent for file in files]))
    return common.parents[min(_CONTEXT, len(common.parents)) - 1] if common.parents else common


def describe_joined(verdict: Verdict, match: str | None) -> str:
    """What the quarantine keeps of a joined mask, as JSON; empty for any other.

    ``match`` is the pattern of ``--match`` that the import used.
    """
    if not is_joined(verdict.key):
        return ""
    files = list(dict.fromkeys((verdict.file, *verdict.parts)))
    root = joined_root(verdict)
    names = [file.relative_to(root).as_posix() for file in files]
    return json.dumps({"root": str(root), "files": names, "match": match})
