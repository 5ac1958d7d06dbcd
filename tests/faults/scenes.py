"""Commands to hit with faults, and what has to be true afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
from PIL import Image

from coldal_tui.files import sha256_file
from coldal_tui.project import history
from coldal_tui.project.database.backups import backups, verify
from coldal_tui.project.database.batch_sync import MANY
from coldal_tui.project.database.schema import MIGRATIONS
from coldal_tui.project.labels.files import checked_labels, unknown_files
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.layout import is_project
from coldal_tui.project.project import Project
from tests.faults.server import (
    FAIL_ON,
    FAIL_ONCE,
    KILL_AFTER,
    KILL_BEFORE,
    KILL_HALF,
    KILLED,
    POWER_CUT,
    SUPERVISOR,
    Ended,
    Server,
)
from tests.support.lab import SIZE, Lab

UNSURE = "whether it was shows only when"
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
FAULTS = (
    (KILL_BEFORE, 0),
    (KILL_AFTER, 0),
    (KILL_HALF, 0),
    (POWER_CUT, 0),
    *((how, error) for error in ERRORS for how in (FAIL_ONCE, FAIL_ON)),
)
KILLS = (KILL_BEFORE, KILL_AFTER, KILL_HALF, POWER_CUT)
NAMES = {
    KILL_BEFORE: "killed before",
    KILL_AFTER: "killed after",
    KILL_HALF: "killed after half of it",
    POWER_CUT: "power cut before",
    FAIL_ONCE: "failed",
    FAIL_ON: "failed from then on",
}
State = tuple[object, ...]


@dataclass(frozen=True)
class MapView:
    """A command on a project: ``words`` follow ``coldal-tui``, with PROJECT and MASKS put in.

    ``go_on``: what people call when it was cut off half way, if not the same command.
    """

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Lab], Project | None]
    go_on: tuple[str, ...] = ()

    def command(self, root: Path) -> list[str]:
        return _placed(self.words, root)

    def going_on(self, root: Path) -> list[str]:
        return _placed(self.go_on or self.words, root)


def _placed(words: tuple[str, ...], root: Path) -> list[str]:
    folder = root.parent
    places = {"PROJECT": root, "MASKS": folder / "masks", "IMAGES": folder / "images"}
    return [str(places.get(word, word)) for word in words]


def _images(lab: Lab) -> None:
    lab.pictures("s00", "s01")


def _empty(lab: Lab) -> Project:
    project = lab.start(index=False)
    lab.pictures("s00", "s01")
    return project


def _queued(lab: Lab) -> Project:
    project = lab.line(3, [("s00", "medoid"), ("s01", "medoid")])
    for name in ("s00", "s01"):
        lab.mask(f"{name}.png")
    return project


def _many_queued(lab: Lab) -> Project:
    """As many masks as are brought to the disk together."""
    names = [f"s{number:02d}" for number in range(MANY)]
    project = lab.line(MANY, [(name, "medoid") for name in names])
    for name in names:
        lab.mask(f"{name}.png")
    return project


def _imported(lab: Lab) -> Project:
    project = _queued(lab)
    import_masks(project, lab.masks)
    return project


def _taken_back(lab: Lab) -> Project:
    project = _imported(lab)
    last = project.store.last_undoable()
    assert last is not None
    history.undo(project, last["audit_id"])
    return project


def _backed_up(lab: Lab) -> Project:
    project = _imported(lab)
    project.store.back_up()
    lab.mask("s00.png", slice(2, 5))
    import_masks(project, lab.masks)
    return project


def _quarantined(lab: Lab) -> Project:
    project = _queued(lab)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(lab.masks / "s01.png")
    import_masks(project, lab.masks)
    return project


def _scored(lab: Lab) -> Project:
    project = _imported(lab)
    lab.train(project)
    lab.score(project, {"s02": 0.5})
    return project


def _ended(
    before: Callable[[Lab], Project], work: Callable[[Lab, Project], object]
) -> Callable[[Lab], Project]:
    """A project with a job whose worker has ended well, and whose receipt nobody has seen."""

    def prepare(lab: Lab) -> Project:
        project = before(lab)
        lab.committing = False
        work(lab, project)
        return project

    return prepare


def _mapped(lab: Lab) -> Project:
    lab.pictures("s00", "s01", "s02")
    project = lab.start()
    lab.embed(project)
    lab.map(project, {f"s{n:02d}": (float(n), 0.0) for n in range(3)})
    return project


def _embedded(lab: Lab) -> Project:
    lab.pictures("s00", "s01")
    project = lab.start()
    lab.embed(project)
    return project


def _indexed(lab: Lab) -> Project:
    lab.pictures("s00", "s01")
    return lab.start()


def _trained(lab: Lab) -> Project:
    project = _imported(lab)
    lab.train(project)
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


_RESTORE = ("restore", "PROJECT", "--yes")
_TWO = (("s00", "medoid"), ("s01", "medoid"))
_ONE_CLUSTER = {"s00": 0, "s01": 0, "s02": 0}
_AT = {"s00": (0.0, 0.0), "s01": (1.0, 0.0)}
SCENES = (
    # It stores scans in portions, so as not to delay others: one may be there already.
    MapView("index", ("index", "PROJECT"), _empty, ("index", "PROJECT")),
    MapView("import", ("import-masks", "PROJECT", "MASKS"), _queued),
    MapView("import of many", ("import-masks", "PROJECT", "MASKS"), _many_queued),
    MapView("export", ("export-queue", "PROJECT"), _queued),
    MapView("accept", ("labels", "PROJECT", "confirm-empty", "1"), _quarantined),
    MapView("reject", ("labels", "PROJECT", "reject", "s01"), _imported),
    MapView("skip", ("queue", "PROJECT", "skip", "s00"), _queued),
    MapView("undo", ("undo", "PROJECT"), _imported),
    MapView("redo", ("redo", "PROJECT"), _taken_back),
    MapView("migrate", ("backup", "PROJECT"), _old),
    MapView("backup", ("backup", "PROJECT"), _imported),
    MapView("restore", _RESTORE, _backed_up, _RESTORE),
    MapView("select", ("select", "PROJECT", "--budget", "2", "--detach"), _indexed),
    MapView("train", ("train", "PROJECT", "--detach"), _imported),
    MapView("score", ("score", "PROJECT", "--detach"), _trained),
    MapView("next", ("next", "PROJECT", "--batch", "1", "--detach"), _scored),
    MapView("embed, taken in", (SUPERVISOR, "PROJECT"), _ended(_indexed, Lab.embed)),
    MapView(
        "map, taken in",
        (SUPERVISOR, "PROJECT"),
        _ended(_embedded, lambda lab, project: lab.map(project, _AT)),
    ),
    MapView(
        "select, taken in",
        (SUPERVISOR, "PROJECT"),
        _ended(_mapped, lambda lab, project: lab.select(project, _TWO, _ONE_CLUSTER)),
    ),
    MapView("train, taken in", (SUPERVISOR, "PROJECT"), _ended(_imported, Lab.train)),
    MapView(
        "score, taken in",
        (SUPERVISOR, "PROJECT"),
        _ended(_trained, lambda lab, project: lab.score(project, {"s02": 0.5})),
    ),
    MapView("init", ("init", "PROJECT", "--images", "IMAGES"), _images, ("index", "PROJECT")),
)


class Stage:
    """One scene: a project to start from, and what it looks like before and after."""

    def __init__(self, scene: MapView, folder: Path, server: Server) -> None:
        self.scene, self.folder, self.server = scene, folder, server
        folder.mkdir()
        (folder / "first").mkdir()
        lab = Lab(folder / "first")
        made = scene.prepare(lab)
        if made is not None:
            made.close()
        lab.close()
        self.before = state(lab.root)
        root = self._fresh("counted")
        ended = server.run(scene.command(root), root)
        assert ended.status == 0, ended.err
        self.calls, self.letters = ended.calls, ended.letters
        self.after = state(root)

    def _fresh(self, name: str) -> Path:
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        first = self.folder / "first"
        shutil.copytree(first, place)
        for spec in (place / "project").glob(".coldal/jobs/*/spec.json"):
            # It names the images by their whole path.
            spec.write_bytes(spec.read_bytes().replace(os.fsencode(first), os.fsencode(place)))
        return place / "project"

    def hits(self, how: int, at: int) -> bool:
        """Whether this fault makes sense at this call: only a write can be done by half."""
        return how != KILL_HALF or self.letters[at - 1 : at] in ("w", "p")

    def hit(self, how: int, at: int, error: int) -> list[str]:
        """Run the command with one fault; what is wrong afterwards, in words."""
        root = self._fresh("hit")
        ended = self.server.run(self.scene.command(root), root, how, at, error)
        name = errno.errorcode.get(error, "")
        told = f"{self.scene.name}, {NAMES[how]} {name} at call {at} ({ended.where})"
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
        half = found not in allowed
        if half and not (self.scene.go_on and ended.status != 0):
            yield f"exit {ended.status}, but {_difference(found, allowed[-1])}"
        if half or found == self.before or self.before == self.after:
            words = self.scene.going_on(root) if half else self.scene.command(root)
            again = self.server.run(words, root)
            if again.status != 0:
                yield f"the same command does not go on: {again.err[-300:]}"
            elif state(root) != self.after:
                yield f"called again, {_difference(state(root), self.after)}"
        yield from visible_wrong(root)


def _difference(found: State, wanted: State) -> str:
    pairs = [(a, b) for a, b in zip(found, wanted, strict=False) if a != b]
    return f"the state is {[a for a, _ in pairs]}, not {[b for _, b in pairs]}"


_SEEN = (
    "SELECT scan_id, version, state, sha256 FROM labels ORDER BY scan_id, version",
    "SELECT scan_id, status FROM queue ORDER BY scan_id",
    "SELECT scans, manifest_sha256 != '' FROM exports",
    "SELECT code, state FROM quarantine ORDER BY quarantine_id",
    "SELECT value FROM meta WHERE key = 'k'",
    "SELECT scan_id, state FROM scans ORDER BY scan_id",
    "SELECT kind, status = 'done' FROM jobs ORDER BY job_id",
    "SELECT encoder_hash, scan_id FROM embeddings ORDER BY scan_id",
    "SELECT map_id, sha256 FROM maps",
    "SELECT round, strategy FROM rounds",
    "SELECT run_id, train_scans FROM runs",
    "SELECT run_id, scan_id, entropy FROM scores ORDER BY scan_id",
)


_FILES = "SELECT file, sha256 FROM maps UNION SELECT file, sha256 FROM shards"


def state(root: Path) -> State:
    """What people would say of the project; a project that can't be opened raises.

    One whose newest actions are missing is opened as ``doctor --repair`` opens it.
    """
    if not is_project(root):
        return ("no project",)
    with Project(root, repairing=True) as project:
        store = project.store
        if store.value("PRAGMA integrity_check") != "ok":
            return ("damaged",)
        seen = tuple(tuple(store.tuples(sql)) for sql in _SEEN)
        checked_labels(
            project,
            store.rows(
                "SELECT scan_id, version, state, sha256, file FROM labels WHERE state = 'active'"
            ),
        )
        for row in store.rows(
            "SELECT file, sha256 FROM maps UNION SELECT file, sha256 FROM shards"
        ):
            if sha256_file(project.file_of(row["file"])) != row["sha256"]:
                return ("damaged", row["file"])
    return seen


def visible_wrong(root: Path) -> Iterator[str]:
    """What must never be seen: half an export, a torn backup, a label that no row knows."""
    if not is_project(root):
        return
    with Project(root) as project:
        for row in project.store.rows("SELECT folder FROM exports"):
            if not _is_whole(project.file_of(row["folder"])):
                yield f"the export {row['folder']} is recorded and not there"
        unknown = unknown_files(project)
        if unknown:
            yield f"no row knows {unknown}"
        for folder in project.layout.exports.glob("*/"):
            hidden = folder.name.startswith(".")
            if not hidden and any(folder.iterdir()) and not _is_whole(folder):
                yield f"half an export is visible: {folder.name}"
        for backup in backups(project.layout.database):
            verify(backup.file)


def _is_whole(folder: Path) -> bool:
    """Whether an export has its manifest, or those of the people that it is for."""
    return (folder / "manifest.json").is_file() or any(folder.glob("*/manifest.json"))
