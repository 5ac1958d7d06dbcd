"""What can be done: keys, commands and themes in one list; the terms on the screen; key names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from rich.text import Text
from textual.app import App
from textual.binding import Binding

from coldal_tui.project.settings.config_keys import OwnKey
from coldal_tui.tui.drawing import themes
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.pane import Pane, View
from coldal_tui.tui.shell.command_parser import CLI_COMMANDS, OWN
from coldal_tui.tui.verbs import key_name
from coldal_tui.visible import visible

WORDS = (
    ("scan", "one thing to label: an image or a volume"),
    ("round", "one selection; round 0 is the cold start"),
    ("H", "how uncertain the model is here, 0 to 1 among the candidates"),
    ("D", "how far on the map from all that is labelled or queued, 0 to 1"),
    ("S", "α·H + (1 − α)·D at the moment it was picked"),
    ("coverage", "share of a cluster that lies near a labelled scan"),
    ("out", "exported to a labeler; its mask is not back yet"),
)


@dataclass(frozen=True)
class Entry:
    """One line of the list: ``key`` and ``words`` as shown, and what it does.

    ``does`` is None for a key that does not work now.
    """

    section: str
    key: str
    words: str
    does: Callable[[], object] | None


class Commands(Protocol):
    """What the list calls beside the actions of keys."""

    def action_own(self, key: str) -> None:
        """Run the program of a key of one's own."""

    def action_push(self, name: str) -> None:
        """Push scans to a server of labelers."""

    def action_pull(self, name: str) -> None:
        """Pull drawings from a server of labelers."""

    def run_command(self, text: str) -> None:
        """Run a line as if typed after ``:``."""

    def type_command(self, text: str) -> None:
        """Open the ``:`` line with ``text`` on it."""


def all_entries(
    app: App[None],
    pane: Pane | None,
    keymap: Mapping[str, str],
    own_keys: Sequence[OwnKey] = (),
    view: View | None = None,
) -> list[Entry]:
    """Everything that can be done, the focused pane first.

    ``keymap``: the keys that a person has given to bindings, by the bindings' ids; ``own_keys``:
    keys with programs of their own; ``view`` names the servers of labelers.
    """
    live = {
        active.binding.id: partial(
            app.call_later, app.run_action, active.binding.action, active.node
        )
        for active in app.screen.active_bindings.values()
        if active.enabled and active.binding.id
    }
    found: dict[str, Entry] = {}
    groups: list[tuple[str, Iterable[type], str]] = []
    if pane is not None:
        own = [kind for kind in type(pane).__mro__ if kind.__name__ != "TablePane"]
        groups = [(f"in {pane.id}", own, "Pane")]
    groups.append(("everywhere", type(app).__mro__, "App"))
    if pane is not None:
        groups.append(("in lists", type(pane).__mro__, "Pane"))
    for title, kinds, upto in groups:
        for name, (keys, words) in _rows(kinds, keymap, upto=upto).items():
            # The first key will do; the page of keys has those that do the same.
            found.setdefault(name, Entry(title, keys.split(" ")[0], words, live.get(name)))
    commands = cast(Commands, app)
    programs = [
        Entry("your own keys", one.key, _runs(one), partial(commands.action_own, one.key))
        for one in own_keys
    ]
    servers = view.snapshot.servers if view is not None else ()
    moves: list[tuple[str, Callable[[str], object]]] = [
        ("push to", commands.action_push),
        ("pull from", commands.action_pull),
    ]
    pushes = [
        Entry("servers", "", visible(f"{words} {server.name}"), partial(act, server.name))
        for server in servers
        for words, act in moves
    ]
    return [*found.values(), *programs, *pushes, *_typed(commands)]


def _runs(one: OwnKey) -> str:
    return f"runs {visible(one.run)}{' on the terminal' if one.terminal else ''}"


def _typed(app: Commands) -> list[Entry]:
    """The commands after ``:`` and the themes."""
    entries = [
        Entry("after :", f":{name}", words, partial(app.type_command, f"{name} "))
        for name, words in OWN.items()
    ]
    entries += [
        Entry("colours", name, "", partial(app.run_command, f"theme {name}"))
        for name in themes.NAMES
    ]
    entries += [
        Entry("the command line", f":{name}", words, partial(app.type_command, f"{name} "))
        for name, words in CLI_COMMANDS.items()
    ]
    return entries


def terms(look: Look) -> list[tuple[str, str]]:
    """The terms and marks on the screen, explained."""
    names = ("candidate", "queued", "exported", "labelled")
    states = "  ".join(f"{look.state(name)} {name}" for name in names)
    return [*WORDS, ("marks", f"{states}  {look.medoid} medoid  {look.here} here")]


def _rows(
    kinds: Iterable[type], keymap: Mapping[str, str], *, upto: str
) -> dict[str, tuple[str, str]]:
    """Keys and words of bindings, by the bindings' ids."""
    rows: dict[str, tuple[str, str]] = {}
    for binding in _bindings(kinds, upto):
        keys = keymap.get(binding.id or "", binding.key)
        shown = " ".join(key_name(key.strip()) for key in keys.split(","))
        words = (binding.tooltip or binding.description).strip()
        if not words:
            continue
        name = binding.id or f"{binding.action}"
        if name in rows and name not in keymap:
            shown = f"{rows[name][0]} {shown}"
        rows[name] = (shown, words)
    return rows


def _bindings(kinds: Iterable[type], upto: str) -> list[Binding]:
    found: list[Binding] = []
    for kind in kinds:
        if kind.__name__ == upto:
            break
        for binding in kind.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding):
                found.append(binding)
    return found


def _kinds(app: type, panes: Iterable[Pane]) -> list[tuple[Iterable[type], str]]:
    return [(app.__mro__, "App"), *((type(pane).__mro__, "Pane") for pane in panes)]


def bindings_by_place(app: type, panes: Iterable[Pane]) -> list[tuple[str, list[Binding]]]:
    """The bindings of the app, called "", then those of each pane, by the pane's id."""
    panes = list(panes)
    names = ("", *(pane.id or "" for pane in panes))
    kinds = _kinds(app, panes)
    return [(name, _bindings(mro, upto)) for name, (mro, upto) in zip(names, kinds, strict=True)]


def binding_ids(app: type, panes: Iterable[Pane]) -> set[str]:
    """The ids of bindings that can be re-mapped."""
    return {b.id for mro, upto in _kinds(app, panes) for b in _bindings(mro, upto) if b.id}


def keys_text(app: type, panes: Iterable[Pane], keymap: Mapping[str, str], file: Path) -> Text:
    """All binding ids and keys, in the format of the ``file`` that re-maps them."""
    text = Text(f"# {file}\n[keys]\n")
    seen: set[str] = set()
    for mro, upto in _kinds(app, panes):
        for binding in _bindings(mro, upto):
            if binding.id and binding.id not in seen:
                seen.add(binding.id)
                key = keymap.get(binding.id, binding.key)
                text.append(f'"{binding.id}" = "{key}"'.ljust(40) + f"# {binding.description}\n")
    return text
