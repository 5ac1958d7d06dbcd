"""A small project, and a backend whose workers do what the test tells them."""

from __future__ import annotations

import hashlib
import io
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.jobs.backend import JobHandle
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.jobs.spec import EmbedSpec, FailedScan, OutputFile, Receipt
from coldal_tui.jobs.supervisor import Supervisor
from coldal_tui.project.indexing import reindex
from coldal_tui.project.project import Project

SCANS = 4


@pytest.fixture
def empty_project(tmp_path: Path) -> Iterator[Project]:
    """A project whose images folder is empty."""
    (tmp_path / "images").mkdir()
    with Project.create(tmp_path / "project", tmp_path / "images") as project:
        yield project


@pytest.fixture
def project(empty_project: Project) -> Project:
    """A project of four pictures, ``a.png`` to ``d.png``."""
    rng = np.random.default_rng(0)
    for name in "abcd"[:SCANS]:
        pixels = rng.integers(0, 255, (8, 9)).astype(np.uint8)
        Image.fromarray(pixels).save(empty_project.images / f"{name}.png")
    reindex(empty_project)
    return empty_project


@dataclass
class FakeBackend:
    """Launches nothing: the test writes what a worker would have written."""

    name: str = "fake"
    host: str = field(default_factory=socket.gethostname)
    launched: list[JobFolder] = field(default_factory=list)
    living: set[int] = field(default_factory=set)
    cancelled: list[tuple[int, float]] = field(default_factory=list)
    refuses: Exception | None = None

    def launch(self, folder: Path) -> JobHandle:
        if self.refuses is not None:
            raise self.refuses
        self.launched.append(JobFolder(folder))
        pid = 1_000 + len(self.launched)
        self.living.add(pid)
        return JobHandle(host=self.host, boot_id="boot", pid=pid, started=float(pid))

    def alive(self, handle: JobHandle) -> bool:
        return handle.pid in self.living

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        self.cancelled.append((handle.pid, grace_s))
        self.living.discard(handle.pid)

    @property
    def names(self) -> list[str]:
        return [folder.path.name for folder in self.launched]

    def die(self) -> None:
        """The newest worker is gone."""
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


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@dataclass
class Clock:
    """Seconds that pass only when told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(project: Project, backend: FakeBackend, clock: Clock) -> Supervisor:
    return Supervisor(project, lambda name: backend, clock)


@pytest.fixture
def embedded(project: Project) -> Callable[[], None]:
    """Call it to have every scan of the project embedded, as if a job had done it."""

    def embed() -> None:
        from coldal_tui.jobs import queue

        fake = FakeBackend()
        number = queue.submit(project, "embed")
        supervisor = Supervisor(project, lambda name: fake)
        supervisor.step()
        fake.finish_embedding()
        supervisor.step()
        assert queue.get_job(project, number).status == queue.DONE

    return embed
