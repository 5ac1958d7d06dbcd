"""The budget: its gauge, its legend, its pace; and the pane that shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import Budget
from coldal_tui.project.queue.minute_budget import MinuteBudget
from coldal_tui.project.views.pace import Pace
from coldal_tui.tui.budget.pane import BudgetPane
from coldal_tui.tui.budget.text import budget_cells, budget_content
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from tests.support.pane_app import PaneApp, drive, screen, until

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
PACE = Pace(11.2, NOW + timedelta(days=11))
SKETCH = Budget(100, labelled=41, queued=20, exported=12, skipped=2, manual=3)


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
def test_the_gauge_is_exactly_as_wide_as_asked(
    spent: tuple[int, int, int, int], cells: list[int]
) -> None:
    assert budget_cells(budget(*spent), 36) == cells


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(3, 200),
)
def test_the_gauge_never_overflows(
    total: int, labelled: int, exported: int, queued: int, width: int
) -> None:
    cells = budget_cells(budget(total, labelled, exported, queued), width)
    assert sum(cells) == width
    assert min(cells) >= 0


def drawn(known: Budget, pace: Pace | None, width: int, height: int) -> str:
    return budget_content(known, pace, NOW, width, height, UNICODE).plain


def test_a_narrow_budget() -> None:
    assert drawn(SKETCH, PACE, 38, 5) == (
        "██████████████▓▓▓▓▒▒▒▒▒▒▒░░░░░░░░░ 100\n"
        "■ 41 labelled   ▒ 20 queued\n"
        "▓ 12 out        ░ 27 left\n"
        "11 a day → spent on Fri 4 Dec\n"
        "3 manual labels · 2 skipped"
    )


def test_a_wide_budget_has_its_legend_in_one_line() -> None:
    assert drawn(SKETCH, PACE, 54, 5).split("\n")[1:] == [
        "■ 41 labelled   ▓ 12 out   ▒ 20 queued   ░ 27 left",
        "11 a day → spent on Fri 4 Dec",
        "3 manual labels · 2 skipped",
    ]


def test_counts_stand_under_each_other() -> None:
    large = Budget(5000, labelled=1041, queued=200, exported=120, skipped=0, manual=0)
    assert drawn(large, None, 38, 5).split("\n")[1:] == [
        "■ 1,041 labelled   ▒   200 queued",
        "▓   120 out        ░ 3,639 left",
    ]


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    assert len(drawn(SKETCH, PACE, 38, 2).split("\n")) == 2


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        (Pace(2.5, NOW), "2.5 a day → spent on Mon 23 Nov"),
        (Pace(9.5, NOW), "10 a day → spent on Mon 23 Nov"),
        (Pace(0.0, None), "no label in the last 7 days"),
    ],
)
def test_the_pace_in_words(pace: Pace, words: str) -> None:
    assert drawn(budget(10, 2, 0, 0), pace, 60, 5).split("\n")[2] == words


def test_without_a_pace_nothing_is_said_of_it() -> None:
    assert len(drawn(budget(10, 2, 0, 0), None, 60, 5).split("\n")) == 2


def test_a_spent_budget_is_said_to_be_spent() -> None:
    assert drawn(budget(10, 10, 0, 0), PACE, 60, 5).endswith("the budget is spent")


def test_plain_terminals_get_plain_characters() -> None:
    assert budget_content(SKETCH, PACE, NOW, 38, 5, ASCII).plain.isascii()


def label(project: Project, scan_id: str, at: datetime) -> None:
    project.store.insert(
        "labels",
        scan_id=scan_id,
        version=1,
        file="",
        sha256="",
        state="active",
        role="medoid",
        source="",
        source_sha256="",
        format="",
        geometry={},
        notes=[],
        voxels={},
        created_at=at.isoformat(),
    )


def test_the_pane_shows_budget_and_pace(queued: Path) -> None:
    with Project(queued) as project:
        total = project.config.budget.total
        label(project, "scan_4", NOW - timedelta(days=2))
        label(project, "scan_5", NOW)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "a day" in screen(app))
        text = screen(app)
        assert "2 labelled" in text
        assert "3 queued" in text
        assert f"{total - 5:,} left" in text
        # Two labels in two days.
        assert "1.0 a day → spent on" in text

    drive(queued, BudgetPane(lambda: NOW), steps, size=(42, 8))


def test_the_pane_follows_what_is_queued(queued: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "3 queued" in screen(app)
        with Project(queued) as project:
            project.store.update("queue", {"scan_id": "scan_0"}, status="exported")
        app.refresh_view()
        await pilot.pause()
        assert "2 queued" in screen(app)
        assert "1 out" in screen(app)

    drive(queued, BudgetPane(lambda: NOW), steps, size=(42, 8))


def test_labels_are_asked_for_only_when_they_change(queued: Path) -> None:
    asked: list[str] = []

    class Asking(PaneApp):
        def read(self, key, *more, **options):  # type: ignore[no-untyped-def]
            asked.append(key)
            super().read(key, *more, **options)

    async def session() -> None:
        app = Asking(queued, BudgetPane(lambda: NOW))
        async with app.run_test(size=(42, 8)) as pilot:
            await pilot.pause()
            with Project(queued) as project:
                project.store.update("queue", {"scan_id": "scan_0"}, status="exported")
            app.refresh_view()
            await pilot.pause()
            assert asked == ["budget"]
            with Project(queued) as project:
                label(project, "scan_4", NOW)
            app.refresh_view()
            await pilot.pause()
            assert asked == ["budget", "budget"]

    import asyncio

    asyncio.run(session())


def told(total: int | None, spent: float, *, learned: bool = True) -> MinuteBudget:
    return MinuteBudget(total, 20, spent, spent, 8, 95.4, 70.0, 126.0, learned)


def test_minutes_stand_beside_scans_with_both_paces() -> None:
    pace = Pace(11.2, NOW + timedelta(days=11), 84.6)
    rows = budget_content(SKETCH, pace, NOW, 80, 4, UNICODE, told(600, 212.0)).plain.splitlines()
    assert rows[2] == "212 of 600 minutes · 95 to come · 293 left"
    assert rows[3] == "11 a day (85 min) → spent on Fri 4 Dec"


def test_without_a_budget_of_minutes_only_known_ones_are_told() -> None:
    known = budget_content(SKETCH, None, NOW, 80, 4, UNICODE, told(None, 212.0)).plain
    assert "212 minutes drawn · 95 to come" in known
    unknown = budget_content(SKETCH, None, NOW, 80, 4, UNICODE, told(None, 0.0, learned=False))
    assert "minutes" not in unknown.plain


def test_spent_minutes_end_the_budget_before_the_scans_do() -> None:
    rows = budget_content(SKETCH, PACE, NOW, 80, 4, UNICODE, told(200, 212.0)).plain
    assert "the budget of minutes is spent" in rows
