"""Pulls what people drew on a server into the project's inbox, and imports it from there.

Each scan of each person is one file in ``incoming/NAME/``, the same bytes as long as nothing
changed; it goes through the same import as any other file. The cursor moves last, so that a pull
that was cut off asks for the same once more, and importing a file twice changes nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from json import loads
from pathlib import Path

from coldal_tui.connectors import Drawing
from coldal_tui.exchange.importers.shared.json_files import seconds
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.files import atomic_write, make_folder
from coldal_tui.project.labels.importing import ImportReport, import_masks
from coldal_tui.project.labels.watch_folder import INCOMING
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import safe_name
from coldal_tui.project.servers.connections import Connection, key_of

Progress = Callable[[int, int, str], None]

DRAWN, PARTLY, SKIPPED = "drawn", "partly", "skipped"


@dataclass(frozen=True)
class Word:
    """Something a person did with a scan that is no mask: skipped it, or wrote a comment."""

    scan_id: str
    person: str
    text: str = ""


@dataclass(frozen=True)
class PullReport:
    """What a pull brought. ``drawn``: new or changed drawings; ``minutes``: what they took.

    ``partly``: volumes of which slices are missing. ``strangers``: tasks on the server that this
    project did not push. ``report``: of the import; None when nothing new was drawn.
    """

    connection: str
    drawn: int = 0
    minutes: float = 0.0
    partly: tuple[Word, ...] = ()
    skipped: tuple[Word, ...] = ()
    comments: tuple[Word, ...] = ()
    strangers: int = 0
    requests: int = 0
    report: ImportReport | None = None
    dry_run: bool = False

    @property
    def news(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.drawn or self.partly or self.skipped or self.comments)


@dataclass(frozen=True)
class _New:
    """A drawing that the project does not have yet, and its scan."""

    scan_id: str
    drawing: Drawing
    sha256: str

    @property
    def word(self) -> Word:
        return Word(self.scan_id, self.drawing.person, self.drawing.comment)


def pull(
    project: Project,
    connection: Connection,
    *,
    options: ImportOptions | None = None,
    dry_run: bool = False,
    progress: Progress,
    import_progress: Progress | None = None,
) -> PullReport:
    """Bring new and changed drawings, and import them under the people who drew them.

    Raises
    ------
    ColdalError : the server refuses or can't be reached; the next pull goes on.
    """
    name = connection.name
    known, scans = _pushed(project, name)
    since = project.store.value("SELECT cursor FROM server_cursors WHERE connection = ?", (name,))
    pulled = connection.connector.pull(known, since or "", progress)
    new, strangers = _new(project, name, pulled.drawings, scans)
    folder = project.root / INCOMING / name
    drawn = [one for one in new if one.drawing.state == DRAWN]
    report = None
    if drawn:
        report = _import(project, folder, drawn, options, dry_run, import_progress)
    if not dry_run:
        _note(project, name, new, pulled.cursor)
    return PullReport(
        name,
        drawn=len(drawn),
        minutes=sum(one.drawing.minutes or 0.0 for one in drawn),
        partly=tuple(one.word for one in new if one.drawing.state == PARTLY),
        skipped=tuple(one.word for one in new if one.drawing.state == SKIPPED),
        comments=tuple(one.word for one in new if one.drawing.comment),
        strangers=pulled.strangers + strangers,
        requests=connection.connector.requests,
        report=report,
        dry_run=dry_run,
    )


def _pushed(project: Project, name: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The tasks of each key, and the scan of each key, also of scans that were not noted."""
    tasks: dict[str, list[str]] = {}
    scans: dict[str, str] = {}
    for row in project.store.rows("SELECT scan_id, round FROM queue"):
        scans[key_of(project, row["scan_id"], row["round"])] = row["scan_id"]
    query = "SELECT scan_id, round, tasks FROM server_items WHERE connection = ?"
    for row in project.store.rows(query, (name,)):
        key = key_of(project, row["scan_id"], row["round"])
        scans[key] = row["scan_id"]
        tasks[key] = loads(row["tasks"])
    return tasks, scans


def _new(
    project: Project, name: str, drawings: Iterable[Drawing], scans: dict[str, str]
) -> tuple[list[_New], int]:
    """Drawings that differ from what is known, and how many are of no scan of this project."""
    query = (
        "SELECT scan_id, person, state, sha256, comment FROM server_drawings WHERE connection = ?"
    )
    known = {
        (row["scan_id"], row["person"]): (row["state"], row["sha256"], row["comment"])
        for row in project.store.rows(query, (name,))
    }
    new, strangers = [], 0
    for one in drawings:
        scan_id = scans.get(one.key)
        if scan_id is None:
            strangers += 1
            continue
        digest = sha256(one.content).hexdigest() if one.content else ""
        if known.get((scan_id, one.person)) != (one.state, digest, one.comment):
            new.append(_New(scan_id, one, digest))
    return new, strangers


def _import(
    project: Project,
    folder: Path,
    drawn: Sequence[_New],
    options: ImportOptions | None,
    dry_run: bool,
    progress: Progress | None,
) -> ImportReport:
    """Import the new files, together with what other people drew on the same scans."""
    if dry_run:
        import tempfile

        with tempfile.TemporaryDirectory(dir=project.layout.cache) as place:
            files = _write(Path(place), drawn)
            return import_masks(
                project,
                Path(place),
                options=options,
                dry_run=True,
                only=files,
                progress=progress,
            )
    make_folder(folder)
    files = _write(folder, drawn)
    scans = {one.scan_id for one in drawn}
    others = {path for scan_id in scans for path in folder.glob(f"{_stem(scan_id)}--*")}
    return import_masks(project, folder, options=options, only=files | others, progress=progress)


def _write(folder: Path, drawn: Sequence[_New]) -> set[Path]:
    files = set()
    for one in drawn:
        # Two people whose addresses differ in a character that no file name has stay two.
        digits = sha256(one.drawing.person.encode()).hexdigest()[:6]
        person = f"{safe_name(one.drawing.person)}-{digits}"
        path = folder / f"{_stem(one.scan_id)}--{person}{one.drawing.suffix}"
        content = one.drawing.content
        atomic_write(path, lambda stream, content=content: stream.write(content))  # type: ignore[misc]
        moment = seconds(one.drawing.updated)
        if moment is not None:
            # The file is as old as the drawing: the time between drawings tells their pace.
            with contextlib.suppress(OSError, OverflowError, ValueError):
                os.utime(path, (moment, moment))
        files.add(path)
    return files


def _stem(scan_id: str) -> str:
    return safe_name(scan_id)


def _note(project: Project, name: str, new: Sequence[_New], cursor: str) -> None:
    with project.store.transaction():
        for one in new:
            project.store.replace(
                "server_drawings",
                connection=name,
                scan_id=one.scan_id,
                person=one.drawing.person,
                state=one.drawing.state,
                sha256=one.sha256,
                minutes=one.drawing.minutes,
                comment=one.drawing.comment,
                updated_at=one.drawing.updated,
            )
        if cursor:
            project.store.replace(
                "server_cursors", connection=name, cursor=cursor, asked_at=project.store.now()
            )
