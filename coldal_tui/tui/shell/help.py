"""Help: current keys, all key names, and the terms on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.text import Text
from textual.binding import Binding

from coldal_tui.project.settings.config_keys import OwnKey
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.pane import Pane
from coldal_tui.tui.shell.command_parser import OWN
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


def help_text(
    app: type,
    pane: Pane | None,
    keymap: Mapping[str, str],
    look: Look,
    own_keys: Sequence[OwnKey] = (),
) -> Text:
    """Keys of the focused pane and of the app, the ``:`` commands, and the glossary.

    ``keymap``: the keys that a person has given to bindings, by the bindings' ids; ``own_keys``:
    keys with programs of their own.
    """
    text = Text()
    if pane is not None:
        _section(text, f"{pane.id} pane", _rows(type(pane).__mro__, keymap, upto="Pane"))
    _section(text, "everywhere", _rows(app.__mro__, keymap, upto="App"))
    _section(text, "your own keys", [(one.key, _runs(one)) for one in own_keys])
    _section(text, "after :", [(name, words) for name, words in OWN.items()])
    text.append("  … and every command of the command line: queue skip SCAN, status, doctor\n")
    _section(text, "words", list(WORDS))
    states = "  ".join(
        f"{look.state(name)} {name}" for name in ("candidate", "queued", "exported", "labelled")
    )
    _section(text, "marks", [(f"{look.medoid} medoid  {look.here} here", states)])
    return text


def _runs(one: OwnKey) -> str:
    return f"runs {visible(one.run)}{' on the terminal' if one.terminal else ''}"


def _section(text: Text, title: str, rows: list[tuple[str, str]]) -> None:
    if not rows:
        return
    text.append(f"{'' if not text else chr(10)}{title}\n", style="bold underline")
    for keys, words in rows:
        text.append(f"  {keys:<22}", style="bold")
        text.append(f" {words}\n")


def _rows(kinds: Iterable[type], keymap: Mapping[str, str], *, upto: str) -> list[tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    for binding in _bindings(kinds, upto):
        keys = keymap.get(binding.id or "", binding.key)
        shown = " ".join(key_name(key.strip()) for key in keys.split(","))
        words = (binding.tooltip or binding.description).strip()
        if not words:
            continue
        name = binding.id or f"{binding.action}"
        if name in rows:
            shown = f"{rows[name][0]} {shown}"
        rows[name] = (shown, words)
    return list(rows.values())


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
