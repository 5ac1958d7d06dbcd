"""The base class of panes, the data they draw, and the services they may call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast

from textual.message import Message
from textual.widget import Widget

from coldal_tui.project.project import Project
from coldal_tui.project.settings.config_keys import OwnKey
from coldal_tui.project.views.map_view import MapView
from coldal_tui.project.views.snapshot import Snapshot
from coldal_tui.tui.drawing.glyphs import Look

T = TypeVar("T")
Progress = Callable[[int, int, str], None]
"""Called as work progresses, with: done, total, and a word for the current activity."""


def local_now() -> datetime:
    """The time in this machine's time zone."""
    return datetime.now().astimezone()


@dataclass(frozen=True)
class OwnKeys:
    """A person's own keys, and what is wrong with the file that they are read from."""

    keys: tuple[OwnKey, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """What the panes draw: a snapshot and, if there is one, its map.

    ``map_view`` is the same object as before when nothing on the map has changed.
    """

    snapshot: Snapshot
    map_view: MapView | None = None
    own_keys: OwnKeys = OwnKeys()


class Services(Protocol):
    """The services that the app offers panes. All run on the UI thread and return at once."""

    @property
    def look(self) -> Look:
        """The glyphs and colours of this terminal."""

    @property
    def root(self) -> Path:
        """The project's folder."""

    @property
    def readonly(self) -> bool:
        """Whether the project is opened read-only."""

    @property
    def view(self) -> View | None:
        """The newest snapshot; None before the first."""

    def read(
        self,
        key: str,
        work: Callable[[Project], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Run ``work`` on a read-only project in a thread, then ``then`` on the UI thread.

        Of several requests with one ``key``, only the newest is answered. A failure is shown
        as a notice unless ``failed`` takes it.
        """

    def change(
        self,
        title: str,
        work: Callable[[Project], str | None],
        then: Callable[[], None] | None = None,
    ) -> None:
        """Run ``work``, which changes the project, in a thread; its answer is shown as a notice.

        Refused with a notice when read-only. An error becomes a dialog with what, where and what
        to do. The screen follows as soon as it is done; ``then`` is called after that.
        """

    def confirm(self, question: str, then: Callable[[], None], *, yes: str = "yes") -> None:
        """Ask before an action that is hard to take back; ``then`` runs on yes."""

    def ask(self, title: str, prompt: str, then: Callable[[str], None], *, value: str = "") -> None:
        """Ask for a line of text; ``then`` gets it on enter, escape cancels."""

    def choose(
        self, title: str, options: Sequence[tuple[str, str]], then: Callable[[str], None]
    ) -> None:
        """Ask for one of ``(key, words)``; ``then`` gets its key."""

    def tell(self, text: str, *, error: bool = False) -> None:
        """Show a short notice; the text is literal, not markup."""

    def submit(self, title: str, steps: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Submit jobs that each depend on the one before; the jobs pane follows them."""


class HasServices(Protocol):
    """An app that can hold panes."""

    @property
    def services(self) -> Services:
        """The services for its panes."""


class Pane(Widget):
    """One numbered part of the screen. Focusable; keys are ``BINDINGS`` with ids for re-mapping.

    Subclasses draw with ``show`` and follow the current scan with ``go_to``. They change nothing
    by themselves: they ask ``self.services``.
    """

    number: ClassVar[int] = 0
    """The key that brings it up."""
    title: ClassVar[str] = ""

    class Chosen(Message):
        """Sent when the pane's cursor moves to another scan; the app informs the other panes."""

        def __init__(self, pane: Pane, scan_id: str | None) -> None:
            super().__init__()
            self.pane = pane
            self.scan_id = scan_id

        @property
        def control(self) -> Pane:
            return self.pane

    class Opened(Message):
        """Sent to open a scan: the app shows the pane ``name`` (a pane's id)."""

        def __init__(self, scan_id: str, name: str = "scan") -> None:
            super().__init__()
            self.scan_id = scan_id
            self.name = name

    @property
    def services(self) -> Services:
        return cast(HasServices, self.app).services

    @property
    def look(self) -> Look:
        return self.services.look

    def show(self, view: View) -> None:
        """Draw a new snapshot of the project, and only what differs from the last one."""

    def go_to(self, scan_id: str | None) -> None:
        """Follow another pane to this scan, without sending ``Chosen`` again."""

    def state(self) -> dict[str, Any]:
        """The part of the view to restore in the next session (JSON types only)."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a ``state`` of an earlier session; invalid parts are ignored."""
