"""Polls a cluster for job states in a thread, less often while nothing changes.

So that one slow cluster never blocks a supervisor with many jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from coldal_tui.errors import ColdalError

Answer = TypeVar("Answer")

PATIENCE_S = 1.0
"""So long a look waits for the answer; a healthy cluster's comes within it."""
SOONEST_S = 1.0
LATEST_S = 15.0


class Asker(Generic[Answer]):
    """Keeps the newest answer of ``ask``, and when it was asked for.

    ``silence`` is the error of the newest question, None when that was answered.
    """

    def __init__(
        self, ask: Callable[[], Answer], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.answer: Answer | None = None
        self.asked_at: float | None = None
        self.silence: ColdalError | None = None
        self._ask = ask
        self._clock = clock
        self._pause = SOONEST_S
        self._last: float | None = None
        self._question: _Question[Answer] | None = None

    def look(self) -> None:
        """Poll when it is due, and store an answer that has arrived."""
        now = self._clock()
        if self._question is None:
            if self._last is not None and now - self._last < self._pause:
                return
            self._last = now
            self._question = _Question(self._ask, now)
            self._question.join(PATIENCE_S)
        if not self._question.over:
            return
        question, self._question = self._question, None
        self.silence = question.error
        if question.answer is None:
            self._pause = min(LATEST_S, max(SOONEST_S, self._pause * 1.5))
            return
        changed = question.answer != self.answer
        self.answer, self.asked_at = question.answer, question.asked_at
        self._pause = SOONEST_S if changed else min(LATEST_S, max(SOONEST_S, self._pause * 1.5))

    def soon(self, after_s: float = 0.0) -> None:
        """Poll again within ``after_s``: something has happened."""
        self._pause = min(self._pause, after_s)

    def knows_of(self, moment: float) -> bool:
        """Whether the newest answer was requested after ``moment``."""
        return self.asked_at is not None and self.asked_at > moment


class _Question(Generic[Answer]):
    def __init__(self, ask: Callable[[], Answer], asked_at: float) -> None:
        self.asked_at = asked_at
        self.answer: Answer | None = None
        self.error: ColdalError | None = None
        self._ask = ask
        self._thread = threading.Thread(target=self._run, daemon=True, name="asking")
        self._thread.start()

    def _run(self) -> None:
        try:
            self.answer = self._ask()
        except ColdalError as error:
            self.error = error

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()
