"""``labels``: labels, those to check again, and quarantined masks with reasons."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.errors import UsageError
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.exchange.candidate import FramesBy
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.project.project import Project

ACTIONS = ("list", "inbox", "check", "adjudicate", "accept", "reject", "confirm-empty", "retry")


@click.command("labels")
@common.project_argument(
    "[PROJECT] [list|inbox|check|adjudicate|accept|reject|confirm-empty|retry] [NUMBER|SCAN...]"
)
@click.option(
    "--scan",
    "scan_id",
    help="accept: the scan that a mask belongs to; reject: the scan of a label.",
)
@click.option(
    "--same-grid", is_flag=True, help="accept: the mask lies voxel for voxel on the scan."
)
@click.option("--resample", is_flag=True, help="accept: another spacing may be resampled.")
@click.option(
    "--seg-frames",
    "frames_by",
    type=click.Choice(["position", "source"]),
    help="accept: which counts, where frames of a DICOM-SEG name other slices than they lie on.",
)
@click.option("--reason", help="reject: why.")
@click.option(
    "--pick", help="adjudicate: whose drawing counts: a person, A or B, or consensus of all."
)
@click.option(
    "--rule",
    type=click.Choice(["majority", "staple", "ignore"]),
    help="adjudicate --pick consensus: default is the project's, else majority (ties ignored).",
)
@click.option("--all", "every", is_flag=True, help="adjudicate: all scans in dispute.")
@click.option("--send", help="adjudicate: a third person, who gets an export of these scans.")
@click.option("--to", "format_", default="folder", help="adjudicate --send: the export's format.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="adjudicate --send: where to. Default: exports/ in the project.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def labels_command(
    targets: tuple[str, ...],
    scan_id: str | None,
    same_grid: bool,
    resample: bool,
    frames_by: FramesBy | None,
    reason: str | None,
    pick: str | None,
    rule: str | None,
    every: bool,
    send: str | None,
    format_: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Labels and quarantine. Masks in quarantine go by their number or their scan.

    \b
    coldal-tui labels                        what is here, and what waits in quarantine
    coldal-tui labels inbox                  every file that came back, by person
    coldal-tui labels check                  which labels to look at again, the worst first
    coldal-tui labels adjudicate             scans that people drew differently, the worst first
    coldal-tui labels adjudicate SCAN --pick ana    whose drawing counts: a name, A, B, consensus
    coldal-tui labels adjudicate --all --send carla    let a third person draw them
    coldal-tui labels confirm-empty 3        the empty mask is a negative case
    coldal-tui labels accept 4 --same-grid   in spite of its header
    coldal-tui labels retry                  after the files or coldal.toml were mended
    coldal-tui labels reject SCAN            take a label back
    """
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions

    root, rest = which_project.split_project(targets, rest=True)
    action, words = common.split_action(rest, ACTIONS, "list")
    readers = {"list": _list, "inbox": _inbox, "check": _check}
    reads = action in readers
    if action == "adjudicate":
        from coldal_tui.cli.adjudicate import Decision, adjudicate_command

        if pick is not None and send is not None:
            raise click.UsageError("--pick and --send exclude each other")
        decision = Decision(pick, rule, every, send, format_, out)
        adjudicate_command(root, list(dict.fromkeys(words)), decision, as_json)
        return
    if pick or rule or every or send or out:
        raise click.UsageError("--pick, --rule, --all, --send and --out are of labels adjudicate")
    if reason is not None and action != "reject":
        raise click.UsageError("--reason is of labels reject")
    if reads and (scan_id or same_grid or resample or frames_by):
        raise click.UsageError(
            "--scan, --same-grid, --resample and --seg-frames are of labels accept and retry"
        )
    with common.reading(root) if reads else common.writing(root) as project:
        words = list(dict.fromkeys(words))
        if reads:
            if words:
                raise click.UsageError(f"unexpected argument {words[0]!r}")
            readers[action](project, as_json)
        elif action == "reject":
            _reject(project, words, scan_id, reason, as_json)
        else:
            if action != "retry" and not words:
                raise click.UsageError(f"which one? coldal-tui labels {action} NUMBER")
            if scan_id is not None and len(words) != 1:
                raise click.UsageError("--scan names the scan of one mask: labels accept NUMBER")
            options = ImportOptions(
                same_grid=same_grid,
                resample=resample,
                frames_by=frames_by or "",
                confirm_empty=action == "confirm-empty",
            )
            _retry(project, words, scan_id, options, as_json)


def _list(project: Project, as_json: bool) -> None:
    from coldal_tui.project.labels.importing import list_labels
    from coldal_tui.project.labels.quarantine import waiting

    labels, quarantined = list_labels(project), waiting(project)
    if as_json:
        common.print_json({"labels": labels, "quarantine": quarantined})
        return
    out = common.console()
    if labels:
        table = common.table("scan~", "version>", "role", "pixels or voxels~", "geometry~")
        for label in labels:
            counts = ", ".join(f"{name} {count:,}" for name, count in label["voxels"].items())
            table.add_row(
                label["scan_id"], str(label["version"]), label["role"], counts, label["geometry"]
            )
        out.print(table)
    else:
        out.print("no labels yet")
    if quarantined:
        common.echo("\nQuarantine")
        for row in quarantined:
            number, scan = row["quarantine_id"], row["scan_id"] or "no scan known"
            common.echo(f"{number:>3}  {scan}  ({row['code']})")
            source = row["source"] + (f" [{row['source_key']}]" if row["source_key"] else "")
            common.echo(f"     {visible(source)}\n     {visible(row['message'])}")
            for near in json.loads(row["nearest"])[:1]:
                words = f"coldal-tui labels accept {number} --scan {near}"
                common.echo(f"     is it this one? {visible(words)}")


def _inbox(project: Project, as_json: bool) -> None:
    from coldal_tui.project.inbox import by_person, read_inbox

    files = read_inbox(project)
    if as_json:
        common.print_json([asdict(one) for one in files])
        return
    if not files:
        common.echo("nothing came back yet")
        return
    for person, counts in by_person(files).items():
        said = ", ".join(f"{count:,} {now}" for now, count in counts.items())
        common.echo(f"{visible(person) if person else 'nobody known'}: {said}")
    table = common.table("by", "file~", "is now", "scan~", "came")
    for one in files:
        name = visible(one.file.rpartition("/")[2] + (f" [{one.key}]" if one.key else ""))
        table.add_row(visible(one.person), name, one.now, one.scan_id or "", one.at[:16])
    common.console().print(table)


def _check(project: Project, as_json: bool) -> None:
    from coldal_tui.cli.progress import file_progress
    from coldal_tui.project.labels.quality import check_labels

    with file_progress("checking") as advance:
        checks = check_labels(project, progress=lambda done, total: advance(done, total, ""))
    if as_json:
        common.print_json([asdict(check) for check in checks])
        return
    if not checks:
        common.echo("no labels yet")
        return
    table = common.table("scan~", "score>", "Dice>", "measured", "findings~")
    for check in checks:
        dice = "–" if check.agreement is None else f"{check.agreement:.2f}"
        words = "; ".join(check.findings)
        table.add_row(check.scan_id, f"{check.score:.2f}", dice, check.compared or "–", words)
    common.console().print(table)
    blind = sum(not check.compared for check in checks)
    if blind:
        common.say(
            f"of {counted(len(checks), 'label')}, {blind} scored by shape alone: no network has "
            "predicted them that did not train on them; to get such predictions: "
            + common.paste("coldal-tui crossfit", project.root)
        )


def _reject(
    project: Project, words: list[str], scan_id: str | None, reason: str | None, as_json: bool
) -> None:
    """Reject masks by quarantine number, or labels by scan."""
    from coldal_tui.project.labels.importing import reject_labels
    from coldal_tui.project.labels.quarantine import reject_quarantined, select_waiting, waiting

    if not words and scan_id is None:
        raise click.UsageError("which one? coldal-tui labels reject NUMBER|SCAN")
    numbers = {str(row["quarantine_id"]) for row in waiting(project)}
    scans = [word for word in words if word not in numbers]
    both = [word for word in words if word in numbers and _has_label(project, word)]
    if both:
        raise UsageError(
            "both a mask in quarantine and a labelled scan are called so",
            where=both[0],
            remedy=f"for the label: coldal-tui labels reject --scan {both[0]}",
        )
    scans += [scan_id] if scan_id is not None else []
    chosen = [word for word in words if word in numbers]
    if scans:
        reject_labels(project, scans, reason)
    rows = select_waiting(project, chosen) if chosen else []
    if rows:
        reject_quarantined(project, rows)
    if as_json:
        masks = [row["quarantine_id"] for row in rows]
        common.print_json({"labels": scans, "quarantine": masks})
        return
    if scans:
        common.echo(f"took back {counted(len(scans), 'label')}; the files are kept")
    if rows:
        common.echo(f"rejected {counted(len(rows), 'mask')} in quarantine; the files are kept")


def _has_label(project: Project, scan_id: str) -> bool:
    return bool(
        project.store.value(
            "SELECT count(*) FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,)
        )
    )


def _retry(
    project: Project,
    words: list[str],
    scan_id: str | None,
    options: ImportOptions,
    as_json: bool,
) -> None:
    """Retry quarantined masks; exit 1 if none was accepted."""
    from coldal_tui.project.changed_images import IMAGE_CHANGED
    from coldal_tui.project.labels.quarantine import select_waiting
    from coldal_tui.project.labels.retry import retry_quarantined

    rows = select_waiting(project, words)
    if not words:  # a label whose image changed counts again only when a person names it
        rows = [row for row in rows if row["code"] != IMAGE_CHANGED]
    if scan_id is not None:
        project.scan(scan_id)
    results = retry_quarantined(project, rows, options, scan_id=scan_id) if rows else []
    if as_json:
        common.print_json([asdict(result) for result in results])
    elif not results:
        common.echo("the quarantine is empty")
    else:
        for result in results:
            state = (
                f"accepted as the label of {result.scan_id}"
                if result.accepted
                else f"still in quarantine: {visible(result.message)}"
            )
            common.echo(f"{result.quarantine_id}: {state}")
    if results and not any(result.accepted for result in results):
        sys.exit(1)
