"""Finds keys that a person gave to one action and that hide another action of the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.binding import Binding

from coldal_tui.tui.verbs import key_name


def hidden_actions(
    by_place: Sequence[tuple[str, Sequence[Binding]]], keymap: Mapping[str, str]
) -> list[str]:
    """One sentence for each action that a key of ``keymap`` hides, with the place if it is a pane.

    ``by_place``: the bindings of the app, called "", then those of each pane, by its name.

    A key of a pane comes before the same key of the app. An action with another key left is not
    hidden; what the app's own keys hide in a pane is not told.
    """
    (_, of_app), *of_panes = by_place
    places = [("", of_app, of_app), *((f" in {name}", own, of_app) for name, own in of_panes)]
    said, everywhere = [], {*_hidden(of_app, (), keymap)}
    for where, own, others in places:
        usual = {*_hidden(own, others, {})} | (everywhere if where else set())
        for name, (key, owner) in _hidden(own, others, keymap).items():
            if name not in usual:
                said.append(f"{key_name(key)} is {owner}{where} and hides {name}")
    return said


def _hidden(
    own: Sequence[Binding], others: Sequence[Binding], keymap: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """The ids of actions without a key of their own, with the key and who has it.

    ``own`` come before ``others``, and a key of ``keymap`` before a default one.
    """
    owners: dict[str, str] = {}
    keys_of: dict[str, list[str]] = {}
    given_first = sorted(own, key=lambda one: one.id not in keymap)
    for binding in [*given_first, *others]:
        name = binding.id or ""
        for key in _keys(binding, keymap):
            owners.setdefault(key, name)
            keys_of.setdefault(name, []).append(key)
    return {
        name: (keys[0], owners[keys[0]])
        for name, keys in keys_of.items()
        if name and all(owners[key] != name for key in keys)
    }


def _keys(binding: Binding, keymap: Mapping[str, str]) -> list[str]:
    """The keys of an action by Textual's names, such as ``slash`` for ``/``."""
    keys = keymap.get(binding.id or "") or binding.key
    return [one.key for one in Binding.make_bindings([Binding(keys, "none")])]
