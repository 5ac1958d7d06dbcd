"""``queue``, ``why`` and ``undo``: the ranked queue, its reasons, and what people do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import number

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.project.queue_actions import Change
    from coldal_tui.project.snapshot import QueueItem

STATUSES = ("queued", "exported", "labelled", "skipped")
ACTIONS = ("skip", "pin", "unpin", "assign", "reopen", "exclude")


@click.command("queue")
@common.project_argument("[PROJECT] [skip|pin|unpin|assign|reopen|exclude SCAN...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--round", "round_", type=int, help="Only this round.")
@click.option("--status", type=click.Choice(STATUSES), help="Only scans in this state.")
@click.option("--reason", help="Why, for skip and exclude.")
@click.option("--to", "person", help="Who, for assign (without it the name is taken off).")
@click.option("--no-replace", is_flag=True, help="skip: do not pick another scan instead.")
def queue_command(
    targets: tuple[str, ...],
    as_json: bool,
    round_: int | None,
    status: str | None,
    reason: str | None,
    person: str | None,
    no_replace: bool,
) -> None:
    """Show the ranked queue, or change it.

    \b
    coldal-tui queue
    coldal-tui queue skip SCAN --reason "motion artefact"
    coldal-tui queue assign SCAN SCAN --to ana
    """
    from coldal_tui.project.snapshot import read_queue

    project, rest = common.open_with_rest(targets)
    with project:
        if rest:
            action, scans = _action(rest)
            _check_options(action, reason, person, no_replace, round_, status)
            changes = _apply(project, action, scans, reason, person, not no_replace)
            _report(changes, as_json)
            return
        _check_options(None, reason, person, no_replace, None, None)
        items = [
            item
            for item in read_queue(project, skipped=status == "skipped")
            if round_ in (None, item.round) and status in (None, item.status)
        ]
        if as_json:
            common.print_json([item_json(item) for item in items])
        elif not items and (status is not None or round_ is not None):
            common.echo("no scan of the queue is like that")
        else:
            show_queue(items)


def _action(rest: Sequence[str]) -> tuple[str, list[str]]:
    action, scans = common.split_action(rest, ACTIONS)
    if not scans:
        raise click.UsageError(f"which scan? coldal-tui queue {action} SCAN...")
    return action, list(dict.fromkeys(scans))


def _check_options(
    action: str | None,
    reason: str | None,
    person: str | None,
    no_replace: bool,
    round_: int | None,
    status: str | None,
) -> None:
    """An option that would do nothing is a mistake of the caller."""
    given: tuple[tuple[str, bool, tuple[str | None, ...]], ...] = (
        ("--reason", reason is not None, ("skip", "exclude")),
        ("--to", person is not None, ("assign",)),
        ("--no-replace", no_replace, ("skip",)),
        ("--round", round_ is not None, (None,)),
        ("--status", status is not None, (None,)),
    )
    for option, is_given, actions in given:
        if is_given and action not in actions:
            belongs = " and ".join(name for name in actions if name) or "the list of the queue"
            raise click.UsageError(f"{option} belongs to {belongs}")


def _apply(
    project: Project,
    action: str,
    scans: list[str],
    reason: str | None,
    person: str | None,
    replace: bool,
) -> list[Change]:
    from coldal_tui.project import queue_actions as actions

    match action:
        case "skip":
            return actions.skip(project, scans, reason, replace=replace)
        case "pin" | "unpin":
            return actions.pin(project, scans, pinned=action == "pin")
        case "assign":
            return actions.assign(project, scans, person)
        case "reopen":
            return actions.reopen(project, scans)
        case _:
            return actions.exclude(project, scans, reason)


def _report(changes: list[Change], as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        common.print_json([asdict(change) for change in changes])
        return
    for change in changes:
        instead = f", {change.replaced_by} instead" if change.replaced_by else ""
        common.echo(f"{change.scan_id}: {change.status}{instead}")
    common.say("coldal-tui undo takes this back")


def item_json(item: QueueItem) -> dict[str, Any]:
    """A queue item with the names of keys that scripts rely on."""
    return {
        "scan_id": item.scan_id,
        "rank": item.rank,
        "round": item.round,
        "role": item.role,
        "cluster": item.cluster,
        "score": item.score,
        "entropy": item.entropy,
        "diversity": item.diversity,
        "status": item.status,
        "path": item.path,
        "assignee": item.assignee,
        "pinned": item.pinned,
        "reason": item.reason,
        "terms": item.terms,
    }


def show_queue(items: Sequence[QueueItem]) -> None:
    """A table of the queue; columns in which nothing stands are left out."""
    out = common.console()
    if not items:
        out.print("the queue is empty; coldal-tui select fills it")
        return
    scored = any(item.score is not None for item in items)
    assigned = any(item.assignee for item in items)
    columns = ["round>", "rank>", "scan~", "cluster", "role"]
    columns += ["H>", "D>", "S>"] if scored else []
    columns += ["status", "to~"] if assigned else ["status"]
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
            item.status,
            *([item.assignee or "–"] if assigned else []),
        )
    out.print(table)


def cluster_name(cluster: int | None) -> str:
    return "–" if cluster is None else f"C{cluster + 1}"


@click.command("why")
@common.project_argument("[PROJECT] SCAN")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def why_command(targets: tuple[str, ...], as_json: bool) -> None:
    """The numbers behind a pick, or why a scan is not in the queue."""
    from coldal_tui.project.queue_actions import explain

    project, rest = common.open_with_rest(targets)
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
    """The explanation in words, one fact a line. ``found`` is what ``explain`` returns."""
    lines = [f"{found['scan_id']}: {found['status']}"]
    if "role" in found:
        lines.append(f"  {_place(found)}")
        lines += [f"  {sentence}" for sentence in _reasons(found["role"], found["terms"])]
        lines += [f"  {sentence}" for sentence in _since(found)]
    if found.get("reason"):
        lines.append(f"  reason given: {found['reason']}")
    patient = found["patient_id"]
    own = patient == f"scan:{found['scan_id']}"
    lines.append(f"  {'no patient known' if own else f'patient {patient}'}, file {found['path']}")
    if found["label"]:
        label = found["label"]
        lines.append(f"  label version {label['version']} from {label['source']}")
    lines += [f"  entropy by {e['run_id']}: {e['entropy']:.4f}" for e in found["entropies"]]
    return lines


def _place(found: dict[str, Any]) -> str:
    selection = found["selection"] or {}
    place = f"round {found['round']}, rank {found['rank']}, {found['role']}"
    if found["cluster"] is not None:
        place += f" of {cluster_name(found['cluster'])}"
    if selection:
        place += (
            f"; strategy {selection['strategy']}, seed {selection['seed']}, "
            f"map {selection['map_id']}"
        )
        place += f", run {selection['run_id']}" if selection.get("run_id") else ""
    return place


def _since(found: dict[str, Any]) -> list[str]:
    lines = []
    if found["terms"].get("replaces"):
        lines.append(f"took the place of {found['terms']['replaces']}, which was skipped")
    if found.get("replaced_by"):
        lines.append(f"{found['replaced_by']} took its place")
    if found.get("assignee"):
        lines.append(f"assigned to {found['assignee']}")
    return lines


def _reasons(role: str, terms: dict[str, Any]) -> list[str]:
    match role:
        case "medoid":
            return [
                f"the member of its cluster of {terms['cluster_size']:,} with the least summed "
                f"distance to the others ({terms['summed_distance']:.1f} on the map)"
            ]
        case "farthest-point":
            return _farthest(terms)
        case "acquired":
            return _acquired(terms)
        case "validation":
            return ["drawn at random for the frozen validation set; it never trains"]
        case "random":
            seed = f" (seed {terms['seed']})" if "seed" in terms else ""
            return [f"drawn at random{seed}"]
        case "manual":
            return ["nobody queued it: its mask came by itself"]
        case _:
            return [f"{name} {value}" for name, value in terms.items()]


def _farthest(terms: dict[str, Any]) -> list[str]:
    order = f"number {terms['order']} of {terms['places']} farthest points"
    if "quota" in terms:
        order += f", quota {terms['quota']:.2f}"
    if not terms.get("nearest"):
        return [f"the first of its cluster; {order}"]
    return [
        f"farthest from what was picked before in its cluster: {terms['distance']:.2f} on the map "
        f"from {terms['nearest']}; {order}"
    ]


def _acquired(terms: dict[str, Any]) -> list[str]:
    lines = [
        f"S {terms['score']:.3f} = α {terms['alpha']:.2f} × entropy "
        f"{terms['entropy_term']:.3f} + {1 - terms['alpha']:.2f} × diversity "
        f"{terms['diversity_term']:.3f}, at step {terms['step']}"
    ]
    if terms.get("nearest"):
        lines.append(
            f"nearest labelled, queued or picked scan: {terms['nearest']}, "
            f"{terms['distance']:.2f} away on the map"
        )
    if terms.get("runner_up"):
        lines.append(f"beat {terms['runner_up']} ({terms['runner_up_score']:.3f})")
    return lines


@click.command("undo")
@common.project_argument()
def undo_command(targets: tuple[str, ...]) -> None:
    """Take back the last selection, queue change, import, label change or export record."""
    from coldal_tui.project.label_files import reconcile_label_files

    with common.open_project(targets) as project:
        undone = project.store.undo_last()
        if undone is None:
            common.echo("there is nothing to take back")
            return
        reconcile_label_files(project)
        common.echo(
            f"took back: {undone['summary'] or undone['action']} ({undone['at']}, {undone['who']})"
        )
