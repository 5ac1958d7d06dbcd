"""Runs the programs of ``[hooks]`` when something has happened, and keeps how they ended.

A hook gets one JSON object on standard input and runs in the project's folder, without a shell.
It is run only in a project that the user trusts, and never from within another hook. A hook that
fails changes nothing in the project: ``status``, the app and ``log`` tell of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.files import open_to_append
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import Config
from coldal_tui.project.settings.config_hooks import EVENTS, HooksSection
from coldal_tui.project.trust_questions import open_questions

LOG = "hooks.jsonl"
INSIDE = "COLDAL_IN_HOOK"
"""Set for hooks: what they call fires no further hooks."""
_SHOWN = 400
_LONGEST_LOG = 1 << 20


@dataclass(frozen=True)
class HookEnd:
    """How a hook ended: ``problem`` is empty when it went well."""

    event: str
    at: str
    problem: str


def fire(project: Project, event: str, **facts: Any) -> threading.Thread | None:
    """Run the hook of an event in a thread of its own, if there is one.

    The process does not exit before the thread has ended, at the hook's time limit at the latest.
    """
    config, layout = project.config, project.layout
    if getattr(config.hooks, event) is None or INSIDE in os.environ:
        return None
    at = project.store.now()
    told = {"event": event, "at": at, "project": project.name, "root": str(project.root), **facts}
    thread = threading.Thread(
        target=_run, args=(layout, config, event, told), name=f"hook {event}", daemon=False
    )
    thread.start()
    return thread


def _run(layout: Layout, config: Config, event: str, told: dict[str, Any]) -> None:
    try:
        problem = _problem_of(layout, config, event, told)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    entry = {"event": event, "at": told["at"], "problem": problem}
    # A full disk must not end the supervisor; then nothing is known of this hook.
    with contextlib.suppress(OSError):
        _append(layout.state / LOG, json.dumps(entry))
    if problem:
        with contextlib.suppress(OSError, ColdalError):
            _record(layout, event, problem)


def _record(layout: Layout, event: str, problem: str) -> None:
    """Tell of a failed hook in the audit trail; a connection of its own, as this is a thread."""
    with (
        Project(layout.root) as project,
        project.store.action("hook", undoable=False, event=event) as action,
    ):
        action.summary = f"the program of {event} failed: {problem}"


def _problem_of(layout: Layout, config: Config, event: str, told: dict[str, Any]) -> str:
    """Run the hook; why it failed, or nothing."""
    try:
        if open_questions(layout, config):
            return "not run: nobody has agreed to it yet (coldal-tui trust)"
    except ColdalError as error:
        return f"not run: {error.what}"
    words = config.hooks.words(event)
    if not words:
        return "not run: its quotes are not closed"
    with tempfile.TemporaryFile() as output:
        try:
            running = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=layout.root,
                env=os.environ | {INSIDE: event},
                start_new_session=True,
            )
        except OSError as error:
            return f"can't be run: {words[0]}: {error.strerror}"
        try:
            running.communicate(json.dumps(told).encode() + b"\n", config.hooks.limit_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            return f"ended after {config.hooks.limit_s} s, its time limit{last_words(output)}"
        if running.returncode:
            how = (
                f"exit status {running.returncode}"
                if running.returncode > 0
                else f"signal {-running.returncode}"
            )
            return f"{how}{last_words(output)}"
    return ""


def last_words(output: Any) -> str:
    """The end of what a hook printed, as ``: text``."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _SHOWN))
    text = " ".join(output.read().decode("utf-8", "replace").split())
    return f": {text}" if text else ""


def _append(path: Path, line: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LONGEST_LOG:
            path.replace(path.with_name(f"{path.name}.old"))
    with open_to_append(path) as stream:
        stream.write(f"{line}\n".encode())


def hook_failures(layout: Layout, hooks: HooksSection) -> list[HookEnd]:
    """The hooks whose last run failed, in the order of ``EVENTS``; not those that are gone."""
    last: dict[str, HookEnd] = {}
    try:
        lines = (layout.state / LOG).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    for line in lines:
        # The last line may be half written.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            event, at, problem = (str(entry[key]) for key in ("event", "at", "problem"))
            last[event] = HookEnd(event, at, problem)
    return [
        last[event]
        for event in EVENTS
        if event in last and last[event].problem and getattr(hooks, event) is not None
    ]
