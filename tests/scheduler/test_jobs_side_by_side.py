"""Several jobs at once: who goes first, who waits for whom, and what each is told."""

from __future__ import annotations

import threading

import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import try_lock
from coldal_tui.jobs.backend import JobHandle
from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.dispatch import writes_the_same
from tests.support.playing import AGAIN, forget_handle, set_backend, statuses, waiting_for


@pytest.fixture
def ready(project: Project, embedded) -> Project:
    """A project whose scans have vectors, so that embed and map jobs have something to do."""
    embedded()
    return project


def _kinds(project: Project, *kinds: str) -> list[int]:
    return [queue.submit(project, kind, AGAIN if kind == "embed" else {}) for kind in kinds]


def test_jobs_of_different_kinds_run_side_by_side(ready, supervisor, backend) -> None:
    embed, mapped = _kinds(ready, "embed", "map")
    supervisor.step()
    assert statuses(ready)[1:] == ["running", "running"]
    assert backend.beside == [[], [f"job {embed} (embed)"]]
    assert [ask.kind for ask in backend.asked] == ["embed", "map"]
    assert mapped == embed + 1


def test_two_that_write_to_the_same_place_run_one_after_the_other(
    ready, supervisor, backend
) -> None:
    first, _ = _kinds(ready, "embed", "embed")
    supervisor.step()
    assert statuses(ready)[1:] == ["running", "waiting"]
    assert waiting_for(ready)[1:] == [None, f"job {first} (embed) writes to the same place"]
    backend.finish_embedding()
    supervisor.step()
    assert statuses(ready)[1:] == ["done", "running"]
    assert waiting_for(ready)[1:] == [None, None]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("select", {}), ("select", {}), True),
        (("train", {}), ("train", {}), True),
        (("map", {}), ("map", {}), True),
        (("score", {}), ("predict", {}), True),
        (("score", {"run": "run-001"}), ("predict", {"run": "run-001"}), True),
        (("score", {"run": "run-001"}), ("score", {"run": None}), True),
        (("score", {"run": "run-001"}), ("score", {"run": "run-002"}), False),
        (("train", {}), ("score", {}), False),
        (("embed", {}), ("map", {}), False),
        (("evaluate", {}), ("evaluate", {}), False),
    ],
)
def test_what_writes_to_the_same_place(project, one, other, same: bool) -> None:
    jobs = [get_job(project, queue.submit(project, *call)) for call in (one, other)]
    assert writes_the_same(jobs[0], jobs[1]) is same
    assert writes_the_same(jobs[1], jobs[0]) is same


def test_a_full_backend_is_waited_for_with_its_reason(project, supervisor, backend) -> None:
    (number,) = _kinds(project, "embed")
    backend.full = {"auto": "GPU 0 is held by others: 2.1 of 80 GB free"}
    assert supervisor.step()
    assert waiting_for(project) == ["GPU 0 is held by others: 2.1 of 80 GB free"]
    assert not get_job(project, number).folder.path.exists()
    backend.full = {}
    supervisor.step()
    assert statuses(project) == ["running"]


def test_a_job_for_the_cpu_starts_while_another_waits_for_a_gpu(ready, supervisor, backend) -> None:
    backend.full = {"auto": "GPU 0 runs job 9 (train)"}
    _kinds(ready, "embed", "map")
    supervisor.step()
    assert statuses(ready)[1:] == ["waiting", "running"]


def test_who_comes_later_does_not_overtake_on_the_gpu(ready, supervisor, backend) -> None:
    """The first wants two GPUs, and one is free: the second would take it for ever."""
    queue.submit(ready, "embed", AGAIN | {"gpus": 2})
    queue.submit(ready, "evaluate", {"device": "cuda"})
    asked = []
    real = backend.room

    def room(ask, running):
        asked.append((ask.kind, ask.gpus))
        backend.full = {"auto": "GPU 1 runs job 9 (train)"} if ask.gpus == 2 else {}
        return real(ask, running)

    backend.room = room
    supervisor.step()
    assert asked == [("embed", 2)]
    assert waiting_for(ready)[1:] == ["GPU 1 runs job 9 (train)"] * 2


def test_the_place_may_be_gone_when_the_job_is_planned(project, supervisor, backend) -> None:
    (number,) = _kinds(project, "embed")
    backend.taken = "GPU 0 is held by others: 0.4 of 80 GB free"
    supervisor.step()
    job = get_job(project, number)
    assert (job.status, job.attempts, job.waiting_for) == ("waiting", 0, backend.taken)
    backend.taken = ""
    supervisor.step()
    assert get_job(project, number).attempts == 1


def test_a_job_cancelled_while_it_was_put_back_does_not_start(
    project, supervisor, backend, monkeypatch
) -> None:
    (number,) = _kinds(project, "embed")
    backend.taken = "GPU 0 is held by others"
    real = backend.launch

    def launch(*arguments):
        queue.cancel(project, number)
        return real(*arguments)

    backend.launch = launch
    supervisor.step()
    backend.taken = ""
    supervisor.step()
    assert statuses(project) == ["cancelled"]
    assert backend.names == []


def test_a_job_is_told_which_one_it_needs(project, supervisor) -> None:
    first = queue.submit(project, "embed")
    queue.submit(project, "map", depends_on=[first])
    supervisor.step()
    assert waiting_for(project) == [None, "needs job 1 (embed)"]


def test_higher_priority_goes_first_then_the_lower_number(project, supervisor, backend) -> None:
    for priority in (0, 5, 5):
        queue.submit(project, "embed", AGAIN, priority=priority)
    for _ in range(3):
        supervisor.step()
        backend.finish_embedding()
    assert backend.names == ["000002-embed", "000003-embed", "000001-embed"]


def test_a_job_put_first_takes_along_what_it_needs(project, supervisor, backend) -> None:
    queue.submit(project, "embed", AGAIN, priority=3)
    needed = queue.submit(project, "embed", AGAIN)
    last = queue.submit(project, "embed", AGAIN, depends_on=[needed])
    queue.put_first(project, last)
    assert [job.priority for job in list_jobs(project)] == [3, 4, 4]
    supervisor.step()
    assert backend.names == ["000002-embed"]


def test_only_a_waiting_job_can_be_put_first(project, supervisor) -> None:
    (number,) = _kinds(project, "embed")
    supervisor.step()
    with pytest.raises(UsageError, match="the job is running"):
        queue.put_first(project, number)


def test_a_backend_hears_what_the_job_asks_and_its_settings(project, supervisor, backend) -> None:
    set_backend(project, gpu_free_gb=12.5)
    queue.submit(project, "embed", {"device": "cuda:1", "gpus": 2})
    supervisor.step()
    (ask,) = backend.asked
    assert (ask.kind, ask.device, ask.gpus) == ("embed", "cuda:1", 2)
    assert (ask.settings["gpu_free_gb"], ask.settings["jobs_per_gpu"]) == (12.5, 1)


def test_what_needs_no_gpu_asks_for_none(ready, supervisor, backend) -> None:
    queue.submit(ready, "map", {"device": "cuda"})
    supervisor.step()
    assert [ask.device for ask in backend.asked] == ["cpu"]


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "", 7])
def test_a_device_that_is_none_is_refused_when_it_is_submitted(project, device) -> None:
    with pytest.raises(UsageError, match="is no device"):
        queue.submit(project, "embed", {"device": device})
    assert list_jobs(project) == []


def test_a_schedulers_own_queue_is_told_of_while_the_job_waits_there(
    project, supervisor, backend
) -> None:
    _kinds(project, "embed")
    backend.queued = "queued in Slurm (Priority)"
    supervisor.step()
    supervisor.step()
    assert (statuses(project), waiting_for(project)) == (["running"], [backend.queued])
    backend.queued = None
    supervisor.step()
    assert waiting_for(project) == [None]


def test_a_lost_handle_is_found_again_by_the_backend(project, supervisor, backend) -> None:
    (number,) = _kinds(project, "embed")
    supervisor.step()
    forget_handle(project, number)
    found = JobHandle(backend.host, "boot", 1001, 1001.0, devices=("GPU-0",))
    backend.lost = {backend.launched[-1].path: found}
    supervisor.step()
    job = get_job(project, number)
    assert job.status == "running"
    assert (job.handle or {})["devices"] == ["GPU-0"]


def test_nothing_starts_beside_a_job_whose_place_is_unknown(ready, supervisor, backend) -> None:
    (first, _) = _kinds(ready, "embed", "map")
    backend.full = {"cpu": "later"}
    supervisor.step()
    forget_handle(ready, first)
    backend.full = {}
    with backend.launched[-1].lock.open("ab") as worker:
        assert try_lock(worker)
        supervisor.step()
        assert waiting_for(ready)[-1] == f"job {first} (embed) is just starting"


def test_a_cancelled_job_does_not_hold_up_the_others(ready, supervisor, backend) -> None:
    first, second = _kinds(ready, "embed", "map")
    backend.full = {"cpu": "later"}
    supervisor.step()
    over = threading.Event()
    backend.cancel = lambda handle, grace: over.wait(30) and None
    queue.cancel(ready, first)
    backend.full = {}
    supervisor.step()
    assert statuses(ready)[1:] == ["running", "running"]
    assert supervisor.called()
    over.set()
    supervisor.step()
    assert get_job(ready, first).status == "cancelled"
    assert get_job(ready, second).status == "running"


def test_a_job_that_its_backend_cannot_end_stays_and_says_so(project, supervisor, backend) -> None:
    (number,) = _kinds(project, "embed")
    supervisor.step()

    def cancel(*_: object) -> None:
        raise ColdalError("scancel: access denied", code="slurm")

    backend.cancel = cancel
    queue.cancel(project, number)
    supervisor.step()
    assert statuses(project) == ["running"]
    assert waiting_for(project) == ["can't be ended: scancel: access denied"]
    backend.die()
    supervisor.step()
    assert statuses(project) == ["cancelled"]
