"""Progress of one of several parts that each are an equal share of a job."""

from __future__ import annotations

from dataclasses import dataclass

from coldal_tui.jobs.spec import Reporter


@dataclass(frozen=True)
class Share:
    """A reporter for part ``before + 1`` of ``count``; ``part`` names it, empty: it is not told."""

    report: Reporter
    before: int
    count: int
    part: str = ""

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        if self.part:
            message = f"{message}, {self.part} {self.before + 1} of {self.count}"
        self.report.progress(done + self.before * total, total * self.count, message, **metrics)

    def log(self, message: str) -> None:
        self.report.log(message)
