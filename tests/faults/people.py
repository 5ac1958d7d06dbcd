"""Three people of one group on one project, each a process with a uid and a umask of its own.

python -m tests.faults.people FOLDER UMASK …    as root; prints what is wrong, and exits with 1 then
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw
import msgspec

from coldal_tui import cli
from coldal_tui.cli import doctor
from coldal_tui.files import share_all
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project
from coldal_tui.scheduler import follow, supervisor
from tests.faults.crowd import load
from tests.support.lab import Lab

GROUP, STRANGERS, OWNER = 61_000, 62_000, 61_001
LOOKS = (
    ("status",),
    ("queue",),
    ("doctor",),
    ("log",),
    ("labels", "list"),
    ("jobs", "list"),
    ("why", "s01"),
)
"""What must work for whoever may read, and leave nothing."""
TOLD = ("the project's database can't be written", "Permission denied")


class Ended(msgspec.Struct):
    """How a call ended: its exit status, and what it wrote."""

    status: int
    out: str = ""
    err: str = ""


@dataclass(frozen=True)
class Person:
    """Somebody; ``uid`` None: this process itself, which so loads what the others can't read."""

    name: str
    uid: int | None
    gid: int
    umask: int
    home: Path

    def call(self, root: Path, *words: str | Path) -> Ended:
        """Run ``coldal-tui`` with these words, the project behind the first one."""
        said = [str(word) for word in (words[0], root, *words[1:])]
        return self.does(lambda: cli._run(said, False))

    def does(self, work: Callable[[], int]) -> Ended:
        """Do something in a child that is this person."""
        if self.uid is None:
            return _caught(work)
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(told)
                with os.fdopen(tell, "wb") as stream:
                    stream.write(msgspec.json.encode(_caught(work, self._become)))
            finally:
                os._exit(0)
        os.close(tell)
        with os.fdopen(told, "rb") as stream:
            said = stream.read()
        os.waitpid(pid, 0)
        return msgspec.json.decode(said, type=Ended) if said else Ended(-1)

    def _become(self) -> None:
        assert self.uid is not None
        os.setgroups([self.gid])
        os.setresgid(self.gid, self.gid, self.gid)
        os.umask(self.umask)
        os.setresuid(self.uid, self.uid, self.uid)
        # What anybody can set is not who they are.
        said = {"LOGNAME": "root", "USER": "root", "HOME": str(self.home)}
        said |= {f"XDG_{kind}_HOME": str(self.home / kind) for kind in ("STATE", "CONFIG")}
        os.environ.update(said)
        os.chdir(self.home)


def _caught(work: Callable[[], int], first: Callable[[], object] = lambda: None) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            first()
            status = work()
        except BaseException:
            err.write(traceback.format_exc())
            status = 99
    return Ended(status, out.getvalue(), err.getvalue())


class Day:
    """The project of one group, and what is found wrong with it in one day."""

    def __init__(self, folder: Path, umask: int, *, rehearsal: bool = False) -> None:
        self.rehearsal = rehearsal
        folder.mkdir()
        folder.chmod(0o755)
        named = (("ana", 0, GROUP), ("ben", 1, GROUP), ("eve", 2, GROUP), ("joe", 3, STRANGERS))
        made = []
        for name, number, gid in named:
            home = folder / name
            home.mkdir(mode=0o700)
            os.chown(home, OWNER + number, gid)
            made.append(Person(name, None if rehearsal else OWNER + number, gid, umask, home))
        self.owner, self.second, self.reader, self.stranger = made
        shared = folder / "lab"
        shared.mkdir()
        self.lab = Lab(shared)
        self.lab.pictures(*(f"s{n:02d}" for n in range(6)))
        for n in range(4):
            self.lab.mask(f"{'first' if n < 2 else 'more'}/s{n:02d}.png")
        for path in (shared, *shared.rglob("*")):
            os.chown(path, OWNER, GROUP)
            path.chmod(0o2770 if path.is_dir() else 0o640)
        self.root = self.lab.root

    def wrong(self) -> Iterator[str]:
        """The whole day, told where it is not as it should be."""
        yield from self._all(
            (self.owner, ("init", "--images", self.lab.images)),
            (self.owner, ("index",)),
        )
        yield from self._bits("after init")
        yield from self._did(self.owner, self._selects)
        yield from self._all(
            (self.second, ("export-queue",)),
            (self.second, ("import-masks", self.lab.masks / "first")),
        )
        yield from self._bits("after the export and the import")
        yield from self._looks()
        yield from self._asks()
        yield from self._all(
            (self.owner, ("import-masks", self.lab.masks / "more")),
            (self.owner, ("export-queue", "--again")),
            (self.second, ("labels", "reject", "s02")),
            (self.second, ("undo",)),
            (self.second, ("queue", "pin", "s04")),
            (self.second, ("backup",)),
            (self.owner, ("backup",)),
            (self.reader, ("labels", "check")),
            (self.second, ("labels", "check")),
        )
        for person in (self.owner, self.second):
            yield from self._did(person, self._supervises)
        self.second.does(self._dies)
        if not self.rehearsal and "project.db-wal" not in str(self._files()):
            yield "who died has left no log of the database: nothing was tried"
        yield from self._looks()
        yield from self._all(
            (self.owner, ("queue", "skip", "s04")),
            (self.second, ("restore", "--yes")),
            (self.owner, ("queue", "skip", "s05")),
        )
        yield from self._bits("at the end")
        yield from self._only_reading()
        yield from self._audit()

    def _selects(self) -> int:
        """The jobs of a first queue, as a supervisor of the owner runs them."""
        share_all(self.lab.root / ".coldal")
        project = self.lab.open()
        names = [f"s{n:02d}" for n in range(6)]
        self.lab.embed(project)
        self.lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(names)})
        self.lab.select(project, [(name, "medoid") for name in names], dict.fromkeys(names, 0))
        self.lab.close()
        return 0

    def _supervises(self) -> int:
        follow.ensure_supervisor(Layout(self.root))
        return supervisor.run(self.root, tick_s=0.01, idle_s=0.02)

    def _dies(self) -> int:
        """A process that ends in the middle: the database's side files stay."""
        project = Project(self.root)
        with project.store.action("note") as action:
            action.summary = "and ended"
        if self.rehearsal:
            project.close()
        else:
            os._exit(0)
        return 0

    def _all(self, *calls: tuple[Person, Sequence[str | Path]]) -> Iterator[str]:
        for person, words in calls:
            ended = person.call(self.root, *words)
            if ended.status != 0:
                yield f"{person.name}: {words[0]}: exit {ended.status}: {ended.err.strip()[-600:]}"

    def _did(self, person: Person, work: Callable[[], int]) -> Iterator[str]:
        ended = person.does(work)
        if ended.status != 0:
            yield f"{person.name}: {work.__name__}: {ended.status}: {ended.err.strip()[-900:]}"

    def _looks(self) -> Iterator[str]:
        before = self._files()
        yield from self._all(*((self.reader, words) for words in LOOKS))
        if left := self._files() - before:
            yield f"looking left {sorted(left)}"

    def _files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}

    def _asks(self) -> Iterator[str]:
        """An undo of another's import asks and names the person; with --yes it is done."""
        ended = self.owner.call(self.root, "undo")
        told = f"uid {OWNER + 1} did this"
        if not self.rehearsal and (ended.status != 1 or told not in ended.err):
            yield f"undo of another's import: exit {ended.status}: {ended.err}"
        yield from self._all(
            (self.owner, ("undo", "--yes")),
            (self.owner, ("redo",)),
        )

    def _bits(self, when: str) -> Iterator[str]:
        if self.rehearsal:
            return
        for path in (self.root, *self.root.rglob("*")):
            found = path.lstat()
            mode = stat.S_IMODE(found.st_mode)
            if (mode >> 3) & 7 != mode >> 6 & 7 or mode & 7 or found.st_gid != GROUP:
                where = path.relative_to(self.root)
                yield f"{when}: {where} has mode {mode:o}, group {found.st_gid}"

    def _only_reading(self) -> Iterator[str]:
        """Colleagues who may only read see everything; people of no group are told."""
        for path in (self.root, *self.root.rglob("*")):
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~0o020)
        yield from self._looks()
        refused = self.second.call(self.root, "queue", "skip", "s03")
        away = self.stranger.call(self.root, "status")
        if self.rehearsal:
            return
        for person, ended in ((self.second, refused), (self.stranger, away)):
            if ended.status == 0 or not any(word in ended.err for word in TOLD):
                yield f"{person.name} may not, and was told: {ended.status}, {ended.err}"
        yield from self._all((self.owner, ("backup",)))

    def _audit(self) -> Iterator[str]:
        if self.rehearsal:
            return
        uri = f"{(self.root / '.coldal' / 'project.db').as_uri()}?immutable=1"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        with contextlib.closing(apsw.Connection(uri, flags=flags)) as connection:
            rows = connection.execute("SELECT action, uid, who FROM audit").fetchall()
        for action, uid, who in rows:
            if who != f"uid {uid}":
                yield f"{action}: {who} is not {uid}"
        did = {(action, uid - OWNER) for action, uid, _ in rows}
        wanted = {("index", 0), ("export", 1), ("import", 1), ("undo", 0), ("import", 0)}
        if missing := wanted - did:
            yield f"not in the audit trail: {sorted(missing)} ({sorted(did)})"


def main(folder: Path, umasks: Sequence[str]) -> int:
    """Rehearse, so that all is loaded; then a day of the three with each umask."""
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    folder.chmod(0o755)
    load()
    doctor.machine_findings = lambda section: []
    subprocess.Popen = lambda *words, **more: None  # type: ignore[assignment,misc]
    days = [("rehearsal", Day(folder / "first", 0o022, rehearsal=True))]
    days += [(f"umask {umask}", Day(folder / umask, int(umask, 8))) for umask in umasks]
    found = 0
    for name, day in days:
        for problem in day.wrong():
            sys.stdout.write(f"{name}: {problem}\n")
            sys.stdout.flush()
            found += 1
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
