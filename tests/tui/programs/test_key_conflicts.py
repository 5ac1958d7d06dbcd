"""Keys that a person gave and that hide another action: which are told, and which are not."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from textual.binding import Binding

from coldal_tui.tui.programs.key_conflicts import hidden_actions
from coldal_tui.tui.shell.help import bindings_by_place


class App:
    """Where the bindings of a real app end."""


class Pane:
    """Where the bindings of a pane end."""

    id = "queue"


class Whole(App):
    BINDINGS: ClassVar = [
        Binding("e", "a", id="app.export"),
        Binding("question_mark,ctrl+p", "b", id="app.help"),
        Binding("s", "c", id="app.shell"),
    ]


class Queue(Pane):
    BINDINGS: ClassVar = [
        Binding("x", "a", id="queue.skip"),
        Binding("s", "b", id="queue.sort"),
        Binding("slash", "c", id="queue.filter"),
    ]


TOLD: dict[str, tuple[dict[str, str], list[str]]] = {
    "nothing given": ({}, []),
    "a free key": ({"queue.skip": "d"}, []),
    "another action of the pane": (
        {"queue.skip": "/"},
        ["/ is queue.skip in queue and hides queue.filter"],
    ),
    "an action of the app": (
        {"queue.skip": "e"},
        ["e is queue.skip in queue and hides app.export"],
    ),
    "one key of two": ({"queue.skip": "?"}, []),
    "both keys": (
        {"queue.skip": "?,ctrl+p"},
        ["? is queue.skip in queue and hides app.help"],
    ),
    "the other has a new key": ({"queue.skip": "e", "app.export": "f5"}, []),
    "changed places": ({"queue.skip": "s", "queue.sort": "x"}, []),
    "given to the app, taken by the pane": (
        {"app.export": "x"},
        ["x is queue.skip in queue and hides app.export"],
    ),
    "inside the app": ({"app.shell": "e"}, ["e is app.shell and hides app.export"]),
    "an empty key": ({"queue.skip": ""}, []),
}


@pytest.mark.parametrize("what", TOLD)
def test_what_is_told(what: str) -> None:
    keymap, said = TOLD[what]
    panes: Any = [Queue()]
    assert hidden_actions(bindings_by_place(Whole, panes), keymap) == said
