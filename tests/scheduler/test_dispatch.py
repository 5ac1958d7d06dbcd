"""Which waiting jobs the supervisor starts, over a backend whose workers the test plays."""

from __future__ import annotations

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.folder import JobError
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.scheduler import dispatch, queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.playing import AGAIN, error_of, statuses


def test_jobs_start_in_order_and_one_at_a_time(project, supervisor, backend) -> None:
    for _ in range(3):
        queue.submit(project, "embed", AGAIN)
    assert supervisor.step()
    assert supervisor.step()
    assert backend.names == ["000001-embed"]
    backend.finish_embedding()
    assert supervisor.step()
    assert backend.names == ["000001-embed", "000002-embed"]
    assert statuses(project) == ["done", "running", "waiting"]


def test_a_step_without_open_jobs_says_so(supervisor) -> None:
    assert supervisor.step() is False


def test_a_job_waits_for_what_it_depends_on(project, supervisor, backend) -> None:
    queue.submit(project, "embed", AGAIN)
    late = queue.submit(project, "embed", AGAIN)
    queue.submit(project, "embed", AGAIN, depends_on=[late])
    with project.store.transaction():
        project.store.update("jobs", {"job_id": 1}, depends_on=[late])
    supervisor.step()
    assert backend.names == ["000002-embed"]


def test_a_broken_dependency_ends_the_whole_chain_with_the_first_cause(
    project, supervisor, backend
) -> None:
    first = queue.submit(project, "embed")
    second = queue.submit(project, "map", depends_on=[first])
    third = queue.submit(project, "select", depends_on=[second])
    supervisor.step()
    backend.fail(JobError("the weights are gone", "w.pt", "put them back", "weights"))
    assert supervisor.step() is False
    assert statuses(project) == ["failed", "cancelled", "cancelled"]
    expected = "job 1 (embed), which it needs, failed: the weights are gone"
    for number in (second, third):
        assert error_of(project, number) == JobError(
            expected, "w.pt", "put them back", "dependency"
        )


def test_a_job_cancelled_while_it_is_planned_never_starts(
    project, supervisor, backend, monkeypatch
) -> None:
    number = queue.submit(project, "embed")
    real = dispatch.build_spec

    def plan(*arguments):
        queue.cancel(project, number)
        return real(*arguments)

    monkeypatch.setattr(dispatch, "build_spec", plan)
    supervisor.step()
    assert backend.names == []
    assert get_job(project, number).status == "cancelled"


def test_a_project_that_is_not_ready_fails_the_job(project, supervisor, backend) -> None:
    number = queue.submit(project, "map")
    after = queue.submit(project, "embed")
    supervisor.step()
    assert error_of(project, number).what == "no scan has been embedded yet"
    supervisor.step()
    assert get_job(project, after).status == "running"


def test_a_plan_that_crashes_fails_its_job_and_the_loop_goes_on(
    project, supervisor, backend, capsys
) -> None:
    number = queue.submit(project, "map", {"seed": "seven"})
    queue.submit(project, "embed")
    _embed_directly(project, supervisor, backend)
    supervisor.step()
    assert get_job(project, number).status == "failed"
    assert "ValueError" in error_of(project, number).what
    capsys.readouterr()


def _embed_directly(project: Project, supervisor: Supervisor, backend) -> None:
    """Run job 2 (embed) before job 1."""
    with project.store.transaction():
        project.store.update("jobs", {"job_id": 1}, depends_on=[2])
    supervisor.step()
    backend.finish_embedding()
    supervisor.step()


def test_a_launch_that_raises_fails_the_job(project, supervisor, backend) -> None:
    number = queue.submit(project, "embed")
    backend.refuses = ColdalError("no free node", remedy="wait", code="slurm")
    supervisor.step()
    assert get_job(project, number).status == "failed"
    assert error_of(project, number) == JobError("no free node", None, "wait", "slurm")


def test_nothing_to_do_is_done_without_a_worker(project, supervisor, backend, embedded) -> None:
    embedded()
    number = queue.submit(project, "embed")
    supervisor.step()
    job = get_job(project, number)
    assert (job.status, job.result) == ("done", {"nothing_to_do": True})
    assert backend.names == []


def test_an_unknown_backend_fails_its_job(project) -> None:
    with project.store.transaction():
        number = project.store.insert(
            "jobs",
            kind="embed",
            request={},
            status="waiting",
            depends_on=[],
            folder=".coldal/jobs/x",
            backend="nowhere",
            created_at="now",
        )
    Supervisor(project).step()
    assert error_of(project, number).what == "no backend called 'nowhere'"
