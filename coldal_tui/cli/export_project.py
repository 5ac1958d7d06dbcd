"""``export-project``: writes everything to plain files."""

from __future__ import annotations

from pathlib import Path

import click

from coldal_tui.cli import common, which_project
from coldal_tui.errors import UsageError
from coldal_tui.visible import counted


@click.command("export-project")
@common.project_argument("[PROJECT] OUT")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export_project_command(targets: tuple[str, ...], as_json: bool) -> None:
    """Write the project to the new folder OUT in plain files that outlive this program.

    Tables as CSV, labels with their versions, settings, journal, hashes. Names and paths of
    patients' scans are in it, as they are in the project.
    """
    from coldal_tui.project.export.plain_files import export_project

    root, rest = which_project.split_project(targets, rest=True)
    if len(rest) != 1:
        raise UsageError("where to?", remedy="coldal-tui export-project [PROJECT] OUT")
    with common.open_reading([str(root)]) as project:
        counts = export_project(project, Path(rest[0]))
    if as_json:
        common.print_json({"folder": str(Path(rest[0]).absolute()), **counts})
        return
    labels = counted(counts["label files"], "label file")
    scans = counted(counts["scans"], "scan")
    common.echo(f"wrote {rest[0]}: {scans}, {labels}, {len(counts) - 1} tables")
