"""``import-masks``: imports masks from any tool, once or as they arrive in a folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common, completers
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


@click.command("import-masks")
@common.project_argument("[PROJECT] PATH")
@click.option(
    "--format",
    "format_",
    default="auto",
    help="An importer's name; default: by content.",
    shell_complete=completers.complete_mask_formats,
)
@click.option(
    "--match",
    help="How masks are named: '{stem}_mask', '{stem}/{class}', '{annotator}/{stem}', '{patient}', "
    "'{series_uid}', '{folder}/*'; or a CSV of mask,scan_id[,class].",
)
@click.option(
    "--image",
    help="With {case} in --match: how images are named: --match '{case}_seg' --image '{case}_t1'.",
)
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
    help="Of several masks of a scan: quarantine, newest, annotator:NAME, majority, staple, union.",
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
    "--accept-first",
    is_flag=True,
    help="Of scans that are out to several people, the first mask that is back is the label.",
)
@click.option("--by", default="", help="Who drew the masks that name nobody.")
@click.option(
    "--watch", is_flag=True, help="Import what arrives in PATH (default: incoming/) until Ctrl-C."
)
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_masks_command(
    targets: tuple[str, ...],
    format_: str,
    match: str | None,
    image: str | None,
    values: tuple[str, ...],
    conflict: str,
    frames_by: FramesBy | None,
    resample: bool,
    same_grid: bool,
    confirm_empty: bool,
    accept_first: bool,
    by: str,
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
    from coldal_tui.exchange.incoming.names.match_template import with_images
    from coldal_tui.project.labels.class_map import for_once, keep_class_map, parse_class_map
    from coldal_tui.project.report_words import came_in

    match = with_images(match, image)
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
            accept_first=accept_first,
            by=by.strip(),
        )
        if watch:
            if dry_run:
                raise click.UsageError("--watch and --dry-run exclude each other")
            keep_class_map(project, said)
            _watch(project, rest, format_, match, options, as_json)
            return
        if len(rest) != 1:
            found = f"{len(rest)} paths; name one, or a folder:" if rest else "which masks?"
            raise click.UsageError(f"{found} coldal-tui import-masks [PROJECT] PATH")
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
    if not came_in(report):
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
    """Import arriving files until Ctrl-C."""
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
        if verdict.message:
            entry["message"] = verdict.message
        if verdict.minutes is not None:
            entry["minutes"] = round(verdict.minutes, 2)
    else:
        entry |= {"code": verdict.code, "message": verdict.explanation}
    return entry


def import_json(report: ImportReport) -> dict[str, Any]:
    return {
        "saw": report.saw,
        "dry_run": report.dry_run,
        "accepted": [_verdict(v) for v in report.accepted],
        "kept": [_verdict(v) for v in report.kept],
        "waiting": [_verdict(v) for v in report.waiting],
        "disputed": [_verdict(v) for v in report.disputed],
        "checked": [_verdict(v) for v in report.checked],
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
    from coldal_tui.project.report_words import import_lines

    for line in import_lines(report):
        common.echo(visible(line))
