"""What ``ctrl+p`` offers: panes, the loop's steps, actions of the pane in focus, themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from coldal_tui.tui.drawing import themes
from coldal_tui.tui.shell.command_parser import CLI_COMMANDS
from coldal_tui.tui.shell.layout import NUMBERED

if TYPE_CHECKING:
    from coldal_tui.tui.shell.app import ColdalApp

Offer = tuple[str, str, Callable[[], object]]


class Palette(Provider):
    """Everything that can be done, by its name."""

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
        app = cast("ColdalApp", self.app)
        for active in app.screen.active_bindings.values():
            binding = active.binding
            if active.enabled and binding.id and binding.description:
                action = partial(app.run_action, binding.action, active.node)
                yield f"{binding.description}", f"{binding.id}, key {binding.key}", action
        for name in NUMBERED:
            yield f"pane: {name}", "bring it up", partial(app.action_pane, name)
        for name in themes.NAMES:
            yield f"theme: {name}", "colours", partial(app.run_command, f"theme {name}")
        for name in CLI_COMMANDS:
            words = "as on the command line"
            yield f":{name}", words, partial(app.type_command, f"{name} ")
