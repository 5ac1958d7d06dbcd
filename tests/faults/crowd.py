"""Several processes at once on one project: each calls random commands; nothing may be untrue.

python -m tests.faults.crowd ROOT --processes 8 --seconds 300 --out FILE.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coldal_tui import cli
from coldal_tui.exchange.importers import load_registry
from coldal_tui.project.labels.files import checked_labels
from coldal_tui.project.project import Project
from coldal_tui.scheduler import follow
from tests.faults.scenes import visible_wrong
from tests.support.lab import SIZE, Lab

SCANS = 12
PICKED = 8
COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "import-masks": (4, ("MASKS",)),
    "export-queue": (2, ("--again",)),
    "undo": (3, ("--yes",)),
    "redo": (2, ()),
    "pin": (2, ("SCAN",)),
    "assign": (2, ("SCAN", "--to", "ana")),
    "index": (1, ()),
    "select": (1, ("--budget", "2", "--detach")),
    "backup": (1, ()),
    "status": (3, ("--json",)),
    "queue": (2, ("--json",)),
    "labels check": (1, ()),
    "log": (1, ("--json",)),
}
"""How often each is called, and its words."""


def prepare(folder: Path) -> Path:
    """A project with a queue, in ``folder``."""
    lab = Lab(folder)
    project = lab.line(SCANS, [(f"s{n:02d}", "medoid") for n in range(PICKED)])
    project.close()
    lab.close()
    return lab.root


def words_of(name: str, root: Path, masks: Path, rng: random.Random) -> list[str]:
    """One call of a command; an import gets a mask that nobody else has."""
    _, more = COMMANDS[name]
    scan = f"s{rng.randrange(PICKED):02d}"
    if name == "import-masks":
        masks.mkdir(exist_ok=True)
        drawn = np.zeros(SIZE, np.uint8)
        drawn[rng.randrange(SIZE[0]), : rng.randint(1, SIZE[1])] = 1
        Image.fromarray(drawn).save(masks / f"{scan}.png")
    said = {"MASKS": str(masks), "SCAN": scan}
    head = {"pin": ["queue", "pin"], "assign": ["queue", "assign"]}.get(name, name.split())
    return [head[0], str(root), *head[1:], *(said.get(word, word) for word in more)]


def call(words: Sequence[str]) -> tuple[int, str]:
    """Exit status, and what went to stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli._run([*words], False)
    return status, err.getvalue()


def member(number: int, root: Path, seed: int, until: float, calls: int, out: Path) -> None:
    """One process of the crowd: calls until the time is over, or so many."""
    rng = random.Random(f"{seed} {number}")
    masks = root.parent / f"masks-{number}"
    names = list(COMMANDS)
    weights = [COMMANDS[name][0] for name in names]
    follow.ensure_supervisor = lambda layout: None
    with out.open("a", encoding="utf-8") as stream:
        done = 0
        while time.monotonic() < until and done < calls:
            (name,) = rng.choices(names, weights)
            began = time.monotonic()
            status, err = call(words_of(name, root, masks, rng))
            line = [name, status, round(time.monotonic() - began, 3), err[-600:] if status else ""]
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            done += 1


def load() -> None:
    """Import what every member needs, before they are forked."""
    for module in sorted({module for module, _ in cli.COMMANDS.values()}):
        import_module(f"coldal_tui.cli.{module}")
    load_registry()


def crowd(
    root: Path, processes: int, seed: int, seconds: float, calls: int, out: Path
) -> list[int]:
    """Fork the members and wait for them; their exit statuses."""
    load()
    until = time.monotonic() + seconds
    children = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                member(number, root, seed, until, calls, out)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def lines(out: Path) -> list[tuple[str, int, float, str]]:
    """What the members noted: command, exit status, seconds, words of an error."""
    return [tuple(json.loads(line)) for line in out.read_text("utf-8").splitlines()]


def wrong(root: Path, found: Sequence[tuple[str, int, float, str]]) -> Iterator[str]:
    """What must not be: a defect, damage, labels without files, actions that nobody noted."""
    for name, status, _, err in found:
        if status not in (0, 1, 2) or "defect" in err or "Traceback" in err:
            yield f"{name}: exit {status}: {err}"
        if status == 1 and "malformed" in err:
            yield f"{name}: {err}"
    yield from visible_wrong(root)
    with Project(root) as project:
        store = project.store
        if (answer := store.value("PRAGMA integrity_check")) != "ok":
            yield f"integrity: {answer}"
        active = store.rows("SELECT * FROM labels WHERE state = 'active'")
        checked_labels(project, active)
        twice = store.tuples(
            "SELECT scan_id FROM labels WHERE state = 'active' GROUP BY scan_id HAVING count(*) > 1"
        )
        if twice:
            yield f"two active labels of one scan: {twice}"
        done = Counter(name for name, status, _, _ in found if status == 0)
        for command, action in (("undo", "undo"), ("redo", "redo"), ("pin", "queue pin")):
            noted = store.value("SELECT count(*) FROM audit WHERE action = ?", (action,))
            if noted < done[command] if command == "pin" else noted != done[command]:
                yield f"{done[command]} times {command} was acknowledged, {noted} times noted"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--calls", type=int, default=1 << 30, help="Of each process, at most.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    ended = crowd(asked.root, asked.processes, asked.seed, asked.seconds, asked.calls, asked.out)
    found: list[Any] = lines(asked.out)
    problems = [*wrong(asked.root, found), *(f"a process ended with {n}" for n in ended if n)]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
