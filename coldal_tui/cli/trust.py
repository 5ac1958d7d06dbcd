"""``trust``: shows what a project would run or reach outside itself, and records consent."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from coldal_tui.cli import common, which_project
from coldal_tui.visible import counted


@click.command("trust")
@common.project_argument()
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@click.option("--forget", is_flag=True, help="Take back every agreement to this project.")
@click.option("--json", "as_json", is_flag=True, help="Only list it, as one JSON document.")
def trust_command(targets: tuple[str, ...], yes: bool, forget: bool, as_json: bool) -> None:
    """Look at what a project would run, and agree to it.

    A project that you made is trusted. In any other project, shell lines for Slurm, programs
    and model code don't run, and linked folders are not followed, before you agree. The
    agreement is kept in your own folder, not in the project, and ends when any of it changes.
    """
    from coldal_tui.errors import UsageError
    from coldal_tui.project.layout import Layout
    from coldal_tui.project.settings.config import load_config
    from coldal_tui.project.trust_questions import agree, open_questions, reaches
    from coldal_tui.trust_store import TrustStore

    root, _ = which_project.split_project(targets)
    layout = Layout(root)
    config = load_config(layout.config)
    if forget:
        TrustStore().forget(root)
        common.echo("nothing of this project is trusted any more")
        return
    found, asked = reaches(layout, config), open_questions(layout, config)
    if as_json:
        words = [asdict(one) | {"trusted": one not in asked} for one in found]
        common.print_json({"images": config.images.dir, "reaches": words})
        return
    common.echo(f"{layout.root} reads images from {config.images.dir}")
    if not found:
        common.echo("it runs nothing of its own and reaches nothing outside: nothing to agree to")
        return
    common.echo(f"it would do {counted(len(found), 'thing')} beyond that:")
    for one in found:
        common.echo(f"  {one.what}")
    if not asked:
        common.echo("you have agreed to it, or made the project yourself")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "nobody is here to answer", where=str(root), remedy="add --yes to agree"
            )
        click.confirm("Trust it, exactly as it is now?", abort=True)
    agree(layout, config)
    common.echo("trusted; any change is asked about again")
