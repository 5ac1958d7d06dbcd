"""The command palette (``ctrl+p``): panes, loop steps, actions of the focused pane, themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from coldal_tui.tui.drawing import themes
from coldal_tui.tui.pane import View
from coldal_tui.tui.shell.command_parser import CLI_COMMANDS
from coldal_tui.tui.shell.layout import NUMBERED

Offer = tuple[str, str, Callable[[], object]]


class Commands(Protocol):
    """The functions of the app that the palette calls."""

    def action_pane(self, name: str) -> None:
        """Show a pane."""

    @property
    def view(self) -> View | None:
        """The newest snapshot."""

    def action_push(self, name: str) -> None:
        """Push scans to a server of labelers."""

    def action_pull(self, name: str) -> None:
        """Pull drawings from a server of labelers."""

    def run_command(self, text: str) -> None:
        """Run a line as if typed after ``:``."""

    def type_command(self, text: str) -> None:
        """Open the ``:`` line with ``text`` on it."""


class Palette(Provider):
    """Lists all actions by name."""

    async def discover(self) -> Hits:
        for name, words, does in self._offers():
            yield DiscoveryHit(name, does, help=words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, words, does in self._offers():
            score = matcher.match(f"{name} {words}")
            if score > 0:
                yield Hit(score, matcher.highlight(name), does, help=words)

    def _offers(self) -> Iterator[Offer]:
        app, commands = self.app, cast(Commands, self.app)
        for active in app.screen.active_bindings.values():
            binding = active.binding
            if active.enabled and binding.id and binding.description:
                action = partial(app.run_action, binding.action, active.node)
                yield f"{binding.description}", f"{binding.id}, key {binding.key}", action
        for server in commands.view.snapshot.servers if commands.view is not None else ():
            where = f"{server.kind} at {server.url}"
            yield f"push to {server.name}", where, partial(commands.action_push, server.name)
            yield f"pull from {server.name}", where, partial(commands.action_pull, server.name)
        for name in NUMBERED:
            yield f"pane: {name}", "bring it up", partial(commands.action_pane, name)
        for name in themes.NAMES:
            yield f"theme: {name}", "colours", partial(commands.run_command, f"theme {name}")
        for name in CLI_COMMANDS:
            words = "as on the command line"
            yield f":{name}", words, partial(commands.type_command, f"{name} ")
