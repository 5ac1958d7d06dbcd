"""``raters``: what each person drew, how long it took, how alike people draw, and how they err."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.project.labels.raters.rater_figures import Figures


@click.command("raters")
@common.project_argument()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def raters_command(targets: tuple[str, ...], as_json: bool) -> None:
    """The people who drew: scans, minutes, agreement with each other, habits by class.

    Repeats compare a person with their own first drawing, honeypots with a known label
    (export-queue --honeypots 3 --repeats 2). HD95 is in mm, in px where spacing is not known.
    """
    from coldal_tui.project.labels.raters.rater_figures import read_figures

    root, rest = which_project.split_project(targets, rest=True)
    if rest:
        raise click.UsageError(f"unexpected argument {rest[0]!r}")
    with common.reading(root) as project:
        figures = read_figures(project, keep=False)
    if as_json:
        common.print_json(figures.json())
    else:
        _show(figures)


def _show(figures: Figures) -> None:
    from coldal_tui.project.labels.raters.rater_words import bias_words, figure, minute_words

    if not figures.people:
        common.echo("no drawing has a known author yet: export-queue --assign names people")
        return
    out = common.console()
    table = common.table(
        "person~", "scans>", "shared>", "minutes>", "each>", "Dice>", "HD95>", "repeats>",
        "honeypots>",
    )  # fmt: skip
    for one in figures.people:
        table.add_row(
            visible(one.name),
            f"{one.scans:,}",
            f"{one.shared:,}",
            *minute_words(one),
            *figure(one.agreement),
            figure(one.repeats)[0],
            figure(one.honeypots)[0],
        )
    out.print(table)
    if figures.pairs:
        common.echo("\nwith each other")
        pairs = common.table("people~", "scans>", "class~", "Dice>", "HD95>")
        for pair in figures.pairs:
            for name, (dice, hd95) in pair.alike.classes.items():
                pairs.add_row(
                    f"{visible(pair.first)} and {visible(pair.second)}",
                    f"{pair.alike.scans:,}",
                    visible(name),
                    f"{dice:.3f}",
                    f"{hd95:.1f} {pair.alike.unit}",
                )
        out.print(pairs)
    lines = [
        f"{visible(one.name)}, {visible(name)}: {words}"
        for one in figures.people
        for name, bias in one.bias.items()
        if (words := bias_words(bias))
    ]
    if lines:
        common.echo("\nhabits, beside the others' drawings of the same scans")
        for line in lines:
            common.echo(f"  {line}")
    if figures.waiting:
        common.echo(f"\n{counted(figures.waiting, 'scan')} wait for further people")
    if figures.disputed:
        common.echo(f"{counted(figures.disputed, 'scan')} in dispute: coldal-tui labels adjudicate")
