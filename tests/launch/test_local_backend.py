"""The local backend with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from coldal_launch import local
from coldal_launch.local import LocalBackend, group_members
from coldal_launch.process_identity import boot_id, start_time
from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.jobs.backend import Ask, JobHandle, load_backend
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.spec import SelectSpec

STUBBORN = """#!/bin/bash
stubborn() { trap "" TERM HUP; echo $BASHPID > new; mv new stubborn; while :; do sleep 1; done; }
stubborn &
wait
"""


def until(happened: Callable[[], bool], what: str, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


@pytest.fixture
def blocked(tmp_path: Path) -> JobFolder:
    """A job whose worker waits for ever: its map is a pipe that nobody writes to."""
    folder = JobFolder(tmp_path / "job")
    os.mkfifo(tmp_path / "map.npz")
    folder.prepare(SelectSpec(0, "coldstart", 1, 0, seed=0, map=str(tmp_path / "map.npz"), pool=()))
    return folder


@pytest.fixture
def backend() -> Iterator[LocalBackend]:
    """Ends whatever a test has launched."""
    made = LocalBackend()
    handles: list[JobHandle] = []
    launch = made.launch

    def remembering(folder: Path) -> JobHandle:
        handle = launch(folder, Ask("select"), ())
        assert isinstance(handle, JobHandle)
        handles.append(handle)
        return handle

    made.launch = remembering  # type: ignore[method-assign]
    yield made
    for handle in handles:
        made.cancel(handle, 0.0)


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch, backend: LocalBackend) -> tuple[JobHandle, int]:
    """A job with a child that ignores SIGTERM: the handle, and the child's pid."""
    script = tmp_path / "worker.sh"
    script.write_text(STUBBORN)
    script.chmod(0o755)
    folder = tmp_path / "job"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(local.sys, "executable", str(script))
        handle = backend.launch(folder)
    until((folder / "stubborn").exists, "the child to start")
    return handle, int((folder / "stubborn").read_text())


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of the project's business, leader of its own group."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_it_is_found_by_its_entry_point() -> None:
    assert isinstance(load_backend("local"), LocalBackend)


def test_an_identity_is_boot_pid_and_start_time(backend, blocked) -> None:
    before = float(Path("/proc/uptime").read_text().split()[0])
    handle = backend.launch(blocked.path)
    after = float(Path("/proc/uptime").read_text().split()[0])
    assert handle.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # One tick (10 ms) of rounding either way.
    assert before - 0.011 <= handle.started <= after + 0.011
    assert os.getpgid(handle.pid) == os.getsid(handle.pid) == handle.pid
    assert backend.alive(handle)


def test_another_backend_object_knows_it_too(backend, blocked) -> None:
    handle = backend.launch(blocked.path)
    kept = msgspec.convert(json.loads(msgspec.json.encode(handle)), JobHandle)
    assert LocalBackend().alive(kept)


def test_an_ended_worker_is_not_alive(backend, blocked) -> None:
    handle = backend.launch(blocked.path)
    os.kill(handle.pid, signal.SIGKILL)
    until(lambda: not backend.alive(handle), "the worker to be seen dead")
    assert _gone(handle.pid)


def test_a_zombie_is_not_alive(stranger) -> None:
    handle = JobHandle("here", boot_id(), stranger.pid, start_time(stranger.pid))
    assert LocalBackend().alive(handle)
    os.kill(stranger.pid, signal.SIGKILL)
    until(lambda: not LocalBackend().alive(handle), "the zombie to be seen dead")


@pytest.mark.parametrize("change", ["started", "boot"])
def test_a_reused_pid_is_not_the_job_and_is_never_signalled(stranger, change: str) -> None:
    started = start_time(stranger.pid)
    handle = JobHandle(
        "here",
        boot_id() if change == "started" else "an earlier boot",
        stranger.pid,
        started - 5.0 if change == "started" else started,
    )
    backend = LocalBackend()
    assert not backend.alive(handle)
    backend.cancel(handle, 0.0)
    assert stranger.poll() is None
    assert psutil.Process(stranger.pid).status() != psutil.STATUS_ZOMBIE


def test_a_host_may_change_its_name(stranger) -> None:
    handle = JobHandle("name-of-yesterday", boot_id(), stranger.pid, start_time(stranger.pid))
    assert LocalBackend().alive(handle)


def test_start_times_of_processes_that_are_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(psutil.NoSuchProcess):
        start_time(process.pid)


def test_cancelling_ends_the_worker(backend, blocked) -> None:
    handle = backend.launch(blocked.path)
    until(blocked.heartbeat.exists, "the worker to begin")
    until(lambda: "select starts" in "".join(blocked.log_tail()), "the step to begin")
    backend.cancel(handle, 10.0)
    assert not backend.alive(handle)
    error = blocked.error()
    assert error is not None
    assert error.code == "cancelled"
    assert not blocked.worker_running()


def test_cancelling_ends_a_grandchild_that_ignores_sigterm(backend, stubborn) -> None:
    handle, child = stubborn
    assert not _gone(child)
    backend.cancel(handle, 0.3)
    assert _gone(child)
    assert group_members(handle.pid) == []


def test_what_a_dead_worker_left_behind_is_ended_too(backend, stubborn) -> None:
    handle, child = stubborn
    os.kill(handle.pid, signal.SIGKILL)
    until(lambda: not backend.alive(handle), "the leader to die")
    assert not _gone(child)
    backend.cancel(handle, 0.0)
    assert _gone(child)


def test_the_lock_is_held_from_the_launch_to_the_last_process(backend, stubborn, tmp_path) -> None:
    handle, _ = stubborn
    folder = JobFolder(tmp_path / "job")
    assert folder.worker_running()
    os.kill(handle.pid, signal.SIGKILL)
    until(lambda: not backend.alive(handle), "the leader to die")
    assert folder.worker_running()
    backend.cancel(handle, 0.0)
    assert not folder.worker_running()


def test_a_folder_with_a_living_worker_is_not_launched_again(backend, blocked) -> None:
    backend.launch(blocked.path)
    assert blocked.worker_running()
    with pytest.raises(ColdalError) as caught:
        backend.launch(blocked.path)
    assert caught.value.code == "running"


def test_a_lock_that_a_dying_worker_still_holds_is_waited_for(backend, blocked) -> None:
    """A killed process counts as gone before the last of its threads has let go of its files."""
    held = blocked.lock.open("ab")
    assert try_lock(held)
    threading.Timer(0.5, held.close).start()
    assert backend.alive(backend.launch(blocked.path))


def test_a_worker_survives_the_death_of_its_launcher(blocked) -> None:
    code = (
        "import sys, os, msgspec; from pathlib import Path\n"
        "from coldal_launch.local import LocalBackend\n"
        "from coldal_tui.jobs.backend import Ask\n"
        "handle = LocalBackend().launch(Path(sys.argv[1]), Ask('select'), ())\n"
        "os.write(1, msgspec.json.encode(handle))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    launcher = subprocess.run(
        [sys.executable, "-c", code, str(blocked.path)], capture_output=True, timeout=600
    )
    assert launcher.returncode == -signal.SIGKILL
    handle = msgspec.json.decode(launcher.stdout, type=JobHandle)
    backend = LocalBackend()
    try:
        until(blocked.heartbeat.exists, "the worker to begin")
        assert backend.alive(handle)
        assert blocked.worker_running()
    finally:
        backend.cancel(handle, 0.0)
    assert not backend.alive(handle)


def test_modules_in_the_jobs_folder_are_not_imported(backend, blocked) -> None:
    (blocked.path / "msgspec.py").write_text("raise SystemExit('imported from the folder')")
    backend.launch(blocked.path)
    until(lambda: "select starts" in "".join(blocked.log_tail()), "the step to begin")
