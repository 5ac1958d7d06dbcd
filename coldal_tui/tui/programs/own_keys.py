"""A person's own keys: read from the project and their own file, bound, and run on the scan."""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from textual.app import App, SuspendNotSupported
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode

from coldal_tui.errors import ColdalError
from coldal_tui.project.programs.own_programs import (
    Program,
    program_of,
    run_here,
    start_beside,
)
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config_keys import OwnKey, own_keys, taken
from coldal_tui.tui.pane import OwnKeys, Services

GROUP = "own"


def is_own(name: str) -> bool:
    """Whether a name under ``[keys]`` is a key; the names of the app's bindings have a dot."""
    return "." not in name or len(name) == 1


def read_own_keys(project: Project, personal: Path) -> OwnKeys:
    """The keys of the project, and those of the ``personal`` file, which count before them."""
    found: dict[str, OwnKey] = {}
    problems: list[str] = []
    if project.config.keys:
        file = project.layout.config
        for one in own_keys(file.read_text("utf-8-sig"), str(file), _raw(project), personal=False):
            found[one.key] = one
    try:
        text = personal.read_text("utf-8")
        table = tomllib.loads(text).get("keys", {})
        mine = {name: value for name, value in table.items() if is_own(name)}
        found |= {one.key: one for one in own_keys(text, str(personal), mine, personal=True)}
    except ColdalError as error:
        problems.append(str(error))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError):
        pass  # the other keys of this file are read at the start, and tell what is wrong with it
    return OwnKeys(tuple(found.values()), tuple(problems))


def _raw(project: Project) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str) else {"run": value.run, "terminal": value.terminal}
        for name, value in project.config.keys.items()
    }


def taken_keys(
    nodes: Iterable[DOMNode], base: BindingsMap, keymap: Mapping[str, str]
) -> dict[str, str]:
    """What each key does in the app, in words. ``keymap``: keys that were given to bindings.

    ``base`` holds the app's own bindings.
    """
    found: dict[str, str] = {}
    for bindings in (base, *(node._bindings for node in nodes)):
        for _, binding in bindings:
            keys = keymap.get(binding.id or "", binding.key)
            for key in keys.split(","):
                found.setdefault(key.strip(), binding.description or binding.action)
    return found


class CanSuspend(Services, Protocol):
    """The services that running a program needs beyond those of panes."""

    def fail(self, error: Exception) -> None:
        """Show an error dialog: what, where and remedy."""

    def on_screen(self, call: Callable[..., object], *given: object) -> None:
        """Call on the UI thread."""


class OwnKeyRunner:
    """Binds own keys in the app, and runs their programs."""

    def __init__(self, app: App[None], services: CanSuspend) -> None:
        self._app, self._services = app, services
        self._base = app._bindings.copy()
        self._taken = OwnKeys()
        self._good: tuple[OwnKey, ...] = ()

    @property
    def keys(self) -> tuple[OwnKey, ...]:
        """The keys that work."""
        return self._good

    def take(self, keys: OwnKeys, nodes: Callable[[], Iterable[DOMNode]]) -> None:
        """Bind other keys than before; refuse those that mean something in one of ``nodes``."""
        if keys == self._taken:
            return
        for problem in keys.problems:
            self._services.tell(problem, error=True)
        known = taken_keys(nodes(), self._base, self._app._keymap)
        good = []
        bindings = self._base.copy()
        for one in keys.keys:
            # The name of a key as Textual has it: "!" is exclamation_mark.
            (binding,) = Binding.make_bindings(
                [Binding(one.key, f"own({one.key!r})", one.run, show=False, id=f"own.{one.key}")]
            )
            if binding.key in known:
                self._services.tell(str(taken(one, known[binding.key])), error=True)
                continue
            bindings.key_to_bindings[binding.key] = [binding]
            good.append(one)
        self._app._bindings = bindings
        self._taken, self._good = keys, tuple(good)
        self._app.refresh_bindings()

    def run(self, name: str, scan_id: str | None) -> None:
        """Run the program of a key on a scan."""
        key = next((one for one in self.keys if one.key == name), None)
        if key is None:
            return
        if scan_id is None:
            self._services.tell("no scan is chosen: move the cursor to one", error=True)
            return
        self._services.read(
            f"own.{name}",
            partial(program_of, key=key, scan_id=scan_id),
            self._start,
            self._services.fail,
        )

    def _start(self, program: Program) -> None:
        for copy in program.changed:
            self._services.tell(f"opened as you left it: {copy} (i imports it)")
        if program.key.terminal:
            self._on_terminal(program)
        else:
            self._app.run_worker(
                partial(self._beside, program), thread=True, group=GROUP, exit_on_error=False
            )

    def _beside(self, program: Program) -> None:
        """Runs in a thread, until the program ends."""
        on_screen = self._services.on_screen
        try:
            start_beside(program, lambda said: on_screen(self._ended, said))
        except ColdalError as error:
            on_screen(self._services.fail, error)

    def _on_terminal(self, program: Program) -> None:
        """Give the terminal to a program until it ends; Ctrl-C there does not end the app."""
        said, failed = "", None
        before = signal.getsignal(signal.SIGINT)
        try:
            with self._app.suspend():
                signal.signal(signal.SIGINT, lambda *_: None)
                try:
                    said = run_here(program)
                except ColdalError as error:
                    failed = error
                finally:
                    signal.signal(signal.SIGINT, before)
        except SuspendNotSupported:
            failed = ColdalError(
                "this terminal can't be handed to a program",
                where=program.key.where,
                remedy="leave out terminal = true, or open the app in another terminal",
                code="own-key",
            )
        if failed is not None:
            self._services.fail(failed)
        self._ended(said)

    def _ended(self, said: str) -> None:
        if said:
            self._services.tell(said, error=True)
