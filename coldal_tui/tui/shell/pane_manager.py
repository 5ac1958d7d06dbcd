"""Manages the panes: makes them on first use, shows those that fit, and sets the focus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from textual.app import App
from textual.geometry import Size

from coldal_tui.tui.pane import Pane
from coldal_tui.tui.shell.layout import COLUMNS, HOME, NUMBERED, Screenful, arrange

LOW = 20
"""Rows below which the lines around the panes are cut to three."""
PANES = tuple(name for names in COLUMNS.values() for name in names)


class PaneManager:
    """Makes panes, shows those that fit, and remembers the focused one.

    ``arranged`` is called whenever other panes may be shown, or another one may be focused.
    """

    def __init__(
        self,
        app: App[None],
        make: Callable[[str], Pane],
        state: dict[str, Any],
        *,
        arranged: Callable[[], None],
    ) -> None:
        """``state``: the value of ``state()`` in an earlier session; invalid parts are ignored."""
        self._app, self._make, self._arranged = app, make, arranged
        self.made: dict[str, Pane] = {}
        """Panes by their id, in the order in which they were made."""
        self.screenful: Screenful | None = None
        """What is shown; None before the size of the screen is known."""
        self.room = Size(0, 0)
        self._zoomed = state.get("zoomed") is True
        focus = state.get("focus")
        self.last_focus: str = focus if focus in PANES else "queue"

    def make(self, name: str) -> Pane:
        pane = self.made[name] = self._make(name)
        return pane

    def first(self, column: str) -> Iterator[Pane]:
        """Make the panes of a column that are drawn first; a preview waits for them."""
        for name in self.wanted().column(column):
            if name != "preview":
                yield self.make(name)

    async def make_others(self, ready: Callable[[str], None]) -> None:
        """Make the remaining panes one at a time, handling keys in between.

        ``ready`` is called with the name of each when it stands.
        """
        for column, names in COLUMNS.items():
            for place, name in enumerate(names):
                if name in self.made:
                    continue
                before = [self.made[other] for other in names[:place] if other in self.made]
                pane = self.make(name)
                pane.display = name in self.wanted().panes
                box = self._app.query_one(f"#{column}")
                if before or column == "main":
                    await box.mount(pane, after=before[-1] if before else "#top")
                else:
                    await box.mount(pane, before=0)
                ready(name)
                if name == self.last_focus:
                    self._focus(name)

    @property
    def complete(self) -> bool:
        """Whether all panes exist; while the app starts or ends, some do not."""
        return len(self.made) == len(PANES) and all(p.is_attached for p in self.made.values())

    def wanted(self) -> Screenful:
        """The panes for a screen of this size."""
        size = self.room
        return arrange(size.width, size.height, self.last_focus, zoomed=self._zoomed)

    def arrange(self) -> None:
        """Show the panes that fit; the focus stays on a visible pane."""
        wanted = self.wanted()
        self._app.screen_stack[0].set_class(self.room.height < LOW, "-low")
        if wanted != self.screenful:
            self.screenful = wanted
            screen = self._app.screen_stack[0]
            screen.set_class(wanted.compact, "-compact")
            screen.set_class(len(wanted.panes) == 1, "-single")
            shown = {column for column in COLUMNS if wanted.column(column)}
            for column in COLUMNS:
                wraps = column == "main" and "top" in shown
                screen.query_one(f"#{column}").display = column in shown or wraps
            for name, pane in self.made.items():
                if pane.display != (name in wanted.panes):
                    pane.display = name in wanted.panes
        there = self.last_focus in wanted.panes
        self._focus(self.last_focus if there else wanted.panes[0])
        self._arranged()

    def _focus(self, name: str) -> None:
        pane = self.made.get(name)
        if pane is None:
            return
        inner = (widget for widget in pane.query("*") if widget.can_focus and widget.display)
        wanted = pane if pane.can_focus else next(inner, None)
        if wanted is not None:
            self._app.screen.set_focus(wanted, scroll_visible=False)

    def refocus(self) -> None:
        """Give the focus back to the last focused pane."""
        self._focus(self.last_focus)

    @property
    def focused(self) -> Pane | None:
        """The focused pane."""
        widget = self._app.focused
        while widget is not None and not isinstance(widget, Pane):
            widget = widget.parent  # type: ignore[assignment]
        return widget

    def follow_focus(self) -> None:
        """Follow a change of focus, by a click for example."""
        pane, compact = self.focused, self.screenful is not None and self.screenful.compact
        if pane is not None and pane.id is not None and not compact:
            self.last_focus = pane.id

    def show(self, name: str) -> None:
        """Show a pane: focus it if it is visible, otherwise show it alone."""
        self.last_focus = name
        self.arrange()

    def home(self) -> None:
        self._zoomed = False
        if self.last_focus not in HOME:
            self.last_focus = "queue"
        self.arrange()

    def zoom(self) -> None:
        self._zoomed = not self._zoomed
        self.arrange()

    def out(self) -> None:
        """Leave a zoomed pane, then go to the queue; never leave the app."""
        if self._zoomed:
            self.home()
        else:
            self.show("queue")

    def step(self, way: int) -> None:
        """Focus the next visible pane; on a small screen, the next numbered one."""
        panes = () if self.screenful is None else self.screenful.panes
        shown = [name for name in panes if name in NUMBERED]
        names: Sequence[str] = shown if len(shown) > 1 else NUMBERED
        here = names.index(self.last_focus) if self.last_focus in names else -way
        self.show(names[(here + way) % len(names)])

    def state(self) -> dict[str, Any]:
        """The state to restore in the next session, with that of each pane."""
        panes = {name: pane.state() for name, pane in self.made.items()}
        return {"zoomed": self._zoomed, "focus": self.last_focus, "panes": panes}
