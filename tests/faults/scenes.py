"""Commands to hit with faults, and what has to be true afterwards."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
from PIL import Image

from coldal_tui.project.database.backups import backups, verify
from coldal_tui.project.database.schema import MIGRATIONS
from coldal_tui.project.labels.files import checked_labels, unknown_files
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from tests.faults.server import (
    FAIL_ON,
    FAIL_ONCE,
    KILL_AFTER,
    KILL_BEFORE,
    KILLED,
    Ended,
    Server,
)
from tests.support.lab import SIZE, Lab

UNSURE = "whether it was shows only when"
FAULTS = (
    (KILL_BEFORE, 0),
    (KILL_AFTER, 0),
    (FAIL_ONCE, errno.ENOSPC),
    (FAIL_ON, errno.ENOSPC),
    (FAIL_ONCE, errno.EIO),
    (FAIL_ON, errno.EIO),
)
State = tuple[object, ...]


@dataclass(frozen=True)
class MapView:
    """A command on a project: ``words`` follow ``coldal-tui``, with PROJECT and MASKS put in."""

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Lab], Project]

    def command(self, root: Path) -> list[str]:
        places = {"PROJECT": str(root), "MASKS": str(root.parent / "masks")}
        return [places.get(word, word) for word in self.words]


def _queued(lab: Lab) -> Project:
    project = lab.line(3, [("s00", "medoid"), ("s01", "medoid")])
    for name in ("s00", "s01"):
        lab.mask(f"{name}.png")
    return project


def _imported(lab: Lab) -> Project:
    project = _queued(lab)
    import_masks(project, lab.masks)
    return project


def _quarantined(lab: Lab) -> Project:
    project = _queued(lab)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(lab.masks / "s01.png")
    import_masks(project, lab.masks)
    return project


def _old(lab: Lab) -> Project:
    project = lab.start('[images]\ndir = "../images"\n')
    project.close()
    database = project.layout.database
    for path in database.parent.glob("project.db*"):
        path.unlink()
    (database.parent / "journal.jsonl").unlink()
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        for script in MIGRATIONS[:2]:
            connection.execute(script).fetchall()
        connection.execute("INSERT INTO meta VALUES ('k', 'v')").fetchall()
        connection.execute("PRAGMA user_version=2").fetchall()
    return project


SCENES = (
    MapView("import", ("import-masks", "PROJECT", "MASKS"), _queued),
    MapView("export", ("export-queue", "PROJECT"), _queued),
    MapView("accept", ("labels", "PROJECT", "confirm-empty", "1"), _quarantined),
    MapView("undo", ("undo", "PROJECT"), _imported),
    MapView("migrate", ("backup", "PROJECT"), _old),
    MapView("backup", ("backup", "PROJECT"), _imported),
)


class Stage:
    """One scene: a project to start from, and what it looks like before and after."""

    def __init__(self, scene: MapView, folder: Path, server: Server) -> None:
        self.scene, self.folder, self.server = scene, folder, server
        folder.mkdir()
        (folder / "first").mkdir()
        lab = Lab(folder / "first")
        scene.prepare(lab).close()
        lab.close()
        self.before = state(lab.root)
        root = self._fresh("counted")
        ended = server.run(scene.command(root), root)
        assert ended.status == 0, ended.err
        self.calls = ended.calls
        self.after = state(root)

    def _fresh(self, name: str) -> Path:
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "first", place)
        return place / "project"

    def hit(self, how: int, at: int, error: int) -> list[str]:
        """Run the command with one fault; what is wrong afterwards, in words."""
        root = self._fresh("hit")
        ended = self.server.run(self.scene.command(root), root, how, at, error)
        told = f"{self.scene.name}, fault {how} errno {error} at call {at} ({ended.where})"
        try:
            wrong = list(self._wrong(root, ended))
        except Exception as problem:
            wrong = [f"{type(problem).__name__}: {problem}"]
        return [f"{told}: {one}\n{ended.err[-400:]}" for one in wrong]

    def _wrong(self, root: Path, ended: Ended) -> Iterator[str]:
        if ended.status not in (0, 1, KILLED):
            yield f"exit status {ended.status}"
        if "defect of coldal-tui" in ended.err:
            yield "it calls itself a defect"
        if ended.status == KILLED or UNSURE in ended.err:
            allowed = (self.before, self.after)
        else:
            allowed = (self.before,) if ended.status else (self.after,)
        found = state(root)
        if found not in allowed:
            yield f"exit {ended.status}, but the state is {found}, not {allowed}"
        if found == self.before or self.before == self.after:
            again = self.server.run(self.scene.command(root), root)
            if again.status != 0:
                yield f"the same command does not go on: {again.err[-300:]}"
            elif state(root) != self.after:
                yield f"called again, it leaves {state(root)}"
        yield from visible_wrong(root)


def state(root: Path) -> State:
    """What people would say of the project; a project that can't be opened raises."""
    with Project(root) as project:
        store = project.store
        if store.value("PRAGMA integrity_check") != "ok":
            return ("damaged",)
        labels = store.tuples(
            "SELECT scan_id, version, state, sha256 FROM labels ORDER BY scan_id, version"
        )
        queue = store.tuples("SELECT scan_id, status FROM queue ORDER BY scan_id")
        exports = store.tuples("SELECT scans, manifest_sha256 != '' FROM exports")
        waiting = store.tuples("SELECT code, state FROM quarantine ORDER BY quarantine_id")
        kept = store.tuples("SELECT value FROM meta WHERE key = 'k'")
        checked_labels(
            project,
            store.rows(
                "SELECT scan_id, version, state, sha256, file FROM labels WHERE state = 'active'"
            ),
        )
    return (tuple(labels), tuple(queue), tuple(exports), tuple(waiting), tuple(kept))


def visible_wrong(root: Path) -> Iterator[str]:
    """What must never be seen: half an export, a torn backup, a label that no row knows."""
    with Project(root) as project:
        for row in project.store.rows("SELECT folder FROM exports"):
            if not (project.file_of(row["folder"]) / "manifest.json").is_file():
                yield f"the export {row['folder']} is recorded and not there"
        unknown = unknown_files(project)
        if unknown:
            yield f"no row knows {unknown}"
        for folder in project.layout.exports.glob("*/"):
            hidden = folder.name.startswith(".")
            if not hidden and any(folder.iterdir()) and not (folder / "manifest.json").is_file():
                yield f"half an export is visible: {folder.name}"
        for backup in backups(project.layout.database):
            verify(backup.file)
