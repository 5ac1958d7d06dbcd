"""Stores state between sessions: each person's view of each project, and the keys.

The view lies below ``$XDG_STATE_HOME`` (``~/.local/state``), not in the project: colleagues on
one project keep their own. Failures to read or write are ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App

from coldal_tui.files import read_json_object
from coldal_tui.tui.programs.own_keys import is_own

MOST_HISTORY = 200
SAVE_AFTER_S = 1.0


def _folder(variable: str, fallback: str) -> Path:
    named = os.environ.get(variable)
    base = Path(named) if named and Path(named).is_absolute() else Path.home() / fallback
    return base / "coldal-tui"


@dataclass(frozen=True)
class Memory:
    """Files of one person's views and settings; ``root`` is the project's absolute folder."""

    root: Path
    state_folder: Path
    config_folder: Path

    @classmethod
    def of(cls, root: Path) -> Memory:
        return cls(
            root,
            _folder("XDG_STATE_HOME", ".local/state"),
            _folder("XDG_CONFIG_HOME", ".config"),
        )

    @property
    def view_file(self) -> Path:
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return self.state_folder / "views" / f"{digest}.json"

    @property
    def keys_file(self) -> Path:
        """The file with ``[keys]``: lines like ``"queue.skip" = "d"``, and own keys with programs.

        Users edit it.
        """
        return self.config_folder / "keys.toml"

    def load(self) -> dict[str, Any]:
        """The last view; empty when there is none or the file is damaged."""
        return read_json_object(self.view_file)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the view in one step, so that a kill leaves the old or the new one."""
        path = self.view_file
        partial = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(state | {"root": str(self.root)}), "utf-8")
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()

    def keys(self) -> tuple[dict[str, str], str]:
        """The re-mapped keys by binding id, and what is wrong with the file ("" if nothing)."""
        try:
            text = self.keys_file.read_text("utf-8")
        except OSError:
            return {}, ""
        try:
            keys = tomllib.loads(text).get("keys", {})
        except tomllib.TOMLDecodeError as error:
            return {}, f"{self.keys_file}: {error}"
        named = {k: v for k, v in keys.items() if not is_own(k)} if isinstance(keys, dict) else {}
        if not isinstance(keys, dict) or not all(isinstance(key, str) for key in named.values()):
            return {}, f'{self.keys_file}: under [keys] write lines like "queue.skip" = "d"'
        return named, ""


class SessionSaver:
    """Saves the result of ``collect`` (None: not now, but soon) in ``memory``.

    That is done in a thread of ``aside``.
    """

    def __init__(
        self,
        app: App[None],
        memory: Memory,
        collect: Callable[[], dict[str, Any] | None],
        aside: Callable[[Callable[[], None]], object],
    ) -> None:
        self._app, self._memory, self._collect, self._aside = app, memory, collect, aside
        self._saved: dict[str, Any] | None = None
        self._waiting = False

    def soon(self) -> None:
        """Save soon: something may have changed."""
        if not self._waiting and self._app.is_running:
            self._waiting = True
            self._app.set_timer(SAVE_AFTER_S, self._save)

    def _save(self) -> None:
        self._waiting = False
        state = self._collect()
        if state is None:
            self.soon()
        elif state != self._saved:
            self._saved = state
            self._aside(lambda: self._memory.save(state))

    def at_once(self) -> None:
        """Save now, before the app ends."""
        state = self._collect()
        if state is not None:
            self._memory.save(state)
