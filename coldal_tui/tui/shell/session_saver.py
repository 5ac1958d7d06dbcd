"""Saves the view soon after it has changed, so that a kill loses a second of it at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from coldal_tui.tui.shell.session_state import Memory

SAVE_AFTER_S = 1.0


class SessionSaver:
    """Keeps what ``collect`` gives (None: not now) in ``memory``, in a thread of ``aside``."""

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
        """Something may have changed."""
        if not self._waiting and self._app.is_running:
            self._waiting = True
            self._app.set_timer(SAVE_AFTER_S, self._save)

    def _save(self) -> None:
        self._waiting = False
        state = self._collect()
        if state is not None and state != self._saved:
            self._saved = state
            self._aside(lambda: self._memory.save(state))

    def at_once(self) -> None:
        """Before the app ends."""
        state = self._collect()
        if state is not None:
            self._memory.save(state)
