"""The panes of the app: made when they are first wanted, brought up by keys, as they were left."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textual.geometry import Size

from coldal_tui.tui.drawing import themes
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.pane import Pane
from coldal_tui.tui.shell.layout import COLUMNS, HOME, NUMBERED, Screenful, arrange
from coldal_tui.tui.shell.services import DeskApp
from coldal_tui.tui.shell.session_state import Memory

PANES = tuple(name for names in COLUMNS.values() for name in names)
SAVE_AFTER_S = 1.0


class Paned(DeskApp):
    """Which panes there are and which are seen; subclasses compose the screen around them."""

    history: list[str]

    def __init__(
        self,
        root: Path,
        make_pane: Callable[[str], Pane],
        *,
        readonly: bool,
        look: Look,
        memory: Memory,
    ) -> None:
        super().__init__(root, readonly=readonly, look=look, memory=memory)
        self._make_pane = make_pane
        self._panes: dict[str, Pane] = {}
        self._screenful: Screenful | None = None
        self._room = Size(0, 0)
        self._here: str | None = None
        self._saving = False
        self._restored = memory.load()
        self._zoomed = self._restored.get("zoomed") is True
        focus = self._restored.get("focus")
        self._last_focus: str = focus if focus in PANES else "queue"
        for theme in themes.THEMES:
            self.register_theme(theme)
        wanted = self._restored.get("theme")
        self.theme = wanted if wanted in themes.NAMES else themes.DEFAULT

    def _draw_lines(self) -> None:
        """The lines around the panes."""
        raise NotImplementedError

    def _filter_queue(self, words: str) -> None:
        """Show only these in the queue, and bring it up."""
        raise NotImplementedError

    def _move_to(self, scan_id: str | None, origin: Pane | None) -> None:
        """Make a scan the current one everywhere but in ``origin``, which is there already."""
        raise NotImplementedError

    def _check_keys(self) -> None:
        raise NotImplementedError

    def _made(self, name: str) -> Pane:
        pane = self._panes[name] = self._make_pane(name)
        return pane

    async def _complete(self) -> None:
        """Make the panes that were not seen first, one at a time: keys come in between."""
        for column, names in COLUMNS.items():
            for place, name in enumerate(names):
                if name not in self._panes:
                    before = [self._panes[n] for n in names[:place] if n in self._panes]
                    pane = self._made(name)
                    pane.display = name in self._wanted().panes
                    box = self.query_one(f"#{column}")
                    await (
                        box.mount(pane, after=before[-1]) if before else box.mount(pane, before=0)
                    )
                    self._furnish(name)
        self._check_keys()
        # What is there now stays: the collector need not look at it each time it sweeps.
        gc.freeze()

    def _furnish(self, name: str) -> None:
        """Bring a new pane to where the others are."""
        pane = self._panes[name]
        self._restore(name)
        if self._view is not None:
            self.guarded(pane.show, self._view)
            self.guarded(pane.go_to, self._here)
        if name == self._last_focus:
            self._focus(name)

    def _wanted(self) -> Screenful:
        size = self._room
        return arrange(size.width, size.height, self._last_focus, zoomed=self._zoomed)

    def _arrange(self) -> None:
        """Show the panes that fit; the focus stays on one that is shown."""
        wanted = self._wanted()
        if wanted != self._screenful:
            self._screenful = wanted
            self.screen.set_class(wanted.compact, "-compact")
            self.screen.set_class(len(wanted.panes) == 1, "-single")
            for column in COLUMNS:
                self.query_one(f"#{column}").display = bool(wanted.column(column))
            for name, pane in self._panes.items():
                if pane.display != (name in wanted.panes):
                    pane.display = name in wanted.panes
        shown = self._last_focus in wanted.panes
        self._focus(self._last_focus if shown else wanted.panes[0])
        self._draw_lines()
        self._keep()

    def _focus(self, name: str) -> None:
        pane = self._panes.get(name)
        if pane is None:
            return
        inner = (widget for widget in pane.query("*") if widget.can_focus and widget.display)
        wanted = pane if pane.can_focus else next(inner, None)
        if wanted is not None:
            self.screen.set_focus(wanted, scroll_visible=False)

    def focused_pane(self) -> Pane | None:
        widget = self.focused
        while widget is not None and not isinstance(widget, Pane):
            widget = widget.parent  # type: ignore[assignment]
        return widget

    def action_pane(self, name: str) -> None:
        """Bring a pane up: where it stands if it is shown, alone if it is not."""
        self._last_focus = name
        self._arrange()

    def action_home(self) -> None:
        self._zoomed = False
        if self._last_focus not in HOME:
            self._last_focus = "queue"
        self._arrange()

    def action_zoom(self) -> None:
        self._zoomed = not self._zoomed
        self._arrange()

    def action_out(self) -> None:
        """Out of a zoomed pane, then to the queue; never out of the app."""
        if self._zoomed:
            self.action_home()
        else:
            self.action_pane("queue")

    def action_other(self, way: int) -> None:
        """The next pane that is shown; on a small screen the next of all numbered ones."""
        single = self._screenful is None or len(self._screenful.panes) == 1
        names: Sequence[str] = NUMBERED if single else self._screenful.panes  # type: ignore[union-attr]
        here = names.index(self._last_focus) if self._last_focus in names else -way
        self.action_pane(names[(here + way) % len(names)])

    def on_descendant_focus(self) -> None:
        """A click, too, says which pane the person is in."""
        pane = self.focused_pane()
        if pane is not None and pane.id is not None and not self._small():
            self._last_focus = pane.id

    def _small(self) -> bool:
        return self._screenful is not None and self._screenful.compact

    def action_refocus(self) -> None:
        """Back from the command line to where the keys went before."""
        self._focus(self._last_focus)

    def _keep(self) -> None:
        """Save the view soon; a kill loses a second of moving about at most."""
        if not self._saving and self.is_running:
            self._saving = True
            self.set_timer(SAVE_AFTER_S, self._save_now)

    def _save_now(self) -> None:
        self._saving = False
        if not self._fit_to_ask():
            return
        state = self._state()
        if state != self._restored:
            self._restored = state
            self.tasks.aside(lambda: self.memory.save(state))

    def _state(self) -> dict[str, Any]:
        return {
            "zoomed": self._zoomed,
            "focus": self._last_focus,
            "here": self._here,
            "theme": self.theme,
            "history": self.history,
            "panes": {name: pane.state() for name, pane in self._panes.items()},
        }

    def _fit_to_ask(self) -> bool:
        """Whether all panes stand: they come, and go when the app ends, one by one."""
        complete = len(self._panes) == len(PANES)
        return complete and all(pane.is_attached for pane in self._panes.values())

    def _restore(self, name: str) -> None:
        """A pane's view as it was left; whatever doesn't fit any more is passed over."""
        panes = self._restored.get("panes")
        kept = panes.get(name) if isinstance(panes, dict) else None
        if isinstance(kept, dict):
            self.guarded(self._panes[name].restore, kept)
