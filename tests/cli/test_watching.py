"""``status --watch`` says what changed, in sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from coldal_tui.cli.watching import change_sentences, state_sentences
from coldal_tui.project.job_rows import JobState
from coldal_tui.project.project import Project
from coldal_tui.project.views.snapshot import Snapshot, take_snapshot


def snapshot(root: Path) -> Snapshot:
    with Project(root) as project:
        return take_snapshot(project)


def job(status: str, fraction: float | None = None, message: str = "") -> JobState:
    return JobState(7, "train", status, fraction, message, None, "2026-01-01T00:00:00", None)


def test_the_first_words_say_what_is(queued: Path) -> None:
    said = state_sentences(snapshot(queued))
    assert said[:3] == [
        "Project lungs: 6 scans, 0 embedded.",
        "Round 0 is the newest.",
        "Budget 100: 0 labelled, 0 out, 3 queued, 97 left.",
    ]
    assert said[-1].startswith("Next: ")
    assert not any("──" in line for line in said)


def test_each_change_is_one_sentence(queued: Path) -> None:
    old = snapshot(queued)
    budget = replace(old.budget, queued=1, exported=2)
    new = replace(old, budget=budget, quarantined=1, jobs=(job("waiting"),))
    assert change_sentences(old, new) == [
        "2 scans out with labelers now, 0 before.",
        "1 scan queued now, 3 before.",
        "1 mask waits in quarantine now.",
        "Job 7, train, waits.",
    ]
    assert change_sentences(old, replace(old, at="later")) == []


def test_a_job_is_told_at_each_quarter_and_never_while_it_reads(queued: Path) -> None:
    base = snapshot(queued)
    steps = [
        job("running", 1.0, "reading scans"),
        job("running", 0.1, "training"),
        job("running", 0.26, "training"),
        job("running", 0.4, "training"),
        replace(job("failed"), error="no CUDA device"),
    ]
    said, old = [], base
    for one in steps:
        new = replace(base, jobs=(one,))
        said.append(change_sentences(old, new))
        old = new
    assert said == [
        ["Job 7, train, is running."],
        ["Job 7, train, is at 10%."],
        ["Job 7, train, is at 26%."],
        [],
        ["Job 7: train failed: no CUDA device."],
    ]
