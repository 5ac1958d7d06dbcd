"""All verbs of the app and their keys: a key means the same thing wherever it works.

Panes and windows make their key bindings with ``bind``. Keys that change data or start jobs never
look at something elsewhere. Questions (yes or no) and lines that are typed on are not covered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType


class Kind(StrEnum):
    """What a verb may do."""

    LOOK = "looks only"
    CHANGE = "changes data"
    JOB = "starts jobs"


@dataclass(frozen=True)
class Verb:
    """``keys``: Textual's names, with commas; ``asks``: a question or a window comes first."""

    name: str
    keys: str
    words: str
    kind: Kind = Kind.LOOK
    asks: bool = False


KEY_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "plus": "+",
    "minus": "-",
    "slash": "/",
    "asterisk": "*",
    "full_stop": ".",
    "comma": ",",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "equals_sign": "=",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def key_name(key: str) -> str:
    """A key as it is written for people: ``?``, ``ctrl+x``, ``pgdn``."""
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    return "+".join((*modifiers, KEY_NAMES.get(last, last)))


_LOOK = (
    ("down", "j,down", "down; in a volume, the next slice"),
    ("up", "k,up", "up; in a volume, the slice before"),
    ("left", "h,left", "left"),
    ("right", "l,right", "right"),
    ("page-down", "pagedown", "a page down; ten slices on"),
    ("page-up", "pageup", "a page up; ten slices back"),
    ("half-down", "ctrl+d", "half a page down"),
    ("half-up", "ctrl+u", "half a page up"),
    ("first", "g,home", "to the first"),
    ("last", "G,end", "to the last"),
    ("open", "enter", "open what the cursor is on"),
    ("back", "escape", "back, or leave what was begun"),
    ("quit", "q", "leave the window, then the app"),
    ("pan-left", "H,shift+left", "pan left"),
    ("pan-right", "L,shift+right", "pan right"),
    ("pan-up", "K,shift+up", "pan up"),
    ("pan-down", "J,shift+down", "pan down"),
    ("zoom-in", ">,=", "zoom in"),
    ("zoom-out", "<,-", "zoom out"),
    ("fit", "f", "fit all of it"),
    ("mark", "space", "mark; in runs, compare with it"),
    ("range", "v", "mark a range of rows, or a box on the map"),
    ("invert", "asterisk", "turn marks round"),
    ("filter", "slash", "filter"),
    ("sort", "s", "sort by another column"),
    ("reverse", "S", "reverse the order"),
    ("list", "a", "another list: every round, all scans; labels, inbox; another measure"),
    ("alpha", "A", "move α and watch the queue re-rank"),
    ("why", "w", "why this scan"),
    ("next", "full_stop", "the next scan of the queue"),
    ("previous", "comma", "the scan before in the queue"),
    ("medoid", ")", "the next medoid"),
    ("medoid-before", "(", "the medoid before"),
    ("colour", "c", "the next colouring, or the next channel"),
    ("colours", "C", "choose what the colours tell"),
    ("overlay", "m", "mask, or marks, shown or hidden"),
    ("prediction", "p", "prediction shown or hidden"),
    ("uncertainty", "u", "uncertainty shown or hidden"),
    ("style", "o", "outlines or tints; dots or glyphs"),
    ("plane", "t", "turn to another plane"),
    ("step-on", "]", "a step on: the next slice, one hundredth"),
    ("step-back", "[", "a step back: the slice before, one hundredth"),
    ("windows", "W", "choose a window of values"),
    ("auto-window", "V", "automatic window"),
    ("more-contrast", "}", "more contrast"),
    ("less-contrast", "{", "less contrast"),
    ("brighter", "b", "brighter"),
    ("darker", "B", "darker"),
    ("details", "d", "details: facts beside a picture, the curve beside scans"),
    ("files", "F", "files that were refused"),
    ("home", "0", "home"),
    ("zoom-pane", "plus", "this pane alone"),
    ("next-pane", "tab", "the next pane"),
    ("previous-pane", "shift+tab", "the pane before"),
    ("command", "colon", "any command"),
    ("help", "question_mark,ctrl+p", "all keys and commands; type to search"),
    ("read", "ctrl+r", "read the project again"),
    ("shell", "ctrl+z", "to the shell; fg returns"),
)
_CHANGE = (
    ("export", "e", "export the queue", True),
    ("import", "i", "import masks", True),
    ("undo", "z", "take back the last action", True),
    ("redo", "Z", "do again what was taken back", False),
    ("skip", "x", "skip; the next pick takes its place", True),
    ("exclude", "X", "exclude for good", True),
    ("reopen", "O", "bring back what was skipped or excluded", False),
    ("pin", "P", "pin to the top, or unpin", False),
    ("assign", "T", "to whom: assign, or send to a third person", True),
    ("rank-up", "U", "up in the round", False),
    ("rank-down", "D", "down in the round", False),
    ("accept", "Y", "accept a mask, or one of several drawings", True),
    ("reject", "N", "reject", True),
    ("confirm-empty", "E", "confirm that it shows nothing", True),
    ("cancel", "ctrl+x", "cancel what runs; in jobs, the job", True),
)
_JOBS = (
    ("step", "n", "the next step", False),
    ("retry", "r", "try again: a mask, or a job", False),
    ("retry-all", "R", "try all masks again", False),
)
_PANES = ("queue", "map", "clusters", "scan", "labels", "runs", "jobs", "raters")

VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        *(Verb(name, keys, words) for name, keys, words in _LOOK),
        *(Verb(f"pane-{name}", str(n), f"the {name}") for n, name in enumerate(_PANES, 1)),
        *(Verb(name, keys, words, Kind.CHANGE, asks) for name, keys, words, asks in _CHANGE),
        *(Verb(name, keys, words, Kind.JOB, asks) for name, keys, words, asks in _JOBS),
    )
}


def bind(
    name: str,
    action: str,
    words: str = "",
    *,
    id: str,
    show: bool = False,
    display: str | None = None,
    tip: str = "",
) -> Binding:
    """A binding of the verb ``name``. ``words`` say what it does here, if that is narrower.

    ``id`` is what people re-map it by, ``show``: it stands in the line of keys, as ``display``;
    ``tip`` are the words of the list of keys, if those are others.
    """
    verb = VERBS[name]
    return Binding(
        verb.keys,
        action,
        words or verb.words,
        show=show,
        key_display=display,
        tooltip=tip,
        id=id,
        # Textual keeps nothing else of ours when it splits and re-maps bindings.
        group=Binding.Group(name),
    )


def verb_of(binding: Binding) -> Verb | None:
    """The verb that a binding was made of; None for one that was not made with ``bind``."""
    return VERBS.get(binding.group.description) if binding.group is not None else None


def clashes(places: Mapping[str, Iterable[BindingType]]) -> list[str]:
    """What is wrong with the bindings of ``places`` (a pane's or window's name), in sentences.

    A key that means one thing here and another there, and a binding that has no verb.
    """
    told = []
    meanings: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for place, bindings in places.items():
        for binding in Binding.make_bindings(bindings):
            verb = verb_of(binding)
            if verb is None:
                told.append(f"{binding.key} in {place} ({binding.action}) has no verb")
                continue
            meanings[binding.key][verb.name].append(place)
    for key, verbs in meanings.items():
        if len(verbs) > 1:
            words = " and ".join(f"{name} in {', '.join(found)}" for name, found in verbs.items())
            told.append(f"{key} means {words}")
    return told
