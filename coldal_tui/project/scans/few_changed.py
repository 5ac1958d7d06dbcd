"""Takes in a few files that were added, removed, moved or written again, without comparing all.

Only where nothing else can differ: the same settings as at the last index, and each file holds one
scan by itself (no header with a data file), whose bytes no other scan has or had, and is neither a
mask or a thumbnail by its path nor the scan of one. A file that was written again keeps its header;
one that is gone and one that is new are a move where they hold the same bytes. DICOM files may come
as whole series, of which there was no file before. Files that hold no scan may come, go and change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.indexing import (
    FileProblem,
    FoundScan,
    IndexResult,
    KnownFile,
    data_files,
    index_folder,
)
from coldal_tui.imaging.walk import Walk
from coldal_tui.project.changed_images import suspend_labels
from coldal_tui.project.project import Project
from coldal_tui.project.scans.index_writes import (
    Write,
    insert_scan,
    scan_values,
    update_scan,
    write_shortly,
)
from coldal_tui.project.scans.new_ids import new_ids
from coldal_tui.project.scans.not_scans import bears_on_others, is_judged_by_values
from coldal_tui.project.scans.patients import PatientRule
from coldal_tui.project.scans.unchanged import LastIndex, forget, settings_digest, settled

MOST = 1_000
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


class _Series(msgspec.Struct):
    series: str


class _OfSeries(msgspec.Struct):
    """The part of a ``KnownFile`` that tells its series."""

    dicom: _Series | None = None


@dataclass(frozen=True)
class Renewed:
    """A scan whose file was written again; ``changed``: with other bytes."""

    scan_id: str
    found: FoundScan
    changed: bool


@dataclass(frozen=True)
class FewChanges:
    """The changes since the last index: new scans, moved ones and removed ones by ``scan_id``.

    ``known`` are the entries of files that were read, ``problems`` why some of them are no scans,
    ``gone`` the paths without a file now, and ``no_patient`` is the number of scans without a
    patient afterwards.
    """

    renewed: tuple[Renewed, ...] = ()
    added: dict[str, FoundScan] = field(default_factory=dict)
    moved: dict[str, FoundScan] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    known: dict[str, KnownFile] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    no_patient: int = 0

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(sorted(one.scan_id for one in self.renewed if one.changed))


@dataclass(frozen=True)
class _Paths:
    """Paths that differ from the last index: written again, new and gone."""

    written: list[str]
    new: list[str]
    gone: list[str]


@dataclass(frozen=True)
class _Old:
    """A stored scan in one file, and the entry of its file."""

    scan_id: str
    entry: KnownFile

    @property
    def digest(self) -> str:
        return self.entry.stamp.quick_hash


def few_changed(
    project: Project, walk: Walk, last: LastIndex | None, patients: PatientRule
) -> FewChanges | None:
    """The changes since the last index where they are few and simple; None: compare all scans."""
    if last is None or last.settings != settings_digest(project, walk):
        return None
    if project.config.images.channels or not settled(project):
        return None
    paths = _differing(project, walk, last)
    if paths is None or any(map(is_judged_by_values, paths.written)):
        return None
    moving = (*paths.new, *paths.gone)
    if not project.config.images.keep_masks and bears_on_others(moving, (*walk.files, *paths.gone)):
        return None
    found = _read(project, walk, paths)
    if found is None:
        return None
    none = {path for path in (*paths.written, *paths.gone) if _held_none(project, path)}
    if any((path in none) != _holds_none(found.known[path]) for path in paths.written):
        return None
    old = {path: _old(project, path) for path in (*paths.written, *paths.gone) if path not in none}
    known = {path: one for path, one in old.items() if one is not None}
    if len(known) != len(old) or not _alone(project, known, found, paths.new):
        return None
    result = _sorted_out(project, paths, known, found)
    if result is None:
        return None
    return _with_patients(result, known, patients, last)


def _differing(project: Project, walk: Walk, last: LastIndex) -> _Paths | None:
    """The paths that differ; None where there are none or many, or where more differs."""
    if abs(len(walk.files) - last.files) > MOST:
        return None
    paths = _Paths([], [], [])
    new, count, after = set(walk.files), 0, ""
    while page := project.store.tuples(
        "SELECT rel_path, entry FROM files WHERE rel_path > ? ORDER BY rel_path LIMIT ?",
        (after, _PAGE),
    ):
        after, count = str(page[-1][0]), count + len(page)
        for rel_path, entry in page:
            new.discard(rel_path)
            now = walk.files.get(rel_path)
            try:
                known = msgspec.json.decode(entry, type=_Brief)
            except msgspec.DecodeError:
                return None  # written by another version
            for name, stats in zip(known.companions, known.companion_stats, strict=True):
                there = walk.files.get(name)
                if there is None or (there.st_size, there.st_mtime_ns) != stats:
                    return None
            if now is None:
                paths.gone.append(rel_path)
            elif (known.stamp.size, known.stamp.mtime_ns) != (now.st_size, now.st_mtime_ns):
                paths.written.append(rel_path)
        if len(paths.gone) + len(paths.written) > MOST:
            return None
    if count != last.files:
        return None
    paths.new.extend(sorted(new))
    return paths if 0 < len(paths.gone) + len(paths.written) + len(new) <= MOST else None


def _read(project: Project, walk: Walk, paths: _Paths) -> IndexResult | None:
    """Read the new files and those written again; None where what others hold may count, too."""
    names = sorted((*paths.written, *paths.new))
    result = index_folder(project.images, walk=Walk({path: walk.files[path] for path in names}))
    new, series = set(paths.new), set()
    for path in names:
        known = result.known.get(path)
        if known is None:
            return None  # a name that can't be stored
        if known.dicom is not None:
            if path not in new:
                return None
            series.add(known.dicom.series)
        elif not _holds_none(known) and (
            # Of a file that was written again since it was read, the next index tells.
            known.kind is None or not _is_whole(known) or _data(project, path, known.kind)
        ):
            return None
    return None if series and _has_some(project, series) else result


def _has_some(project: Project, series: set[str]) -> bool:
    """Whether a known file belongs to one of these DICOM series; its scans may change, too."""
    after = ""
    while page := project.store.tuples(
        "SELECT rel_path, entry FROM files WHERE rel_path > ? ORDER BY rel_path LIMIT ?",
        (after, _PAGE),
    ):
        after = str(page[-1][0])
        for _, entry in page:
            try:
                known = msgspec.json.decode(entry, type=_OfSeries).dicom
            except msgspec.DecodeError:
                return True  # written by another version
            if known is not None and known.series in series:
                return True
    return False


def _holds_none(known: KnownFile) -> bool:
    """Whether a file holds no scan, and no part of one."""
    return known.problem is not None and known.header is None and known.dicom is None


def _held_none(project: Project, rel_path: str) -> bool:
    """Whether a file held no scan at the last index."""
    known = _entry(project, rel_path)
    return known is not None and _holds_none(known)


def _entry(project: Project, rel_path: str) -> KnownFile | None:
    """What the last index knew of a file; None where another version wrote it."""
    entry = project.store.value("SELECT entry FROM files WHERE rel_path = ?", (rel_path,))
    try:
        return msgspec.json.decode(entry, type=KnownFile)
    except msgspec.DecodeError:
        return None


def _data(project: Project, rel_path: str, kind: str) -> bool:
    """Whether the voxels lie in another file, or can't be told to lie in this one."""
    try:
        return bool(data_files(project.images / rel_path, kind))
    except (OSError, ColdalError):
        return True


def _is_whole(known: KnownFile) -> bool:
    """Whether the file was a scan by itself: no DICOM, no header with a data file."""
    return known.header is not None and not known.companions


def _old(project: Project, rel_path: str) -> _Old | None:
    """The scan that a file held at the last index; None where it held no scan by itself."""
    store = project.store
    known = _entry(project, rel_path)
    if known is None:
        return None
    rows = store.rows(
        "SELECT scan_id, quick_hash, state, duplicate_of FROM scans WHERE rel_path = ?",
        (rel_path,),
    )
    if len(rows) != 1 or rows[0]["state"] != "present" or rows[0]["duplicate_of"] is not None:
        return None
    (row,) = rows
    if row["quick_hash"] != known.stamp.quick_hash or not _is_whole(known):
        return None
    if store.value("SELECT 1 FROM problems WHERE rel_path = ?", (rel_path,)):
        return None
    return _Old(row["scan_id"], known)


def _alone(project: Project, old: dict[str, _Old], found: IndexResult, new: Sequence[str]) -> bool:
    """Whether no other scan has or had the bytes or the path of one of these."""
    digests = {one.digest for one in old.values()} | {one.quick_hash for one in found.scans}
    ids = {one.scan_id for one in old.values()}
    # Equal bytes make a copy, or a scan that comes back; a path of old names a scan again.
    touched = project.store.tuples(
        "SELECT scan_id FROM scans WHERE quick_hash IN (SELECT value FROM json_each(?1)) "
        "OR duplicate_of IN (SELECT value FROM json_each(?2)) "
        "OR rel_path IN (SELECT value FROM json_each(?3))",
        tuple(msgspec.json.encode(sorted(some)).decode() for some in (digests, ids, new)),
    )
    return all(scan_id in ids for (scan_id,) in touched)


def _sorted_out(
    project: Project, paths: _Paths, old: dict[str, _Old], found: IndexResult
) -> FewChanges | None:
    """Who is new, moved, removed or written again; None where two have or had equal bytes."""
    read = {scan.rel_path: scan for scan in found.scans}
    digests = [one.digest for one in old.values()]
    if len(set(digests)) != len(digests):
        return None
    owner = {old[path].digest: path for path in old}
    written, renewed = set(paths.written), []
    added: list[FoundScan] = []
    moved: dict[str, FoundScan] = {}
    for path, scan in read.items():
        held = owner.get(scan.quick_hash)
        if path in written:
            was = old[path]
            if held not in (None, path) or was.entry.header != found.known[path].header:
                return None
            if was.entry.kind != found.known[path].kind:
                return None
            renewed.append(Renewed(was.scan_id, scan, held != path))
        elif held is None:
            added.append(scan)
        elif held in written:
            return None
        else:
            moved[old[held].scan_id] = scan
    if len({scan.quick_hash for scan in read.values()}) != len(read):
        return None
    removed = tuple(
        sorted(
            old[path].scan_id
            for path in paths.gone
            if path in old and old[path].scan_id not in moved
        )
    )
    present = project.store.value("SELECT count(*) FROM scans WHERE state = 'present'")
    if len(removed) == present:
        return None  # an unmounted disk is not told from an empty folder here
    taken: Iterable[str] = ()
    if added:
        taken = (row[0] for row in project.store.tuples("SELECT scan_id FROM scans"))
    return FewChanges(
        tuple(renewed),
        new_ids(project.images.name, added, taken),
        moved,
        removed,
        tuple(paths.gone),
        dict(found.known),
        found.problems,
    )


def _with_patients(
    changes: FewChanges,
    old: dict[str, _Old],
    patients: PatientRule,
    last: LastIndex,
) -> FewChanges:
    """The changes, with the number of scans without a patient after them."""
    gone = [path for path in changes.gone if path in old]
    come = [(one.rel_path, name, one) for name, one in (changes.added | changes.moved).items()]
    patients.prepare([*gone, *(path for path, _, _ in come)])
    start = len(patients.unmatched)
    for path in gone:
        header = old[path].entry.header
        patients.patient(path, old[path].scan_id, header.patient_id if header else None)
    before = len(patients.unmatched)
    for path, name, found in come:
        patients.patient(path, name, found.header.patient_id)
    more = len(patients.unmatched) - before - (before - start)
    return replace(changes, no_patient=last.no_patient + more)


def write(project: Project, changes: FewChanges, patients: PatientRule) -> tuple[str, ...]:
    """Store the changes; returns the scans whose labels were suspended.

    As in an index of all, the labels come first and the entries of files last: after a crash the
    next index finds the change again.
    """
    store = project.store
    forget(project)
    with store.transaction():
        suspended = suspend_labels(project, changes.changed)
    write_shortly(store, _writes(project, changes, patients))
    return tuple(suspended)


def _writes(project: Project, changes: FewChanges, patients: PatientRule) -> Iterator[Write]:
    store = project.store
    for one in changes.renewed:
        if one.changed:
            yield partial(_renew, project, one)
    for names, put in ((changes.moved, update_scan), (changes.added, insert_scan)):
        for scan_id, found in sorted(names.items()):
            values = scan_values(project, scan_id, found, None, patients)
            yield partial(put, project, scan_id, found, values)
    for scan_id in changes.removed:
        yield partial(store.update, "scans", {"scan_id": scan_id}, state="missing")
    for rel_path in changes.gone:
        yield partial(_leave_out, project, rel_path)
    for problem in changes.problems:
        yield partial(store.replace, "problems", **msgspec.structs.asdict(problem))
    for rel_path, known in changes.known.items():
        entry = msgspec.json.encode(known).decode()
        yield partial(store.replace, "files", rel_path=rel_path, entry=entry)


def _leave_out(project: Project, rel_path: str) -> None:
    for table in ("problems", "files"):
        project.store.execute(f"DELETE FROM {table} WHERE rel_path = ?", (rel_path,))


def _renew(project: Project, one: Renewed) -> None:
    store = project.store
    # Results of a run for other bytes are no longer valid for this scan.
    store.execute("DELETE FROM scores WHERE scan_id = ?", (one.scan_id,))
    store.update(
        "scans", {"scan_id": one.scan_id},
        quick_hash=one.found.quick_hash, size=one.found.size, sha256=None,
    )  # fmt: skip
