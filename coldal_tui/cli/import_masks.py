"""``import-masks``: masks back in from whatever drew them; once, or as they arrive in a folder."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.progress import file_progress
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coldal_tui.exchange.candidate import FramesBy
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.exchange.incoming.importing import Verdict
    from coldal_tui.project.labels.importing import ImportReport
    from coldal_tui.project.labels.watch_folder import Arrival
    from coldal_tui.project.project import Project

SHOWN = 20


@click.command("import-masks")
@common.project_argument("[PROJECT] PATH")
@click.option(
    "--format", "format_", default="auto", help="An importer's name; default: by content."
)
@click.option("--match", help="How masks are named: '{stem}_mask', '{annotator}/{stem}'.")
@click.option(
    "--map",
    "values",
    multiple=True,
    help="What a value, class name or colour means: 128=lung, Tumor=1, '#ff1493=lung' (kept); "
    "'*=background' or '*=CLASS' for all others.",
)
@click.option(
    "--conflict",
    default="quarantine",
    help="Of several masks of a scan: quarantine, newest, annotator:NAME, majority or staple.",
)
@click.option(
    "--seg-frames",
    "frames_by",
    type=click.Choice(["position", "source"]),
    help="Of a DICOM-SEG whose frames name other slices than they lie on: which of the two counts.",
)
@click.option("--resample", is_flag=True, help="Masks of the same extent may be resampled.")
@click.option("--same-grid", is_flag=True, help="Trust the voxel order, not the masks' headers.")
@click.option("--confirm-empty", is_flag=True, help="Empty masks are negative cases.")
@click.option(
    "--watch", is_flag=True, help="Import what arrives in PATH (default: incoming/) until Ctrl-C."
)
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_masks_command(
    targets: tuple[str, ...],
    format_: str,
    match: str | None,
    values: tuple[str, ...],
    conflict: str,
    frames_by: FramesBy | None,
    resample: bool,
    same_grid: bool,
    confirm_empty: bool,
    watch: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take masks back; what does not certainly fit goes to quarantine with its reason.

    PATH is a file, a folder, or an archive from a labeler.

    \b
    coldal-tui import-masks exports/…/masks
    coldal-tui import-masks cvat.zip --map Tumor=lesion
    coldal-tui import-masks /data/drawn --match '{stem}_{annotator}' --conflict staple --dry-run
    coldal-tui import-masks --watch
    """
    from coldal_tui.exchange.incoming.conflicts import ConflictRule
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.project.labels.class_map import for_once, keep_class_map, parse_class_map

    project, rest = common.open_with_rest(targets)
    with project:
        said = parse_class_map(values, project.config.classes.names[0])
        options = ImportOptions(
            values=said,
            frames_by=frames_by or "",
            resample=resample,
            same_grid=same_grid,
            confirm_empty=confirm_empty,
            conflict=ConflictRule.parse(conflict),
        )
        if watch:
            if dry_run:
                raise click.UsageError("--watch and --dry-run exclude each other")
            keep_class_map(project, said)
            _watch(project, rest, format_, match, options, as_json)
            return
        if len(rest) != 1:
            raise click.UsageError("which masks? coldal-tui import-masks [PROJECT] PATH")
        report = _import(project, Path(rest[0]), format_, match, options, dry_run)
        kept = [] if dry_run else keep_class_map(project, said)
        once = [f"{raw} = {meaning}" for raw, meaning in for_once(project, said).items()]
    if as_json:
        common.print_json(import_json(report))
    else:
        show_report(report)
        if kept:
            common.echo(f"kept in coldal.toml: {', '.join(kept)}")
        if once:
            common.echo(f"for this import only: {', '.join(once)}")
    lost = report.quarantined or report.unmatched
    if lost and not (report.accepted or report.unchanged):
        sys.exit(1)


def _import(
    project: Project,
    source: Path,
    format_: str,
    match: str | None,
    options: ImportOptions,
    dry_run: bool,
) -> ImportReport:
    from coldal_tui.project.labels.importing import import_masks

    with file_progress("importing") as advance:
        return import_masks(
            project,
            source,
            format=format_,
            match=match,
            options=options,
            dry_run=dry_run,
            progress=advance,
        )


def _watch(
    project: Project,
    rest: Sequence[str],
    format_: str,
    match: str | None,
    options: ImportOptions,
    as_json: bool,
) -> None:
    """Import what arrives until Ctrl-C."""
    from coldal_tui.cli.progress import decoders_silenced
    from coldal_tui.project.labels.watch_folder import SETTLE_S, Watch

    if len(rest) > 1:
        raise click.UsageError(f"unexpected argument {rest[1]!r}")
    folder = Path(rest[0]) if rest else None
    with Watch(project, folder, format=format_, match=match, options=options) as watch:
        common.say(f"watching {watch.folder}; Ctrl-C ends it")
        with common.quiet_interrupt():
            while True:
                with decoders_silenced():
                    arrivals = watch.poll()
                for arrival in arrivals:
                    _show_arrival(arrival, as_json)
                time.sleep(SETTLE_S)


def _show_arrival(arrival: Arrival, as_json: bool) -> None:
    if arrival.report is None:
        common.say(f"{arrival.source}: {arrival.error}")
    elif as_json:
        told = {"source": str(arrival.source), **import_json(arrival.report)}
        common.print_json(told, one_line=True)
    else:
        common.echo(f"\n{counted(len(arrival.files), 'file')} arrived in {arrival.source}")
        show_report(arrival.report)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    entry: dict[str, Any] = {"scan_id": verdict.scan_id, "file": verdict.origin}
    entry |= {
        key: value
        for key, value in (
            ("key", verdict.key),
            ("format", verdict.format),
            ("author", verdict.author),
        )
        if value
    }
    if verdict.status in ("accepted", "kept"):
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
        "kept": [_verdict(v) for v in report.kept],
        "unchanged": [_verdict(v) for v in report.unchanged],
        "quarantined": [_verdict(v) for v in report.quarantined],
        "unmatched": [_verdict(v) for v in report.unmatched],
        "ignored": [_verdict(v) for v in report.ignored],
        "manual": list(report.manual),
        "unknown": report.unknown,
        "agreement": [
            {
                "scan_id": one.scan_id,
                "raters": [one.first, one.second],
                "class": one.name,
                "dice": one.dice,
                "hd95": one.hd95,
                "unit": one.unit,
            }
            for one in report.agreement
        ],
    }


def show_report(report: ImportReport) -> None:
    would = "would be " if report.dry_run else ""
    common.echo(f"saw {report.saw}")
    common.echo(f"{would}accepted: {counted(len(report.accepted), 'mask')}")
    if report.kept:
        common.echo(f"{would}kept as versions beside the one that counts: {len(report.kept)}")
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
    _list([f"warning: {v.shown}: {text}" for v, text in warned], "warnings")
    _show_agreement(report)
    if report.quarantined:
        common.echo(f"{would}quarantined: {len(report.quarantined)}")
        _list(_reasons(report.quarantined, codes=True), "coldal-tui labels list")
        _show_unknown(report)
    if report.unmatched:
        common.echo(f"no scan found for: {len(report.unmatched)}")
        _list(_reasons(report.unmatched), "--json lists all")
    files = [verdict for verdict in report.ignored if not verdict.key]
    if files:
        what = counted(len(files), "file that is no mask", "files that are no masks")
        common.echo(f"passed over: {what}")
    within = Counter(verdict.message for verdict in report.ignored if verdict.key)
    _list([f"{count} within files: {why}" for why, count in within.most_common()], "--json")
    if report.dry_run:
        common.echo("nothing was changed (--dry-run)")


def _show_unknown(report: ImportReport) -> None:
    """What a class map has to explain, ready to be completed."""
    if report.unknown:
        words = [f"--map {shlex.quote(f'{key}=CLASS')}" for key in list(report.unknown)[:SHOWN]]
        common.echo(f"say once what they mean, and it is kept: {' '.join(words)}")


def _reasons(verdicts: Sequence[Verdict], *, codes: bool = False) -> list[str]:
    """A line for each mask; what to do about many of them is said once, above them."""
    groups: dict[tuple[str, str | None], list[Verdict]] = {}
    for one in verdicts:
        groups.setdefault((one.code, one.remedy), []).append(one)
    lines: list[str] = []
    for (code, remedy), found in groups.items():
        shown = f" ({code})" if codes else ""
        if remedy is None or len(found) == 1:
            lines += [f"{one.shown}{shown}: {one.explanation}" for one in found]
            continue
        lines.append(f"→ {len(found):,} of them: {remedy}")
        lines += [f"{one.shown}{shown}: {one.sentence}" for one in found]
    return lines


def _list(lines: Sequence[str], further: str) -> None:
    for line in lines[:SHOWN]:
        common.echo(f"  {visible(line)}")
    if len(lines) > SHOWN:
        common.echo(f"  … and {len(lines) - SHOWN} more: {further}")


def _show_agreement(report: ImportReport) -> None:
    """Means over scans for every pair of raters and class."""
    groups: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    for one in report.agreement:
        pair = one.first, one.second, one.name, one.unit
        groups.setdefault(pair, []).append((one.dice, one.hd95))
    if not groups:
        return
    common.echo("agreement of the raters (means)")
    lines = []
    for (first, second, name, unit), found in groups.items():
        dice = sum(d for d, _ in found) / len(found)
        hd95 = sum(h for _, h in found) / len(found)
        scans = counted(len(found), "scan")
        lines.append(
            f"{first} and {second}, {name}: Dice {dice:.3f}, HD95 {hd95:.1f} {unit} ({scans})"
        )
    _list(lines, "--json lists all")
