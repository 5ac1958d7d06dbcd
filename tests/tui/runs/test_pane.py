"""The panes of runs and of the learning curve, with real keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from coldal_tui.project.project import Project
from coldal_tui.scheduler.queue import submit
from coldal_tui.tui.drawing.glyphs import ASCII
from coldal_tui.tui.runs.curve import CurvePane
from coldal_tui.tui.runs.pane import RunsPane
from tests.support.pane_app import PaneApp, drive, screen, until


def add_run(project: Project, number: int, labels: int, **dice: float) -> None:
    """A run with one class, measured on the validation scans that are named."""
    run_id = f"run-{number:03d}"
    mean = {"dice": sum(dice.values()) / len(dice), "hd": 9.0, "hd95": 5.0} if dice else None
    classes = {"lung": mean | {"unit": "px"}} if mean else {}
    project.store.insert(
        "runs",
        run_id=run_id,
        round=number - 1,
        seed=0,
        train_scans=[f"scan_{n}" for n in range(labels)],
        validation_scans=list(dice),
        summary={"validation": {"mean": mean, "classes": classes}, "seconds": 36.0},
        created_at=f"2026-01-0{number}T00:00:00+00:00",
    )
    measure(project, run_id, "validation", **dice)


def measure(project: Project, run_id: str, split: str, **dice: float) -> None:
    for scan_id, value in dice.items():
        project.store.insert(
            "metrics",
            **{"class": "lung"},
            run_id=run_id,
            split=split,
            scan_id=scan_id,
            dice=value,
            hd=9.0,
            hd95=10 * (1 - value),
            unit="px",
        )


@pytest.fixture
def trained(queued: Path) -> Path:
    """Two runs on scan_2 and scan_3; the second was evaluated on scan_5 and another image."""
    with Project(queued) as project:
        add_run(project, 1, 1, scan_2=0.5, scan_3=0.75)
        add_run(project, 2, 2, scan_2=0.875, scan_3=0.7)
        measure(project, "run-002", "evaluation-7", scan_5=0.25, elsewhere=0.125)
    return queued


class ReadingApp(PaneApp):
    """Notes what was read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[str] = []

    def read(self, key: str, *more: Any, **options: Any) -> None:
        self.asked.append(key)
        super().read(key, *more, **options)


async def ready(app: PaneApp, pilot: Pilot[None], words: str) -> None:
    await until(pilot, lambda: words in screen(app))


NEWEST = "run-002 on frozen validation (2)"


def test_the_newest_run_and_its_worst_scans_are_shown(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        text = screen(app)
        rows = [set(line.split()) for line in text.split("\n")]
        assert any({"run-002", "0.787"} <= row for row in rows)
        assert text.index("scan_3") < text.index("scan_2")
        assert "Dice  95 % interval" in text
        assert str(app.pane.border_title) == "6 Runs  2"

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_enter_goes_into_the_scans_and_opens_one(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("enter", "j", "enter")
        assert app.opened == [("scan_2", "scan")]
        assert app.chosen == ["scan_3", "scan_2"]

    drive(trained, RunsPane(), steps, size=(80, 22))


@pytest.mark.parametrize("back", ["h", "left", "escape"])
def test_the_runs_are_a_key_away_from_the_scans(trained: Path, back: str) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("enter", back, "j")
        await ready(app, pilot, "run-001 on frozen validation (2)")

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_escape_among_the_runs_is_the_apps(trained: Path) -> None:
    class Escaping(PaneApp):
        escaped = 0
        BINDINGS = [("escape", "away", "away")]  # noqa: RUF012

        def action_away(self) -> None:
            self.escaped += 1

    async def session() -> None:
        app = Escaping(trained, RunsPane())
        async with app.run_test(size=(80, 22)) as pilot:
            await ready(app, pilot, NEWEST)
            await pilot.press("enter", "escape")
            assert app.escaped == 0
            await pilot.press("escape")
            assert app.escaped == 1

    import asyncio

    asyncio.run(session())


def test_two_runs_are_compared_scan_by_scan(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("j", "space", "k")
        await ready(app, pilot, "run-002 against ✓ run-001")
        text = screen(app)
        # scan_2 0.375 better, scan_3 0.05 worse; the loss comes first.
        assert "Dice +0.162 ± 0.301  1 better, 1 worse" in text
        assert text.index("−0.050") < text.index("+0.375")
        assert "✓run-001" in text
        await pilot.press("j", "space")
        await ready(app, pilot, "run-001 on frozen validation")
        assert "✓" not in screen(app)

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_scans_are_opened_from_a_comparison_too(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("j", "space", "k")
        await ready(app, pilot, "against")
        await pilot.press("enter", "enter")
        assert app.opened == [("scan_3", "scan")]

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_what_a_run_was_measured_on_can_be_changed(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("a")
        await ready(app, pilot, "worst scans of run-002 on evaluation 7 (2)")
        assert "elsewhere" in screen(app)
        await pilot.press("a")
        await ready(app, pilot, NEWEST)

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_a_scan_of_other_images_is_not_opened(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("a")
        await ready(app, pilot, "elsewhere")
        await pilot.press("enter", "enter")
        assert app.opened == []
        assert app.told == ["this scan is not in the project: it was only evaluated on"]
        await pilot.press("j", "enter")
        assert app.opened == [("scan_5", "scan")]

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_a_run_that_was_never_evaluated_shows_its_validation(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        await pilot.press("a")
        await ready(app, pilot, "evaluation 7")
        await pilot.press("j")
        await ready(app, pilot, "run-001 on frozen validation (2)")

    drive(trained, RunsPane(), steps, size=(80, 22))


def test_where_both_do_not_fit_the_curve_takes_turns(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        assert "± SD over" not in screen(app)
        await pilot.press("d")
        await ready(app, pilot, "95 % interval")
        assert NEWEST not in screen(app)
        await pilot.press("d")
        await ready(app, pilot, NEWEST)

    drive(trained, RunsPane(), steps, size=(60, 14))


def test_nothing_is_read_again_for_the_same_runs(trained: Path) -> None:
    async def session() -> None:
        app = ReadingApp(trained, RunsPane())
        async with app.run_test(size=(80, 22)) as pilot:
            await ready(app, pilot, NEWEST)
            asked = list(app.asked)
            with Project(trained) as project:
                project.store.update("queue", {"scan_id": "scan_0"}, status="exported")
            app.refresh_view()
            await pilot.pause(0.1)
            assert app.asked == asked

    import asyncio

    asyncio.run(session())


def test_a_new_run_appears_and_the_cursor_stays(trained: Path) -> None:
    pane = RunsPane()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        with Project(trained) as project:
            add_run(project, 3, 3, scan_2=0.9)
        app.refresh_view()
        await ready(app, pilot, "run-003")
        assert pane.runs.current == "run-002"

    drive(trained, pane, steps, size=(80, 22))


def test_a_run_without_validation_scans_says_so(queued: Path) -> None:
    with Project(queued) as project:
        add_run(project, 1, 1)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, "not measured yet")
        await pilot.press("enter", "j", "a", "d")
        assert app.errors == []

    drive(queued, RunsPane(), steps, size=(120, 22))


@pytest.mark.parametrize("size", [(60, 14), (78, 19), (120, 40), (200, 60), (30, 6)])
def test_the_pane_fits_any_size(trained: Path, size: tuple[int, int]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, "run-002")
        await pilot.press("j", "space", "k", "a", "d", "d", "enter")
        await pilot.resize_terminal(90, 24)
        await pilot.pause()
        assert app.errors == []
        assert "run-002" in screen(app)

    drive(trained, RunsPane(), steps, size=size)


def test_before_the_first_run_the_pane_says_what_to_do(queued: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "space", "j")
        assert "no run yet: hand 3 queued scans to labelers" in screen(app)

    drive(queued, RunsPane(), steps)


def test_the_view_is_as_it_was(trained: Path) -> None:
    pane = RunsPane()
    before = {"run": "run-001", "base": "run-002", "split": "evaluation-7", "curve": True}
    pane.restore(before)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, "95 % interval")
        await until(pilot, lambda: pane.state() == before)

    drive(trained, pane, steps, size=(60, 14))


@pytest.mark.parametrize("state", [{"run": 3, "base": [], "split": None, "curve": "x"}, {}])
def test_a_state_that_does_not_fit_is_passed_over(trained: Path, state: dict[str, Any]) -> None:
    pane = RunsPane()
    pane.restore(state)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)

    drive(trained, pane, steps, size=(80, 22))


def test_the_small_curve_shows_the_newest_distance(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, "a curve from 3 runs on")
        assert screen(app).count("Dice 0.") == 2
        assert str(app.pane.border_subtitle) == "frozen validation, HD95 2.1 px"

    drive(trained, CurvePane(), steps, size=(42, 8))


def test_the_small_curve_follows_a_new_run(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, "a curve from 3 runs on")
        with Project(trained) as project:
            add_run(project, 3, 3, scan_2=0.9)
        app.refresh_view()
        await until(pilot, lambda: screen(app).count("●") == 3)

    drive(trained, CurvePane(), steps, size=(42, 8))


def test_an_empty_curve_says_how_to_get_one(queued: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "no run yet: train when labels are in" in screen(app)
        with Project(queued) as project:
            add_run(project, 1, 1)
        app.refresh_view()
        await ready(app, pilot, "no run is measured yet: coldal-tui crossfit")
        with Project(queued) as project:
            submit(project, "crossfit", {})
        app.refresh_view()
        await ready(app, pilot, "cross-fitting measures it now")

    drive(queued, CurvePane(), steps, size=(60, 7))


def test_plain_terminals_get_plain_characters(trained: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, "run-002 on")
        assert screen(app).isascii()

    drive(trained, RunsPane(), steps, size=(80, 22), look=ASCII)


@pytest.mark.parametrize(("height", "shown"), [(22, True), (11, False)])
def test_it_says_whether_the_labels_are_enough_where_there_is_room(
    trained: Path, height: int, shown: bool
) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, NEWEST)
        if shown:
            await ready(app, pilot, "Enough? can't say yet: it takes measured runs with 3")
        else:
            await pilot.pause()
            assert "Enough?" not in screen(app)

    drive(trained, RunsPane(), steps, size=(100, height))
