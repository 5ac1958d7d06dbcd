"""``labels adjudicate``: disputed scans by size, and a person's decision on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import click

from coldal_tui.cli import common
from coldal_tui.cli.progress import file_progress
from coldal_tui.project.project import Project
from coldal_tui.visible import counted, visible


@dataclass(frozen=True)
class Decision:
    """What was asked for: ``pick`` (and ``rule``) or ``send``; neither lists the disputes."""

    pick: str | None
    rule: str | None
    every: bool
    send: str | None
    format: str
    out: Path | None


def adjudicate_command(root: Path, scans: list[str], asked: Decision, as_json: bool) -> None:
    """List disputes, or decide on scans."""
    if asked.pick is None and asked.send is None:
        if scans or asked.every:
            raise click.UsageError("what about them? --pick A|B|NAME|consensus, or --send NAME")
        with common.reading(root) as project:
            _list(project, as_json)
        return
    with common.writing(root) as project:
        wanted = _wanted(project, scans, asked.every)
        if asked.send is not None:
            _send(project, wanted, asked, as_json)
        else:
            _pick(project, wanted, asked, as_json)


def _wanted(project: Project, scans: list[str], every: bool) -> list[str]:
    from coldal_tui.project.labels.raters.adjudication import list_disputes

    if scans and every:
        raise click.UsageError("name scans, or --all")
    if not scans and not every:
        raise click.UsageError("which scans? name them, or --all for all in dispute")
    return scans or [one.scan_id for one in list_disputes(project)]


def _list(project: Project, as_json: bool) -> None:
    from coldal_tui.project.labels.raters.adjudication import lettered, list_disputes, list_waiting

    disputes, waits = list_disputes(project, keep=False), list_waiting(project)
    if as_json:
        common.print_json(
            {"disputes": [one.json() for one in disputes], "waiting": [asdict(w) for w in waits]}
        )
        return
    if disputes:
        table = common.table("scan~", "differing>", "Dice>", "drawn by~", "label now")
        for one in disputes:
            sent = f"; sent to {', '.join(one.sent_to)}" if one.sent_to else ""
            table.add_row(
                one.scan_id,
                "?" if one.differing is None else f"{one.differing:,}",
                "?" if one.dice is None else f"{one.dice:.3f}",
                visible(lettered(one.people) + sent),
                visible(one.label_by) or "none",
            )
        common.console().print(table)
        common.echo("decide: coldal-tui labels adjudicate SCAN --pick A|B|NAME|consensus")
        common.echo("or let a third person draw them: --send NAME")
    else:
        common.echo("no scan is in dispute")
    for wait in waits:
        people = visible(", ".join(wait.missing))
        common.echo(f"{wait.scan_id}: {wait.back}; still out: {people}")


def _pick(project: Project, scans: list[str], asked: Decision, as_json: bool) -> None:
    from coldal_tui.project.labels.raters.adjudication import adjudicate

    done = adjudicate(project, scans, asked.pick or "", rule=asked.rule or "") if scans else {}
    if as_json:
        common.print_json(done)
        return
    if not done:
        common.echo("no scan is in dispute")
    for scan_id, words in done.items():
        common.echo(f"{scan_id}: the label is {visible(words)}")


def _send(project: Project, scans: list[str], asked: Decision, as_json: bool) -> None:
    from coldal_tui.project.export.third_person import export_disputes

    with file_progress("exporting") as advance:
        report = export_disputes(
            project,
            scans,
            asked.send or "",
            format=asked.format,
            out=asked.out.absolute() if asked.out else None,
            progress=advance,
        )
    if as_json:
        common.print_json({"folder": str(report.folder), "scans": list(report.scans)})
        return
    common.echo(
        f"exported {counted(len(report.scans), 'scan')} for {visible(asked.send or '')} "
        f"to {report.folder}"
    )
    if report.drawings:
        common.echo("the drawings that differ lie in drawings/: A, B, … without names")
