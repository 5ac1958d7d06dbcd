"""The Slurm backend: each job is a batch job, and Slurm alone knows its state."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from coldal_launch import slurm_queue
from coldal_launch.cluster_poll import Asker
from coldal_launch.missing import missing_extra
from coldal_launch.slurm_queue import Row, accounted, no_slurm, scancel
from coldal_launch.slurm_submitting import SLURM_FOLDER, submit
from coldal_launch.slurm_task import SlurmTask
from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write
from coldal_tui.jobs.backend import Ask, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.jobs.retry_smaller import OUT_OF_MEMORY

CANCEL_LOOK_S = 0.5
PARTS_SUFFIX = "-parts"
KILL_WAIT_S = 60.0
"""Slurm itself gives a job KillWait (30 s by default) between SIGTERM and SIGKILL."""


class SlurmBackend:
    """Runs jobs on a Slurm cluster through submitit. Nothing is kept in memory but what Slurm
    said last: another process may look after the same jobs at any time."""

    name = "slurm"

    def __init__(
        self,
        rows: Callable[[], Mapping[str, tuple[Row, ...]]] = slurm_queue.rows,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if find_spec("submitit") is None:
            raise missing_extra("submitit", "slurm")
        self._rows = rows
        self._clock = clock
        self._asker = Asker(rows, clock)
        self._since: dict[str, float] = {}
        self._ended: set[str] = set()

    def room(self, ask: Ask, running: Sequence[Running]) -> Wait | None:
        """Slurm has a queue of its own: there is room whenever it answers."""
        if shutil.which("sbatch") is None:
            raise no_slurm("sbatch")
        self._asker.look()
        if self._asker.answer is None and self._asker.silence is None:
            return Wait("Slurm is slow to answer")
        return Wait(self._asker.silence.what) if self._asker.silence else None

    def launch(self, folder: Path, ask: Ask, running: Sequence[Running]) -> JobHandle | Wait:
        """Submit the job. Its name is noted before, so that ``find`` knows what to look for."""
        name = f"coldal-{folder.name}-{secrets.token_hex(4)}"
        earlier = _noted_name(folder)
        if earlier is not None:
            # A launcher that died may have left parts of the job behind it.
            scancel(earlier + PARTS_SUFFIX)
        _note_name(folder, name)
        number = self._submit(JobFolder(folder), ask, name)
        self._since[name] = self._clock()
        self._asker.soon()
        return _handle(name, number)

    def find(self, folder: Path) -> JobHandle | None:
        """By the name that was noted before the job was submitted; it may not have been."""
        name = _noted_name(folder)
        if name is None:
            return None
        row = self._row(name)
        return _handle(name, row.number if row else "?")

    def alive(self, handle: JobHandle) -> bool:
        """A job counts as alive while Slurm does not answer: it must not run twice."""
        name = handle.boot_id
        since = self._since.setdefault(name, self._clock())
        row = self._row(name)
        if row is not None and row.alive and JobFolder(row.folder).told:
            # It has only to leave: don't wait for the look that would be due.
            self._asker.soon(CANCEL_LOOK_S)
            row = self._row(name)
            if row is not None and row.state == "COMPLETING":
                # What the cluster tidies up after a job may take minutes, and is none of its work.
                return False
        if row is not None and row.alive:
            return True
        if row is None and (self._asker.silence is not None or not self._asker.knows_of(since)):
            return True
        self._explain(name, handle, row)
        return False

    def waits(self, handle: JobHandle) -> str | None:
        if self._asker.silence is not None:
            return self._asker.silence.what
        row = self._row(handle.boot_id)
        if row is not None and row.reason == "Dependency":
            parts = self._answer(handle.boot_id + PARTS_SUFFIX)
            left = sum(part.alive for part in parts)
            return f"Slurm's job {row.number} waits for {left} of its {len(parts)} parts"
        return row.waits if row else None

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        """scancel, which sends SIGTERM and, after the cluster's own KillWait, SIGKILL.

        Raises ColdalError when Slurm does not answer or the job does not end.
        """
        # Before its parts, or it would begin when they have ended.
        names = (handle.boot_id, handle.boot_id + PARTS_SUFFIX)
        deadline = time.monotonic() + grace_s + KILL_WAIT_S
        while left := [row for row in _of(self._rows(), names) if row.alive]:
            if time.monotonic() > deadline:
                raise ColdalError(
                    f"Slurm's job {left[0].number} does not end: it is {left[0].state.lower()}",
                    remedy=f"scancel --signal=KILL --full {left[0].number}",
                    code="slurm",
                )
            for name in dict.fromkeys(row.name for row in left):
                scancel(name)
            time.sleep(CANCEL_LOOK_S)
        self._asker.soon()

    def _submit(self, job: JobFolder, ask: Ask, name: str) -> str:
        """Submit the job, after an array of its parts where it can be shared; its number."""
        settings = ask.settings.get("slurm", {})
        task = SlurmTask(
            folder=str(job.path),
            device=_device(ask.device, settings.get("gres")),
            signal_s=int(settings.get("signal_s", 90)),
            timeouts=int(settings.get("timeouts", 20)),
        )
        most = int(settings.get("array", 1))
        parts = _split(job, most) if most > 1 else []
        if not parts:
            return submit([task], job.path, name, ask)
        tasks = [replace(task, folder=str(part.path)) for part in parts]
        array = submit(tasks, job.path, name + PARTS_SUFFIX, ask)
        try:
            return submit([replace(task, gather=True)], job.path, name, ask, after=array)
        except ColdalError:
            scancel(name + PARTS_SUFFIX)
            raise

    def _row(self, name: str) -> Row | None:
        found = self._answer(name)
        return next((row for row in found if row.alive), found[-1] if found else None)

    def _answer(self, name: str) -> tuple[Row, ...]:
        self._asker.look()
        return (self._asker.answer or {}).get(name, ())

    def _explain(self, name: str, handle: JobHandle, row: Row | None) -> None:
        """Note in the job's log how Slurm says that it ended, once; what the worker could not tell
        is told in its place (out of memory: the next attempt does with less).
        """
        if name in self._ended:
            return
        self._ended.add(name)
        found = row or accounted(handle.native_id, name)
        if found is None or found.state == "COMPLETED":
            return
        job = JobFolder(found.folder)
        with contextlib.suppress(OSError, ColdalError):
            if job.told:
                return
            job.note(f"Slurm: job {found.number} ended as {found.state}")
            error = _error_of(found.state, found.number, str(job.log))
            if error is not None:
                job.write_error(error)


def _split(job: JobFolder, most: int) -> list[JobFolder]:
    # Only where it is asked for, since it loads numpy: a supervisor stays small.
    from coldal_launch.job_parts import split

    return split(job, most)


def _error_of(state: str, number: str, log: str) -> JobError | None:
    """The error for Slurm's final state when the worker wrote none."""
    if state == "OUT_OF_MEMORY":
        what = "the job used more memory than Slurm gave it"
        remedy = "raise [backend.slurm] mem_gb in coldal.toml"
        return JobError(what, log, remedy, OUT_OF_MEMORY)
    if state.startswith("CANCELLED"):
        # A person or a rule of the cluster: it is not for us to submit it again.
        what = f"someone has cancelled Slurm's job {number}"
        remedy = "coldal-tui jobs retry goes on from where it was"
        return JobError(what, log, remedy, "scancelled")
    return None


def _handle(name: str, number: str) -> JobHandle:
    """Slurm numbers its jobs anew when it loses its state: the name tells which one is meant."""
    return JobHandle(
        host="slurm", boot_id=name, pid=0, started=round(time.time(), 3), native_id=number
    )


def _device(asked: str, gres: str | None) -> str | None:
    """The worker's device; None where the node that it comes to decides.

    A job that was granted GPUs uses all of them, whatever their numbers on that node.
    """
    if asked == "cpu":
        return "cpu"
    granted = gres is not None and "gpu" in gres
    return "cuda" if granted or asked.startswith("cuda") else None


def _of(rows: Mapping[str, tuple[Row, ...]], names: Iterable[str]) -> list[Row]:
    return [row for name in names for row in rows.get(name, ())]


def _note_name(folder: Path, name: str) -> None:
    path = folder / SLURM_FOLDER / "name.json"
    path.parent.mkdir(exist_ok=True)
    atomic_write(path, lambda stream: stream.write(json.dumps({"name": name}).encode()))


def _noted_name(folder: Path) -> str | None:
    try:
        noted: Any = json.loads((folder / SLURM_FOLDER / "name.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return str(noted.get("name")) if isinstance(noted, dict) else None
