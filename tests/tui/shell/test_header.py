"""The lines around the panes, by exact text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.style import Style

from coldal_tui.project.job_rows import JobState
from coldal_tui.project.project import Project
from coldal_tui.project.views.next_step import NextStep
from coldal_tui.project.views.snapshot import Snapshot, take_snapshot
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.shell.header import head_text, job_words, next_text, tabs_text, task_text
from coldal_tui.tui.shell.tasks import Task

BEGAN = "2026-01-01T10:00:00+00:00"
BEGAN_S = 1767261600.0


@pytest.fixture
def snapshot(queued: Path) -> Snapshot:
    with Project(queued) as project:
        taken = take_snapshot(project)
    return replace(taken, host="node7", at="2026-01-01T09:08:07+00:00")


def job(fraction: float | None, at: float | None = None, status: str = "running") -> JobState:
    return JobState(1, "train", status, fraction, "", None, BEGAN, None, "", at, BEGAN)


@pytest.mark.parametrize(
    ("fraction", "after_s", "words"),
    [
        (None, None, "train"),
        (0.02, 10.0, "train 2%"),
        (0.5, 30.0, "train 50% · 30 s left"),
        (0.25, 120.0, "train 25% · 6 m left"),
        (0.1, 3600.0, "train 10% · 9 h left"),
        (1.0, 60.0, "train 100%"),
        (0.5, -60.0, "train 50%"),
    ],
)
def test_what_is_left_of_a_job(fraction: float | None, after_s: float | None, words: str) -> None:
    at = None if after_s is None else BEGAN_S + after_s
    assert job_words(job(fraction, at)) == words


def test_the_head_fills_its_line_and_keeps_its_right_side(snapshot: Snapshot) -> None:
    running = replace(snapshot, jobs=(job(0.25), job(None, status="waiting")))
    for width in (60, 80, 120):
        text = head_text(running, UNICODE, width).plain
        assert len(text) <= width
        assert text.startswith(" lungs")
        assert "▶ train 25% · 1 waiting · as of " in text
    assert "node7" in head_text(running, UNICODE, 120).plain
    assert "node7" not in head_text(running, UNICODE, 80).plain


def test_the_head_says_when_it_is_old_or_read_only(snapshot: Snapshot) -> None:
    assert "can't be read; as of " in head_text(snapshot, UNICODE, 100, stale=True).plain
    assert "read only" in head_text(snapshot, UNICODE, 100, readonly=True).plain


def test_names_in_the_head_are_literal(snapshot: Snapshot) -> None:
    named = replace(snapshot, name="lungs\x1b[31m[red]")
    assert r"lungs\x1b[31m[red]" in head_text(named, UNICODE, 100).plain


def test_the_budget_in_the_head(snapshot: Snapshot) -> None:
    budget = replace(snapshot.budget, total=16, labelled=4, queued=2, exported=2)
    text = head_text(replace(snapshot, budget=budget), ASCII, 100).plain
    assert "4/16 ####----........" in text


@pytest.mark.parametrize("width", [60, 80])
def test_the_tabs_fit_and_mark_the_one_that_is_shown(width: int) -> None:
    text = tabs_text("runs", UNICODE, width)
    assert text.cell_len <= width
    assert "6 Runs" in text.plain
    marked = {
        text.plain[span.start : span.end].strip()
        for span in text.spans
        if isinstance(span.style, Style) and span.style.reverse
    }
    assert marked == {"6 Runs"}


def test_the_next_step_is_in_words_with_its_key(snapshot: Snapshot) -> None:
    shown = next_text(snapshot.next, readonly=False).plain
    assert shown == " n  next: hand 3 queued scans to labelers"
    assert next_text(snapshot.next, readonly=True).plain.startswith(" next: ")


def test_a_job_that_reads_its_input_tells_no_share_of_its_work() -> None:
    reading = replace(job(1.0, BEGAN_S + 60.0), message="reading scans")
    assert job_words(reading) == "train: reading scans 100%"


def test_a_failure_is_red_on_the_head_and_loud_on_the_next_line(snapshot: Snapshot) -> None:
    failed = replace(job(None, status="failed"), error="no CUDA device")
    text = head_text(snapshot, UNICODE, 80, failed=(failed,))
    assert "✗ train 1 failed" in text.plain
    assert any("#b00020" in str(span.style) for span in text.spans)
    step = NextStep("coldal-tui jobs logs 1", "train failed: no CUDA device", "failed")
    assert next_text(step, readonly=False).plain == " train failed: no CUDA device   n: its log"


def test_refused_files_are_counted_in_the_head(snapshot: Snapshot) -> None:
    assert "refused" not in head_text(snapshot, UNICODE, 120).plain
    assert "31 refused (F)" in head_text(replace(snapshot, unreadable=31), UNICODE, 120).plain


def test_a_task_with_its_share_and_how_to_cancel() -> None:
    task = Task("import", done=3, total=12, note="a.png")
    text = task_text(task, UNICODE, 100).plain
    assert text.startswith(" ▶ import █████")
    assert " 25% · 3 of 12 · a.png  ctrl+x cancels" in text
