"""The current keys in one line: those of the pane first, help always last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

from coldal_tui.tui.verbs import Kind, verb_of

LAST = ("app.help", "app.quit")
"""Never left out, and at the right end."""


@dataclass(frozen=True)
class KeyHint:
    """One key: its display, its action, the key that a click presses, whether it is enabled.

    ``at_once``: it changes data without a question; a click may be a slip, and asks.
    """

    shown: str
    words: str
    key: str
    name: str = ""
    enabled: bool = True
    at_once: bool = False

    @property
    def width(self) -> int:
        return len(self.shown) + 1 + len(self.words)


def fitted(hints: Sequence[KeyHint], width: int) -> tuple[list[KeyHint], list[KeyHint]]:
    """The hints on the left that fit beside those on the right."""
    right = [hint for name in LAST for hint in hints if hint.name == name]
    room = width - sum(hint.width + 2 for hint in right) - 1
    left = []
    for hint in hints:
        if hint in right:
            continue
        room -= hint.width + 2
        if room < 0:
            break
        left.append(hint)
    return left, right


class KeyLine(Widget):
    """Shows the keys of Textual's footer, most important first; a click presses the key."""

    DEFAULT_CSS = """
    KeyLine { height: 1; dock: bottom; background: $background; color: $foreground; }
    """

    def on_mount(self) -> None:
        self._hints: list[KeyHint] = []
        self.screen.bindings_updated_signal.subscribe(self, self._updated)
        self._updated(self.screen)

    def _updated(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        seen: dict[str, KeyHint] = {}
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.show and binding.description:
                verb = verb_of(binding)
                hint = KeyHint(
                    self.app.get_key_display(binding),
                    binding.description,
                    binding.key,
                    binding.id or "",
                    active.enabled,
                    verb is not None and verb.kind != Kind.LOOK and not verb.asks,
                )
                seen.setdefault(binding.id or binding.action, hint)
        hints = list(seen.values())
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def render(self) -> RenderResult:
        left, right = fitted(self._hints, self.size.width)
        accent = Style(color=self.app.theme_variables.get("accent"), bold=True)
        line = Text(no_wrap=True)
        self._spans: list[tuple[int, int, KeyHint]] = []
        for hints in (left, right):
            if hints is right:
                rest = sum(hint.width + 2 for hint in right)
                line.append(" " * max(0, self.size.width - line.cell_len - rest))
            for hint in hints:
                start = line.cell_len
                line.append(f" {hint.shown}", style=accent if hint.enabled else "dim")
                line.append(f" {hint.words}", style="" if hint.enabled else "dim")
                self._spans.append((start, line.cell_len, hint))
                line.append(" ")
        return line

    def on_click(self, event: Click) -> None:
        for start, end, hint in self._spans:
            if start <= event.x < end:
                press = partial(self.app.simulate_key, hint.key.split(",")[0])
                confirm = getattr(self.app, "confirm", None)
                if hint.name == "app.step":
                    self.run_worker(self.app.run_action("app.step_clicked"))
                elif hint.at_once and confirm is not None:
                    confirm(f"{hint.words}?", press)
                else:
                    press()
