"""``import-masks``: masks back from labelers."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import plural
from coldal_tui.cli.following import file_progress
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from coldal_tui.exchange.importing import Verdict
    from coldal_tui.project.labels import ImportReport

SHOWN = 20


@click.command("import-masks")
@common.project_argument("[PROJECT] PATH")
@click.option(
    "--format", "format_", default="auto", help="An importer's name; default: by content."
)
@click.option("--match", help="How masks are named, such as '{stem}_mask'.")
@click.option("--map", "values", multiple=True, help="A value's class: 128=lung or lung=1.")
@click.option("--resample", is_flag=True, help="Masks of the same extent may be resampled.")
@click.option("--same-grid", is_flag=True, help="Trust the voxel order, not the masks' headers.")
@click.option("--confirm-empty", is_flag=True, help="Empty masks are negative cases.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_masks_command(
    targets: tuple[str, ...],
    format_: str,
    match: str | None,
    values: tuple[str, ...],
    resample: bool,
    same_grid: bool,
    confirm_empty: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take masks back; what does not certainly fit goes to quarantine with its reason.

    \b
    coldal-tui import-masks exports/…/masks
    coldal-tui import-masks /data/drawn --match '{stem}_1stHO' --dry-run
    """
    from coldal_tui.exchange.policy import ImportOptions
    from coldal_tui.project.labels import import_masks

    project, rest = common.open_with_rest(targets)
    with project:
        if len(rest) != 1:
            raise click.UsageError("which masks? coldal-tui import-masks [PROJECT] PATH")
        options = ImportOptions(
            values=_value_map(values, project.config.classes.names),
            resample=resample,
            same_grid=same_grid,
            confirm_empty=confirm_empty,
        )
        with file_progress("importing") as advance:
            report = import_masks(
                project,
                Path(rest[0]),
                format=format_,
                match=match,
                options=options,
                dry_run=dry_run,
                progress=advance,
            )
    if as_json:
        common.print_json(import_json(report))
    else:
        _show(report)
    lost = report.quarantined or report.unmatched
    if lost and not (report.accepted or report.unchanged):
        sys.exit(1)


def _value_map(values: tuple[str, ...], classes: tuple[str, ...]) -> dict[int | str, int | str]:
    """``128=lung`` as it stands; ``Tumor=1`` gives a name of the labeler a class number."""
    found: dict[int | str, int | str] = {}
    for pair in values:
        left, separator, right = pair.partition("=")
        if not separator or not left.strip() or not right.strip():
            raise click.UsageError(f"--map {pair!r}: write VALUE=CLASS, such as 128={classes[0]}")
        key, meaning = left.strip(), right.strip()
        found[_whole(key)] = _whole(meaning)
    return found


def _whole(word: str) -> int | str:
    return int(word) if re.fullmatch(r"-?[0-9]{1,18}", word) else word


def _verdict(verdict: Verdict) -> dict[str, Any]:
    entry: dict[str, Any] = {"scan_id": verdict.scan_id, "file": str(verdict.file)}
    if verdict.status == "accepted":
        entry |= {
            "geometry": verdict.geometry,
            "matched_by": verdict.matched_by,
            "notes": list(verdict.notes),
            "warnings": list(verdict.warnings),
        }
    else:
        entry |= {"code": verdict.code, "message": verdict.explanation}
    return entry


def import_json(report: ImportReport) -> dict[str, Any]:
    return {
        "saw": report.saw,
        "dry_run": report.dry_run,
        "accepted": [_verdict(v) for v in report.accepted],
        "unchanged": [_verdict(v) for v in report.unchanged],
        "quarantined": [_verdict(v) for v in report.quarantined],
        "unmatched": [_verdict(v) for v in report.unmatched],
        "ignored": [_verdict(v) for v in report.ignored],
        "manual": list(report.manual),
    }


def _show(report: ImportReport) -> None:
    would = "would be " if report.dry_run else ""
    common.echo(f"saw {report.saw}")
    common.echo(f"{would}accepted: {plural(len(report.accepted), 'mask')}")
    if report.unchanged:
        common.echo(f"in the project before, unchanged: {len(report.unchanged)}")
    if report.manual:
        common.echo(
            f"of these, {len(report.manual)} for scans that nobody queued (role manual; they "
            "count in the budget)"
        )
    geometries = {v.geometry for v in report.accepted} - {"match", ""}
    for geometry in sorted(geometries):
        count = sum(v.geometry == geometry for v in report.accepted)
        common.echo(f"  {count} with another grid: {geometry}")
    warned = [(v, text) for v in report.accepted for text in v.warnings]
    for verdict, text in warned[:SHOWN]:
        common.echo(f"  warning: {visible(verdict.file.name)}: {visible(text)}")
    if report.quarantined:
        common.echo(f"{would}quarantined: {len(report.quarantined)}")
        for verdict in report.quarantined[:SHOWN]:
            common.echo(
                f"  {visible(verdict.file.name)} ({verdict.code}): {visible(verdict.explanation)}"
            )
        if len(report.quarantined) > SHOWN:
            common.echo(f"  … and {len(report.quarantined) - SHOWN} more: coldal-tui labels list")
    if report.unmatched:
        common.echo(f"no scan found for: {len(report.unmatched)}")
        for verdict in report.unmatched[:SHOWN]:
            common.echo(f"  {visible(verdict.file.name)}: {visible(verdict.explanation)}")
        if len(report.unmatched) > SHOWN:
            common.echo(f"  … and {len(report.unmatched) - SHOWN} more (--json lists all)")
    if report.ignored:
        common.echo(f"passed over: {plural(len(report.ignored), 'file')} that are no masks")
    if report.dry_run:
        common.echo("nothing was changed (--dry-run)")
