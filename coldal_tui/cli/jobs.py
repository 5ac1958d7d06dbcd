"""``jobs``: lists jobs, shows logs; cancel, retry, put first."""

from __future__ import annotations

import time
from codecs import getincrementaldecoder
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common, which_project
from coldal_tui.errors import UsageError
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.project.job_rows import Job
    from coldal_tui.project.project import Project

ACTIONS = ("list", "show", "logs", "cancel", "retry", "first")


@click.command("jobs")
@common.project_argument("[PROJECT] [list|show|logs|cancel|retry|first] [JOB]")
@click.option("-f", "--follow", is_flag=True, help="logs: go on until the job ends.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def jobs_command(targets: tuple[str, ...], follow: bool, as_json: bool) -> None:
    """Jobs: list, show, logs, cancel, retry, first. Without a number, the newest one.

    \b
    cancel  end it, with everything that it started
    retry   continue a failed or interrupted job from where it stopped
    first   start a waiting job before all others
    """
    from coldal_tui.scheduler.follow import revive

    root, rest = which_project.split_project(targets, rest=True)
    action, words = common.split_action(rest, ACTIONS, "list")
    looks = action in ("list", "show", "logs")
    with common.reading(root) if looks else common.writing(root) as project:
        revive(project)
        if len(words) > (0 if action == "list" else 1):
            raise click.UsageError(f"unexpected argument {words[-1]!r}")
        if follow and action != "logs":
            raise click.UsageError("-f belongs to logs")
        if as_json and action == "logs":
            raise click.UsageError("a log is plain text; --json belongs to the other actions")
        if action == "list":
            _list(project, as_json)
            return
        job = _job(project, words[0] if words else None)
        match action:
            case "show":
                _show(job, as_json)
            case "logs":
                with common.quiet_interrupt():
                    _logs(project, job, follow)
            case "cancel":
                _cancel(project, job, as_json)
            case "first":
                _put_first(project, job, as_json)
            case _:
                _retry(project, job, as_json)


def _job(project: Project, word: str | None) -> Job:
    from coldal_tui.project.job_rows import get_job, list_jobs

    if word is None:
        newest = list_jobs(project, newest=1)
        if not newest:
            raise UsageError("there is no job yet", remedy="coldal-tui select submits the first")
        return newest[0]
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise UsageError(
            f"{word!r} is not a job's number", remedy="coldal-tui jobs list shows them"
        )
    return get_job(project, int(word))


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
        "interruptions": job.interruptions,
        "priority": job.priority,
        "waiting_for": job.waiting_for,
        "devices": list((job.handle or {}).get("devices", [])),
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
    from coldal_tui.project.job_rows import list_jobs

    jobs = list_jobs(project, newest=50)
    if as_json:
        common.print_json([job_json(job) for job in jobs])
        return
    if not jobs:
        common.echo("no job yet")
        return
    table = common.table("job>", "kind", "status", "progress>", "started (UTC)", "~")
    for job in jobs:
        progress = job.folder.progress() if job.status == "running" else None
        table.add_row(
            str(job.job_id),
            job.kind,
            job.status,
            f"{progress.fraction:.0%}" if progress else "",
            (job.started_at or "–")[:19],
            _note(job),
        )
    common.console().print(table)


def _note(job: Job) -> str:
    """A short note on a job besides its status."""
    if job.result.get("nothing_to_do"):
        return "nothing to do"
    again = f"attempt {job.attempts}" if job.attempts > 1 else ""
    less = job.result.get("adjustments", [])[-1:]
    error = job.error.what if job.error else ""
    return "; ".join(part for part in (error, job.waiting_for, again, *less) if part)


def _show(job: Job, as_json: bool) -> None:
    if as_json:
        common.print_json(job_json(job))
        return
    common.echo(f"job {job.job_id}: {job.kind}, {job.status}")
    if job.waiting_for:
        common.echo(f"  waits: {job.waiting_for}")
    if job.attempts > 1:
        common.echo(
            f"  attempt {job.attempts}; went on {counted(job.interruptions, 'time')} by "
            "itself after an interruption"
        )
    for reason in job.result.get("adjustments", []):
        common.echo(f"  {reason}")
    times = (("created", job.created_at), ("started", job.started_at), ("ended", job.ended_at))
    common.echo("  " + ", ".join(f"{word} {at}" for word, at in times if at))
    common.echo(f"  log {job.folder.log}")
    if job.error:
        common.echo(f"  {job.error.as_exception()}")
    for failed in job.result.get("failed") or []:
        common.echo(f"  {failed['scan_id']} ({failed['file']}): {failed['message']}")


def _logs(project: Project, job: Job, follow: bool) -> None:

    from coldal_tui.project.job_rows import get_job

    decoder = getincrementaldecoder("utf-8")("replace")
    position, shown, begun = 0, job.folder.log, ""
    while True:
        job = get_job(project, job.job_id)
        if job.folder.log != shown:
            # The job continues in the folder of an earlier one, whose log comes first.
            position, shown = 0, job.folder.log
        if shown.exists():
            with shown.open("rb") as stream:
                stream.seek(position)
                fresh = stream.read()
            position += len(fresh)
            # Whole lines: in half a name, nobody would find the name that --redact hides.
            text = begun + decoder.decode(fresh)
            end = max(text.rfind("\n"), text.rfind("\r")) + 1
            begun = text[end:]
            click.echo(visible(text[:end], keep="\n\r\t"), nl=False)
        if not follow or job.ended:
            click.echo(visible(begun, keep="\n\r\t"), nl=False)
            break
        time.sleep(0.3)
    if not position:
        common.say(f"job {job.job_id} ({job.kind}, {job.status}) has no log")


def _cancel(project: Project, job: Job, as_json: bool) -> None:
    from coldal_tui.project.job_rows import get_job
    from coldal_tui.scheduler import queue
    from coldal_tui.scheduler.supervisor import ensure_supervisor

    if job.ended:
        _told(job, f"had ended already ({job.status})", as_json)
        return
    queue.cancel(project, job.job_id)
    ensure_supervisor(project.layout)
    for _ in range(300):
        job = get_job(project, job.job_id)
        if job.ended:
            break
        time.sleep(0.1)
    _told(job, job.status if job.ended else "asked to end", as_json)


def _retry(project: Project, job: Job, as_json: bool) -> None:
    from coldal_tui.scheduler import queue
    from coldal_tui.scheduler.supervisor import ensure_supervisor

    again = queue.retry(project, job.job_id)
    ensure_supervisor(project.layout)
    follow = common.paste(f"coldal-tui jobs logs -f {job.job_id}", project.root)
    _told(again, f"goes on; follow: {follow}", as_json)


def _put_first(project: Project, job: Job, as_json: bool) -> None:
    from coldal_tui.scheduler import queue

    _told(queue.put_first(project, job.job_id), "starts before all others that wait", as_json)


def _told(job: Job, words: str, as_json: bool) -> None:
    if as_json:
        common.print_json(job_json(job))
    else:
        common.echo(f"job {job.job_id} ({job.kind}): {words}")
