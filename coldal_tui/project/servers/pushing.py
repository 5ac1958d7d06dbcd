"""Pushes queued scans: exports them as ever, notes what is to be sent, and sends it.

A push that was cut off, by whatever, is gone on with by the next one: first the note, then the
export, then the sending.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coldal_tui.connectors import Item, Parcel, Person
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.deidentify.keys import read_keys
from coldal_tui.exchange.manifest import JSON_NAME, Manifest, read_manifest
from coldal_tui.project.export.exporting import Wanted, chosen_scans, export_queue
from coldal_tui.project.project import Project
from coldal_tui.project.scans.new_ids import safe_name
from coldal_tui.project.servers.connections import Connection, key_of
from coldal_tui.visible import counted, listed

Progress = Callable[[int, int, str], None]

SENDING, SENT, VOID = "sending", "sent", "void"
ON_SERVER = "on the server"


@dataclass(frozen=True)
class PushReport:
    """What a push did. ``new`` scans were brought to the server, ``before`` were there already.

    ``resumed``: scans of a push that was cut off. ``folders``: the exports that were sent.
    ``people``: scans by person; ``pseudonyms``: people's names in a de-identified push.
    """

    connection: str
    new: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    resumed: int = 0
    folders: tuple[Path, ...] = ()
    people: dict[str, int] = field(default_factory=dict)
    pseudonyms: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    dry_run: bool = False


def push(
    project: Project,
    connection: Connection,
    wanted: Wanted,
    *,
    dry_run: bool = False,
    progress: Progress,
    export_progress: Progress | None = None,
) -> PushReport:
    """Push what an earlier push left open, then the queued scans.

    ``wanted`` as for an export; its people are users of the server.

    Raises
    ------
    UsageError : nothing is queued and nothing was left open, or a person is no user of the server.
    ColdalError : the server refuses or can't be reached; the next push goes on.
    """
    wanted = replace(
        wanted,
        people=_known_people(connection, wanted.people),
        deidentify=_deidentify(project, connection, wanted),
    )
    if dry_run:
        return _preview(project, connection, wanted)
    open_ones = _open_pushes(project, connection)
    report = PushReport(connection.name)
    for push_id, export in open_ones:
        report = _send(project, connection, push_id, export, progress, report, resumed=True)
    try:
        chosen_scans(project, wanted)
    except UsageError as error:
        if error.code == "nothing" and open_ones:
            return replace(report, requests=connection.connector.requests)
        raise
    base = Path(project.root, connection.section.folder or project.layout.exports)
    # A folder's name goes to the server where it serves the images: it names neither time nor scan.
    folder = base / f"{secrets.token_hex(4)}-{safe_name(project.name)}"
    push_id = project.store.insert(
        "pushes",
        connection=connection.name,
        folder=str(folder),
        state=SENDING,
        created_at=project.store.now(),
    )
    try:
        made = export_queue(
            project,
            format=connection.connector.exporter,
            out=folder,
            wanted=wanted,
            progress=export_progress,
        )
    except ColdalError:
        _finish(project, push_id, VOID)
        raise
    recorded = _export_of(project, folder)
    assert recorded is not None  # by export_queue
    report = replace(
        report,
        people=made.assignees,
        pseudonyms={name: made.pseudonyms[name] for name in made.assignees if made.key_file},
    )
    report = _send(project, connection, push_id, recorded, progress, report)
    return replace(report, requests=connection.connector.requests)


def _known_people(connection: Connection, people: Sequence[str]) -> tuple[str, ...]:
    """People by the names under which the server will send their drawings."""
    if not people:
        return ()
    users = connection.connector.people()
    if not users:
        return tuple(dict.fromkeys(people))
    return tuple(dict.fromkeys(_user(name, users, connection.name) for name in people))


def _user(name: str, users: Sequence[Person], where: str) -> str:
    folded = name.casefold()
    exact = [one.name for one in users if one.name.casefold() == folded]
    found = exact or [
        one.name for one in users if folded in (other.casefold() for other in one.others)
    ]
    if len(found) == 1:
        return found[0]
    known = listed([one.name for one in users])
    raise UsageError(
        f"{len(found)} users of the server are called {name!r}"
        if found
        else f"no user of the server is called {name!r}",
        where=where,
        remedy=f"its users are {known}",
        code="person",
    )


def _deidentify(project: Project, connection: Connection, wanted: Wanted) -> Any:
    """How a push hides names: as asked, else as the connection says.

    Where exports were de-identified, a push that is not is refused: the server would learn what
    the export has left out.
    """
    said = connection.section.deidentify
    if wanted.deidentify is not None:
        return wanted.deidentify
    if said in ("remove", "shift"):
        return said
    if said is None and project.store.value("SELECT 1 FROM exports WHERE key_file IS NOT NULL"):
        raise UsageError(
            "this project's exports were de-identified, and this push would not be",
            where=connection.name,
            remedy="add --deidentify; where names may go to this server, set "
            f'deidentify = "never" for {connection.name} under [connections] in coldal.toml',
            code="identified",
        )
    return None


def _preview(project: Project, connection: Connection, wanted: Wanted) -> PushReport:
    """What a push would do: asks the server nothing that changes it."""
    connection.connector.check()
    left = [
        scan_id
        for _, export in _open_pushes(project, connection)
        for scan_id in export.scans.values()
        if not _is_there(project, connection.name, scan_id)
    ]
    try:
        new = [scan_id for scan_id in chosen_scans(project, wanted) if scan_id not in left]
    except UsageError as error:
        if error.code != "nothing" or not left:
            raise
        new = []
    there = {one for one in new if _is_there(project, connection.name, one)}
    return PushReport(
        connection.name,
        tuple(one for one in (*left, *new) if one not in there),
        tuple(one for one in new if one in there),
        resumed=len(left),
        requests=connection.connector.requests,
        dry_run=True,
    )


def _is_there(project: Project, name: str, scan_id: str) -> bool:
    query = (
        "SELECT 1 FROM server_items JOIN queue USING (scan_id, round) "
        "WHERE connection = ? AND scan_id = ?"
    )
    return project.store.value(query, (name, scan_id)) is not None


@dataclass(frozen=True)
class _Export:
    """A recorded export: its folder, and its scans by their ids in it."""

    folder: Path
    scans: dict[str, str]


def _open_pushes(project: Project, connection: Connection) -> list[tuple[int, _Export]]:
    """Pushes that were begun and not finished; one whose export was never recorded is void."""
    found = []
    query = "SELECT push_id, folder FROM pushes WHERE connection = ? AND state = ? ORDER BY push_id"
    for row in project.store.rows(query, (connection.name, SENDING)):
        export = _export_of(project, Path(row["folder"]))
        if export is None:
            _finish(project, row["push_id"], VOID)
        else:
            found.append((row["push_id"], export))
    return found


def _export_of(project: Project, folder: Path) -> _Export | None:
    inside = folder.is_relative_to(project.root)
    stored = project.layout.relative(folder) if inside else str(folder)
    row = project.store.row(
        "SELECT scans, key_file FROM exports WHERE folder = ? ORDER BY export_id DESC", (stored,)
    )
    if row is None:
        return None
    if row["key_file"]:
        keys = read_keys(project.file_of(row["key_file"]))
        return _Export(folder, {name: key.scan_id for name, key in keys.scans.items()})
    return _Export(folder, {scan_id: scan_id for scan_id in json.loads(row["scans"])})


def _send(
    project: Project,
    connection: Connection,
    push_id: int,
    export: _Export,
    progress: Progress,
    report: PushReport,
    *,
    resumed: bool = False,
) -> PushReport:
    """Send one export; every scan that is complete on the server is noted at once."""
    places = _places(project)
    keys = {
        scan_id: key_of(project, scan_id, places[scan_id].round)
        for scan_id in export.scans.values()
        if scan_id in places
    }
    scan_of = {key: scan_id for scan_id, key in keys.items()}
    parcels = _parcels(export, keys, places)
    new, before = list(report.new), list(report.before)
    for sent in connection.connector.push(parcels, progress) if parcels else ():
        scan_id = scan_of[sent.key]
        known = _is_there(project, connection.name, scan_id)
        (before if sent.before and (known or not resumed) else new).append(scan_id)
        project.store.replace(
            "server_items",
            connection=connection.name,
            scan_id=scan_id,
            round=places[scan_id].round,
            tasks=list(sent.tasks),
            state=ON_SERVER,
            pushed_at=project.store.now(),
        )
    with project.store.action(
        "push", undoable=False, connection=connection.name, folder=str(export.folder)
    ) as action:
        project.store.update("pushes", {"push_id": push_id}, state=SENT)
        action.summary = f"pushed {counted(len(keys), 'scan')} to {connection.name}"
    return replace(
        report,
        new=tuple(new),
        before=tuple(before),
        resumed=report.resumed + (len(keys) if resumed else 0),
        folders=(*report.folders, export.folder),
    )


def _finish(project: Project, push_id: int, state: str) -> None:
    project.store.update("pushes", {"push_id": push_id}, state=state)


@dataclass(frozen=True)
class _Place:
    """Where a scan is in the queue: its round, and its place in the order of all rounds."""

    round: int
    order: int


def _places(project: Project) -> dict[str, _Place]:
    """The places of scans that are still wanted: what was skipped meanwhile is not sent."""
    rows = project.store.rows(
        "SELECT scan_id, round FROM queue WHERE status != 'skipped' ORDER BY round, rank"
    )
    return {row["scan_id"]: _Place(row["round"], order) for order, row in enumerate(rows, start=1)}


def _parcels(
    export: _Export, keys: Mapping[str, str], places: Mapping[str, _Place]
) -> list[Parcel]:
    """The folders of an export, each with its scans; several people have one each."""
    found = []
    for folder in _manifest_folders(export.folder):
        manifest = read_manifest(folder)
        if manifest is None:
            raise _gone(folder)
        items = []
        for entry in manifest.entries:
            scan_id = export.scans.get(entry.scan_id, "")
            if scan_id in keys:
                people = _people(manifest, entry.assignee)
                order = places[scan_id].order
                items.append(Item(keys[scan_id], entry.scan_id, order, people))
        found.append(Parcel(folder, tuple(items)))
    if not found:
        raise _gone(export.folder)
    return found


def _people(manifest: Manifest, assignee: str | None) -> tuple[str, ...]:
    name = assignee or manifest.person
    return (name,) if name else ()


def _manifest_folders(folder: Path) -> list[Path]:
    if (folder / JSON_NAME).is_file():
        return [folder]
    try:
        return sorted(one for one in folder.iterdir() if (one / JSON_NAME).is_file())
    except OSError:
        return []


def _gone(folder: Path) -> ColdalError:
    return ColdalError(
        "the export that was to be sent is gone",
        where=str(folder),
        remedy="hand the scans out again: coldal-tui push --again",
        code="export-gone",
    )
