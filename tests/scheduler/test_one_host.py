"""A project on a network file system has one writing host at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.database import one_host
from coldal_tui.project.database import store as stores
from coldal_tui.project.database.one_host import LEASE_S, RENEW_S, WritingHost
from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.playing import Clock


@pytest.fixture
def shared(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that lies on a network file system from now on; host.json is its file."""
    project.close()
    monkeypatch.setattr(stores, "on_network_file_system", lambda path: True)
    return project.layout.state / "host.json"


def be(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(one_host.socket, "gethostname", lambda: host)


def test_a_second_host_is_told_who_writes_and_what_to_do(project, shared, monkeypatch) -> None:
    be(monkeypatch, "gpu7")
    with Project(project.root) as first:
        queue.submit(first, "embed")
    be(monkeypatch, "login2")
    with Project(project.root) as second, pytest.raises(ColdalError) as caught:
        queue.submit(second, "embed")
    assert caught.value.code == "other-host"
    assert caught.value.what.startswith("the host gpu7 writes to this project (last sign ")
    assert "work on gpu7, or wait until 90 s after its last job" in (caught.value.remedy or "")


def test_a_second_host_reads(project, shared, monkeypatch) -> None:
    be(monkeypatch, "gpu7")
    with Project(project.root) as first:
        queue.submit(first, "embed")
    be(monkeypatch, "login2")
    with Project(project.root) as second:
        assert [job.kind for job in list_jobs(second)] == ["embed"]


def test_after_its_lease_another_host_may_write(project, shared, monkeypatch) -> None:
    be(monkeypatch, "gpu7")
    with Project(project.root) as first:
        queue.submit(first, "embed")
    then = shared.stat().st_mtime - LEASE_S - 1
    os.utime(shared, (then, then))
    be(monkeypatch, "login2")
    with Project(project.root) as second:
        queue.submit(second, "embed")
    assert shared.read_text() == '{"host": "login2"}'


def test_a_waiting_supervisor_keeps_the_lease(project, shared, monkeypatch, backend) -> None:
    be(monkeypatch, "gpu7")
    with Project(project.root) as first:
        first.store._host = WritingHost(shared, clock := Clock())
        queue.submit(first, "embed")
        supervisor = Supervisor(first, lambda name: backend)
        supervisor.step()
        os.utime(shared, (5, 5))
        clock.now = RENEW_S
        supervisor.step()
    assert shared.stat().st_mtime > 5


def test_a_supervisor_whose_lease_was_taken_leaves_the_jobs_alone(
    project, shared, monkeypatch, backend
) -> None:
    be(monkeypatch, "gpu7")
    with Project(project.root) as first:
        first.store._host = WritingHost(shared, clock := Clock())
        number = queue.submit(first, "embed")
        supervisor = Supervisor(first, lambda name: backend)
        supervisor.step()
        shared.write_text('{"host": "login2"}')
        clock.now = RENEW_S
        with pytest.raises(ColdalError, match="the host login2 writes"):
            supervisor.step()
        assert get_job(first, number).status == "running"


def test_the_clocks_of_the_hosts_do_not_matter(tmp_path: Path, monkeypatch) -> None:
    """Only the file server's time is compared, however wrong it is."""
    file = tmp_path / "host.json"
    file.write_text('{"host": "gpu7"}')
    monkeypatch.setattr(one_host.time, "time", lambda: 0.0)
    be(monkeypatch, "login2")
    with pytest.raises(ColdalError, match="gpu7"):
        WritingHost(file).claim()
    assert [path.name for path in tmp_path.iterdir()] == ["host.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": 1}'])
def test_a_damaged_file_names_nobody(tmp_path: Path, content: bytes, monkeypatch) -> None:
    file = tmp_path / "host.json"
    file.write_bytes(content)
    be(monkeypatch, "login2")
    WritingHost(file).claim()
    assert file.read_text() == '{"host": "login2"}'


def test_on_a_disk_of_its_own_no_host_is_named(project: Project) -> None:
    queue.submit(project, "embed")
    assert not (project.layout.state / "host.json").exists()
