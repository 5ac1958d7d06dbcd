"""The commands that are called in hostile projects, and how."""

from __future__ import annotations

import threading
from pathlib import Path

from click.testing import CliRunner, Result

from coldal_tui.cli import cli
from coldal_tui.errors import ColdalError

COMMANDS = (
    ("status",),
    ("queue",),
    ("why", "s01"),
    ("labels", "list"),
    ("labels", "check"),
    ("jobs", "list"),
    ("doctor",),
    ("trust", "--json"),
    ("index",),
    ("export-queue",),
    ("import-masks", "MASKS"),
    ("queue", "pin", "s00"),
    ("undo",),
    ("backup",),
    ("doctor", "--repair"),
    ("export-project", "OUT"),
    ("raters",),
    ("prelabels", "list"),
    ("connect", "list"),
    ("log",),
)
"""What can be called without waiting for a job; the jobs themselves are tried below."""
OF_THE_LOOP = (
    ("restore", "--yes"),
    ("import-masks", "MASKS"),
    ("map", "--detach"),
    ("select", "--detach", "--budget", "1"),
    ("train", "--detach"),
    ("score", "--detach"),
    ("next", "--detach", "--batch", "1"),
    ("labels", "retry"),
    ("labels", "accept", "s00"),
    ("jobs", "logs", "4"),
    ("jobs", "retry", "4"),
    ("export-queue", "--deidentify", "--again"),
    ("redo",),
    ("connect", "test", "theirs"),
    ("push",),
    ("pull",),
    ("sync",),
    ("labels", "adjudicate", "s00", "--pick", "A"),
    ("prelabels", "import", "MASKS", "--source", "theirs"),
    ("run", "import", "MASKS", "--name", "theirs"),
    ("crossfit", "--detach"),
    ("simulate", "--stop-early", "--seeds", "10", "--detach"),
    ("release", "OUT"),
)
"""What only queues a job, and what has nothing to do in a harmless project of this state."""


def call(root: Path, command: tuple[str, ...], words: dict[str, str]) -> str | None:
    """The code of the error that the command ended with, or ``problem``; None when it is done."""
    done = called(root, command, words)
    assert "Usage:" not in done.output, (command, done.output)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, ColdalError), (command, done.exception)
        return done.exception.code
    return "problem" if done.exit_code else None


def called(root: Path, command: tuple[str, ...], words: dict[str, str]) -> Result:
    """What the command came to, when the programs that it has started have ended, too."""
    line = [command[0], str(root), *(words.get(word, word) for word in command[1:])]
    done = CliRunner().invoke(cli, line)
    hooks_ended()
    return done


def hooks_ended() -> None:
    """Wait for the programs of ``[hooks]``: each has a thread."""
    for thread in threading.enumerate():
        if thread.name.startswith("hook "):
            thread.join()
