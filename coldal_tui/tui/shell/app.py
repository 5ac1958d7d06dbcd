"""The terminal app: composes panes, services and actions around one project."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key, Resize
from textual.filter import Monochrome
from textual.widgets import Static

from coldal_tui.redaction import NOTE, active
from coldal_tui.tui.drawing import themes
from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.drawing.redacted import Redacted
from coldal_tui.tui.drawing.without_colour import WithoutColour
from coldal_tui.tui.loop.loop_actions import LoopActions
from coldal_tui.tui.loop.seen_failures import SeenFailures
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.programs.key_conflicts import hidden_actions
from coldal_tui.tui.programs.own_keys import OwnKeyRunner
from coldal_tui.tui.queue.why import Why
from coldal_tui.tui.shell.command_line import CommandLine, CommandRunner
from coldal_tui.tui.shell.frame import FrameLines, Main, body
from coldal_tui.tui.shell.help import binding_ids, bindings_by_place
from coldal_tui.tui.shell.layout import NUMBERED
from coldal_tui.tui.shell.news import News, TaskMoved
from coldal_tui.tui.shell.own_commands import OwnCommands
from coldal_tui.tui.shell.pane_manager import PaneManager
from coldal_tui.tui.shell.panes import PaneMaker
from coldal_tui.tui.shell.reader import Reader
from coldal_tui.tui.shell.services import AppServices
from coldal_tui.tui.shell.session_state import Memory, SessionSaver
from coldal_tui.tui.shell.tasks import Task
from coldal_tui.tui.verbs import bind, key_name
from coldal_tui.tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from coldal_tui.tui.clusters.pane import ClustersPane
    from coldal_tui.tui.jobs.pane import JobsPane
    from coldal_tui.tui.map.pane import MapPane
    from coldal_tui.tui.queue.pane import QueuePane
    from coldal_tui.tui.raters.pane import RatersPane


READONLY_NOT = ("step", "export", "import", "push", "pull", "undo", "redo")
"""Actions that a read-only session does not have."""


class ColdalApp(App[None]):
    """Shows panes on one project, passes the current scan to all of them, keeps the session."""

    TITLE = "coldal-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("step", "step", "next step", id="app.step", show=True),
        bind("export", "export", "export", id="app.export", show=True),
        bind("import", "import", "import", id="app.import", show=True),
        bind("undo", "undo", "undo", id="app.undo", show=True),
        bind("redo", "redo", "redo", id="app.redo"),
        *(bind(f"pane-{name}", f"pane('{name}')", name, id=f"app.{name}") for name in NUMBERED),
        bind("files", "files", "refused files", id="app.files"),
        bind("home", "home", "home", id="app.home"),
        bind("zoom-pane", "zoom", "zoom the pane", id="app.zoom"),
        bind("back", "out", "back", id="app.back"),
        bind("command", "command", "command", id="app.command"),
        bind("help", "help", "help", id="app.help", show=True),
        bind("read", "look", "read again", id="app.read"),
        bind("cancel", "cancel_task", "cancel what runs", id="app.cancel"),
        bind("quit", "leave", "quit", id="app.quit", show=True),
        bind("shell", "suspend_process", "to the shell", id="app.shell"),
    ]

    def __init__(
        self,
        root: Path,
        *,
        readonly: bool = False,
        look: Look = UNICODE,
        graphics: str = "",
        memory: Memory | None = None,
        make_pane: Callable[[str], Pane] | None = None,
    ) -> None:
        super().__init__()
        if self.no_color:
            # Textual's own filter turns colours to greys of 24 bit.
            self._filters = [one for one in self._filters if not isinstance(one, Monochrome)]
            self._filters.append(WithoutColour())
        if active() is not None:
            self._filters.append(Redacted())
        root = root.absolute()
        self.memory = memory or Memory.of(root)
        restored = self.memory.load()
        self.reader = Reader(
            root, self._found, revives=not readonly, personal_keys=self.memory.keys_file
        )
        self.services = AppServices(
            self,
            root,
            readonly=readonly,
            look=look,
            log_file=self.log_file,
            changed=self.reader.look,
            moved=self._task_moved,
        )
        self.panes = PaneManager(
            self, make_pane or PaneMaker(graphics), restored, arranged=self._arranged
        )
        self._failures = SeenFailures(restored.get("seen_failures"))
        self.loop = LoopActions(
            self,
            self.services,
            show_pane=self.action_pane,
            show_log=self._show_log,
            filter_queue=self._filter_queue,
            failures=self._failures,
        )
        self.programs = OwnKeyRunner(self, self.services)
        self.own = OwnCommands(
            self,
            self.services,
            self.panes,
            self.memory.keys_file,
            own_keys=lambda: self.programs.keys,
            quit=self.action_leave,
            show_queue=self._filter_queue,
            go_to=lambda scan_id: self._move_to(scan_id, None),
        )
        self.commands = CommandRunner(self, self.services, self.own.table, self.reader.look)
        self._saver = SessionSaver(self, self.memory, self._session, self.services.tasks.aside)
        self._restored = restored
        self._here: str | None = None
        self._completing = False
        self._stale = False
        self._drawable = False
        self._early: View | Exception | None = None
        self._lines = FrameLines(self, self.services, self._failures)
        for theme in themes.THEMES:
            self.register_theme(theme)
        wanted = restored.get("theme")
        self.theme = wanted if wanted in themes.NAMES else themes.DEFAULT
        self.reader.start()

    @property
    def log_file(self) -> Path:
        return self.memory.state_folder / "app.log"

    @property
    def view(self) -> View | None:
        """The newest snapshot."""
        return self.services.view

    @property
    def look(self) -> Look:
        """The glyphs and colours, for widgets in any app."""
        return self.services.look

    @property
    def here(self) -> str | None:
        """The current scan of all panes."""
        return self._here

    # --- the screen

    def get_default_screen(self) -> Main:
        return Main(id="_default")

    def compose(self) -> ComposeResult:
        """Make only the visible panes; the others are made once these are drawn."""
        self.panes.room = self.size
        yield Static(id="head")
        yield Static(id="tabs")
        yield from body(self.panes.first)
        yield Why(id="why")
        yield Static(id="task")
        yield Static(id="next")
        history = self._restored.get("history")
        yield CommandLine(history, self._scan_ids, self.services.root)
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_class(not self.services.look.braille, "-ascii")
        self._map_keys()
        if active() is not None:
            self.services.tell(NOTE)
        for name in self.panes.made:
            self._restore(name)
        if self._restored.get("here"):
            self._here = str(self._restored["here"])
        if "queue" in self.panes.made:
            self.services.guarded(self._queue().go_to, self._here)
            self.services.guarded(self._queue().begin)
        self.panes.arrange()
        # What the shell wrote meanwhile is drawn over, and all that it cleared is drawn again.
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))

    def on_resize(self, event: Resize) -> None:
        self.panes.room = event.size
        self.panes.arrange()

    def on_unmount(self) -> None:
        self.reader.stop()
        self.services.tasks.stop()

    def on_key(self, event: Key) -> None:
        self._saver.soon()

    def on_descendant_focus(self) -> None:
        self.panes.follow_focus()
        self._draw_lines()

    def _arranged(self) -> None:
        if self.view is not None and self.panes.last_focus == "jobs":
            self._failures.see(self.view.snapshot)  # the jobs pane tells of them
        self._draw_lines()
        self._saver.soon()

    def _map_keys(self) -> None:
        keys, problem = self.memory.keys()
        if problem:
            self.services.tell(problem, error=True)
        self.set_keymap(keys)

    def _check_keys(self) -> None:
        keys, _ = self.memory.keys()
        unknown = sorted(set(keys) - binding_ids(type(self), self.panes.made.values()))
        if unknown:
            names = ", ".join(unknown)
            self.services.tell(f"{self.memory.keys_file}: no such keys: {names}", error=True)
        panes = self.panes.made.values()
        hidden = hidden_actions(bindings_by_place(type(self), panes), keys) if keys else []
        if hidden:
            more = f"; and {len(hidden) - 3} more (:keys)" if len(hidden) > 3 else ""
            words = "; ".join(hidden[:3]) + more
            self.services.tell(f"{self.memory.keys_file}: {words}. Give those another key, too")

    def _bind_own_keys(self) -> None:
        """Bind a person's own keys, once all panes stand whose keys they may not take."""
        view = self.services.view
        if view is not None and self.panes.complete:
            main = self.screen_stack[0]
            self.programs.take(view.own_keys, lambda: [main, *main.query("*")])

    async def _make_others(self) -> None:
        await self.panes.make_others(self._bring_up_to_date)
        self._check_keys()
        self._bind_own_keys()
        # What is there now stays: the collector need not look at it each time it sweeps.
        gc.freeze()
        gc.enable()

    def _bring_up_to_date(self, name: str) -> None:
        """Give a new pane the current snapshot and scan."""
        pane, view = self.panes.made[name], self.services.view
        self._restore(name)
        if view is not None:
            self.services.guarded(pane.show, view)
            self.services.guarded(pane.go_to, self._here)

    def _restore(self, name: str) -> None:
        """Restore a pane's view; invalid parts are ignored."""
        panes = self._restored.get("panes")
        kept = panes.get(name) if isinstance(panes, dict) else None
        if isinstance(kept, dict):
            self.services.guarded(self.panes.made[name].restore, kept)

    def _session(self) -> dict[str, Any] | None:
        """The state for the next session; None while panes are being made or removed."""
        if not self.panes.complete:
            return None
        history = self.query_one(CommandLine).history
        return {
            **self.panes.state(),
            "here": self._here,
            "theme": self.theme,
            "history": [*history],
            "seen_failures": self._failures.state(),
        }

    # --- news

    def _found(self, news: View | Exception) -> None:
        if self._drawable:
            self.post_message(News(news))
        else:
            self._early = news

    def on_ready(self) -> None:
        """All panes exist: draw what the reader has found meanwhile."""
        self._drawable = True
        if self._early is not None:
            self.on_news(News(self._early))

    def _start_completing(self) -> None:
        self.reader.go_on()
        if not self._completing:
            self._completing = True
            self.run_worker(self._make_others(), group="panes", exit_on_error=False)

    def on_news(self, message: News) -> None:
        if not self.query(Why):
            return  # the app is closing, and its widgets are gone before it
        found = message.found
        self.call_after_refresh(self._start_completing)
        if isinstance(found, View):
            self._stale = False
            self._take(found)
            return
        self._stale = True
        self.services.tell(str(found) or type(found).__name__, error=True)
        self._draw_lines()

    def _take(self, view: View) -> None:
        first = self.services.view is None
        self.services.view = view
        for pane in self.panes.made.values():
            self.services.guarded(pane.show, view)
        if first:
            self._follow(None)
        self.query_one(Why).show(view, self._here)
        self._bind_own_keys()
        self._draw_lines()

    def _draw_lines(self) -> None:
        width = self.panes.room.width
        if self.panes.screenful is not None and width:
            self._lines.draw(self.panes.last_focus, width, stale=self._stale)

    def _task_moved(self, task: Task | None) -> None:
        if self.is_running:
            self.post_message(TaskMoved(task))

    def on_task_moved(self, message: TaskMoved) -> None:
        self._lines.draw_task(message.task, self.size.width)

    # --- the current scan

    @on(Pane.Chosen)
    def _chosen(self, message: Pane.Chosen) -> None:
        self._move_to(message.scan_id, message.pane)

    def _move_to(self, scan_id: str | None, origin: Pane | None) -> None:
        if scan_id == self._here:
            return
        self._here = scan_id
        if self.services.view is not None:  # else panes follow when they have something to show
            self._follow(origin)
            self.query_one(Why).show(self.services.view, scan_id)
        self._saver.soon()

    def _follow(self, origin: Pane | None) -> None:
        """Bring all panes but ``origin`` to the current scan."""
        for pane in self.panes.made.values():
            if pane is not origin:
                self.services.guarded(pane.go_to, self._here)

    @on(Pane.Opened)
    def _opened(self, message: Pane.Opened) -> None:
        self._move_to(message.scan_id, None)
        self.action_pane(message.name)

    def on_clusters_pane_picked(self, message: ClustersPane.Picked) -> None:
        self._filter_queue(f"cluster:{message.cluster + 1}")

    def on_raters_pane_picked(self, message: RatersPane.Picked) -> None:
        self._filter_queue(f'to:"{message.person}"')

    def on_map_pane_selected(self, message: MapPane.Selected) -> None:
        self._queue().show_only(message.scan_ids)
        self.action_pane("queue")

    def _queue(self) -> QueuePane:
        return cast("QueuePane", self.panes.made["queue"])

    def _filter_queue(self, words: str) -> None:
        self._queue().set_filter(words)
        self.action_pane("queue")

    # --- what is typed after ":"

    def run_command(self, text: str) -> None:
        self.commands.run(text)

    def type_command(self, text: str) -> None:
        self.query_one(CommandLine).open(text)

    def _scan_ids(self) -> Iterator[str]:
        """Scans by name, the current one first, then those of the queue, then of the map."""
        view = self.services.view
        if self._here is not None:
            yield self._here
        if view is not None:
            yield from (item.scan_id for item in view.snapshot.queue)
            yield from view.map_view.scan_ids if view.map_view is not None else ()

    @on(CommandLine.Typed)
    def _typed(self, message: CommandLine.Typed) -> None:
        self.commands.run(message.text)

    @on(CommandLine.Left)
    def _left_command_line(self) -> None:
        self.panes.refocus()

    # --- what keys do

    def action_step(self) -> None:
        self.loop.step()

    def action_step_clicked(self) -> None:
        """A click on the next step: what would begin at once is asked about first."""
        self.loop.step(ask=True)

    def action_help_quit(self) -> None:
        """Tell who presses ctrl+c how to leave."""
        self.services.tell("q quits; jobs go on")

    def confirm(self, question: str, then: Callable[[], None]) -> None:
        self.services.confirm(question, then)

    def action_export(self) -> None:
        self.loop.export()

    def action_import(self) -> None:
        self.loop.take_back()

    def action_push(self, name: str = "") -> None:
        self.loop.push(name)

    def action_pull(self, name: str = "") -> None:
        self.loop.pull(name)

    def action_undo(self) -> None:
        self.loop.undo()

    def action_redo(self) -> None:
        self.loop.redo()

    def action_pane(self, name: str) -> None:
        self.panes.show(name)

    def _show_log(self, job_id: int) -> None:
        self.action_pane("jobs")
        cast("JobsPane", self.panes.made["jobs"]).show_log(job_id)

    def action_own(self, key: str) -> None:
        self.programs.run(key, self._here)

    def action_files(self) -> None:
        self.own.files()

    def action_home(self) -> None:
        self.panes.home()

    def action_zoom(self) -> None:
        self.panes.zoom()

    def action_out(self) -> None:
        self.panes.out()

    def action_other(self, way: int) -> None:
        self.panes.step(way)

    def action_command(self) -> None:
        self.type_command("")

    def action_help(self) -> None:
        self.own.help()

    def action_look(self) -> None:
        self.reader.look()

    def action_cancel_task(self) -> None:
        if self.services.tasks.current is not None:
            self.services.tasks.current.cancel.set()

    def action_leave(self) -> None:
        """Quit at once, unless the app's own task is running; jobs continue anyway."""
        tasks = self.services.tasks
        if tasks.busy and tasks.current is not None:
            question = f"{tasks.current.title} is under way and would be cancelled. Leave?"
            self.services.confirm(question, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        self._saver.at_once()
        self.exit()

    def get_key_display(self, binding: Binding) -> str:
        """Key names as in the help, without glyphs that a font may lack."""
        return binding.key_display or key_name(binding.key.split(",")[0])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.services.readonly and action in READONLY_NOT:
            return None
        return True
