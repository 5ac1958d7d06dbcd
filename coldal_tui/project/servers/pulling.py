"""Pulls what people drew on a server into the project's inbox, and imports it from there.

Each scan of each person is one file in ``incoming/NAME/``, the same bytes as long as nothing
changed; it goes through the same import as any other file. The cursor moves last, so that a pull
that was cut off asks for the same once more, and importing a file twice changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from json import loads
from pathlib import Path

from coldal_tui.connectors import Drawing
from coldal_tui.exchange.deidentify.keys import PSEUDONYM_OF_PERSON
from coldal_tui.exchange.importers.shared.json_files import seconds
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.manifest import JSON_NAME, to_json
from coldal_tui.exchange.names import file_stem
from coldal_tui.files import atomic_write, make_folder
from coldal_tui.project.labels.importing import ImportReport, import_masks
from coldal_tui.project.labels.watch_folder import INCOMING
from coldal_tui.project.project import Project
from coldal_tui.project.pseudonyms import all_keys
from coldal_tui.project.scans.new_ids import safe_name
from coldal_tui.project.servers.connections import Connection, key_of
from coldal_tui.visible import counted

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
        one = replace(one, person=_real_name(project, one.person, scan_id))
        digest = _digest(one)
        if known.get((scan_id, one.person)) != (one.state, digest, one.comment):
            new.append(_New(scan_id, one, digest))
    return new, strangers


def _real_name(project: Project, name: str, scan_id: str) -> str:
    """Who is behind the pseudonym of a de-identified push; any other name as it is."""
    if not re.fullmatch(PSEUDONYM_OF_PERSON, name):
        return name
    found = [
        keys.people[name]
        for keys in all_keys(project)
        if name in keys.people and scan_id in (key.scan_id for key in keys.scans.values())
    ]
    people = set(found)
    if len(people) > 1:
        asked = project.store.value("SELECT assignee FROM queue WHERE scan_id = ?", (scan_id,))
        people &= set(str(asked or "").split(","))
    return people.pop() if len(people) == 1 else name


def _digest(drawing: Drawing) -> str:
    """The hash of a drawing's bytes; empty where there are none."""
    if not drawing.files:
        return sha256(drawing.content).hexdigest() if drawing.content else ""
    named = ((path.encode(), sha256(content).digest()) for path, content in drawing.files)
    return sha256(b"\0".join(part for pair in named for part in pair)).hexdigest()


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
            files = _write(project, Path(place), drawn)
            return import_masks(
                project,
                Path(place),
                options=options,
                dry_run=True,
                only=files,
                progress=progress,
            )
    make_folder(folder)
    files = _write(project, folder, drawn)
    scans = {one.scan_id for one in drawn}
    found = (path for scan_id in scans for path in folder.glob(f"{_stem(scan_id)}--*"))
    others = {file for path in found for file in (path.rglob("*") if path.is_dir() else (path,))}
    return import_masks(project, folder, options=options, only=files | others, progress=progress)


def _write(project: Project, folder: Path, drawn: Sequence[_New]) -> set[Path]:
    files = set()
    for one in drawn:
        # Two people whose addresses differ in a character that no file name has stay two.
        digits = sha256(one.drawing.person.encode()).hexdigest()[:6]
        person = f"{safe_name(one.drawing.person)}-{digits}"
        path = folder / f"{_stem(one.scan_id)}--{person}"
        if one.drawing.files:
            named = [(path / name, content) for name, content in one.drawing.files]
            named.append((path / JSON_NAME, _manifest(project, one).encode()))
        else:
            named = [(path.with_name(f"{path.name}{one.drawing.suffix}"), one.drawing.content)]
        moment = seconds(one.drawing.updated)
        for file, content in named:
            files.add(_put(file, content, moment))
    return files


def _put(path: Path, content: bytes, moment: float | None) -> Path:
    make_folder(path.parent)
    atomic_write(path, lambda stream: stream.write(content))
    if moment is not None:
        # The file is as old as the drawing: the time between drawings tells their pace.
        with contextlib.suppress(OSError, OverflowError, ValueError):
            os.utime(path, (moment, moment))
    return path


def _manifest(project: Project, new: _New) -> str:
    """A manifest of one scan: files that are named otherwise are of this scan, by this person."""
    about = {
        "project": project.name,
        "person": new.drawing.person,
        "classes": list(project.config.classes.names),
    }
    # The mask lies deeper: what a manifest calls the image is never a mask.
    stems = {file_stem(name) for name, _ in new.drawing.files if "/" in name}
    minutes = {} if new.drawing.minutes is None else {"minutes": new.drawing.minutes}
    rows = [{"scan_id": new.scan_id, "image": stem, **minutes} for stem in sorted(stems)]
    return to_json(rows, about)


def _stem(scan_id: str) -> str:
    return safe_name(scan_id)


def _note(project: Project, name: str, new: Sequence[_New], cursor: str) -> None:
    if not new:
        with project.store.transaction():
            _note_cursor(project, name, cursor)
        return
    with project.store.action("pull", undoable=False, connection=name) as action:
        action.summary = f"heard of {counted(len(new), 'drawing')} from {name}"
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
        _note_cursor(project, name, cursor)


def _note_cursor(project: Project, name: str, cursor: str) -> None:
    if cursor:
        project.store.replace(
            "server_cursors", connection=name, cursor=cursor, asked_at=project.store.now()
        )
