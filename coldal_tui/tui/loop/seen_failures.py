"""Failed jobs that nobody has opened yet, and the next step until then."""

from __future__ import annotations

from coldal_tui.project.job_rows import JobState
from coldal_tui.project.views.next_step import NextStep
from coldal_tui.project.views.snapshot import Snapshot

MOST_KEPT = 50


class SeenFailures:
    """Remembers, across sessions, which failed jobs a person has seen."""

    def __init__(self, kept: object) -> None:
        """``kept``: the value of ``state``; ignored unless it is a list of numbers."""
        numbers = kept if isinstance(kept, list) else []
        self._seen = {number for number in numbers if isinstance(number, int)}

    def unseen(self, snapshot: Snapshot) -> tuple[JobState, ...]:
        """Failed jobs not seen yet, the newest first."""
        return tuple(job for job in snapshot.failed if job.job_id not in self._seen)

    def see(self, snapshot: Snapshot) -> bool:
        """Mark all as seen; returns whether one was new."""
        new = {job.job_id for job in self.unseen(snapshot)}
        self._seen |= new
        return bool(new)

    def step(self, snapshot: Snapshot) -> NextStep:
        """The next step: open an unseen failure; once seen, the step after it."""
        if snapshot.then is not None and snapshot.failed[0].job_id in self._seen:
            return snapshot.then
        return snapshot.next

    def state(self) -> list[int]:
        return sorted(self._seen)[-MOST_KEPT:]
