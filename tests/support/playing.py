"""What the tests of jobs play with: a backend without processes, a worker's files, a clock."""

from __future__ import annotations

import hashlib
import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.jobs.backend import Ask, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.jobs.spec import EmbedSpec, FailedScan, OutputFile, Receipt
from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config

AGAIN = {"again": True}


def statuses(project: Project) -> list[str]:
    return [job.status for job in list_jobs(project)]


def error_of(project: Project, number: int) -> JobError:
    error = get_job(project, number).error
    assert error is not None
    return error


def waiting_for(project: Project) -> list[str | None]:
    return [job.waiting_for for job in list_jobs(project)]


def forget_handle(project: Project, number: int) -> None:
    """As if the supervisor had died between the launch and its note of the handle."""
    with project.store.transaction():
        project.store.update("jobs", {"job_id": number}, handle=None)


def set_backend(project: Project, **values: Any) -> None:
    """Set keys of [backend] in coldal.toml."""
    edit_config(project.layout.config, {("backend", key): value for key, value in values.items()})
    project.reload_config()


@dataclass
class FakeBackend:
    """Launches nothing: the test writes what a worker would have written."""

    name: str = "fake"
    host: str = field(default_factory=socket.gethostname)
    launched: list[JobFolder] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)
    beside: list[list[str]] = field(default_factory=list)
    living: set[int] = field(default_factory=set)
    cancelled: list[tuple[int, float]] = field(default_factory=list)
    refuses: Exception | None = None
    full: dict[str, str] = field(default_factory=dict)
    taken: str = ""
    queued: str | None = None
    lost: dict[Path, JobHandle] = field(default_factory=dict)

    def room(self, ask: Ask, running: Sequence[Running]) -> Wait | None:
        return Wait(self.full[ask.device]) if ask.device in self.full else None

    def launch(self, folder: Path, ask: Ask, running: Sequence[Running]) -> JobHandle | Wait:
        if self.refuses is not None:
            raise self.refuses
        if self.taken:
            return Wait(self.taken)
        self.launched.append(JobFolder(folder))
        self.asked.append(ask)
        self.beside.append([one.name for one in running])
        pid = 1_000 + len(self.launched)
        self.living.add(pid)
        return JobHandle(host=self.host, boot_id="boot", pid=pid, started=float(pid))

    def find(self, folder: Path) -> JobHandle | None:
        return self.lost.get(folder)

    def alive(self, handle: JobHandle) -> bool:
        return handle.pid in self.living

    def waits(self, handle: JobHandle) -> str | None:
        return self.queued

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        self.cancelled.append((handle.pid, grace_s))
        self.living.discard(handle.pid)

    @property
    def names(self) -> list[str]:
        return [folder.path.name for folder in self.launched]

    def die(self) -> None:
        """Every worker is gone."""
        self.living.clear()

    def fail(self, error: JobError) -> None:
        self.launched[-1].write_error(error)
        self.die()

    def finish_embedding(self, *, failed: str | None = None) -> None:
        """The newest worker embeds all its scans but ``failed``, writes its receipt, and ends."""
        write_embedding(self.launched[-1], failed=failed)
        self.die()


def write_embedding(folder: JobFolder, *, failed: str | None = None) -> None:
    spec = folder.read_spec()
    assert isinstance(spec, EmbedSpec)
    ids = [scan.scan_id for scan in spec.scans if scan.scan_id != failed]
    content = io.BytesIO()
    np.save(content, np.array([[n, 1.0] for n in range(len(ids))], np.float32))
    data = content.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    (folder.path / "shard-00000.npy").write_bytes(data)
    folder.write_receipt(
        Receipt(
            job_id=folder.path.name,
            kind="embed",
            outputs=(OutputFile("shard-00000.npy", digest, len(data)),),
            result={
                "encoder": "tiny",
                "encoder_hash": "e" * 64,
                "dim": 2,
                "record": {},
                "shards": [{"file": "shard-00000.npy", "sha256": digest, "scan_ids": ids}],
            },
            failed=(FailedScan(failed, f"{failed}.png", "no pixels"),) if failed else (),
        )
    )


@dataclass
class Clock:
    """Seconds that pass only when told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now
