"""A fork server: the program is loaded once, and a child with its own fault runs each command."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
COUNT, FAIL_ONCE, FAIL_ON, KILL_BEFORE, KILL_AFTER, KILL_HALF, POWER_CUT = range(1, 8)
SUPERVISOR = "supervisor"
"""In place of a command: one look of the supervisor at the project's jobs."""
KILLED = -int(signal.SIGKILL)


def build(folder: Path) -> Path | None:
    """The shim as a library in ``folder``; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "shim.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-pthread", "-o", str(library)]
    words += [str(HERE / "shim.c"), "-ldl"]
    subprocess.run(words, check=True, capture_output=True)
    return library


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    ``status``: exit status (negative: signal). ``calls``: how many changed something, ``letters``
    the first letter of each one's name. ``where``: the call that was hit.
    """

    status: int
    calls: int
    err: str
    where: str
    letters: str


class Server:
    """One process that has loaded the command line; ``run`` forks a child of it."""

    def __init__(self, library: Path, home: Path) -> None:
        environ = os.environ | {"LD_PRELOAD": str(library), "FAULTS_SHIM": str(library)}
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=home,
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait()

    def run(
        self, words: list[str], below: Path, how: int = COUNT, at: int = 0, error: int = 0
    ) -> Ended:
        """Run a command; the fault hits the ``at``-th call that changes something ``below``."""
        asked = {"words": words, "below": str(below), "how": how, "at": at, "error": error}
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(asked) + "\n")
        self._child.stdin.flush()
        return Ended(**json.loads(self._child.stdout.readline()))


def _serve() -> None:
    from importlib import import_module

    from coldal_tui import cli
    from coldal_tui.exchange.importers import load_registry

    shim = ctypes.CDLL(os.environ["FAULTS_SHIM"])
    shim.faults_seen.restype = ctypes.c_long
    shim.faults_where.restype = shim.faults_letters.restype = ctypes.c_char_p
    for module in sorted({module for module, _ in cli.COMMANDS.values()}):
        import_module(f"coldal_tui.cli.{module}")
    load_registry()
    for name in (
        "project.labels.importing",
        "project.labels.retry",
        "project.export.exporting",
        "project.export.plain_files",
        "project.scans.indexing",
        "scheduler.recipes",
        "scheduler.supervisor",
        "project.report_words",
    ):
        import_module(f"coldal_tui.{name}")
    import_module("imagecodecs").png_decode  # noqa: B018  (loaded when it is asked for)
    # Children inherit it, and whatever they start must not be hit by it.
    os.environ.pop("LD_PRELOAD", None)
    assert threading.active_count() == 1
    # The pages of what is loaded stay shared: a collection in a child would copy them all.
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        ended = _one(json.loads(line), shim, cli)
        answers.write(json.dumps(ended) + "\n")
        answers.flush()


def _one(asked: dict, shim: ctypes.CDLL, cli) -> dict:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _child(asked, shim, cli, tell)
    os.close(tell)
    with os.fdopen(told, encoding="utf-8", errors="replace") as stream:
        said = stream.read()
    _, status = os.waitpid(pid, 0)
    err, found, last = said.rpartition("\n#")
    counted, letters, where = [*last.split(" ", 2), "", ""][:3] if found else ("-1", "", "")
    return {
        "status": os.waitstatus_to_exitcode(status),
        "calls": int(counted),
        "err": err if found else said,
        "where": where.strip(),
        "letters": letters,
    }


def _child(asked: dict, shim: ctypes.CDLL, cli, tell: int) -> None:
    status = 98
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(tell, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        sys.argv = ["coldal-tui", *asked["words"]]
        shim.faults_arm(asked["how"], asked["at"], asked["error"], asked["below"].encode())
        try:
            if asked["words"][0] == SUPERVISOR:
                status = _supervise(Path(asked["words"][1]))
            else:
                _without_supervisor()
                cli.main()
                status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        calls, where = shim.faults_seen(), shim.faults_where().decode("utf-8", "replace")
        letters = shim.faults_letters().decode("ascii")
        shim.faults_arm(0, 0, 0, b"")
        sys.stderr.flush()
        os.write(tell, f"\n#{calls} {letters} {where}".encode())
    except BaseException:
        os.write(tell, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _without_supervisor() -> None:
    """What a command submits waits: a supervisor of its own would outlive the child."""
    from coldal_tui.scheduler import follow

    follow.ensure_supervisor = lambda layout: None


def _supervise(root: Path) -> int:
    """Try again what ended badly, then look once; 0 when every job is done."""
    from coldal_tui.errors import ColdalError
    from coldal_tui.project.job_rows import DONE, ENDED_BADLY, list_jobs
    from coldal_tui.project.project import Project
    from coldal_tui.scheduler import queue
    from coldal_tui.scheduler.supervisor import Supervisor

    try:
        with Project(root) as project:
            for job in list_jobs(project, ENDED_BADLY):
                queue.retry(project, job.job_id)
            Supervisor(project, backends=lambda name: _NoWorkers()).step()
            left = [job for job in list_jobs(project) if job.status != DONE]
            for job in left:
                sys.stderr.write(f"{job.name}: {job.status}, {job.error}\n")
            return int(bool(left))
    except ColdalError as error:
        # The loop would look again, or say this and end.
        sys.stderr.write(f"{error}\n")
        return 1


class _NoWorkers:
    """A backend that has none: all workers of these projects have ended."""

    def find(self, folder: Path) -> None:
        return None

    def room(self, ask: object, running: object) -> None:
        return None

    def launch(self, folder: Path, ask: object, running: object) -> None:
        raise AssertionError("the work, whose receipt is there, would be done once more")


if __name__ == "__main__":
    _serve()
