"""The terminal app: the whole loop from one screen, over a project's immutable pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from coldal_tui.project.views.snapshot import Snapshot
from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.queue.why import Why
from coldal_tui.tui.shell import actions as flows
from coldal_tui.tui.shell import help as helping
from coldal_tui.tui.shell.command_line import Commanding
from coldal_tui.tui.shell.header import head_text, next_text, tabs_text, task_text
from coldal_tui.tui.shell.layout import COLUMNS, NUMBERED
from coldal_tui.tui.shell.loop_actions import Stepping
from coldal_tui.tui.shell.palette import Palette
from coldal_tui.tui.shell.panes import PaneMaker
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.shell.tasks import Task
from coldal_tui.tui.widgets.key_line import KeyLine
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from coldal_tui.tui.clusters.pane import ClustersPane
    from coldal_tui.tui.map.pane import MapPane
    from coldal_tui.tui.queue.pane import QueuePane


class News(Message):
    """What the reader has found; a newer picture replaces one that was not drawn yet."""

    def __init__(self, found: View | Exception) -> None:
        super().__init__()
        self.found = found

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, News) and isinstance(self.found, View)


class TaskMoved(Message):
    """The app's own long action has gone on, or ended (None)."""

    def __init__(self, task: Task | None) -> None:
        super().__init__()
        self.task = task

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, TaskMoved)


class Main(Screen[None]):
    """The screen below all windows: ``tab`` goes from pane to pane, not from widget to widget."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.other(1)", "next pane", show=False, id="app.next-pane"),
        Binding("shift+tab", "app.other(-1)", "pane before", show=False, id="app.previous-pane"),
    ]


class ColdalApp(Stepping, Commanding):
    """Panes around one project; the shell shows them, passes on the current scan, remembers."""

    TITLE = "coldal-tui"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[Any]] = {Palette}
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "step", "next step", id="app.step"),
        Binding("e", "export", "export", id="app.export"),
        Binding("i", "import", "import", id="app.import"),
        Binding("z", "undo", "undo", id="app.undo"),
        *(
            Binding(str(number), f"pane('{name}')", name, show=False, id=f"app.{name}")
            for number, name in enumerate(NUMBERED, 1)
        ),
        Binding("0", "home", "home", show=False, id="app.home"),
        Binding("plus", "zoom", "zoom the pane", show=False, id="app.zoom"),
        Binding("escape", "out", "back", show=False, id="app.back"),
        Binding("colon", "command", "command", show=False, id="app.command"),
        Binding("question_mark", "help", "help", key_display="?", id="app.help"),
        Binding("ctrl+r", "look", "read again", show=False, id="app.read"),
        Binding("ctrl+x", "cancel_task", "cancel what runs", show=False, id="app.cancel"),
        Binding("q", "leave", "quit", id="app.quit"),
    ]

    def __init__(
        self,
        root: Path,
        *,
        readonly: bool = False,
        look: Look = UNICODE,
        graphics: bool = False,
        memory: Memory | None = None,
        make_pane: Callable[[str], Pane] | None = None,
    ) -> None:
        super().__init__(
            root,
            make_pane or PaneMaker(graphics),
            readonly=readonly,
            look=look,
            memory=memory or Memory.of(root.absolute()),
        )
        self._completing = False
        self._stale = False
        self._drawable = False
        self._early: View | Exception | None = None
        self._heads: dict[str, Any] = {}
        self.reader.start()

    # --- the screen

    def get_default_screen(self) -> Main:
        return Main(id="_default")

    def compose(self) -> ComposeResult:
        """Only the panes that are seen first; the others follow once these are drawn."""
        self._room = self.size
        first = self._wanted().panes
        yield Static(id="head")
        yield Static(id="tabs")
        with Horizontal(id="body"):
            for column, names in COLUMNS.items():
                with Vertical(id=column):
                    for name in names:
                        if name in first:
                            yield self._made(name)
        yield Why(id="why")
        yield Static(id="task")
        yield Static(id="next")
        yield Input(id="command", placeholder="a command: queue skip SCAN, status", compact=True)
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_class(not self._look.braille, "-ascii")
        self._map_keys()
        for name in self._panes:
            self._restore(name)
        self._arrange()
        self._prepare_command()

    def on_resize(self, event: Resize) -> None:
        self._room = event.size
        self._arrange()

    def on_unmount(self) -> None:
        self.reader.stop()
        self.tasks.stop()

    def _map_keys(self) -> None:
        keys, problem = self.memory.keys()
        if problem:
            self.tell(problem, error=True)
        self.set_keymap(keys)

    def _check_keys(self) -> None:
        keys, _ = self.memory.keys()
        unknown = sorted(set(keys) - helping.binding_ids(self._panes.values(), self))
        if unknown:
            self.tell(f"{self.memory.keys_file}: no such keys: {', '.join(unknown)}", error=True)

    # --- news

    def _told(self, news: View | Exception) -> None:
        if self._drawable:
            self.post_message(News(news))
        else:
            self._early = news

    def on_ready(self) -> None:
        """All panes are there: draw what the reader has found meanwhile."""
        self._drawable = True
        if self._early is not None:
            self.on_news(News(self._early))

    def _start_completing(self) -> None:
        if not self._completing:
            self._completing = True
            self.run_worker(self._complete(), group="panes", exit_on_error=False)

    def on_news(self, message: News) -> None:
        found = message.found
        self.call_after_refresh(self._start_completing)
        if isinstance(found, View):
            self._stale = False
            self._take(found)
            return
        self._stale = True
        self.tell(str(found) or type(found).__name__, error=True)
        self._draw_lines()

    def _take(self, view: View) -> None:
        first = self._view is None
        self._view = view
        for pane in self._panes.values():
            self.guarded(pane.show, view)
        if first and self._restored.get("here"):
            self._move_to(str(self._restored["here"]), None)
        self.query_one(Why).show(view, self._here)
        self._draw_lines()

    def _draw_lines(self) -> None:
        """The lines around the panes; only those whose text has changed are drawn."""
        screenful, width = self._screenful, self._room.width
        if screenful is None or not width:
            return
        self._line("tabs", tabs_text(screenful.panes, self._look, width))
        if self._view is None:
            if self._stale:
                words = visible(f" {self._root}: can't be read")
                self._line("head", Text(words, style="bold reverse", no_wrap=True))
            return
        snapshot = self._view.snapshot
        head = head_text(snapshot, self._look, width, readonly=self._readonly, stale=self._stale)
        self._line("head", head)
        self._line("next", next_text(snapshot, compact=screenful.compact, readonly=self._readonly))

    def _line(self, name: str, text: Any) -> None:
        if self._heads.get(name) != text:
            self._heads[name] = text
            self.query_one(f"#{name}", Static).update(text)

    def _task_moved(self, task: Task | None) -> None:
        if self.is_running:
            self.post_message(TaskMoved(task))

    def on_task_moved(self, message: TaskMoved) -> None:
        line = self.query_one("#task", Static)
        slow = message.task is not None and message.task.total > 0
        line.display = slow
        if message.task is not None and slow:
            line.update(task_text(message.task, self._look, self.size.width))

    # --- the current scan

    @on(Pane.Chosen)
    def _chosen(self, message: Pane.Chosen) -> None:
        self._move_to(message.scan_id, message.pane)

    def _move_to(self, scan_id: str | None, origin: Pane | None) -> None:
        if scan_id == self._here:
            return
        self._here = scan_id
        for pane in self._panes.values():
            if pane is not origin:
                self.guarded(pane.go_to, scan_id)
        if self._view is not None:
            self.query_one(Why).show(self._view, scan_id)
        self._keep()

    @on(Pane.Opened)
    def _opened(self, message: Pane.Opened) -> None:
        self._move_to(message.scan_id, None)
        self.action_pane(message.name)

    def on_clusters_pane_picked(self, message: ClustersPane.Picked) -> None:
        self._filter_queue(f"cluster:{message.cluster + 1}")

    def on_map_pane_selected(self, message: MapPane.Selected) -> None:
        self._queue().show_only(message.scan_ids)
        self.action_pane("queue")

    def _queue(self) -> QueuePane:
        return cast("QueuePane", self._panes["queue"])

    def _filter_queue(self, words: str) -> None:
        self._queue().set_filter(words)
        self.action_pane("queue")

    # --- other actions

    def action_help(self) -> None:
        self.read_text("help", helping.help_text(self))

    def action_look(self) -> None:
        self.reader.look()

    def action_cancel_task(self) -> None:
        if self.tasks.current is not None:
            self.tasks.current.cancel.set()

    def action_undo(self) -> None:
        self.change("undo", flows.undo)

    def action_leave(self) -> None:
        """At once, unless the app itself is in the middle of something; jobs go on anyway."""
        if self.tasks.busy and self.tasks.current is not None:
            title = self.tasks.current.title
            self.confirm(f"{title} is under way and would be cancelled. Leave?", self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        if self._fit_to_ask():
            self.memory.save(self._state())
        self.exit()

    def get_key_display(self, binding: Binding) -> str:
        """Keys as the help shows them: no glyphs that a font may lack."""
        return binding.key_display or helping.key_name(binding.key.split(",")[0])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self._readonly and action in ("step", "export", "import", "undo"):
            return None
        return True

    def snapshot(self) -> Snapshot | None:
        return self._view.snapshot if self._view is not None else None
