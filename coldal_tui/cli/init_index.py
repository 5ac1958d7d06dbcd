"""``init`` and ``index``: make a project, and update its list of scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.imaging.indexing import FileProblem
    from coldal_tui.project.project import Project
    from coldal_tui.project.scans.indexing import IndexReport
    from coldal_tui.project.scans.modality import Decision
    from coldal_tui.project.scans.same_person import SamePerson
    from coldal_tui.project.servers.archive import FetchReport
    from coldal_tui.project.settings.config_connections import ConnectionSection


_TOGETHER = 4
"""From so many files on that fail for one reason in one folder, they share a line."""


@click.command("init")
@click.argument("project", type=click.Path(path_type=Path))
@click.option(
    "--images",
    required=True,
    help="Where the scans lie: a folder, or an archive: dicomweb://server/path?Modality=MR",
)
@click.option("--classes", help="Names of the mask values 1, 2, …: left,right")
@click.option("--ignore-value", type=int, help="Mask value that leaves training and measures.")
@click.option("--budget", type=click.IntRange(min=1), help="Scans that may be labelled in all.")
@click.option("--minutes", type=click.IntRange(min=1), help="Minutes of labelling in all.")
@click.option("--patients", help="CSV with filename and patient_id, or a pattern on the path.")
@click.option("--include", multiple=True, help="Only files that match this pattern.")
@click.option("--exclude", multiple=True, help="Leave out files or folders that match.")
@click.option("--channels", help="Ends of the names of a case's files, in order: _t1,_t2,_flair.")
@click.option(
    "--modality",
    help="Of files that state none: auto, ct, mr, pt, us, xr, other; or one for each channel: "
    "ct,pt. Default: by looking at the data.",
)
@click.option("--window", help="Of CT: soft-tissue, lung, bone, brain, liver.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def init_command(
    project: Path,
    images: str,
    classes: str | None,
    ignore_value: int | None,
    budget: int | None,
    minutes: int | None,
    patients: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    channels: str | None,
    modality: str | None,
    window: str | None,
    as_json: bool,
) -> None:
    """Make the folder PROJECT and index its images.

    \b
    coldal-tui init lungs --images /data/cxr --classes lung --budget 100 \\
        --patients /data/metadata.csv
    """
    from coldal_tui.cli.progress import file_progress
    from coldal_tui.project.project import Project
    from coldal_tui.project.scans.creating import create_project

    root = project.resolve()
    changes = _settings(root, classes, ignore_value, budget, patients, include, exclude)
    changes |= _intensity_settings(modality, window)
    if minutes is not None:
        changes["budget", "minutes"] = minutes
    if channels is not None:
        ends = (end.strip() for end in channels.split(","))
        changes["images", "channels"] = tuple(end for end in ends if end)
    folder, archive = _images(root, images)
    with file_progress("indexing") as advance:
        made = create_project(root, folder, changes, progress=advance)
    if archive is not None:
        _connect(root, archive)
    # A reader that hangs up from here on does not take the project away.
    with Project(root, patient=True) as opened:
        dimensions = _dimensions(opened)
        _print_report(opened, made.report, as_json, dimensions, first=True, decided=made.decided)


def _images(root: Path, said: str) -> tuple[Path, ConnectionSection | None]:
    """The folder of the images, and the archive that they were read from, if it is one."""
    from coldal_tui.project.servers.archive import first_fetch, parse_archive

    section = parse_archive(said)
    if section is None:
        return Path(said), None
    from coldal_tui.cli.progress import file_progress

    with file_progress("reading from the archive") as advance:
        report = first_fetch(root, section, progress=advance)
    _say_fetched(report)
    return root / "images", section


def _connect(root: Path, section: ConnectionSection) -> None:
    from coldal_tui.project.project import Project
    from coldal_tui.project.servers.archive import ARCHIVE
    from coldal_tui.project.servers.connections import add_connection

    with Project(root, patient=True) as opened:
        add_connection(opened, ARCHIVE, section)


def _say_fetched(report: FetchReport) -> None:
    if report.away is not None:
        common.say(f"the archive is away; the scans that were read before are used: {report.away}")
        return
    common.say(f"{counted(report.new, 'series', 'series')} read from the archive")
    if report.left_out:
        common.say(
            f"{counted(report.left_out, 'series', 'series')} left out: no room; free space there, "
            "or name fewer with a query (Modality=MR)"
        )
    for place, reason in report.refused[:20]:
        common.say(f"  {visible(place)}: {visible(reason)}")


def _intensity_settings(modality: str | None, window: str | None) -> dict[tuple[str, str], Any]:
    changes: dict[tuple[str, str], Any] = {}
    if modality is not None:
        words = tuple(word.strip() for word in modality.split(","))
        changes["images", "modality"] = words[0] if len(words) == 1 else words
    if window is not None:
        changes["images", "window"] = window
    return changes


def _settings(
    root: Path,
    classes: str | None,
    ignore_value: int | None,
    budget: int | None,
    patients: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> dict[tuple[str, str], Any]:
    """The options as keys of ``coldal.toml``; UsageError for an invalid one."""
    from coldal_tui.project.scans.creating import class_names, patients_setting

    changes: dict[tuple[str, str], Any] = {}
    if classes is not None:
        changes["classes", "names"] = class_names(classes)
    if ignore_value is not None:
        changes["classes", "ignore_value"] = ignore_value
    if budget is not None:
        changes["budget", "total"] = budget
    if patients is not None:
        changes |= patients_setting(patients, root)
    if include:
        changes["images", "include"] = include
    if exclude:
        changes["images", "exclude"] = exclude
    return changes


@click.command("index")
@common.project_argument()
@click.option("--accept-removals", is_flag=True, help="Even when every known scan is gone.")
@click.option("--problems", is_flag=True, help="List every file that is in no scan, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def index_command(
    targets: tuple[str, ...], accept_removals: bool, problems: bool, as_json: bool
) -> None:
    """Look for added, changed, moved and removed scans."""
    with common.open_project(targets) as project:
        _refresh(project)
        report = index(project, accept_removals=accept_removals)
        dimensions = _dimensions(project)
        _print_report(project, report, as_json, dimensions, all_problems=problems)


def _refresh(project: Project) -> None:
    """Read what is new in the project's archive, if it has one."""
    from coldal_tui.cli.progress import file_progress
    from coldal_tui.project.servers.archive import refresh_images

    with file_progress("reading from the archive") as advance:
        report = refresh_images(project, progress=advance)
    if report is not None:
        _say_fetched(report)


def index(project: Project, *, accept_removals: bool = False) -> IndexReport:
    """Index with a progress bar on stderr."""
    from coldal_tui.cli.progress import file_progress
    from coldal_tui.project.scans.indexing import reindex

    with file_progress("indexing") as advance:
        report = reindex(project, progress=advance, accept_removals=accept_removals)
    if report.suspended:
        from coldal_tui.project.labels.files import tidy_label_files

        tidy_label_files(project)
    return report


def _print_report(
    project: Project,
    report: IndexReport,
    as_json: bool,
    dimensions: dict[int, int],
    *,
    first: bool = False,
    all_problems: bool = False,
    decided: Decision | None = None,
) -> None:
    if as_json:
        from coldal_tui.project.scans.left_out import read_left_out

        left_out = [] if first else [asdict(one) for one in read_left_out(project)]
        common.print_json(
            {"project": str(project.root), **report_json(report), "left_out": left_out}
            | ({"intensity": asdict(decided)} if decided else {})
        )
        return
    if first:
        common.echo(f"made {project.layout.config}")
    copies = "exact copy" if len(report.duplicates) == 1 else "exact copies"
    common.echo(
        f"{counted(report.scans, 'scan')} indexed"
        + "".join(
            f", {len(ids)} {word}"
            for ids, word in (
                (() if first else report.added, "added"),
                (report.changed, "changed"),
                (report.moved, "moved"),
                (report.returned, "back"),
                (report.removed, "removed"),
                (tuple(report.duplicates), f"{copies} (only the first is a candidate)"),
            )
            if ids
        )
    )
    if report.no_patient:
        common.echo(
            f"{counted(report.no_patient, 'scan')} without a patient by the rule: "
            "each counts as a patient of its own"
        )
    if report.patients_alike:
        alike = "; ".join(" = ".join(names) for names in report.patients_alike[:5])
        common.say(
            f"patients that differ only in case or blanks count as several: {visible(alike)}; if "
            "they are one person, mend the rule or the table, or one person may train and validate"
        )
    if report.same_person is not None:
        common.say(_same_person_words(report.same_person, project))
    _show_beside(report, dimensions)
    if decided is not None:
        common.echo("intensities: " + "; ".join(decided.reasons))
        how = " ".join(f'"{word}"' for word in decided.modality)
        common.echo(f"  [images] modality = {how}; to change it, edit {project.layout.config}")
    if report.suspended:
        count = len(report.suspended)
        named = ", ".join(report.suspended[:10]) + (", …" if count > 10 else "")
        waits = "its label waits" if count == 1 else "their labels wait"
        common.say(
            f"{counted(count, 'labelled image')} changed, so {waits} in quarantine until somebody "
            f"confirms or imports anew: {named}"
        )
    show_problems(report, all_problems)
    if not first:
        _show_left_out(project, all_problems)
    if not report.scans:
        common.say(
            f"there is no scan in {project.images}: put some there or mend [images] in "
            "coldal.toml, then run coldal-tui index"
        )
    elif first:
        common.echo(f"next: {common.paste('coldal-tui select', project.root)}")


def _same_person_words(same: SamePerson, project: Project) -> str:
    first, second = (visible(path) for path in same.example)
    command = common.paste("coldal-tui index", project.root)
    return (
        f"Warning: {counted(same.files, 'file')} look like scans of "
        f"{counted(same.persons, 'person', 'persons')} (such as {first} and {second}), but each "
        "counts as a patient of its own: one may train and the other measure. If they are of one "
        f"person, put this under [images] in coldal.toml, then run {command}, before you select:\n"
        f"  patients_pattern = '{same.pattern}'"
    )


def _show_beside(report: IndexReport, dimensions: dict[int, int]) -> None:
    """Print files left out beside the scans, and how the scans are grouped."""
    from coldal_tui.project.scans.not_scans import DERIVED, MASK, THUMBNAIL, pattern_of

    found = {code: [p for p in report.problems if p.code == code] for code in (MASK, THUMBNAIL)}
    masks = found[MASK]
    if masks:
        patterns = list(dict.fromkeys(pattern_of(one.rel_path) for one in masks))
        look = "looks like a mask" if len(masks) == 1 else "look like masks"
        named = ", ".join(patterns[:5]) + (", …" if len(patterns) > 5 else "")
        common.echo(
            f"{counted(len(masks), 'file')} {look} of other files ({visible(named)}: few values, "
            "same grid) and left out; import them once their scans are queued: coldal-tui "
            "import-masks; if they are scans: keep_masks = true under [images]"
        )
    others = len(found[THUMBNAIL]) + sum(p.code == DERIVED for p in report.problems)
    if others:
        common.echo(f"{counted(others, 'thumbnail or drawn picture')} left out (index --problems)")
    if report.lookalikes:
        common.echo(
            f"{counted(len(report.lookalikes), 'scan')} of the project look like masks of others; "
            f"to leave them out: coldal-tui queue exclude {' '.join(report.lookalikes[:3])} …"
        )
    if report.cases is not None:
        ends = ", ".join(f"…{end}" for end in report.cases.endings[:8])
        common.echo(
            f"{counted(report.cases.count, 'case')} lie in several files ({ends}): each file is a "
            "scan, and a patient, of its own now. Under [images] in coldal.toml, before you select:"
        )
        channels = ", ".join(f'"{end}"' for end in report.cases.endings)
        common.echo(f"  to make each case one scan of several channels: channels = [{channels}]")
        pattern = report.cases.pattern
        common.echo(f"  to keep its files with one patient: patients_pattern = '{pattern}'")
    if len(dimensions) > 1:
        pictures, volumes = dimensions.get(2, 0), dimensions.get(3, 0)
        common.say(
            f"{counted(pictures, 'picture')} and {counted(volumes, 'volume')} in one "
            "project: a model learns from one kind only. Leave one out with exclude under "
            "[images], or keep a project for each"
        )


def _dimensions(project: Project) -> dict[int, int]:
    """The number of 2-D and of 3-D scans."""
    rows = project.store.tuples(
        "SELECT json_array_length(shape), count(*) FROM scans "
        "WHERE state = 'present' AND excluded IS NULL GROUP BY 1"
    )
    return dict(rows)


def _show_left_out(project: Project, everything: bool) -> None:
    """Print indexed scans that jobs could not use."""
    from coldal_tui.project.scans.left_out import read_left_out

    found = read_left_out(project)
    if not found:
        return
    if not everything:
        count = len({one.scan_id for one in found})
        common.echo(f"{counted(count, 'scan')} left out by a job: coldal-tui index --problems")
        return
    for one in found:
        common.echo(f"  {one.scan_id} ({one.file}): {one.words} (job {one.job_id})")


def show_problems(report: IndexReport, everything: bool) -> None:
    """Print unreadable and refused files one by one, and the count of files that are no images.

    Masks and drawn pictures are counted by ``_show_beside``.
    """
    from collections import Counter

    from coldal_tui.project.scans.not_scans import CODES

    if everything:
        _show_by_reason(report)
        return
    out = common.console()
    listed = [p for p in report.problems if p.kind != "not-an-image"]
    lines = _lines(listed)
    for line, _ in lines[:20]:
        out.print(f"  {line}")
    more = sum(count for _, count in lines[20:])
    if more:
        out.print(f"  … and {more} more: coldal-tui index --problems")
    others = [p for p in report.problems if p.kind == "not-an-image" and p.code not in CODES]
    kinds = Counter(p.code for p in others)
    if others:
        words = ", ".join(f"{count} {code}" for code, count in kinds.most_common(6))
        what = ("file passed over that is no image", "files passed over that are no images")
        out.print(f"{counted(len(others), *what)} to label ({words})")


def _show_by_reason(report: IndexReport) -> None:
    """Print every problem, grouped by reason, the most frequent first."""
    out = common.console()
    groups: dict[tuple[str, str], list[FileProblem]] = {}
    for problem in report.problems:
        groups.setdefault((problem.kind, problem.code), []).append(problem)
    for (kind, code), found in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        out.print(f"{counted(len(found), 'file')}: {code} ({kind})")
        for line, _ in _lines(found):
            out.print(f"  {line}")


def _lines(problems: Sequence[FileProblem]) -> list[tuple[str, int]]:
    """A line for each problem, with how many files it tells of.

    Many files of one folder and reason, such as the slices of a refused series, share a line.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for problem in problems:
        folder = problem.rel_path.rpartition("/")[0]
        groups.setdefault((folder, problem.kind, problem.reason), []).append(problem.rel_path)
    lines = []
    for (_, kind, reason), paths in groups.items():
        said = f"{kind}: {visible(reason)}"
        if len(paths) < _TOGETHER:
            lines += [(f"{visible(path)}: {said}", 1) for path in paths]
        else:
            last = paths[-1].rpartition("/")[2]
            named = f"{visible(paths[0])} … {visible(last)} ({len(paths)} files)"
            lines.append((f"{named}: {said}", len(paths)))
    return lines


def report_json(report: IndexReport) -> dict[str, Any]:
    return {
        "scans": report.scans,
        "added": list(report.added),
        "changed": list(report.changed),
        "suspended": list(report.suspended),
        "lookalikes": list(report.lookalikes),
        "patients_alike": [list(names) for names in report.patients_alike],
        "same_person": None if report.same_person is None else asdict(report.same_person),
        "cases": None
        if report.cases is None
        else {**asdict(report.cases), "patients_pattern": report.cases.pattern},
        "moved": list(report.moved),
        "returned": list(report.returned),
        "removed": list(report.removed),
        "duplicates": report.duplicates,
        "problems": [
            {"file": p.rel_path, "kind": p.kind, "code": p.code, "reason": p.reason}
            for p in report.problems
        ],
        "without_patient": report.no_patient,
        "files_read": report.read,
    }
