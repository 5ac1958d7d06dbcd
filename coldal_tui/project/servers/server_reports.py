"""Reports of a push and a pull in words, for the command line and the app."""

from __future__ import annotations

from coldal_tui.project.report_words import import_lines
from coldal_tui.project.servers.pulling import PullReport, Word
from coldal_tui.project.servers.pushing import PushReport
from coldal_tui.visible import counted, listed

_SHOWN = 20


def push_lines(report: PushReport) -> list[str]:
    """How many scans went to the server, were there before, and who got them."""
    would = "would push" if report.dry_run else "pushed"
    count = counted(len(report.new), "scan")
    asked = counted(report.requests, "request")
    lines = [f"{would} {count} to {report.connection} ({asked})"]
    if report.dry_run and report.new:
        lines.append(f"  {listed(list(report.new))}")
    if report.before:
        lines.append(f"there before, not sent again: {len(report.before):,}")
    if report.resumed:
        lines.append(f"of these, {report.resumed:,} of a push that was cut off")
    for person, scans in report.people.items():
        known = report.pseudonyms.get(person)
        lines.append(f"  {person}{f' (called {known})' if known else ''}: {scans:,}")
    if report.dry_run:
        lines.append("nothing was changed (--dry-run)")
    return lines


def pull_lines(report: PullReport, shown: int = _SHOWN) -> list[str]:
    """What came from the server, and what its import did; ``shown`` as in ``import_lines``."""
    took = f", drawn in {report.minutes:.1f} minutes" if report.minutes else ""
    asked = counted(report.requests, "request")
    count = counted(report.drawn, "new drawing")
    lines = [f"{count} from {report.connection}{took} ({asked})"]
    if report.report is not None:
        lines += import_lines(report.report, shown)
    lines += [
        f"  {one.scan_id}: {one.person} has not drawn all of its slices yet"
        for one in report.partly
    ]
    lines += [f"  {one.scan_id}: skipped by {one.person}{_said(one)}" for one in report.skipped]
    if report.skipped:
        scans = " ".join(dict.fromkeys(one.scan_id for one in report.skipped))
        lines.append(f"  to have others picked in their place: coldal-tui queue skip {scans}")
    skipped = {(one.scan_id, one.person) for one in report.skipped}
    lines += [
        f"  {one.scan_id}: {one.person} says{_said(one)}"
        for one in report.comments
        if (one.scan_id, one.person) not in skipped
    ]
    if report.strangers:
        tasks = counted(report.strangers, "task")
        lines.append(f"left alone: {tasks} there that this project did not push")
    return lines


def _said(word: Word) -> str:
    return f": {word.text}" if word.text else ""
