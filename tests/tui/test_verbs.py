"""One table of verbs: a key means one thing in all panes, and what it may do is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from textual.binding import Binding, BindingType

from coldal_tui.tui.labels.pane import CHANGING
from coldal_tui.tui.pane import Pane
from coldal_tui.tui.queue.pane import CHANGES
from coldal_tui.tui.raters.window import DisputesWindow
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.frame import Main
from coldal_tui.tui.shell.layout import NUMBERED
from coldal_tui.tui.shell.pane_manager import PANES
from coldal_tui.tui.shell.panes import PaneMaker
from coldal_tui.tui.verbs import VERBS, Kind, bind, clashes, key_name, verb_of
from coldal_tui.tui.widgets.alpha_line import AlphaLine

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"


def own_bindings(kind: type, upto: type) -> list[BindingType]:
    """The bindings of a class and of its bases below ``upto``."""
    kinds = kind.__mro__[: kind.__mro__.index(upto)]
    return [one for each in kinds for one in each.__dict__.get("BINDINGS", ())]


def places() -> Mapping[str, Iterable[BindingType]]:
    make = PaneMaker()
    panes = {name: own_bindings(type(make(name)), Pane) for name in PANES}
    return panes | {
        "everywhere": [*own_bindings(ColdalApp, ColdalApp.__base__), *Main.BINDINGS],
        "disputes": DisputesWindow.BINDINGS,
        "the slider of α": AlphaLine.BINDINGS,
    }


def test_a_key_means_one_thing_in_all_panes_and_windows() -> None:
    assert clashes(places()) == []


def test_a_key_with_two_meanings_is_told_in_a_sentence() -> None:
    other = Binding("x", "reject", "reject", id="b.x", group=Binding.Group("reject"))
    found = clashes({"queue": [bind("skip", "skip", id="a.x")], "labels": [other]})
    assert found == ["x means skip in queue and reject in labels"]
    assert clashes({"map": [Binding("b", "box", "box")]}) == ["b in map (box) has no verb"]


def test_no_two_verbs_share_a_key() -> None:
    keys = [key for verb in VERBS.values() for key in verb.keys.split(",")]
    assert len(keys) == len(set(keys))


def test_the_numbers_are_those_of_the_tabs() -> None:
    assert [VERBS[f"pane-{name}"].keys for name in NUMBERED] == list("12345678")


REFUSED = {
    "queue": CHANGES,
    "labels": CHANGING,
    "jobs": ("cancel", "retry"),
    "everywhere": ("step", "export", "import", "undo", "redo", "cancel_task"),
    "disputes": ("accept", "send"),
}
"""Actions that change something, by the pane or window that has them."""


def test_keys_that_change_or_start_something_are_those_of_actions_that_do() -> None:
    for place, bindings in places().items():
        for binding in Binding.make_bindings(bindings):
            verb, action = verb_of(binding), binding.action.partition("(")[0]
            assert verb is not None
            changes = action in REFUSED.get(place, ())
            assert (verb.kind != Kind.LOOK) == changes, f"{place}: {action} is {verb.kind}"


def test_the_page_of_keys_lists_every_verb_with_its_keys_and_what_it_may_do() -> None:
    lines = DOCS.read_text("utf-8").splitlines()
    for verb in VERBS.values():
        row: list[Any] = [f"`{key_name(key)}`" for key in verb.keys.split(",")]
        assert f"| {' '.join(row)} | {verb.words} |" in lines, verb.name
