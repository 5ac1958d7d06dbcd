"""``--redact``: nothing that this process prints or shows names a patient or a person."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from io import TextIOBase
from pathlib import Path
from typing import Any, TextIO

from coldal_tui.errors import ColdalError
from coldal_tui.redaction import VARIABLE, Redactor, redact_with

_STEERING = re.compile(r"(\x1b\[[0-?]*[ -/]*[@-~]|\r)")


def redact(arguments: Sequence[str]) -> list[str]:
    """Hide names from now on; the arguments, with names in place of pseudonyms.

    Raises ColdalError where the names of the project are unknown, because it can't be read.
    """
    from coldal_tui.cli.which_project import PROJECT_VARIABLE, nearest_project
    from coldal_tui.project.views.names_to_hide import NamesToHide, learn_machine

    redactor = Redactor()
    redact_with(redactor)
    for name in ("stdout", "stderr"):
        setattr(sys, name, Redacted(getattr(sys, name), redactor))
    os.environ[VARIABLE] = "1"  # for what is called from the app
    near = nearest_project()
    words = [*arguments, os.environ.get(PROJECT_VARIABLE, "")]
    words = [word.partition("=")[2] if word.startswith("--") else word for word in words]
    paths = [word for word in words if word and ("/" in word or Path(word).exists())]
    roots = dict.fromkeys(Path(word).absolute() for word in paths if not word.startswith("-"))
    if near is not None:
        roots[near.absolute()] = None
    names = NamesToHide(redactor, list(roots))
    learn_machine(redactor)
    try:
        names.learn()
    except (ColdalError, OSError) as error:
        raise ColdalError(
            "the names in this project can't be read, so they can't be hidden",
            remedy="call it without --redact, where nobody looks on, to see why",
            code=getattr(error, "code", "system"),
        ) from None
    redactor.learn("file", (word for word in paths if "/" in word))
    redactor.learn_more = names.learn_more
    return [redactor.revealed_word(word) for word in arguments]


class Redacted(TextIOBase):
    """A stream on which names are hidden in all that is written."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        super().__init__()
        self._stream, self._redactor = stream, redactor

    def write(self, text: str) -> int:
        self._redactor.learn_more()
        pieces = _STEERING.split(text)
        pieces[::2] = [self._redactor(piece) for piece in pieces[::2]]
        self._stream.write("".join(pieces))
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
