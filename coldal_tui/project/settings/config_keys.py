"""``[keys]`` of coldal.toml: a person's own keys, each with a program to run on a scan."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from coldal_tui.errors import ColdalError
from coldal_tui.project.settings.config_problems import problem

PLACEHOLDERS: Mapping[str, str] = {
    "image": "the image file; of a scan of several files, their folder",
    "label": "a copy of the accepted label",
    "prediction": "a copy of the newest model's mask, or of an imported pre-label",
    "mask": "a copy of the accepted label, else of the prediction",
    "scan": "the scan's name",
    "patient": "the patient's name",
    "project": "the project's folder",
}
"""What may stand between braces in a command, and what takes its place."""
KEYS_TEMPLATE = """
#: [keys]                    # keys of your own: a program on the current scan, without a shell
#: f5 = "itksnap -g {{image}} -s {{mask}}"
#: f6 = {{ run = "less {{image}}", terminal = true }}   # a program that needs the terminal
"""
_PLACE = re.compile(r"\{([^{}]*)\}")
_Line = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]+$", description="one line of text")]


class KeyCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program and its arguments. ``terminal``: it gets the terminal; else it runs beside."""

    run: _Line
    terminal: bool = False


@dataclass(frozen=True)
class OwnKey:
    """A key and its command. ``where``: the file and the line; ``personal``: from a person's own
    file, not from the project."""

    key: str
    run: str
    terminal: bool
    where: str
    personal: bool = False


def own_command(value: _Line | KeyCommand) -> KeyCommand:
    """A line alone runs beside the app."""
    return KeyCommand(value) if isinstance(value, str) else value


def split_command(run: str) -> list[str]:
    """The words of a command as a shell would split them; placeholders are still in them."""
    return shlex.split(run)


def filled(words: list[str], values: Mapping[str, str]) -> list[str]:
    """The words with their placeholders replaced; a value is never split."""
    return [_PLACE.sub(lambda found: values[found[1]], word) for word in words]


def placeholders(words: list[str]) -> set[str]:
    """The names of the placeholders in a command."""
    return {name for word in words for name in _PLACE.findall(word)}


def check_own_keys(text: str, where: str, table: Mapping[str, Any]) -> None:
    """Refuse commands that can't be run. ``text`` is the file, ``where`` its name for errors.

    Raises ColdalError with the line and what is allowed.
    """
    for name, value in table.items():
        path = ("keys", name)
        try:
            command = msgspec.convert(value, _Line | KeyCommand)
        except msgspec.ValidationError as error:
            remedy = f'write {name} = "program {{image}}", or {{ run = "…", terminal = true }}'
            raise problem(text, where, path, "is no command", remedy) from error
        _check_words(text, where, path, own_command(command).run)


def _check_words(text: str, where: str, path: tuple[str, ...], run: str) -> None:
    try:
        words = split_command(run)
    except ValueError as error:
        raise problem(text, where, path, "its quotes are not closed", "close them") from error
    if not words:
        raise problem(text, where, path, "names no program", "write the program first")
    unknown = sorted(placeholders(words) - PLACEHOLDERS.keys())
    if unknown:
        allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise problem(text, where, path, f"{{{unknown[0]}}} is unknown", f"allowed: {allowed}")


def own_keys(text: str, where: str, table: Mapping[str, Any], *, personal: bool) -> list[OwnKey]:
    """The keys of a table; errors as :func:`check_own_keys`."""
    check_own_keys(text, where, table)
    found = []
    for name, value in table.items():
        command = own_command(msgspec.convert(value, _Line | KeyCommand))
        place = problem(text, where, ("keys", name), "", None).where or where
        found.append(OwnKey(name, command.run, command.terminal, place, personal))
    return found


def taken(one: OwnKey, by: str) -> ColdalError:
    """The error of a key that means something in the app already."""
    return ColdalError(
        f"the key {one.key} is taken: {by}",
        where=one.where,
        remedy="choose a free key, such as f5; :keys lists those that are taken",
        code="key-taken",
    )
