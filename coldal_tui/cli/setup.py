"""``init`` and ``index``: making a project, and keeping its list of scans up to date."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import plural

if TYPE_CHECKING:
    from coldal_tui.project.indexing import IndexReport
    from coldal_tui.project.project import Project


@click.command("init")
@click.argument("project", type=click.Path(path_type=Path))
@click.option(
    "--images", required=True, type=click.Path(path_type=Path), help="Where the scans lie."
)
@click.option("--classes", help="Names of the mask values 1, 2, …: left,right")
@click.option("--ignore-value", type=int, help="Mask value that leaves training and measures.")
@click.option("--budget", type=click.IntRange(min=1), help="Scans that may be labelled in all.")
@click.option("--patients", help="CSV with filename and patient_id, or a pattern on the path.")
@click.option("--include", multiple=True, help="Only files that match this pattern.")
@click.option("--exclude", multiple=True, help="Leave out files or folders that match.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def init_command(
    project: Path,
    images: Path,
    classes: str | None,
    ignore_value: int | None,
    budget: int | None,
    patients: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the folder PROJECT and index its images.

    \b
    coldal-tui init lungs --images /data/cxr --classes lung --budget 100 \\
        --patients /data/metadata.csv
    """
    from coldal_tui.project.config import edit_config
    from coldal_tui.project.project import Project

    existed = project.exists()
    opened = Project.create(project, images)
    with opened:
        try:
            changes: dict[tuple[str, str], Any] = {}
            if classes is not None:
                names = tuple(name.strip() for name in classes.split(",") if name.strip())
                changes["classes", "names"] = names
            if ignore_value is not None:
                changes["classes", "ignore_value"] = ignore_value
            if budget is not None:
                changes["budget", "total"] = budget
            if patients is not None:
                changes["images", _patients_key(patients)] = _patients_value(patients, project)
            if include:
                changes["images", "include"] = include
            if exclude:
                changes["images", "exclude"] = exclude
            if changes:
                edit_config(opened.layout.config, changes)
            opened.reload_config()
            report = index(opened)
        except BaseException:
            opened.close()
            _remove(opened, keep_root=existed)
            raise
        _print_report(opened, report, as_json, first=True)


def _remove(project: Project, *, keep_root: bool) -> None:
    """An init that failed leaves nothing behind that would be in the way of the next try."""
    layout = project.layout
    layout.config.unlink(missing_ok=True)
    shutil.rmtree(layout.state, ignore_errors=True)
    for folder in (layout.label_versions, layout.labels, layout.exports):
        with contextlib.suppress(OSError):
            folder.rmdir()
    if not keep_root:
        with contextlib.suppress(OSError):
            layout.root.rmdir()


def _patients_key(patients: str) -> str:
    return "patients_csv" if _looks_like_file(patients) else "patients_pattern"


def _looks_like_file(patients: str) -> bool:
    return Path(patients).is_file() or patients.lower().endswith((".csv", ".tsv"))


def _patients_value(patients: str, project: Path) -> str:
    from coldal_tui.project.project import relative_or_absolute

    if not _looks_like_file(patients):
        return patients
    return relative_or_absolute(Path(patients).absolute(), project.absolute())


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
        report = index(project, accept_removals=accept_removals)
        _print_report(project, report, as_json, all_problems=problems)


def index(project: Project, *, accept_removals: bool = False) -> IndexReport:
    """Index with a progress bar on stderr."""
    from coldal_tui.project.indexing import reindex

    with file_progress("indexing") as advance:
        return reindex(project, progress=advance, accept_removals=accept_removals)


@contextlib.contextmanager
def file_progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar over files on stderr; silent without a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.progress import BarColumn as Bar
    from rich.progress import MofNCompleteColumn as Count
    from rich.progress import Progress, TextColumn

    columns = (TextColumn("{task.description}"), Bar(bar_width=30), Count())
    with Progress(*columns, console=common.console(err=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, name: bar.update(task, completed=done, total=total)


def _print_report(
    project: Project,
    report: IndexReport,
    as_json: bool,
    *,
    first: bool = False,
    all_problems: bool = False,
) -> None:
    if as_json:
        common.print_json(report_json(report))
        return
    if first:
        click.echo(f"made {project.layout.config}")
    click.echo(
        f"{plural(report.scans, 'scan')} indexed"
        + "".join(
            f", {len(ids)} {word}"
            for ids, word in (
                (() if first else report.added, "added"),
                (report.changed, "changed"),
                (report.moved, "moved"),
                (report.returned, "back"),
                (report.removed, "removed"),
                (tuple(report.duplicates), "exact copies (only the first is a candidate)"),
            )
            if ids
        )
    )
    if report.no_patient:
        click.echo(
            f"{plural(report.no_patient, 'scan')} without a patient by the rule: "
            "each counts as a patient of its own"
        )
    show_problems(report, all_problems)
    if first:
        click.echo(f"next: coldal-tui select {_shown(project)}")


def _shown(project: Project) -> str:
    import shlex

    cwd = Path.cwd()
    if project.root == cwd:
        return ""
    near = project.root.relative_to(cwd) if project.root.is_relative_to(cwd) else project.root
    return shlex.quote(str(near))


def show_problems(report: IndexReport, everything: bool) -> None:
    """Unreadable and refused files one by one; what is simply no image as a count."""
    from collections import Counter

    listed = [p for p in report.problems if everything or p.kind != "not-an-image"]
    others = len(report.problems) - len(listed)
    out = common.console()
    from rich.text import Text

    limit = len(listed) if everything else 20
    for problem in listed[:limit]:
        line = Text(f"  {problem.rel_path}: ")
        line.append(f"{problem.kind}: {problem.reason}")
        out.print(line)
    if len(listed) > limit:
        out.print(f"  … and {len(listed) - limit} more: coldal-tui index --problems")
    if others:
        kinds = Counter(p.code for p in report.problems if p.kind == "not-an-image")
        words = ", ".join(f"{count} {code}" for code, count in kinds.most_common(6))
        out.print(f"{plural(others, 'file')} passed over that are no images to label ({words})")


def report_json(report: IndexReport) -> dict[str, Any]:
    return {
        "scans": report.scans,
        "added": list(report.added),
        "changed": list(report.changed),
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
