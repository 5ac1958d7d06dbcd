"""Parses the ``:`` line: the app's own commands, and those of the command line."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.suggester import Suggester

from coldal_tui.tui.drawing.themes import NAMES as THEMES

OWN = {
    "quit": "leave; jobs go on",
    "help": "keys and commands",
    "keys": "names for re-mapping",
    "files": "refused, by reason",
    "raters": "how each person draws",
    "disputes": "drawings that differ",
    "theme": "choose the colours",
    "filter": "what the queue shows",
    "goto": "move to a scan",
    "pane": "show a pane",
}
SHORT = {"q": "quit", "q!": "quit", "wq": "quit", "h": "help", "f": "filter", "g": "goto"}
READING = {
    "status": None,
    "why": None,
    "doctor": None,
    "labels": ("list", "inbox"),
    "jobs": ("list", "show", "logs"),
    "encoder": ("list",),
    "queue": (),
}
"""What a read-only session may call: the command, and its actions (None: all of it)."""
DETACHED = ("embed", "map", "select", "train", "score", "next", "simulate")
REFUSED = ("open", "demo", "init")
_TAKE_PATHS = ("import-masks", "export-queue", "evaluate", "prelabels")
COMPLETION_TIMEOUT_S = 20.0
CLI_COMMANDS = {
    "index": "look for changed scans",
    "embed": "compute embeddings",
    "map": "project to two dimensions",
    "select": "pick the first queue",
    "queue": "the ranked queue",
    "queue add": "put scans in by hand",
    "queue skip": "take the next pick instead",
    "queue pin": "to the top",
    "queue assign": "who draws a scan",
    "queue reopen": "bring scans back",
    "queue exclude": "leave out for good",
    "queue move": "another rank",
    "queue rerank": "another α, no training",
    "why": "the numbers behind a pick",
    "export-queue": "hand scans out",
    "import-masks": "take masks back",
    "push": "send to a server",
    "pull": "fetch from a server",
    "sync": "push, then pull",
    "connect list": "servers of labelers",
    "connect test": "does a server answer?",
    "labels": "labels and quarantine",
    "labels inbox": "all that came back",
    "labels check": "doubtful labels first",
    "labels accept": "out of quarantine",
    "labels reject": "not a label",
    "labels confirm-empty": "it shows nothing",
    "labels retry": "try again",
    "train": "train on the labels",
    "score": "entropy of the pool",
    "next": "pick the next batch",
    "evaluate": "measure on other masks",
    "status": "what is, what is next",
    "jobs": "what runs, what ran",
    "jobs show": "one job",
    "jobs logs": "what a job said",
    "jobs cancel": "end a job",
    "jobs retry": "run it again",
    "undo": "take back the last action",
    "encoder list": "encoders, and weights here",
    "encoder use": "set the encoder",
    "doctor": "what is wrong, what to do",
}


@dataclass(frozen=True)
class Line:
    """A parsed line: ``own`` names an app command, otherwise ``words`` go to the CLI."""

    own: str | None
    words: tuple[str, ...]
    problem: str = ""


def parse(text: str, *, readonly: bool) -> Line:
    """Read a ``:`` line; ``problem`` says what is wrong with it."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        return Line(None, (), f"{text}: {error}")
    if words and words[0] == "coldal-tui":
        words = words[1:]
    if not words:
        return Line(None, ())
    name = SHORT.get(words[0], words[0])
    if name in OWN:
        return Line(name, tuple(words[1:]))
    if name in REFUSED:
        return Line(None, (), f"{name} makes or opens a project: not from within one")
    if readonly and not _only_reads(words):
        return Line(None, (), f"read only: {' '.join(words[:2])} could change the project")
    if name == "jobs" and "logs" in words and {"-f", "--follow"} & {*words}:
        return Line(None, (), "the jobs pane (7) follows logs")
    if name in DETACHED and "--detach" not in words and "--help" not in words:
        words.append("--detach")
    return Line(None, tuple(words))


def _only_reads(words: Sequence[str]) -> bool:
    if "--help" in words:
        return True
    if words[0] not in READING:
        return False
    allowed = READING[words[0]]
    actions = [word for word in words[1:] if not word.startswith("-")]
    return allowed is None or not actions or actions[0] in allowed


def ask_command_line(words: Sequence[str], start: str, root: Path) -> list[str]:
    """What the command line completes after ``words`` where ``start`` is typed; blocks."""
    typed = ["coldal-tui", *words]
    asked = {
        "_COLDAL_TUI_COMPLETE": "bash_complete",
        "COMP_WORDS": shlex.join([*typed, *([start] if start else [])]),
        "COMP_CWORD": str(len(typed)),
    }
    try:
        answer = subprocess.run(
            [sys.executable, "-P", "-m", "coldal_tui"],
            cwd=root,
            env=_environment(asked),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPLETION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    pairs = (line.partition(",") for line in answer.stdout.splitlines())
    return [value for kind, _, value in pairs if kind == "plain"]


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment of a command of this app: it means this project, whatever the shell says."""
    environment = os.environ | settings
    environment.pop("COLDAL_PROJECT", None)
    return environment


class CommandSuggester(Suggester):
    """Completes a command, preferring lines of earlier sessions; then an option, scan or file."""

    def __init__(
        self,
        history: Callable[[], Sequence[str]],
        scans: Callable[[], Iterable[str]] = tuple,
        root: Path | None = None,
        ask: Callable[[Sequence[str], str, Path], list[str]] = ask_command_line,
    ) -> None:
        """``scans``: the ids to complete; ``root``: the folder that paths start from.

        ``ask`` is called in a thread for the options of a command, and for their values.
        """
        super().__init__(use_cache=False, case_sensitive=True)
        self._history, self._scans, self._root, self._ask = history, scans, root, ask
        self._asked: dict[tuple[str, str], list[str]] = {}

    async def get_suggestion(self, value: str) -> str | None:
        if not value:
            return None
        known = (*reversed(self._history()), *OWN, *CLI_COMMANDS)
        found = next((text for text in known if text.startswith(value) and text != value), None)
        before, space, last = value.rpartition(" ")
        if found is not None or not space or not last:
            return found
        ending = next((word for word in await self._words(before, last) if word != last), None)
        return None if ending is None else f"{before} {ending}"

    async def _words(self, before: str, last: str) -> Iterable[str]:
        """Whatever may stand here and begins with ``last``."""
        first, previous = before.split()[0], before.split()[-1]
        known: Iterable[str] = ()
        if last.startswith("-"):
            known = await self._answers(before, "--")
        elif previous.startswith("--"):
            known = await self._answers(before, "")
        found = [word for word in known if word.startswith(last)]
        if found or last.startswith("-"):
            return found
        if first == "theme":
            return [name for name in THEMES if name.startswith(last)]
        if first in _TAKE_PATHS or "/" in last:
            return self._paths(last)
        return (scan for scan in self._scans() if scan.startswith(last))

    async def _answers(self, before: str, start: str) -> list[str]:
        """What the command line says; it is asked once for each place."""
        place = before, start
        if place not in self._asked:
            try:
                words = shlex.split(before)
            except ValueError:
                return []
            root = self._root or Path()
            self._asked[place] = await asyncio.to_thread(self._ask, words, start, root)
        return self._asked[place]

    def _paths(self, start: str) -> list[str]:
        """Files and folders that begin so, as they would be typed; none with a blank."""
        folder, slash, name = start.rpartition("/")
        place = Path(self._root or ".", folder + slash)
        try:
            found = sorted(
                one.name + ("/" if one.is_dir() else "")
                for one in place.iterdir()
                if one.name.startswith(name) and (name or not one.name.startswith("."))
            )
        except OSError:
            return []
        return [folder + slash + one for one in found if " " not in one]


class Command:
    """Runs one command of the command line in its own process and reads its output by line."""

    def __init__(self, words: Sequence[str], root: Path, width: int = 100) -> None:
        settings = {"NO_COLOR": "1", "COLUMNS": str(width), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "coldal_tui", *words],
            cwd=root,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def follow(self, told: Callable[[str], None]) -> int:
        """Block until the end, calling ``told`` with every line; returns the exit status."""
        stream = self._process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                told(line.rstrip("\n"))
        return self._process.wait()

    def end(self) -> None:
        """Interrupt the command, as Ctrl-C in a shell does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
