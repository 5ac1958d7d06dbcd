"""Why the current scan is or isn't in the queue: up to three lines, or all on request."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text
from textual.timer import Timer
from textual.widgets import Static

from coldal_tui.project.project import Project
from coldal_tui.project.views.why.explain import explain
from coldal_tui.project.views.why.why_words import because, details, place, term
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.pane import HasServices, Services, View
from coldal_tui.tui.widgets.table_lines import fitted
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from coldal_tui.project.views.why.rank_outlook import Standings

Facts = Mapping[str, Any]
PAUSE_S = 0.1
"""How long the cursor rests on a scan before the reasons are read."""
BAR = 20


def read_facts(
    project: Project, scan_id: str, standings: Standings | None = None
) -> dict[str, Any]:
    """Read the facts for ``why_text`` and ``full_text``."""
    return explain(project, scan_id, standings)


class Why(Static):
    """The reasons for the current scan, read in a thread, the newest request first."""

    DEFAULT_CSS = "Why { height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._standings: Standings | None = None
        self._facts: Facts | None = None
        self._scan_id: str | None = None
        self._view: View | None = None
        self._pause: Timer | None = None
        self._drawn: Text | None = None

    @property
    def services(self) -> Services:
        return cast(HasServices, self.app).services

    def show(self, view: View, scan_id: str | None) -> None:
        """Show the current project and scan."""
        if view is self._view and scan_id == self._scan_id:
            return
        moved = scan_id != self._scan_id
        self._view, self._scan_id = view, scan_id
        if self._pause is not None:
            self._pause.stop()
        if scan_id is None:
            self._take(None)
        elif moved and self._facts is not None:
            self._pause = self.set_timer(PAUSE_S, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        if self._scan_id is not None:
            work = partial(self._read, self._scan_id)
            self.services.read("why", work, self._take, lambda _: self._take(None))

    def _read(self, scan_id: str, project: Project) -> dict[str, Any]:
        from coldal_tui.project.views.why.rank_outlook import Standings

        if self._standings is None:
            self._standings = Standings()
        return read_facts(project, scan_id, self._standings)

    def _take(self, facts: Facts | None) -> None:
        self._facts = facts
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        """Draw only if the text has changed."""
        text = Text()
        if self._facts is not None:
            lines = self.styles.max_height.cells if self.styles.max_height else None
            text = why_text(self._facts, self.services.look, self.size.width, lines or 3)
        if self._drawn is None or text != self._drawn or text.spans != self._drawn.spans:
            self._drawn = text
            self.update(text)


def why_text(facts: Facts, look: Look, width: int, lines: int = 3) -> Text:
    """``why SCAN: the reasons`` in at most ``lines`` lines of ``width`` cells."""
    text, name = Text(), visible(facts["scan_id"])
    if lines == 1:
        # The reasons need the room more than a long name does, which the rows show as well.
        name = fitted(name, max(12, width // 3), "middle", look.ellipsis)
    text.append(f"why {name}", "bold")
    text.append(f": {_plain(' · '.join(because(facts)), look)}")
    return _clipped(text, max(width, 20), lines, look)


def _clipped(text: Text, width: int, lines: int, look: Look) -> Text:
    """Wrapped at words; an ellipsis replaces what does not fit."""
    from rich.console import Console

    wrapped = list(text.wrap(Console(width=width, color_system=None), width))
    for line in wrapped:
        line.rstrip()
    if len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], _cut(Text(" ").join(wrapped[lines - 1 :]), width, look)]
    joined = Text("\n").join(wrapped)
    joined.no_wrap = True
    return joined


def _cut(line: Text, width: int, look: Look) -> Text:
    """The beginning of a line, cut at a word's end unless that loses a third of it."""
    if line.cell_len > width:
        line.truncate(width - 2)
        end = line.plain.rstrip().rfind(" ")
        if end > width * 2 / 3:
            line.right_crop(len(line) - end)
        line.rstrip()
    line.append(f" {look.ellipsis}")
    return line


def _plain(words: str, look: Look) -> str:
    words = visible(words)
    return words if look.braille else words.replace(" · ", "; ").replace("α", "alpha")


def full_text(facts: Facts, look: Look) -> Text:
    """The full text for a dialog: rank, reasons, bars of H, D and S, numbers, files."""
    text = Text()
    status = str(facts["status"])
    text.append(visible(facts["scan_id"]), "bold")
    if "role" in facts:
        text.append(f"  {look.state(status)} {status}")
        text.append(f"\n{_plain(place(facts), look)}", "dim")
    text.append("\n")
    for sentence in because(facts):
        text.append(f"\n{_plain(sentence, look)}")
    text.append("\n")
    text.append_text(_bars(facts, look))
    for line in details(facts):
        text.append(f"\n{_plain(line, look)}", "dim")
    return text


def _bars(facts: Facts, look: Look) -> Text:
    terms = facts.get("terms") or (facts.get("standing") or {}).get("prospect") or {}
    text = Text()
    if "diversity_term" not in terms:
        return text
    alpha = terms["alpha"]
    shown = (
        ("H", terms.get("entropy_term"), f"uncertainty, weighs {term(alpha)}"),
        ("D", terms["diversity_term"], f"distance, weighs {term(1 - alpha)}"),
        ("S", terms["score"], "both"),
    )
    for name, value, words in shown:
        if value is not None:
            bar = look.share(float(value), BAR)
            text.append(f"\n{name} ", "bold")
            text.append(f"{bar} {term(value):>4}  ")
            text.append(words, "dim")
    text.append("\n")
    return text
