"""Maps the labelers' names and values to the project's classes; stored in coldal.toml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from coldal_tui.errors import UsageError
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.name_meanings import OTHERS
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config

ClassMap = dict[int | str, int | str]
"""A mask's value, class name or ``#rrggbb`` colour, and the class (or its number) that it means."""


def parse_class_map(pairs: Iterable[str], example: str) -> ClassMap:
    """Parse pairs such as ``128=lung`` (value) and ``Tumor=1`` (the labeler's class name).

    Raises UsageError, which shows ``example`` as a class, for a malformed pair.
    """
    found: ClassMap = {}
    for pair in pairs:
        left, separator, right = pair.rpartition("=")
        if not separator or not left.strip() or not right.strip():
            raise UsageError(
                f"{pair!r} says no class of a value",
                remedy=f"write VALUE=CLASS, such as 128={example}",
                code="class-map",
            )
        key, meaning = class_key(left), class_key(right)
        found[key if isinstance(key, int) else left.strip()] = (
            meaning if isinstance(meaning, int) else right.strip()
        )
    return found


def with_class_map(project: Project, options: ImportOptions | None) -> ImportOptions:
    """Import options completed by the class map of ``coldal.toml``; given options win."""
    options = options or ImportOptions()
    classes = project.config.classes
    said: ClassMap = {}
    for raw, meaning in (*classes.values.items(), *classes.map.items()):
        said[class_key(raw)] = meaning
    now = {class_key(str(raw)): meaning for raw, meaning in options.values.items()}
    kept = frozenset(said.keys() - now.keys())
    said |= now
    return replace(options, values=said, kept=kept, priority=options.priority or classes.priority)


def class_key(word: str) -> int | str:
    """A whole number as a value, anything else as a name or colour (lower case)."""
    word = word.strip()
    return int(word) if re.fullmatch(r"-?[0-9]{1,18}", word) else word.casefold()


def keep_class_map(project: Project, said: Mapping[int | str, int | str]) -> list[str]:
    """Write a class map to ``[classes.map]``; return the new entries.

    Comments and everything else in the file stay as they are. A key that ``[classes.map]`` has in
    another spelling is replaced. Entries named by :func:`for_once` are not stored.
    """
    known = dict(project.config.classes.map)
    before = {class_key(raw): raw for raw in known}
    written: ClassMap = {
        class_key(str(raw)): meaning for raw, meaning in project.config.classes.values.items()
    }
    written |= {class_key(raw): meaning for raw, meaning in known.items()}
    new: list[str] = []
    once = for_once(project, said)
    for raw, meaning in said.items():
        key = class_key(str(raw))
        if raw in once:
            continue
        if written.get(key) == meaning:
            continue
        known.pop(before.get(key, ""), None)
        known[str(raw).strip()] = meaning
        new.append(f"{str(raw).strip()} = {meaning}")
    if new:
        edit_config(project.layout.config, {("classes", "map"): known})
        project.reload_config()
    return new


def for_once(project: Project, said: Mapping[int | str, int | str]) -> dict[int | str, int | str]:
    """The entries for one import only: ``*``, and a new meaning of a value of the project.

    If stored, they would change the meaning of later masks with the project's own values.
    """
    names = project.config.classes.names
    own = {number: {number, name.casefold()} for number, name in enumerate(names, start=1)}
    found: ClassMap = {}
    for raw, meaning in said.items():
        key = class_key(str(raw))
        word = meaning.casefold() if isinstance(meaning, str) else meaning
        if key == OTHERS or (isinstance(key, int) and key in own and word not in own[key]):
            found[raw] = meaning
    return found
