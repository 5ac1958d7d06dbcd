"""Takes in new contents of a few known files without a comparison of all scans.

Only where nothing else can differ: the same files and settings as at the last index, and each
changed file holds one scan with the header that it had, and bytes that no other scan has or had,
and has no path of a mask. Then its patient, its name and what it is are what they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import msgspec

from coldal_tui.imaging.indexing import FoundScan, KnownFile, index_folder
from coldal_tui.imaging.walk import Walk
from coldal_tui.project.changed_images import suspend_labels
from coldal_tui.project.project import Project
from coldal_tui.project.scans.index_writes import write_shortly
from coldal_tui.project.scans.not_scans import is_judged_by_values
from coldal_tui.project.scans.unchanged import LastIndex, forget, settings_digest, settled

MOST = 100
"""Changed files up to which this pays."""
_PAGE = 2_000


class _Stamp(msgspec.Struct):
    size: int
    mtime_ns: int


class _Brief(msgspec.Struct):
    """The parts of a ``KnownFile`` that show a change; the rest is not decoded."""

    stamp: _Stamp
    companions: tuple[str, ...] = ()
    companion_stats: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Renewed:
    """A scan whose file was written again; ``changed``: with other bytes."""

    scan_id: str
    found: FoundScan
    known: KnownFile
    changed: bool


def few_changed(project: Project, walk: Walk, last: LastIndex | None) -> tuple[Renewed, ...] | None:
    """The scans whose files were written again since the last index; None: compare all scans."""
    if last is None or last.settings != settings_digest(project, walk):
        return None
    if last.files != len(walk.files) or project.config.images.channels or not settled(project):
        return None
    paths = _other_stamps(project, walk)
    if not paths or any(map(is_judged_by_values, paths)):
        return None
    result = index_folder(project.images, walk=Walk({path: walk.files[path] for path in paths}))
    if result.problems or len(result.scans) != len(paths):
        return None
    renewed = [_renewed(project, found, result.known[found.rel_path]) for found in result.scans]
    whole = tuple(one for one in renewed if one is not None)
    new = [one.found.quick_hash for one in whole if one.changed]
    if len(whole) != len(paths) or len(set(new)) != len(new):
        return None
    return whole


def _other_stamps(project: Project, walk: Walk) -> list[str] | None:
    """Known files with another size or time; None where that is not all that differs."""
    changed: list[str] = []
    last, count = "", 0
    while page := project.store.tuples(
        "SELECT rel_path, entry FROM files WHERE rel_path > ? ORDER BY rel_path LIMIT ?",
        (last, _PAGE),
    ):
        last, count = str(page[-1][0]), count + len(page)
        for rel_path, entry in page:
            now = walk.files.get(rel_path)
            try:
                known = msgspec.json.decode(entry, type=_Brief)
            except msgspec.DecodeError:
                return None  # written by another version
            if now is None:
                return None
            for name, stats in zip(known.companions, known.companion_stats, strict=True):
                there = walk.files.get(name)
                if there is None or (there.st_size, there.st_mtime_ns) != stats:
                    return None
            if (known.stamp.size, known.stamp.mtime_ns) != (now.st_size, now.st_mtime_ns):
                changed.append(rel_path)
        if len(changed) > MOST:
            return None
    return changed if count == len(walk.files) else None


def _renewed(project: Project, found: FoundScan, known: KnownFile) -> Renewed | None:
    """The scan of a file that was read again; None where more than its bytes may differ."""
    store = project.store
    entry = store.value("SELECT entry FROM files WHERE rel_path = ?", (found.rel_path,))
    try:
        old = msgspec.json.decode(entry, type=KnownFile)
    except msgspec.DecodeError:
        return None  # written by another version
    if (old.header, old.kind) != (known.header, known.kind) or known.header is None:
        return None
    if old.companions or known.companions or len(found.ref.files) != 1:
        return None
    rows = store.rows(
        "SELECT scan_id, quick_hash, state, duplicate_of FROM scans WHERE rel_path = ?",
        (found.rel_path,),
    )
    if len(rows) != 1 or rows[0]["state"] != "present" or rows[0]["duplicate_of"] is not None:
        return None
    (row,) = rows
    if row["quick_hash"] != old.stamp.quick_hash:
        return None
    # Equal bytes make a copy, or a file that has moved.
    others = store.value(
        "SELECT count(*) FROM scans WHERE scan_id != ? AND (quick_hash IN (?, ?) "
        "OR duplicate_of = ?)",
        (row["scan_id"], row["quick_hash"], found.quick_hash, row["scan_id"]),
    )
    if others or store.value("SELECT 1 FROM problems WHERE rel_path = ?", (found.rel_path,)):
        return None
    return Renewed(row["scan_id"], found, known, row["quick_hash"] != found.quick_hash)


def write(project: Project, renewed: tuple[Renewed, ...]) -> tuple[str, ...]:
    """Store what was read again; returns the scans whose labels were suspended.

    As in an index of all, the labels come first: after a crash the next index finds the change
    again.
    """
    store = project.store
    forget(project)
    with store.transaction():
        suspended = suspend_labels(project, [one.scan_id for one in renewed if one.changed])
    write_shortly(store, (partial(_store, project, one) for one in renewed))
    return tuple(suspended)


def _store(project: Project, one: Renewed) -> None:
    store = project.store
    if one.changed:
        # Results of a run for other bytes are no longer valid for this scan.
        store.execute("DELETE FROM scores WHERE scan_id = ?", (one.scan_id,))
        store.update(
            "scans", {"scan_id": one.scan_id},
            quick_hash=one.found.quick_hash, size=one.found.size, sha256=None,
        )  # fmt: skip
    store.replace(
        "files", rel_path=one.found.rel_path, entry=msgspec.json.encode(one.known).decode()
    )
