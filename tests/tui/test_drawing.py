"""Pure functions from a snapshot to text: bars, tables, lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_projects import add_to_queue

from coldal_tui.project.pool import Budget
from coldal_tui.project.project import Project
from coldal_tui.project.snapshot import JobState, RunState, Snapshot, take_snapshot
from coldal_tui.tui.drawing import (
    BAR,
    budget_bar,
    budget_cells,
    budget_line,
    budget_text,
    clusters_text,
    head_text,
    next_text,
    queue_columns,
    queue_rows,
    runs_text,
)


def budget(total: int, labelled: int, exported: int, queued: int) -> Budget:
    return Budget(total, labelled, queued, exported, skipped=0, manual=0)


@pytest.mark.parametrize(
    ("spent", "cells"),
    [
        ((20, 20, 0, 0), [36, 0, 0, 0]),
        ((36, 9, 9, 9), [9, 9, 9, 9]),
        ((100, 0, 0, 0), [0, 0, 0, 36]),
        # Thirds of a cell: rounded one by one, the lengths would add up to one cell more.
        ((72, 15, 15, 15), [8, 7, 7, 14]),
        # What is there at all is seen.
        ((10_000, 1, 1, 1), [1, 1, 1, 33]),
        # Labels that nobody queued count, even beyond the budget.
        ((10, 30, 0, 10), [27, 0, 9, 0]),
    ],
)
def test_the_bar_is_exactly_as_wide_as_asked(
    spent: tuple[int, int, int, int], cells: list[int]
) -> None:
    assert budget_cells(budget(*spent), BAR) == cells


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(3, 200),
)
def test_the_bar_never_overflows(
    total: int, labelled: int, exported: int, queued: int, width: int
) -> None:
    cells = budget_cells(budget(total, labelled, exported, queued), width)
    assert sum(cells) == width
    assert min(cells) >= 0


def test_the_bar_has_a_glyph_for_every_state() -> None:
    assert budget_bar(budget(8, 2, 2, 2), 8) == "██▓▓▒▒░░"


@pytest.fixture
def snapshot(queued: Path) -> Snapshot:
    with Project(queued) as opened:
        return take_snapshot(opened)


def test_the_budget_explains_its_glyphs(snapshot: Snapshot) -> None:
    lines = budget_text(snapshot).plain.splitlines()
    assert lines[1:] == ["█ 0 labelled  ▓ 0 out  ▒ 3 queued", "░ 97 of 100 left"]
    assert len(lines[0]) == BAR


def test_the_budget_in_one_line_fits_a_narrow_screen(snapshot: Snapshot) -> None:
    line = budget_line(snapshot).plain
    assert line == "▒" + "░" * 19 + " 0 labelled, 0 out, 3 queued, 97 of 100 left"


def test_clusters_stand_under_their_headings(snapshot: Snapshot) -> None:
    assert clusters_text(snapshot).plain.splitlines() == [
        "k = 2, silhouette 0.75",
        "         size  labelled  out  queued",
        "C1  ■       4         0    0       3",
        "C2  ▲       2         0    0       0",
    ]


def test_before_the_first_round_the_way_to_it(project: Path) -> None:
    with Project(project) as opened:
        empty = take_snapshot(opened)
    assert clusters_text(empty).plain == "none yet: coldal-tui select"
    assert runs_text(empty).plain == "none yet"
    assert queue_rows(empty, queue_columns(empty)) == {}


def test_the_head_names_project_host_and_round(snapshot: Snapshot) -> None:
    fixed = replace(snapshot, name="lungs\x1b[31m", host="node7", at="2026-01-01T09:08:07+00:00")
    assert head_text(fixed).plain == r"lungs\x1b[31m · node7 · round 0 · last change seen 09:08 UTC"
    assert head_text(fixed, readonly=True).plain.endswith(" · read only")
    assert " · can't be read; as of 09:08 UTC" in head_text(fixed, stale=True).plain


def test_the_head_shows_running_jobs(snapshot: Snapshot) -> None:
    job: dict[str, Any] = {"message": "", "error": None, "created_at": "", "ended_at": None}
    jobs = (
        JobState(1, "embed", "done", None, **job),
        JobState(2, "train", "running", 0.25, **job),
        JobState(3, "score", "running", None, **job),
    )
    assert " · ▶ train 25% · ▶ score · " in head_text(replace(snapshot, jobs=jobs)).plain


def test_runs_with_and_without_a_measure(snapshot: Snapshot) -> None:
    measured = {"lung": {"dice": 0.9, "hd95": 3.25, "unit": "mm"}}
    mean = {"dice": 0.9, "hd95": 3.25}
    runs = (
        RunState("run-001", 0, 9, 0, None, {}, 1.0, ""),
        RunState("run-002", 1, 1200, 3, mean, measured, 1.0, ""),
    )
    assert runs_text(replace(snapshot, runs=runs)).plain.splitlines() == [
        "run         labels    Dice  HD95",
        "run-001          9       –     –",
        "run-002      1,200   0.900   3.2 mm",
    ]


def test_the_next_step_has_its_command_below(snapshot: Snapshot) -> None:
    assert next_text(snapshot).plain == (
        "next: hand 3 queued scans to labelers\n      coldal-tui export-queue"
    )


def test_columns_without_content_are_left_out(snapshot: Snapshot) -> None:
    assert queue_columns(snapshot) == ("#", "scan", "cluster", "role", "status")
    scored = replace(snapshot.queue[0], score=0.5, assignee="ana")
    shown = replace(snapshot, queue=(scored, *snapshot.queue[1:]))
    columns = ("#", "scan", "cluster", "role", "H", "D", "S", "status", "to")
    assert queue_columns(shown) == columns
    assert [cell.plain for cell in queue_rows(shown, columns)["scan_0"]] == [
        "0.1",
        "scan_0",
        "C1",
        "medoid",
        "–",
        "–",
        "0.50",
        "queued",
        "ana",
    ]


def test_skipped_scans_are_no_rows_and_pinned_ones_are_marked(queued: Path) -> None:
    with Project(queued) as opened:
        opened.store.update("queue", {"scan_id": "scan_0"}, status="skipped")
        opened.store.update("queue", {"scan_id": "scan_2"}, pinned=1)
        add_to_queue(opened, [("scan_5", 4, "random", {})], cluster=None)
        rows = queue_rows(take_snapshot(opened), ("#", "cluster"))
    assert {name: [cell.plain for cell in cells] for name, cells in rows.items()} == {
        "scan_2": ["0.3↑", "C1"],
        "scan_1": ["0.2", "C1"],
        "scan_5": ["0.4", "–"],
    }
