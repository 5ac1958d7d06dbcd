"""People as table rows, and one person's agreement and habits as text. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from coldal_tui.project.labels.raters.rater_figures import Figures, Person
from coldal_tui.project.labels.raters.rater_words import NONE, bias_words, figure, minute_words
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.table_model import Cell
from coldal_tui.visible import counted, visible


class RaterRows:
    """One row per person, by name."""

    def __init__(self, people: Sequence[Person], look: Look) -> None:
        self._people, self._look = people, look
        self._rows = {one.name: n for n, one in enumerate(people)}
        self._cells = [self._made(one) for one in people]
        names = max((len(visible(one.name)) for one in people), default=6)
        self.columns: Sequence[Column] = (
            Column("person", "person", min(max(6, names), 24), least=6, most=40, cut="middle"),
            self._column("count", "scans", 0),
            self._column("shared", "shared", 6),
            self._column("minutes", "minutes", 3, short="min"),
            self._column("each", "each", 4),
            self._column("dice", "Dice", 1),
            self._column("hd95", "HD95", 2),
            self._column("repeats", "repeats", 5, short="rep"),
            self._column("honeypots", "honeypots", 5, short="honey"),
        )

    def _column(self, key: str, title: str, priority: int, short: str = "") -> Column:
        place = _KEYS.index(key) + 1
        wide = max(len(title), *(len(str(cells[place])) for cells in self._cells), 4)
        return Column(key, title, wide, align="right", priority=priority, short=short)

    def _made(self, one: Person) -> list[str]:
        minutes, each = minute_words(one)
        dice, hd95 = figure(one.agreement)
        values = [
            f"{one.scans:,}",
            f"{one.shared:,}",
            minutes,
            each,
            dice,
            hd95,
            figure(one.repeats)[0],
            figure(one.honeypots)[0],
        ]
        return [visible(one.name), *values]

    @property
    def row_count(self) -> int:
        return len(self._people)

    def key(self, row: int) -> str:
        return self._people[row].name

    def find(self, key: str) -> int | None:
        return self._rows.get(key)

    def cells(self, row: int) -> Sequence[Cell]:
        dash = Text(self._look.dash, style="muted")
        return [dash if value == NONE else value for value in self._cells[row]]


_KEYS = ("count", "shared", "minutes", "each", "dice", "hd95", "repeats", "honeypots")


def person_text(figures: Figures, name: str) -> Text:
    """One person's habits by class, and the agreement with every other person."""
    one = next((person for person in figures.people if person.name == name), None)
    text = Text()
    if one is None:
        return text
    text.append(f"{visible(one.name)}\n", style="bold")
    habits = [(of, bias_words(bias)) for of, bias in one.bias.items()]
    told = [(of, words) for of, words in habits if words]
    for of, words in told:
        text.append(f"  {visible(of)}: {words}\n")
    if not told:
        known = "no habit beside the others' drawings" if one.shared else "no scan shared yet"
        text.append(f"  {known}\n")
    for alike, what in ((one.repeats, "repeats"), (one.honeypots, "honeypots")):
        if alike is not None:
            dice, hd95 = figure(alike)
            scans = counted(alike.scans, "scan")
            text.append(f"  {what}: Dice {dice}, HD95 {hd95} ({scans})\n")
    for pair in figures.pairs:
        if name not in (pair.first, pair.second):
            continue
        other = pair.second if pair.first == name else pair.first
        scans = counted(pair.alike.scans, "scan")
        text.append(f"with {visible(other)} ({scans})\n", style="bold")
        for of, (dice_of, hd95_of) in pair.alike.classes.items():
            text.append(
                f"  {visible(of)}: Dice {dice_of:.3f}, HD95 {hd95_of:.1f} {pair.alike.unit}\n"
            )
    return text


def open_words(figures: Figures) -> str:
    """What is open between people: ``3 scans wait for others, 1 in dispute``."""
    parts = []
    if figures.waiting:
        wait = "waits" if figures.waiting == 1 else "wait"
        parts.append(f"{counted(figures.waiting, 'scan')} {wait} for others")
    if figures.disputed:
        parts.append(f"{figures.disputed:,} in dispute")
    return ", ".join(parts)
