"""``queue`` and ``why``: the ranked queue, its reasons, and changes to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common, completers, which_project
from coldal_tui.cli.common import number

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.project.queue.actions import Change
    from coldal_tui.project.queue.rerank import Bench, Reranked
    from coldal_tui.project.views.snapshot import QueueItem

STATUSES = ("queued", "exported", "labelled", "skipped")
ACTIONS = ("add", "skip", "pin", "unpin", "assign", "reopen", "exclude", "move", "rerank")


@dataclass(frozen=True)
class Options:
    """The options of ``queue``; None and False: not given."""

    reason: str | None
    to: str | None
    no_replace: bool
    round: int | None
    status: str | None
    alpha: float | None
    dry_run: bool


BELONGS: dict[str, tuple[str | None, ...]] = {
    "reason": ("skip", "exclude"),
    "to": ("assign", "move"),
    "no_replace": ("skip",),
    "round": (None,),
    "status": (None,),
    "alpha": ("rerank",),
    "dry_run": ("rerank",),
}
"""The actions that each option is for; None is the list of the queue."""


@click.command("queue")
@common.project_argument("[PROJECT] [ACTION SCAN...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--round", type=int, help="Only this round.")
@click.option("--status", type=click.Choice(STATUSES), help="Only scans in this state.")
@click.option("--reason", help="Why, for skip and exclude.")
@click.option(
    "--to",
    help="Who, for assign (without it the name is taken off); move: which rank.",
    shell_complete=completers.complete_people,
)
@click.option("--no-replace", is_flag=True, help="skip: do not pick another scan instead.")
@click.option("--alpha", type=float, help="rerank: 0 is pure diversity, 1 pure entropy.")
@click.option("--dry-run", is_flag=True, help="rerank: show the new order, change nothing.")
def queue_command(targets: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Show the ranked queue, or change it.

    Actions: add, skip, pin, unpin, assign, reopen, exclude, move, rerank.

    \b
    coldal-tui queue
    coldal-tui queue skip SCAN --reason "motion artefact"
    coldal-tui queue add SCAN
    coldal-tui queue assign SCAN SCAN --to ana
    coldal-tui queue move SCAN --to 3
    coldal-tui queue rerank --alpha 0.3 --dry-run
    """
    options = Options(**given)
    root, rest = which_project.split_project(targets, rest=True)
    if not rest:
        _check_options(None, options)
        with common.reading(root) as project:
            _list(project, options, as_json)
        return
    with common.writing(root) as project:
        action, scans = _action(rest)
        _check_options(action, options)
        if action == "rerank":
            _rerank(project, options.alpha, dry_run=options.dry_run, as_json=as_json)
        else:
            changes = _apply(project, action, scans, options)
            moved = action == "move"
            ranks = {item.scan_id: item.rank for item in _queue(project)} if moved else {}
            _report(changes, as_json, ranks)


def _queue(project: Project, *, skipped: bool = True) -> Sequence[QueueItem]:
    from coldal_tui.project.views.snapshot import read_queue

    return read_queue(project, skipped=skipped)


def _list(project: Project, options: Options, as_json: bool) -> None:
    from coldal_tui.project.minutes.expected import read_expectation
    from coldal_tui.project.views.snapshot import read_queue

    known = read_expectation(project)
    minutes = known.learned or project.config.budget.minutes is not None
    items = [
        item
        for item in read_queue(project, skipped=options.status == "skipped", expected=known)
        if options.round in (None, item.round) and options.status in (None, item.status)
    ]
    from coldal_tui.project.servers.states import server_words

    words = server_words(project)
    if as_json:
        there = ({"server": words[one.scan_id]} if one.scan_id in words else {} for one in items)
        common.print_json([item.as_json() | more for item, more in zip(items, there, strict=True)])
    elif not items and (options.status is not None or options.round is not None):
        common.echo("no scan of the queue is like that")
    else:
        show_queue(items, words, minutes=minutes)


def _action(rest: Sequence[str]) -> tuple[str, list[str]]:
    action, scans = common.split_action(rest, ACTIONS)
    if action == "rerank" and scans:
        raise click.UsageError(f"rerank takes no scan; unexpected {scans[0]!r}")
    if not scans and action != "rerank":
        raise click.UsageError(f"which scan? coldal-tui queue {action} SCAN...")
    return action, list(dict.fromkeys(scans))


def _check_options(action: str | None, options: Options) -> None:
    """Refuse an option that the action does not use."""
    for name, actions in BELONGS.items():
        value = getattr(options, name)
        if value is not None and value is not False and action not in actions:
            belongs = " and ".join(name for name in actions if name) or "the list of the queue"
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to {belongs}")


def _apply(project: Project, action: str, scans: list[str], options: Options) -> list[Change]:
    from coldal_tui.project.queue import actions
    from coldal_tui.project.queue.reorder import move

    match action:
        case "add":
            from coldal_tui.project.queue.add import queue_by_hand

            return queue_by_hand(project, scans)
        case "skip":
            return actions.skip(project, scans, options.reason, replace=not options.no_replace)
        case "pin" | "unpin":
            return actions.pin(project, scans, pinned=action == "pin")
        case "assign":
            return actions.assign(project, scans, options.to)
        case "reopen":
            return actions.reopen(project, scans)
        case "move":
            return move(project, scans, _rank(options.to))
        case _:
            return actions.exclude(project, scans, options.reason)


def _rank(to: str | None) -> int:
    if to is None or not to.isdecimal():
        raise click.UsageError("where to? coldal-tui queue move SCAN... --to RANK")
    return int(to)


def _report(changes: list[Change], as_json: bool, ranks: dict[str, int]) -> None:
    if as_json:
        from dataclasses import asdict

        common.print_json([asdict(change) for change in changes])
        return
    for change in changes:
        more = f", {change.replaced_by} instead" if change.replaced_by else ""
        more += f", rank {ranks[change.scan_id]}" if change.scan_id in ranks else ""
        common.echo(f"{change.scan_id}: {change.status}{more}")
    common.say("coldal-tui undo takes this back")


def show_queue(
    items: Sequence[QueueItem], server: Mapping[str, str] | None = None, *, minutes: bool = False
) -> None:
    """Print the queue as a table, without empty columns.

    ``server``: what is known of scans on a labeler's server, in words. ``minutes``: also the
    expected ones.
    """
    from coldal_tui.project.views.why.why_words import cluster_name

    out = common.console()
    if not items:
        out.print("the queue is empty; coldal-tui select fills it")
        return
    scored = any(item.score is not None for item in items)
    assigned = any(item.assignee for item in items)
    columns = ["round>", "rank>", "scan~", "cluster", "role"]
    columns += ["H>", "D>", "S>"] if scored else []
    columns += ["status", "to~"] if assigned else ["status"]
    columns += ["server~"] if server else []
    timed = minutes and any(item.expected_minutes is not None for item in items)
    columns += ["minutes>"] if timed else []
    table = common.table(*columns)
    for item in items:
        values = [number(item.entropy), number(item.diversity), number(item.score)]
        table.add_row(
            str(item.round),
            f"{'↑' if item.pinned else ''}{item.rank}",
            item.scan_id,
            cluster_name(item.cluster),
            item.role,
            *(values if scored else []),
            f"{item.status}, {item.back}" if item.back else item.status,
            *([item.assignee or "–"] if assigned else []),
            *([server.get(item.scan_id, "–")] if server else []),
            *([minutes_cell(item.expected_minutes)] if timed else []),
        )
    out.print(table)


def minutes_cell(minutes: float | None) -> str:
    """Expected minutes of an open item; a dash for others."""
    from coldal_tui.minutes_words import figure

    return "–" if minutes is None else figure(minutes)


@click.command("why")
@common.project_argument("[PROJECT] SCAN")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def why_command(targets: tuple[str, ...], as_json: bool) -> None:
    """The numbers behind a pick, or why a scan is not in the queue."""
    from coldal_tui.project.views.why.explain import explain

    project, rest = common.reading_with_rest(targets)
    with project:
        if len(rest) != 1:
            raise click.UsageError("which scan? coldal-tui why [PROJECT] SCAN")
        found = explain(project, rest[0])
    if as_json:
        common.print_json(found)
        return
    for line in why_lines(found):
        common.echo(line)


def why_lines(found: dict[str, Any]) -> list[str]:
    """The explanation in words, one fact per line. ``found`` comes from ``explain``."""
    from coldal_tui.project.views.why.why_words import because, details, place

    lines = [f"{found['scan_id']}: {found['status'].removesuffix(': not picked yet')}"]
    if "role" in found:
        lines.append(f"  {place(found)}")
    if "role" in found or (found["standing"] or {}).get("prospect"):
        lines += [f"  {sentence}" for sentence in because(found)]
    return lines + [f"  {line}" for line in details(found)]


def _rerank(project: Project, alpha: float | None, *, dry_run: bool, as_json: bool) -> None:
    """Re-pick the round's free places with ``alpha`` and print them; ``dry_run`` stores nothing."""
    from coldal_tui.project.queue.rerank import apply, read_bench, rerank

    if alpha is None:
        raise click.UsageError("which α? coldal-tui queue rerank --alpha A")
    bench = read_bench(project)
    found = rerank(bench, alpha)
    done = None if dry_run else apply(project, bench, found)
    if as_json:
        keys = ("round", "scan_id", "rank", "role", "cluster", "score", "entropy", "diversity")
        rows = [{key: (row | {"round": bench.round})[key] for key in keys} for row in found.rows]
        common.print_json(
            {
                "round": bench.round,
                "alpha": alpha,
                "applied": not dry_run,
                "came": list(found.came),
                "left": list(found.left),
                "queue": rows,
            }
        )
        return
    _show_reranked(bench, found)
    if done is None:
        common.say("nothing is changed; without --dry-run the queue follows")
    else:
        common.echo(done)
        common.say("coldal-tui undo takes this back")


def _show_reranked(bench: Bench, found: Reranked) -> None:
    from coldal_tui.project.views.why.why_words import cluster_name

    was = {place.scan_id: place.rank for place in bench.free}
    table = common.table("rank>", "scan~", "cluster", "H>", "D>", "S>", "was>")
    for row in found.rows:
        values = [number(row[key]) for key in ("entropy", "diversity", "score")]
        before = str(was.get(row["scan_id"], "new"))
        cluster = cluster_name(row["cluster"] if row["cluster"] >= 0 else None)
        table.add_row(str(row["rank"]), row["scan_id"], cluster, *values, before)
    common.console().print(table)
    if found.left:
        common.echo(f"leaving: {', '.join(found.left)}")
