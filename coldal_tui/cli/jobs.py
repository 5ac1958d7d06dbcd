"""``jobs``: what runs, what ran, its log; cancel and retry."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common

if TYPE_CHECKING:
    from coldal_tui.jobs.queue import Job
    from coldal_tui.project.project import Project

ACTIONS = ("list", "show", "logs", "cancel", "retry")


@click.command("jobs")
@common.project_argument("[PROJECT] [list|show|logs|cancel|retry] [JOB]")
@click.option("-f", "--follow", is_flag=True, help="logs: go on until the job ends.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def jobs_command(targets: tuple[str, ...], follow: bool, as_json: bool) -> None:
    """Jobs: list, show, logs, cancel, retry. Without a number, the newest one."""
    project, rest = common.open_with_rest(targets)
    with project:
        action = rest[0] if rest else "list"
        if action not in ACTIONS:
            raise click.UsageError(f"no such action {action!r}; one of: {', '.join(ACTIONS)}")
        if len(rest) > 2:
            raise click.UsageError("one job at a time")
        if action == "list":
            _list(project, as_json)
            return
        job = _job(project, rest[1] if len(rest) > 1 else None)
        match action:
            case "show":
                _show(job, as_json)
            case "logs":
                _logs(project, job, follow)
            case "cancel":
                _cancel(project, job)
            case _:
                _retry(project, job)


def _job(project: Project, word: str | None) -> Job:
    from coldal_tui.jobs import queue

    if word is None:
        newest = queue.list_jobs(project, newest=1)
        if not newest:
            raise click.UsageError("there is no job yet")
        return newest[0]
    if not word.isdigit():
        raise click.UsageError(f"{word!r} is not a job's number")
    return queue.get_job(project, int(word))


def job_json(job: Job) -> dict[str, Any]:
    progress = job.folder.progress()
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "status": job.status,
        "progress": asdict(progress) if progress else None,
        "request": job.request,
        "depends_on": list(job.depends_on),
        "attempts": job.attempts,
        "error": {k: getattr(job.error, k) for k in ("what", "where", "remedy", "code")}
        if job.error
        else None,
        "result": job.result,
        "folder": str(job.folder.path),
        "log": str(job.folder.log),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }


def _list(project: Project, as_json: bool) -> None:
    from coldal_tui.jobs import queue

    jobs = queue.list_jobs(project, newest=50)
    if as_json:
        common.print_json([job_json(job) for job in jobs])
        return
    table = common.table(None, "job>", "kind", "status", "progress>", "started", "")
    for job in jobs:
        progress = job.folder.progress() if job.status == "running" else None
        note = job.error.what if job.error else ""
        if job.result.get("nothing_to_do"):
            note = "nothing to do"
        table.add_row(
            str(job.job_id),
            job.kind,
            job.status,
            f"{progress.fraction:.0%}" if progress else "",
            job.started_at or "–",
            note,
        )
    common.console().print(table)


def _show(job: Job, as_json: bool) -> None:
    if as_json:
        common.print_json(job_json(job))
        return
    click.echo(f"job {job.job_id}: {job.kind}, {job.status}")
    click.echo(f"  created {job.created_at}, started {job.started_at}, ended {job.ended_at}")
    click.echo(f"  log {job.folder.log}")
    if job.error:
        click.echo(f"  {job.error.as_exception()}")
    for failed in job.result.get("failed") or []:
        click.echo(f"  {failed['scan_id']} ({failed['file']}): {failed['message']}")


def _logs(project: Project, job: Job, follow: bool) -> None:
    from coldal_tui.jobs import queue

    position = 0
    while True:
        ended = queue.get_job(project, job.job_id).ended
        if job.folder.log.exists():
            with job.folder.log.open("rb") as stream:
                stream.seek(position)
                text = stream.read()
            position += len(text)
            click.echo(text.decode("utf-8", "replace"), nl=False)
        if not follow or ended:
            return
        time.sleep(0.3)


def _cancel(project: Project, job: Job) -> None:
    from coldal_tui.jobs import queue
    from coldal_tui.jobs.supervisor import ensure_supervisor

    if job.ended:
        click.echo(f"job {job.job_id} has ended already ({job.status})")
        return
    queue.cancel(project, job.job_id)
    ensure_supervisor(project.layout)
    for _ in range(300):
        job = queue.get_job(project, job.job_id)
        if job.ended:
            break
        time.sleep(0.1)
    click.echo(f"job {job.job_id}: {job.status if job.ended else 'asked to end'}")


def _retry(project: Project, job: Job) -> None:
    from coldal_tui.jobs import queue
    from coldal_tui.jobs.supervisor import ensure_supervisor

    queue.retry(project, job.job_id)
    ensure_supervisor(project.layout)
    click.echo(f"job {job.job_id} goes on; follow: coldal-tui jobs logs -f {job.job_id}")
