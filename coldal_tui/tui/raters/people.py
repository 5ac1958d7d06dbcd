"""The figures of people as a text for a window."""

from __future__ import annotations

from rich.text import Text

from coldal_tui.project.labels.raters.rater_figures import Figures
from coldal_tui.project.labels.raters.rater_words import bias_words, figure, minute_words
from coldal_tui.visible import counted, visible


def people_text(figures: Figures) -> Text:
    """Everybody's figures, the agreement of every two, and what is open."""
    text = Text()
    if not figures.people:
        return Text("no drawing has a known author yet: hand scans out to named people")
    for one in figures.people:
        text.append(f"{visible(one.name)}\n", style="bold")
        minutes, each = minute_words(one)
        dice, hd95 = figure(one.agreement)
        text.append(
            f"  {counted(one.scans, 'scan')}, {one.shared:,} shared with others; "
            f"minutes {minutes} ({each} each)\n"
        )
        text.append(f"  with the others: Dice {dice}, HD95 {hd95}\n")
        for alike, what in ((one.repeats, "repeats"), (one.honeypots, "honeypots")):
            if alike is not None:
                text.append(f"  {what}: Dice {figure(alike)[0]} ({counted(alike.scans, 'scan')})\n")
        for name, bias in one.bias.items():
            if words := bias_words(bias):
                text.append(f"  {visible(name)}: {words}\n")
    for pair in figures.pairs:
        text.append(f"{visible(pair.first)} and {visible(pair.second)}\n", style="bold")
        for name, (dice_of, hd95_of) in pair.alike.classes.items():
            text.append(
                f"  {visible(name)}: Dice {dice_of:.3f}, HD95 {hd95_of:.1f} {pair.alike.unit} "
                f"({counted(pair.alike.scans, 'scan')})\n"
            )
    if figures.waiting:
        text.append(f"{counted(figures.waiting, 'scan')} wait for further people\n")
    if figures.disputed:
        text.append(f"{counted(figures.disputed, 'scan')} in dispute: :disputes\n")
    return text
