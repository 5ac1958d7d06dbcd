"""``labels``: what has come in, what is in quarantine and why, and what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import plural

if TYPE_CHECKING:
    from coldal_tui.project.project import Project

ACTIONS = ("list", "accept", "reject", "confirm-empty", "retry")


@click.command("labels")
@common.project_argument("[PROJECT] [list|accept|reject|confirm-empty|retry] [NUMBER|SCAN...]")
@click.option("--scan", "scan_id", help="accept: the scan that a mask belongs to.")
@click.option(
    "--same-grid", is_flag=True, help="accept: the mask lies voxel for voxel on the scan."
)
@click.option("--resample", is_flag=True, help="accept: another spacing may be resampled.")
@click.option("--reason", help="reject: why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def labels_command(
    targets: tuple[str, ...],
    scan_id: str | None,
    same_grid: bool,
    resample: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Labels and quarantine. Masks in quarantine go by their number or their scan.

    \b
    coldal-tui labels                        what is here, and what waits in quarantine
    coldal-tui labels confirm-empty 3        the empty mask is a negative case
    coldal-tui labels accept 4 --same-grid   in spite of its header
    coldal-tui labels retry                  after the files or coldal.toml were mended
    coldal-tui labels reject SCAN            take a label back
    """
    project, rest = common.open_with_rest(targets)
    with project:
        action, words = (rest[0], rest[1:]) if rest else ("list", [])
        if action not in ACTIONS:
            raise click.UsageError(f"no such action {action!r}; one of: {', '.join(ACTIONS)}")
        if action == "list":
            _list(project, as_json)
        elif action == "reject":
            _reject(project, words, reason)
        else:
            if action != "retry" and not words:
                raise click.UsageError(f"which one? coldal-tui labels {action} NUMBER")
            _retry(project, action, words, scan_id, same_grid, resample)


def _list(project: Project, as_json: bool) -> None:
    from rich.text import Text

    from coldal_tui.project.labels import list_labels
    from coldal_tui.project.quarantine import waiting

    labels, quarantined = list_labels(project), waiting(project)
    if as_json:
        common.print_json({"labels": labels, "quarantine": quarantined})
        return
    out = common.console()
    table = common.table("Labels", "scan", "version>", "role", "pixels or voxels", "geometry")
    for label in labels:
        counts = ", ".join(f"{name} {count:,}" for name, count in label["voxels"].items())
        table.add_row(
            Text(label["scan_id"]),
            str(label["version"]),
            label["role"],
            counts,
            label["geometry"],
        )
    out.print(table if labels else "no labels yet")
    if quarantined:
        out.print(Text("Quarantine", style="bold"))
        for row in quarantined:
            line = Text(f"{row['quarantine_id']:>3}  {row['scan_id'] or '?'}  ({row['code']})\n")
            line.append(f"     {row['source']}\n     {row['message']}")
            out.print(line)


def _reject(project: Project, words: list[str], reason: str | None) -> None:
    from coldal_tui.project.labels import reject_labels
    from coldal_tui.project.quarantine import reject_quarantined, select_waiting

    if not words:
        raise click.UsageError("which one? coldal-tui labels reject NUMBER|SCAN")
    numbers = [word for word in words if word.isdigit()]
    scans = [word for word in words if not word.isdigit()]
    if numbers:
        rows = select_waiting(project, numbers)
        reject_quarantined(project, rows)
        click.echo(f"rejected {plural(len(rows), 'mask')} in quarantine; the files are kept")
    if scans:
        reject_labels(project, scans, reason)
        click.echo(f"took back {plural(len(scans), 'label')}; the files are kept")


def _retry(
    project: Project,
    action: str,
    words: list[str],
    scan_id: str | None,
    same_grid: bool,
    resample: bool,
) -> None:
    from coldal_tui.exchange.policy import ImportOptions
    from coldal_tui.project.quarantine import retry_quarantined, select_waiting

    rows = select_waiting(project, words)
    if not rows:
        click.echo("the quarantine is empty")
        return
    options = ImportOptions(
        same_grid=same_grid, resample=resample, confirm_empty=action == "confirm-empty"
    )
    for result in retry_quarantined(project, rows, options, scan_id=scan_id):
        if result.accepted:
            click.echo(f"{result.quarantine_id}: accepted as the label of {result.scan_id}")
        else:
            click.echo(f"{result.quarantine_id}: still in quarantine: {result.message}")
