"""The app's own ``:`` commands: help, keys, files, theme, filter, goto, pane, quit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from textual.app import App

from coldal_tui.project.settings.config_keys import OwnKey
from coldal_tui.project.views.file_problems import FileProblem, read_file_problems
from coldal_tui.tui.drawing import themes
from coldal_tui.tui.shell.help import Entry, all_entries, keys_text, terms
from coldal_tui.tui.shell.help_window import HelpWindow
from coldal_tui.tui.shell.layout import NUMBERED
from coldal_tui.tui.shell.pane_manager import PaneManager
from coldal_tui.tui.shell.services import AppServices
from coldal_tui.tui.widgets.search_window import SearchRow, SearchWindow
from coldal_tui.visible import counted, visible


class OwnCommands:
    """The app's own commands; ``table`` maps a name to a function of the rest of the line."""

    def __init__(
        self,
        app: App[None],
        services: AppServices,
        panes: PaneManager,
        keys_file: Path,
        *,
        own_keys: Callable[[], Sequence[OwnKey]],
        quit: Callable[[], None],
        show_queue: Callable[[str], None],
        go_to: Callable[[str], None],
    ) -> None:
        """``show_queue`` filters the queue and shows it, ``go_to`` moves to a scan."""
        self._app, self._services, self._panes = app, services, panes
        self._keys_file, self._go_to, self._own_keys = keys_file, go_to, own_keys
        self.table: Mapping[str, Callable[[str], None]] = {
            "quit": lambda _: quit(),
            "help": lambda _: self.help(),
            "keys": lambda _: self.keys(),
            "files": lambda _: self.files(),
            "raters": lambda _: self._panes.show("raters"),
            "disputes": lambda _: self.disputes(),
            "theme": self.theme,
            "filter": show_queue,
            "goto": self.goto,
            "pane": self.pane,
        }

    def help(self) -> None:
        """Show all that can be done, and do what is chosen."""
        entries = all_entries(
            self._app, self._panes.focused, self._app._keymap, self._own_keys(), self._services.view
        )
        self._app.push_screen(HelpWindow(entries, terms(self._services.look)), _do)

    def keys(self) -> None:
        """Show all keys with their binding ids."""
        panes, keymap = self._panes.made.values(), self._app._keymap
        text = keys_text(type(self._app), panes, keymap, self._keys_file)
        for one in self._own_keys():
            text.append(f"# {one.key} runs {visible(one.run)} ({visible(one.where)})\n")
        self._services.read_text("keys", text)

    def files(self) -> None:
        """Show refused files, grouped by reason."""
        self._services.read("files", read_file_problems, self._show_files)

    def disputes(self) -> None:
        """Show the scans that people drew differently, and decide on them."""
        # Imported when it is opened: it knows importers, and the app starts faster without.
        from coldal_tui.tui.raters.window import DisputesWindow

        self._app.push_screen(DisputesWindow(self._services))

    def _show_files(self, found: tuple[FileProblem, ...]) -> None:
        if not found:
            self._services.tell("no file was refused")
            return
        rows = [SearchRow(f"{one.kind}: {one.reason}", one.file, "") for one in found]
        title = f"{counted(len(found), 'file')} without a scan, or left out by a job"
        self._app.push_screen(SearchWindow(title, rows, 0))

    def theme(self, name: str) -> None:
        if name in themes.NAMES:
            self._app.theme = name
        elif name:
            names = ", ".join(themes.NAMES)
            self._services.tell(f"no theme {name!r}: one of {names}", error=True)
        else:
            options = [(name, name) for name in themes.NAMES]
            self._services.choose("theme", options, self.theme)

    def goto(self, scan_id: str) -> None:
        self._services.read("goto", lambda project: project.scan(scan_id).scan_id, self._go_to)

    def pane(self, name: str) -> None:
        if name in NUMBERED:
            self._panes.show(name)
        else:
            self._services.tell(f"no pane {name!r}: one of {', '.join(NUMBERED)}", error=True)


def _do(entry: Entry | None) -> None:
    if entry is not None and entry.does is not None:
        entry.does()
