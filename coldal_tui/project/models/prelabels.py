"""Pre-labels of other models: imported, listed, removed, and chosen for an export.

A pre-label goes to the labeler as a proposal. It never becomes a label by itself.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.files import disk_error, fsync_folder, make_folder, sha256_file, share_tree
from coldal_tui.imaging.image import label_suffix
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.align import placed_masks
from coldal_tui.project.labels.files import label_name
from coldal_tui.project.labels.source import open_source
from coldal_tui.project.labels.targets import targets
from coldal_tui.project.project import Project
from coldal_tui.project.runs import prediction_file
from coldal_tui.project.scans.new_ids import safe_name
from coldal_tui.visible import counted, escaped, listed

Progress = Callable[[int, int, str], None]
FOLDER = "prelabels"
OF_RUN = "run"
"""The name that stands for the newest run where a source of pre-labels is asked for."""
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Prelabel:
    """A proposal for one scan: its label file on the scan's own grid, and which model made it."""

    file: Path
    maker: str


@dataclass(frozen=True)
class PrelabelReport:
    """What an import of pre-labels did: the scans that have one now, and masks not used."""

    source: str
    scans: tuple[str, ...]
    replaced: int
    unchanged: int
    unused: tuple[Verdict, ...]


@dataclass(frozen=True)
class SourceFacts:
    """The pre-labels of one source."""

    source: str
    scans: tuple[str, ...]
    created_at: str


def import_prelabels(
    project: Project,
    masks: Path,
    source: str,
    *,
    match: str | None = None,
    progress: Progress | None = None,
) -> PrelabelReport:
    """Match masks to scans and store them as pre-labels of the model ``source``.

    Names, values and grids mean the same as in an import of masks. A scan has one pre-label of
    each source: a new one takes the place of the old one (``undo`` brings it back).

    Raises UsageError when the path is missing or the name is none; ColdalError (``disk``) when a
    file can't be written.
    """
    source = _checked_name(source)
    if not masks.exists():
        raise UsageError("there is nothing here", where=str(masks), remedy="check the path")
    known = {target.scan_id: target for target in targets(project)}
    records = {scan.scan_id: scan for scan in project.scans_named(known)}
    wanted = {name: (known[name], record.header()) for name, record in records.items()}
    room = project.layout.cache / f"prelabels-{secrets.token_hex(6)}"
    found: dict[str, tuple[Verdict, Path]] = {}
    unused: list[Verdict] = []
    try:
        make_folder(room)
        with open_source(project, masks) as opened:
            for verdict, path in placed_masks(
                project, opened.path, wanted, room, match=match, progress=progress
            ):
                if path is None or verdict.scan_id is None or verdict.status != "accepted":
                    unused.append(opened.named(verdict))
                else:
                    found[verdict.scan_id] = (opened.named(verdict), path)
            unused += opened.left_out
        return _store(project, source, found, unused)
    except OSError as error:
        raise disk_error(error, room) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _checked_name(source: str) -> str:
    name = source.strip()
    if not name or len(name) > _LONGEST_NAME or escaped(name) != name or name == OF_RUN:
        raise UsageError(
            f"{source!r} can't be the name of a model",
            where="--source",
            remedy=f"name the model in at most {_LONGEST_NAME} characters, such as "
            "TotalSegmentator",
            code="source",
        )
    return name


def _store(
    project: Project,
    source: str,
    found: dict[str, tuple[Verdict, Path]],
    unused: Sequence[Verdict],
) -> PrelabelReport:
    store = project.store
    before = {
        row["scan_id"]: row["sha256"]
        for row in store.rows("SELECT scan_id, sha256 FROM prelabels WHERE source = ?", (source,))
    }
    digests = {scan_id: sha256_file(path) for scan_id, (_, path) in found.items()}
    new = [scan_id for scan_id in sorted(found) if before.get(scan_id) != digests[scan_id]]
    if new:
        folder = project.layout.state / FOLDER / safe_name(source)
        make_folder(folder)
        for scan_id in new:
            path = found[scan_id][1]
            share_tree(path)
            path.replace(folder / _kept_name(project, scan_id, digests[scan_id]))
        fsync_folder(folder)
        with store.action("prelabels", source=source) as action:
            for scan_id in new:
                verdict = found[scan_id][0]
                store.execute(
                    "DELETE FROM prelabels WHERE scan_id = ? AND source = ?", (scan_id, source)
                )
                file = folder / _kept_name(project, scan_id, digests[scan_id])
                store.insert(
                    "prelabels",
                    scan_id=scan_id,
                    source=source,
                    file=project.layout.relative(file),
                    sha256=digests[scan_id],
                    origin=verdict.origin,
                    origin_sha256=verdict.sha256 or "",
                    geometry=verdict.geometry,
                    created_at=store.now(),
                )
            action.summary = f"{counted(len(new), 'pre-label')} by {source}"
            action.inputs = {scan_id: digests[scan_id] for scan_id in new}
    return PrelabelReport(
        source,
        tuple(sorted(found)),
        sum(scan_id in before for scan_id in new),
        len(found) - len(new),
        tuple(unused),
    )


def _kept_name(project: Project, scan_id: str, digest: str) -> str:
    # Its content is in the name: the file of a replaced pre-label stays, for undo.
    suffix = label_suffix(project.scan(scan_id).header())
    return label_name(scan_id, suffix, digest[:12])


def list_prelabels(project: Project) -> list[SourceFacts]:
    """The sources of pre-labels, by name."""
    found: dict[str, list[Row]] = {}
    for row in project.store.rows("SELECT * FROM prelabels ORDER BY source, scan_id"):
        found.setdefault(row["source"], []).append(row)
    return [
        SourceFacts(
            source,
            tuple(row["scan_id"] for row in rows),
            max(row["created_at"] for row in rows),
        )
        for source, rows in found.items()
    ]


def remove_prelabels(project: Project, source: str, scan_ids: Sequence[str] = ()) -> int:
    """Forget the pre-labels of a source, or only those of some scans; return how many.

    Raises UsageError when there is none. ``undo`` brings them back: their files are kept.
    """
    rows = project.store.rows("SELECT scan_id FROM prelabels WHERE source = ?", (source,))
    there = {row["scan_id"] for row in rows}
    wanted = there if not scan_ids else set(scan_ids)
    if not wanted or not wanted <= there:
        missing = sorted(wanted - there)
        names = [one.source for one in list_prelabels(project)]
        raise UsageError(
            f"no pre-label by {source!r}" + (f" of {listed(missing)}" if missing else ""),
            where=project.name,
            remedy=f"there are pre-labels by: {listed(names)}" if names else "there are none",
            code="no-prelabel",
        )
    with project.store.action("prelabels", source=source, removed=sorted(wanted)) as action:
        for scan_id in sorted(wanted):
            project.store.execute(
                "DELETE FROM prelabels WHERE scan_id = ? AND source = ?", (scan_id, source)
            )
        action.summary = f"removed {counted(len(wanted), 'pre-label')} by {source}"
    return len(wanted)


class Prelabels:
    """Chooses the pre-label of each scan for one export.

    ``first`` names the source to prefer (``OF_RUN``: the newest run). Without it the newest run's
    prediction counts where there is one, else the pre-label that was imported last.
    """

    def __init__(self, project: Project, run_id: str | None, first: str | None = None) -> None:
        self._project = project
        self._run_id = run_id
        self._first = None if first == OF_RUN else first
        rows = project.store.rows("SELECT * FROM prelabels ORDER BY created_at, prelabel_id")
        self._rows: dict[str, dict[str, Row]] = {}
        for row in rows:
            # The one imported last comes last in the order of the keys.
            of_scan = self._rows.setdefault(row["scan_id"], {})
            of_scan.pop(row["source"], None)
            of_scan[row["source"]] = row
        sources = {row["source"] for row in rows}
        if self._first is not None and self._first not in sources:
            raise UsageError(
                f"there are no pre-labels by {self._first!r}",
                where=project.name,
                remedy=f"use one of: {', '.join([OF_RUN, *sorted(sources)])}",
                code="no-prelabel",
            )

    def of(self, scan_id: str) -> Prelabel | None:
        """The pre-label of a scan.

        Raises ColdalError (code ``prelabel-changed``) where its file is not the imported one.
        """
        rows = self._rows.get(scan_id, {})
        if self._first in rows:
            return self._checked(rows[self._first])
        predicted = prediction_file(self._project, self._run_id, scan_id)
        if predicted is not None and self._run_id is not None:
            return Prelabel(predicted, self._run_id)
        return self._checked(list(rows.values())[-1]) if rows else None

    def _checked(self, row: Row) -> Prelabel:
        path = self._project.file_of(row["file"])
        try:
            whole = sha256_file(path) == row["sha256"]
        except OSError:
            whole = False
        if not whole:
            raise ColdalError(
                f"the pre-label of {row['scan_id']} by {row['source']} is gone or changed",
                where=str(path),
                remedy="import it again, or: coldal-tui prelabels remove --source NAME",
                code="prelabel-changed",
            )
        return Prelabel(path, row["source"])
