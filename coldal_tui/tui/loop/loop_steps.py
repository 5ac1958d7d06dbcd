"""The steps of the loop: each function runs one on a project and returns the message for it.

A step's imports happen when it runs, so that the app starts fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import read_budget
from coldal_tui.tui.pane import Progress
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.export.exporting import ExportReport, Wanted
    from coldal_tui.project.labels.importing import ImportReport
    from coldal_tui.scheduler.recipes import Chain

SHOWN = 12
PULL_SHOWN = 2
"""Masks whose reason a finished pull names: the labels pane has them all."""


@dataclass(frozen=True)
class Sizes:
    """The default size of a round, and how many scans are left to pick from."""

    default: int
    left: int


def round_sizes(project: Project, number: int) -> Sizes:
    from coldal_tui.project.queue.budget import batch_size

    left = read_budget(project).left
    return Sizes(min(left, batch_size(project, number)), left)


def wrong_size(typed: str) -> str:
    """What is wrong with a typed number of scans; "" when it can be taken."""
    if typed.isdigit() and int(typed) >= 1:
        return ""
    return f"{typed or 'nothing'}: write a whole number, at least 1"


def submit_first_queue(project: Project, size: int | None, strategy: str | None = None) -> str:
    """Submit the first queue; returns the message for the user."""
    from coldal_tui.scheduler.recipes import first_queue

    return _submitted(project, first_queue(project, size=size, strategy=strategy))


def submit_next_batch(project: Project, size: int | None, alpha: float | None = None) -> str:
    """Submit the next batch."""
    from coldal_tui.scheduler.recipes import next_batch

    return _submitted(project, next_batch(project, size=size, alpha=alpha))


def _submitted(project: Project, chain: Chain) -> str:
    from coldal_tui.scheduler.follow import submit_chain

    submit_chain(project, chain.steps, picks_round=chain.round)
    kinds = " → ".join(kind for kind, _ in chain.steps)
    return "\n".join((*chain.notes, f"submitted: {kinds}"))


def index_images(project: Project, progress: Progress) -> str:
    from coldal_tui.project.scans.indexing import reindex

    report = reindex(project, progress=progress)
    said = f"{counted(report.scans, 'scan')} indexed, {len(report.added):,} added"
    if report.suspended:
        said += f", {counted(len(report.suspended), 'labelled image')} changed: see quarantine"
    return said


@dataclass(frozen=True)
class ExportWish:
    """The input of the export dialog. ``server``: a connection to push to, in place of files."""

    format: str
    top: int | None
    people: tuple[str, ...]
    out: Path | None
    again: bool = False
    overlap: int = 0
    each: int = 2
    honeypots: int = 0
    repeats: int = 0
    deidentify: bool = False
    server: str = ""

    def wanted(self) -> Wanted:
        from coldal_tui.project.export.exporting import Wanted

        return Wanted(
            top=self.top,
            again=self.again,
            people=self.people,
            overlap=self.overlap,
            each=self.each,
            honeypots=self.honeypots,
            repeats=self.repeats,
            deidentify="remove" if self.deidentify else None,
        )


def check_wish(project: Project, wish: ExportWish) -> None:
    """Raise the UsageError that this export would end with before it writes anything."""
    from coldal_tui.project.export.exporting import check_export

    check_export(project, wish.wanted())


def export_scans(project: Project, wish: ExportWish, progress: Progress) -> str:
    from coldal_tui.project.export.exporting import export_queue

    report = export_queue(
        project, format=wish.format, out=wish.out, wanted=wish.wanted(), progress=progress
    )
    return export_words(report, project.root)


def push_scans(project: Project, wish: ExportWish, progress: Progress) -> str:
    """Push to a server of labelers; returns the message for the user."""
    from coldal_tui.project.servers.connections import entered
    from coldal_tui.project.servers.pushing import push
    from coldal_tui.project.servers.server_reports import push_lines

    progress(0, 1, f"asking {wish.server}")
    with entered(project, wish.server) as connection:
        report = push(
            project, connection, wish.wanted(), progress=progress, export_progress=progress
        )
    return "\n".join(push_lines(report))


def pull_drawings(project: Project, name: str, progress: Progress) -> str:
    """Pull from a server of labelers and import what came; returns the message for the user."""
    from coldal_tui.project.servers.connections import entered
    from coldal_tui.project.servers.pulling import pull
    from coldal_tui.project.servers.server_reports import pull_lines

    progress(0, 1, f"asking {name}")
    with entered(project, name) as connection:
        report = pull(project, connection, progress=progress, import_progress=progress)
    return "\n".join(pull_lines(report, PULL_SHOWN))


def export_words(report: ExportReport, root: Path) -> str:
    """``5 out (ana 3, ben 2) in exports/…``, and the number of pre-labels."""
    from coldal_tui.project.report_words import check_lines, prelabel_words

    folder = report.folder
    where = folder.relative_to(root) if folder.is_relative_to(root) else folder
    people = ", ".join(f"{person} {count:,}" for person, count in report.assignees.items())
    lines = [f"{len(report.scans):,} out{f' ({people})' if people else ''} in {where}"]
    lines += [words] if (words := prelabel_words(report)) else []
    return "\n".join([*lines, *check_lines(report)])


@dataclass(frozen=True)
class ImportWish:
    """The input of the import dialog."""

    path: Path
    match: str | None
    options: dict[str, bool]
    classes: tuple[str, ...] = ()
    conflict: str = "quarantine"
    by: str = ""


def import_returned(
    project: Project, wish: ImportWish, progress: Progress, *, dry_run: bool = False
) -> ImportReport:
    """Import masks, or with a dry run only report what would happen."""
    from coldal_tui.exchange.incoming.conflicts import ConflictRule
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.project.labels.class_map import keep_class_map, parse_class_map
    from coldal_tui.project.labels.importing import import_masks

    said = parse_class_map(wish.classes, project.config.classes.names[0])
    options = ImportOptions(
        values=said,
        conflict=ConflictRule.parse(wish.conflict),
        by=wish.by,
        same_grid=wish.options.get("same_grid", False),
        resample=wish.options.get("resample", False),
        confirm_empty=wish.options.get("confirm_empty", False),
        accept_first=wish.options.get("accept_first", False),
    )
    report = import_masks(
        project,
        wish.path,
        match=wish.match or None,
        options=options,
        dry_run=dry_run,
        progress=progress,
    )
    if not dry_run:
        keep_class_map(project, said)
    return report


def import_words(report: ImportReport, shown: int = SHOWN) -> list[str]:
    """The lines of a report: the counts, and the reason of each refused mask, up to ``shown``."""
    from coldal_tui.project.report_words import import_lines

    lines = import_lines(report, shown)
    # The window says by itself that it only looks; the option is one of the command line.
    return lines[:-1] if report.dry_run else lines


@dataclass(frozen=True)
class LastAction:
    """What undo would take back: its number in the audit trail, and the question about it."""

    number: int
    question: str


def last_action(project: Project) -> LastAction:
    """Raises ColdalError (code ``nothing-to-undo``) when there is none."""
    from coldal_tui.project import history

    last = history.next_undo(project, anybody=True)
    who = f"{history.age(last['at'])}, by {last['who']}"
    return LastAction(last["audit_id"], f"Take this back?\n\n{history.told(last)}\n{who}")


def undo_last(project: Project, expected: int) -> str:
    """Raises ColdalError when the last action is another one by now."""
    from coldal_tui.project import history

    return f"took back: {history.told(history.undo(project, expected))}"


def redo_last(project: Project) -> str:
    from coldal_tui.project import history

    return f"did again: {history.told(history.redo(project))}"
