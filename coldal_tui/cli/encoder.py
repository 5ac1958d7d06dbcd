"""``encoder``: which encoders there are, and which one the project uses."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from coldal_tui.cli import common

ACTIONS = ("list", "use")


@click.command("encoder")
@common.project_argument("[PROJECT] [list|use] [NAME]")
@click.option("--weights", type=click.Path(path_type=Path), help="use: the file with the weights.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def encoder_command(targets: tuple[str, ...], weights: Path | None, as_json: bool) -> None:
    """Encoders and their weights.

    \b
    coldal-tui encoder list
    coldal-tui encoder use radimagenet-resnet50 --weights RadImageNet-ResNet50.pt
    """
    from coldal_tui.project.layout import is_project

    named = bool(targets) and is_project(Path(targets[0]))
    project, rest = (targets[:1], targets[1:]) if named else ((), targets)
    action, words = common.split_action(rest, ACTIONS, "list")
    if len(words) > (1 if action == "use" else 0):
        raise click.UsageError(f"unexpected argument {words[-1]!r}")
    if action == "list":
        _list(as_json)
    elif words:
        _use(project, words[0], weights, as_json)
    else:
        raise click.UsageError("which encoder? coldal-tui encoder use NAME")


def _list(as_json: bool) -> None:
    from coldal_tui.jobs.encoders import list_encoders

    infos = list_encoders()
    if as_json:
        common.print_json([asdict(info) for info in infos])
        return
    for info in infos:
        click.echo(f"{info.name}\n  {info.title}")
        click.echo(f"  {info.dim} numbers a scan; input {info.input_size} px; {info.preprocessing}")
        click.echo(f"  source: {info.source}\n  licence: {info.licence}")
        if info.needs_file:
            click.echo(f"  weights: {info.get}")


def _use(targets: tuple[str, ...], name: str, weights: Path | None, as_json: bool) -> None:
    from coldal_tui.errors import UsageError
    from coldal_tui.jobs.encoders import encoder_info
    from coldal_tui.project.config import edit_config

    info = encoder_info(name)
    if info.needs_file and weights is None:
        raise UsageError(
            "this encoder's weights do not come with coldal-tui",
            where=name,
            remedy=f"{info.get}; then: coldal-tui encoder use {name} --weights FILE",
        )
    if weights is not None and not weights.is_file():
        raise UsageError("no such file", where=str(weights), remedy="check --weights")
    with common.open_project(targets) as project:
        edit_config(
            project.layout.config,
            {
                ("encoder", "name"): name,
                ("encoder", "weights"): str(weights.absolute()) if weights else None,
            },
        )
        if project.store.value("SELECT count(*) FROM rounds"):
            common.say("rounds stand on the old encoder's map; the next round uses the new one's")
        root = project.root
    if as_json:
        common.print_json(
            {"encoder": name, "weights": str(weights.absolute()) if weights else None}
        )
        return
    embed = common.paste("coldal-tui embed", root)
    common.echo(f"the project now uses {name}; {embed} makes its vectors")
