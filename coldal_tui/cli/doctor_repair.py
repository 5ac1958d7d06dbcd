"""``doctor --repair``, and the checks of copies, journal and trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.cli import common
from coldal_tui.cli.machine import Finding
from coldal_tui.errors import ColdalError
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.label_repair import Repaired
    from coldal_tui.project.project import Project

LOST = ("no-database", "damaged", "other-project", "foreign-schema", "old-schema")
OLD_BACKUP = timedelta(days=8)


def repair_project(root: Path) -> None:
    """Repair the database and the label files so that they agree; returns what was done."""
    from coldal_tui.files import is_locked
    from coldal_tui.project.label_repair import repair_labels, restore_database
    from coldal_tui.project.layout import Layout
    from coldal_tui.project.project import Project
    from coldal_tui.project.scans.indexing import reindex
    from coldal_tui.project.settings.config import load_config

    layout = Layout(root)
    if is_locked(layout.supervisor_lock):
        raise ColdalError(
            "jobs of this project are running",
            where=str(root),
            remedy="wait for them or end them (coldal-tui jobs), then again",
            code="busy",
        )
    config = load_config(layout.config)
    try:
        with Project(root, readonly=True) as project:
            sound = project.store.value("PRAGMA quick_check(1)") == "ok"
    except ColdalError as error:
        if error.code not in LOST:
            raise
        sound = error.code == "old-schema"
    if not sound:
        common.echo(restore_database(layout, config.project.id))
    with Project(root, repairing=True) as project:
        if not project.scans():
            report = reindex(project)
            common.echo(f"{counted(report.scans, 'scan')} indexed anew")
        say_repaired(repair_labels(project))


def say_repaired(done: Repaired) -> None:
    """Print what a repair has done, one line per kind."""
    for scans, what in (
        (done.taken_in, "taken in from files that the database did not know"),
        (done.put_back, "put back where the file was gone or another one"),
        (done.as_changed, "changed by hand: now a new version of the label"),
        (done.lost, "lost: no file is there; import the mask again"),
    ):
        if scans:
            names = ", ".join(scans[:5]) + (", …" if len(scans) > 5 else "")
            common.echo(f"{counted(len(scans), 'label')} {what}: {names}")
    for file in done.unusable[:20]:
        common.echo(f"not a label of a scan that is known, left as it is: {file}")
    if not any((done.taken_in, done.put_back, done.as_changed, done.lost, done.unusable)):
        common.echo("labels and rows agree")


def safety_findings(project: Project) -> list[Finding]:
    """Check for lost actions, label files without a row, an old newest copy, and open questions."""
    from coldal_tui.project.database.backups import backups
    from coldal_tui.project.identity import lost_actions, rolled_back
    from coldal_tui.project.labels.files import unknown_files
    from coldal_tui.project.trust_questions import open_questions

    findings = []
    lost = lost_actions(project.store)
    if lost is not None:
        error = rolled_back(project.layout.database, lost)
        findings.append(Finding("problem", error.what, error.remedy or ""))
    unknown = unknown_files(project)
    if unknown:
        what = f"the database does not know {counted(len(unknown), 'label file')}"
        findings.append(
            Finding("problem", f"{what}, first {unknown[0].name}", "coldal-tui doctor --repair")
        )
    there = backups(project.layout.database)
    if not there:
        findings.append(Finding("note", "no copy of the database yet", "coldal-tui backup"))
    else:
        at = there[-1].at
        old = datetime.now(UTC) - at > OLD_BACKUP
        copies = counted(len(there), "copy", "copies")
        what = f"{copies} of the database, the newest of {at:%Y-%m-%d %H:%M} UTC"
        findings.append(Finding("note" if old else "ok", what, "coldal-tui backup" if old else ""))
    asked = open_questions(project.layout, project.config)
    if asked:
        findings.append(
            Finding("note", f"not agreed to yet: {asked[0].what}", "coldal-tui trust shows all")
        )
    return findings
