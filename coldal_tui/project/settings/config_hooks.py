"""``[hooks]`` of coldal.toml: programs to run when something has happened."""

from __future__ import annotations

import shlex
from typing import Annotated

import msgspec
from msgspec import Meta

EVENTS = ("job_done", "round_ready", "masks_in")
HOOKS_TEMPLATE = """
[hooks]                      # programs to run, without a shell, with JSON on standard input
#: job_done = "notify-send coldal-tui"    # a job has ended, well or not
#: round_ready = "/home/me/push.sh"       # a round was picked
#: masks_in = "/home/me/tell.py"          # an import brought masks
# limit_s = 60               # seconds after which such a program is ended
"""
_Line = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]+$", description="one line of text")]


class HooksSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command for each event; it is split into words and run without a shell.

    ``job_done``: a job has ended, well or not. ``round_ready``: a round was picked. ``masks_in``:
    an import brought masks. ``limit_s``: seconds after which a command is ended.
    """

    job_done: _Line | None = None
    round_ready: _Line | None = None
    masks_in: _Line | None = None
    limit_s: Annotated[int, Meta(ge=1, le=3600)] = 60

    def words(self, event: str) -> list[str]:
        """The program and its arguments; empty without a hook, or where quotes are not closed."""
        line = getattr(self, event)
        try:
            return shlex.split(line) if line else []
        except ValueError:
            return []
