"""Updates the project's list of scans from the images folder."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.indexing import (
    FileProblem,
    FoundScan,
    IndexResult,
    KnownFile,
    find_duplicates,
    index_folder,
)
from coldal_tui.imaging.walk import found_files
from coldal_tui.project.changed_images import suspend_labels
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import labelled_scans
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.scans.cases import join_cases
from coldal_tui.project.scans.few_changed import FewChanges, few_changed, write
from coldal_tui.project.scans.index_writes import file_writes, scan_writes, write_shortly
from coldal_tui.project.scans.new_ids import new_ids
from coldal_tui.project.scans.not_scans import Cases, find_cases, find_not_scans
from coldal_tui.project.scans.patients import PatientRule
from coldal_tui.project.scans.same_person import SamePerson, find_same_person
from coldal_tui.project.scans.unchanged import (
    LastIndex,
    folder_digest,
    forget,
    last_index,
    remember,
    settings_digest,
    unchanged,
)
from coldal_tui.project.trust_questions import patients_elsewhere, require_trust

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class IndexReport:
    """The result of an index: ids of scans, and files that belong to no scan.

    ``suspended`` are scans whose image changed after labeling. ``lookalikes`` look like masks, but
    were scans before. ``cases`` (first index only): most files are parts of cases.
    ``patients_alike``: names that differ only in case or blanks. ``same_person`` (first index
    without a rule for patients): files that are probably of one person, each a patient of its own.
    """

    scans: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    duplicates: dict[str, str] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    no_patient: int = 0
    read: int = 0
    suspended: tuple[str, ...] = ()
    lookalikes: tuple[str, ...] = ()
    cases: Cases | None = None
    patients_alike: tuple[tuple[str, ...], ...] = ()
    same_person: SamePerson | None = None


def reindex(
    project: Project, *, progress: Progress | None = None, accept_removals: bool = False
) -> IndexReport:
    """Index the images folder and record what was added, changed, moved and removed.

    Raises
    ------
    ColdalError : the folder is missing, or every known scan is (code ``all-gone``): an unmounted
        disk must not empty a project.
    """
    images = project.images
    if not images.is_dir():
        raise ColdalError(
            "the images folder is not there",
            where=str(images),
            remedy="mount it, or set dir under [images] in coldal.toml",
            code="no-images",
        )
    section = project.config.images
    if patients_elsewhere(project.layout, project.config):
        require_trust(project.layout, project.config)
    patients = PatientRule(section, project.root)
    exclude = (*section.exclude, *_own_folders(project))
    walk = found_files(images, include=section.include, exclude=exclude)
    digest = folder_digest(project, walk)
    last = unchanged(project, digest)
    if last is not None:
        return _same_again(project, last)
    last = last_index(project)
    few = few_changed(project, walk, last, patients)
    if last is not None and few is not None:
        suspended = write(project, few, patients)
        last = msgspec.structs.replace(
            last, digest=digest, files=len(walk.files), no_patient=few.no_patient
        )
        return _same_again(project, last, few, suspended)
    result = index_folder(images, known=_known(project), walk=walk, progress=progress)
    before = {scan.scan_id: scan for scan in project.scans()}
    result, lookalikes = _without_masks(project, result, before)
    if section.channels:
        scans, problems = join_cases(result.scans, section.channels)
        result = msgspec.structs.replace(
            result, scans=scans, problems=tuple(sorted((*result.problems, *problems), key=_path))
        )
    matches = _match(project, result.scans, before)
    present = [scan_id for scan_id, scan in before.items() if scan.state == "present"]
    if present and not set(present) & set(matches) and not accept_removals:
        raise ColdalError(
            f"all {len(present)} known scans are gone",
            where=str(images),
            remedy="is the disk mounted, and dir right in coldal.toml? "
            "If they were really removed: index --accept-removals",
            code="all-gone",
        )
    patients.prepare([found.rel_path for found in matches.values()])
    settings = settings_digest(project, walk)
    report = _record(project, result, matches, before, patients, digest, settings, lookalikes)
    told = before or section.patients_pattern or section.channels
    cases = None if told else find_cases(result.scans)
    ruled = told or section.patients_csv or cases is not None
    same = None if ruled else find_same_person(_without_patient(project))
    return replace(report, cases=cases, patients_alike=_patients_alike(project), same_person=same)


def _without_patient(project: Project) -> list[str]:
    """The files of the scans that are a patient of their own."""
    rows = project.store.tuples(
        "SELECT rel_path FROM scans WHERE state = 'present' "
        "AND patient_id = 'scan:' || scan_id ORDER BY rel_path"
    )
    return [str(path) for (path,) in rows]


def _patients_alike(project: Project) -> tuple[tuple[str, ...], ...]:
    """Patients whose names differ only in case or blanks, such as P1 and p1."""
    groups: dict[str, list[str]] = {}
    for (name,) in project.store.tuples(
        "SELECT DISTINCT patient_id FROM scans WHERE state = 'present' ORDER BY patient_id"
    ):
        groups.setdefault("".join(str(name).casefold().split()), []).append(str(name))
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def _path(problem: FileProblem) -> str:
    return problem.rel_path


def _without_masks(
    project: Project, result: IndexResult, before: Mapping[str, ScanRecord]
) -> tuple[IndexResult, tuple[str, ...]]:
    """Remove masks and thumbnails beside scans from the index; list them as problems.

    Those that are already scans of the project stay and are reported: an existing project keeps its
    scans.
    """
    if project.config.images.keep_masks:
        return result, ()
    known = {scan.rel_path: scan_id for scan_id, scan in before.items() if scan.state == "present"}
    others = find_not_scans(result.scans)
    left = {path: problem for path, problem in others.items() if path not in known}
    problems = sorted((*result.problems, *left.values()), key=_path)
    kept = msgspec.structs.replace(
        result,
        scans=tuple(scan for scan in result.scans if scan.rel_path not in left),
        problems=tuple(problems),
    )
    return kept, tuple(sorted(known[path] for path in others if path in known))


def _same_again(
    project: Project,
    last: LastIndex,
    few: FewChanges | None = None,
    suspended: tuple[str, ...] = (),
) -> IndexReport:
    """The report of an index that found nothing changed but what a few files hold."""
    store = project.store
    scans = store.value("SELECT count(*) FROM scans WHERE state = 'present'")
    problems = store.rows("SELECT rel_path, code, reason, kind FROM problems ORDER BY rel_path")
    added, moved = (tuple(sorted(few.added)), tuple(sorted(few.moved))) if few else ((), ())
    changed, removed = (few.changed, few.removed) if few else ((), ())
    with store.action("index", undoable=False) as action:
        action.summary = f"indexed {scans} scans: nothing has changed"
        action.params = {"images": str(project.images), "problems": len(problems)}
        if few is not None:
            remember(project, last)
            action.summary = _told(scans, added, changed, moved, removed)
        if suspended:
            action.summary += f"; {len(suspended)} labels suspended"
            action.params["suspended"] = list(suspended)
    copies = store.tuples(
        "SELECT scan_id, duplicate_of FROM scans "
        "WHERE duplicate_of IS NOT NULL AND state = 'present'"
    )
    return IndexReport(
        scans=scans,
        added=added,
        changed=changed,
        moved=moved,
        removed=removed,
        suspended=suspended,
        read=len(few.known) if few else 0,
        duplicates=dict(copies),
        problems=tuple(FileProblem(**row) for row in problems),
        no_patient=last.no_patient,
        lookalikes=last.lookalikes,
        patients_alike=_patients_alike(project),
    )


def _known(project: Project) -> dict[str, KnownFile]:
    known = {}
    for row in project.store.rows("SELECT rel_path, entry FROM files"):
        try:
            known[row["rel_path"]] = msgspec.json.decode(row["entry"], type=KnownFile)
        except msgspec.DecodeError:
            continue  # written by another version: that file is read again
    return known


def _own_folders(project: Project) -> list[str]:
    """The project's own folders, when the project lies inside the images folder."""
    layout = project.layout
    own = []
    for folder in (layout.state, layout.labels, layout.exports):
        if folder.is_relative_to(project.images):
            own.append(glob.escape(folder.relative_to(project.images).as_posix()) + "/*")
    return own


def _record(
    project: Project,
    result: IndexResult,
    matches: Mapping[str, FoundScan],
    before: Mapping[str, ScanRecord],
    patients: PatientRule,
    digest: str,
    settings: str,
    lookalikes: tuple[str, ...],
) -> IndexReport:
    duplicates = _duplicates(project, result.scans, matches, before)
    added, changed, moved, returned = [], [], [], []
    for scan_id, found in sorted(matches.items()):
        old = before.get(scan_id)
        if old is None:
            added.append(scan_id)
            continue
        if old.state != "present":
            returned.append(scan_id)
        if old.quick_hash != found.quick_hash:
            changed.append(scan_id)
        elif old.rel_path != found.rel_path:
            moved.append(scan_id)
    removed = [s for s, old in before.items() if s not in matches and old.state == "present"]
    store = project.store
    forget(project)
    with store.transaction():
        # Before the scans are written: after a crash the next index finds the change again.
        suspended = suspend_labels(project, changed)
    write_shortly(store, scan_writes(project, matches, duplicates, before, patients))
    write_shortly(
        store,
        (partial(store.update, "scans", {"scan_id": one}, state="missing") for one in removed),
    )
    write_shortly(store, file_writes(store, result))
    with store.action("index", undoable=False) as action:
        remember(
            project,
            LastIndex(digest, len(result.known), len(patients.unmatched), lookalikes, settings),
        )
        action.summary = _told(len(matches), added, changed, moved, removed)
        action.params = {"images": str(project.images), "problems": len(result.problems)}
        if suspended:
            action.summary += f"; {len(suspended)} labels suspended"
            action.params["suspended"] = list(suspended)
    return IndexReport(
        scans=len(matches),
        suspended=suspended,
        added=tuple(added),
        changed=tuple(changed),
        moved=tuple(moved),
        removed=tuple(sorted(removed)),
        returned=tuple(returned),
        duplicates=duplicates,
        problems=result.problems,
        no_patient=len(patients.unmatched),
        lookalikes=lookalikes,
        read=result.read,
    )


def _told(
    scans: int,
    added: Sequence[str],
    changed: Sequence[str],
    moved: Sequence[str],
    removed: Sequence[str],
) -> str:
    """The line of the journal for an index."""
    return (
        f"indexed {scans} scans: {len(added)} added, {len(changed)} changed, "
        f"{len(moved)} moved, {len(removed)} removed"
    )


def _match(
    project: Project, scans: Iterable[FoundScan], before: Mapping[str, ScanRecord]
) -> dict[str, FoundScan]:
    """Find the ``scan_id`` of every found scan.

    The same bytes at the same path; else the same bytes elsewhere (moved: labels follow the
    bytes, also where files swapped names); else the same path (changed); else a new one.
    """
    # Of several that were once at a path, the one that is there now.
    by_path: dict[str, str] = {}
    for scan_id, scan in sorted(before.items(), key=lambda item: item[1].state == "present"):
        by_path[scan.rel_path] = scan_id
    matched: dict[str, FoundScan] = {}
    rest: list[FoundScan] = []
    for found in scans:
        old = by_path.get(found.rel_path)
        if old is not None and before[old].quick_hash == found.quick_hash:
            matched[old] = found
        else:
            rest.append(found)
    moved = _moved(rest, [scan for scan_id, scan in before.items() if scan_id not in matched])
    matched |= moved
    placed = {found.rel_path for found in moved.values()}
    new = []
    for found in rest:
        old = by_path.get(found.rel_path)
        if found.rel_path in placed:
            continue
        if old is not None and old not in matched:
            matched[old] = found
        else:
            new.append(found)
    return matched | new_ids(project.images.name, new, taken=set(before))


def _moved(found: Iterable[FoundScan], gone: Iterable[ScanRecord]) -> dict[str, FoundScan]:
    """Find scans whose bytes are now at another path.

    Different large files can have the same quick hash. Among several, the file name decides;
    without a matching name, only copies of one another are paired.
    """
    here: dict[str, list[FoundScan]] = {}
    for one in found:
        here.setdefault(one.quick_hash, []).append(one)
    there: dict[str, list[ScanRecord]] = {}
    for scan in sorted(gone, key=lambda scan: (scan.state != "present", scan.scan_id)):
        there.setdefault(scan.quick_hash, []).append(scan)
    moved: dict[str, FoundScan] = {}
    for digest in sorted(here.keys() & there.keys()):
        now, old = list(here[digest]), list(there[digest])
        for name in sorted({_file_name(one.rel_path) for one in now}):
            ours = [one for one in now if _file_name(one.rel_path) == name]
            theirs = [scan for scan in old if _file_name(scan.rel_path) == name]
            if len(ours) == len(theirs) == 1:
                moved[theirs[0].scan_id] = ours[0]
                now.remove(ours[0])
                old.remove(theirs[0])
        sure = len(old) == len(now) == 1
        if sure or (
            old and now and _one_content(old) and len(find_duplicates(now)) == len(now) - 1
        ):
            moved |= {scan.scan_id: one for scan, one in zip(old, now, strict=False)}
    return moved


def _file_name(rel_path: str) -> str:
    return PurePosixPath(rel_path).name


def _one_content(scans: list[ScanRecord]) -> bool:
    """Whether all of them are copies of one scan."""
    return len({scan.duplicate_of or scan.scan_id for scan in scans}) == 1


def _duplicates(
    project: Project,
    scans: Sequence[FoundScan],
    matches: Mapping[str, FoundScan],
    before: Mapping[str, ScanRecord],
) -> dict[str, str]:
    """``copy → original``; scans with a label, in the queue or original before stay originals."""
    copies = find_duplicates(scans)
    if not copies:
        return {}
    ids = {found.rel_path: scan_id for scan_id, found in matches.items()}
    groups: dict[int, list[str]] = {}
    for copy, first in copies.items():
        groups.setdefault(first, [ids[scans[first].rel_path]]).append(ids[scans[copy].rel_path])
    used = labelled_scans(project) | {
        row["scan_id"] for row in project.store.rows("SELECT scan_id FROM queue")
    }

    def rank(scan_id: str) -> tuple[bool, bool, str]:
        old = before.get(scan_id)
        was_original = old is not None and old.duplicate_of is None and old.state == "present"
        return scan_id not in used, not was_original, scan_id

    duplicates: dict[str, str] = {}
    for members in groups.values():
        kept = min(members, key=rank)
        duplicates |= {scan_id: kept for scan_id in members if scan_id != kept}
    return duplicates
