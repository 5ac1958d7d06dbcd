"""The reasons on the screen: how much in how many lines, when they are read, what a window adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot

from coldal_tui.project.project import Project
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.pane import Pane
from coldal_tui.tui.queue.why import Why, full_text, read_facts, why_text
from tests.support.pane_app import PaneApp, screen, until
from tests.support.second_round import queue, second_round

FACTS: dict[str, Any] = {
    "scan_id": "p0412_s2",
    "status": "queued",
    "round": 1,
    "rank": 1,
    "role": "acquired",
    "cluster": 2,
    "score": 0.725,
    "terms": {
        "step": 1,
        "alpha": 0.5,
        "score": 0.725,
        "entropy_term": 0.81,
        "diversity_term": 0.64,
        "runner_up": "p0077_s1",
        "runner_up_score": 0.705,
    },
    "selection": {"strategy": "entropy-diversity", "seed": 5, "map_id": 1, "run_id": "run-001"},
    "reason": None,
    "replaced_by": None,
    "assignee": None,
    "label": None,
    "entropies": [],
    "patient_id": "P0412",
    "path": "/images/p0412_s2.png",
    "standing": {
        "entropy_place": 2,
        "entropy_of": 612,
        "nearest_labelled": {"scan_id": "p0033_s1", "distance": 1.2, "cluster": 2},
        "prospect": None,
    },
}


def test_a_wide_screen_has_all_reasons_in_two_lines() -> None:
    assert why_text(FACTS, UNICODE, 100).plain.splitlines() == [
        "why p0412_s2: among the most uncertain of C3 (H .81, 2nd of 612) and far from labels "
        "(D .64; nearest",
        "labelled p0033_s1, C3) · beat p0077_s1 by .02",
    ]


def test_one_line_ends_where_there_is_no_more_room() -> None:
    line = why_text(FACTS, UNICODE, 60, lines=1).plain
    assert line == "why p0412_s2: among the most uncertain of C3 (H .81, 2nd …"
    assert len(line) <= 60


def test_in_one_line_a_long_name_leaves_room_for_the_reasons() -> None:
    line = why_text(FACTS | {"scan_id": "a" * 45 + "b" * 45}, UNICODE, 60, lines=1).plain
    assert line == "why aaaaaaaaaa…bbbbbbbbb: among the most uncertain of C3 …"


def test_a_long_name_is_whole_where_there_are_more_lines() -> None:
    assert "x" * 50 in why_text(FACTS | {"scan_id": "x" * 50}, UNICODE, 60, lines=3).plain


@pytest.mark.parametrize("width", [20, 33, 60, 78, 120, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    lines = why_text(FACTS, UNICODE, width, lines=3).plain.splitlines()
    assert len(lines) <= 3
    assert max(map(len, lines)) <= width


def test_plain_letters_on_a_plain_terminal() -> None:
    told = why_text(FACTS, ASCII, 78).plain
    assert told.isascii()


def test_the_window_shows_what_weighs_how_much() -> None:
    lines = full_text(FACTS, UNICODE).plain.splitlines()
    assert lines[0] == "p0412_s2  ○ queued"
    assert "H ████████████████▎     .81  uncertainty, weighs .50" in lines
    assert "D ████████████▊         .64  distance, weighs .50" in lines
    assert "chosen over p0077_s1 (S .70)" in lines
    assert lines[-1] == "patient P0412, file /images/p0412_s2.png"


def test_names_are_shown_literally() -> None:
    told = why_text(FACTS | {"scan_id": "[red]\x1b[1m"}, UNICODE, 100)
    assert told.plain.startswith(r"why [red]\x1b[1m: ")


class WhyApp(PaneApp):
    """An app with the reasons alone; counts what is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, Pane())
        self.asked: list[str] = []

    def compose(self) -> ComposeResult:
        yield Why()

    def on_mount(self) -> None:
        with Project(self.root) as project:
            from coldal_tui.project.views.snapshot import take_snapshot
            from coldal_tui.tui.pane import View

            self.view = View(take_snapshot(project))

    def read(self, key: str, work: Any, then: Any, failed: Any = None) -> None:
        self.asked.append(key)
        super().read(key, work, then, failed)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return second_round(tmp_path)


def run(root: Path, steps: Any, size: tuple[int, int] = (100, 10)) -> WhyApp:
    import asyncio

    app = WhyApp(root)

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(session())
    return app


def test_it_follows_the_current_scan_and_goes_with_it(root: Path) -> None:
    with Project(root) as project:
        first, second = queue(project)[:2]

    async def steps(app: WhyApp, pilot: Pilot[None]) -> None:
        why = app.query_one(Why)
        assert app.view is not None
        why.show(app.view, first)
        await until(pilot, lambda: f"why {first}: " in screen(app))
        why.show(app.view, second)
        await until(pilot, lambda: f"why {second}: " in screen(app))
        why.show(app.view, None)
        await pilot.pause()
        assert "why" not in screen(app)

    run(root, steps)


def test_only_where_the_cursor_rests_is_read(root: Path) -> None:
    with Project(root) as project:
        names = queue(project)

    async def steps(app: WhyApp, pilot: Pilot[None]) -> None:
        why = app.query_one(Why)
        assert app.view is not None
        why.show(app.view, names[0])
        await until(pilot, lambda: f"why {names[0]}: " in screen(app))
        for name in names[1:]:
            why.show(app.view, name)
        await until(pilot, lambda: f"why {names[-1]}: " in screen(app))
        assert len(app.asked) == 2
        why.show(app.view, names[-1])
        await pilot.pause(0.2)
        assert len(app.asked) == 2

    run(root, steps)


def test_facts_of_a_candidate_say_what_it_would_need(root: Path) -> None:
    with Project(root) as project:
        told = why_text(read_facts(project, "s02"), UNICODE, 200).plain
    assert told.startswith("why s02: not picked yet: ")
    assert "of 22 candidates" in told
