"""Asks for the meaning of unknown values, names and colours in masks, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text
from textual.containers import Horizontal, Vertical
from textual.widgets import Select, Static

from coldal_tui.visible import counted, visible

MOST = 24
"""How many are asked for at once; the others follow the next time."""


@dataclass(frozen=True)
class Preview:
    """What an import would do, in words; and the unknown values, with their numbers of masks."""

    lines: Sequence[str]
    unknown: Mapping[str, int] = field(default_factory=dict)
    classes: Sequence[str] = ()


class Meanings(Vertical):
    """One line per unknown value with the classes to choose from; empty at first."""

    DEFAULT_CSS = """
    Meanings { height: auto; max-height: 10; overflow-y: auto; }
    Meanings .label { width: 34; }
    """

    def __init__(self) -> None:
        super().__init__(id="meanings")
        self._asked: dict[str, Select[str]] = {}

    def ask(self, unknown: Mapping[str, int], classes: Sequence[str]) -> bool:
        """Ask for values not asked for yet; returns whether there were any."""
        new = [key for key in unknown if key not in self._asked][:MOST]
        words = [(name, name) for name in (*classes, "background", "ignore")]
        for key in new:
            choice: Select[str] = Select(words, prompt="not said", compact=True)
            self._asked[key] = choice
            masks = counted(unknown[key], "mask")
            self.mount(Horizontal(Static(Text(f"{visible(key)} (in {masks}) is"), classes="label"),
                choice))  # fmt: skip
        if new:
            self.call_after_refresh(self._asked[new[0]].focus)
        return bool(new)

    def said(self) -> tuple[str, ...]:
        """All chosen meanings, as ``VALUE=CLASS``."""
        return tuple(
            f"{key}={choice.value}"
            for key, choice in self._asked.items()
            if isinstance(choice.value, str)
        )
