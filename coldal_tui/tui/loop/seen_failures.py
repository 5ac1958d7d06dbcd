"""Failed jobs and hooks that nobody has looked at yet, and the next step until then."""

from __future__ import annotations

from coldal_tui.project.hooks.running import HookEnd
from coldal_tui.project.job_rows import JobState
from coldal_tui.project.views.next_step import NextStep
from coldal_tui.project.views.snapshot import Snapshot

MOST_KEPT = 50


class SeenFailures:
    """Remembers, across sessions, which failed jobs and hooks a person has seen."""

    def __init__(self, kept: object) -> None:
        """``kept``: the value of ``state``; ignored unless it is a list."""
        known = kept if isinstance(kept, list) else []
        self._seen = {number for number in known if isinstance(number, int)}
        self._hooks = {hook for hook in known if isinstance(hook, str)}

    def unseen(self, snapshot: Snapshot) -> tuple[JobState, ...]:
        """Failed jobs not seen yet, the newest first."""
        return tuple(job for job in snapshot.failed if job.job_id not in self._seen)

    def unseen_hooks(self, snapshot: Snapshot) -> tuple[HookEnd, ...]:
        """Failed hooks not seen yet."""
        return tuple(hook for hook in snapshot.hooks if _name(hook) not in self._hooks)

    def see(self, snapshot: Snapshot) -> bool:
        """Mark all as seen; returns whether one was new."""
        new = {job.job_id for job in self.unseen(snapshot)}
        hooks = {_name(hook) for hook in self.unseen_hooks(snapshot)}
        self._seen |= new
        self._hooks |= hooks
        return bool(new or hooks)

    def step(self, snapshot: Snapshot) -> NextStep:
        """The next step: look at an unseen failure; once seen, the step after it."""
        step = snapshot.next
        if snapshot.then is not None and snapshot.failed[0].job_id in self._seen:
            step = snapshot.then
        hooks = self.unseen_hooks(snapshot)
        if hooks and step.action != "failed":
            return NextStep("coldal-tui status", hook_words(hooks[0]), "hook")
        return step

    def state(self) -> list[int | str]:
        return [*sorted(self._seen)[-MOST_KEPT:], *sorted(self._hooks)[-MOST_KEPT:]]


def _name(hook: HookEnd) -> str:
    return f"{hook.at} {hook.event}"


def hook_words(hook: HookEnd) -> str:
    """``the program of masks_in failed: exit status 3``."""
    return f"the program of {hook.event} failed: {hook.problem}"
