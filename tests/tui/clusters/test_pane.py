"""Clusters: their table, the silhouettes of every k, and the pane with real keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text
from textual.pilot import Pilot

from coldal_tui.maps import save_map
from coldal_tui.project.project import Project
from coldal_tui.project.views.coverage import Coverage
from coldal_tui.project.views.snapshot import ClusterState, RoundState
from coldal_tui.tui.clusters.pane import ClustersPane
from coldal_tui.tui.clusters.rows import (
    ClusterRows,
    Silhouettes,
    silhouette_line,
    silhouette_plot,
    silhouettes_of,
)
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from tests.support.pane_app import PaneApp, drive, screen, until

CLUSTERS = (ClusterState(0, 2114, 17, 6, 2), ClusterState(1, 903, 0, 0, 0))
COVERAGE = Coverage(1.0, 0.7, (0.81, 0.0))


def plain(model: ClusterRows, row: int) -> list[str]:
    return [cell.plain if isinstance(cell, Text) else cell for cell in model.cells(row)]


def test_a_row_a_cluster() -> None:
    rows = ClusterRows(CLUSTERS, COVERAGE, UNICODE, 78)
    assert [column.title for column in rows.columns] == [
        "cluster",
        "size",
        "labelled",
        "out",
        "queued",
        "coverage",
        "",
    ]
    assert plain(rows, 0) == ["C1 ■", "2,114", "17", "2", "6", "█" * 23 + "▌     ", "81 %"]
    assert plain(rows, 1) == ["C2 ▲", "903", "–", "–", "–", " " * 29, "0 %"]


def test_narrow_rows_count_what_is_out_as_queued() -> None:
    rows = ClusterRows(CLUSTERS, COVERAGE, UNICODE, 40)
    assert [column.title for column in rows.columns] == ["", "size", "●", "○", "coverage", ""]
    assert plain(rows, 0) == ["C1 ■", "2,114", "17", "8", "█" * 10 + "▌  ", "81 %"]


@pytest.mark.parametrize("width", range(30, 140, 11))
def test_rows_are_as_wide_as_the_table(width: int) -> None:
    columns = ClusterRows(CLUSTERS, COVERAGE, UNICODE, width).columns
    gap = 1 if width < 58 else 2
    assert 2 + sum(column.width for column in columns) + gap * (len(columns) - 1) <= width


def test_coverage_that_is_not_known_yet_is_a_dash() -> None:
    assert plain(ClusterRows(CLUSTERS, None, UNICODE, 78), 0)[-1] == "–"


def test_the_cluster_of_the_current_scan_is_marked() -> None:
    assert plain(ClusterRows(CLUSTERS, None, UNICODE, 78, here=1), 1)[0] == "C2 ▲ ◎"


def test_clusters_are_found_by_number() -> None:
    rows = ClusterRows(CLUSTERS, None, UNICODE, 78)
    assert (rows.key(1), rows.find("1"), rows.find("7")) == ("1", 1, None)


def chosen(number: int, k: int, *scores: tuple[int, float]) -> RoundState:
    return RoundState(number, "", 0, None, 0, 0, 1, None, k, scores, number == 0, (), "")


def test_silhouettes_are_those_of_the_round_that_made_the_clusters() -> None:
    rounds = [chosen(0, 3, (2, 0.25), (3, 0.5)), chosen(1, 3)]
    found = silhouettes_of(rounds)
    assert found == Silhouettes(((2, 0.25), (3, 0.5)), 3, True)
    assert found.best == 0.5


def test_clusters_that_were_never_compared_have_no_silhouettes() -> None:
    assert silhouettes_of([chosen(0, 1)]) is None


FEW = Silhouettes(((2, 0.0), (3, 0.31), (4, 0.10)), 3, False)
MANY = Silhouettes(tuple((k, 1 / k) for k in range(2, 31)), 2, True)


def test_silhouettes_as_columns() -> None:
    # Four lines have 32 steps: 0 is one of them, 0.31 all, 0.10 eleven.
    assert silhouette_plot(FEW, 50, 6, UNICODE).plain == (
        "mean silhouette by k  k = 3: 0.31, the highest\n"
        "0.31     ███     \n"
        "         ███     \n"
        "         ███ ▃▃▃ \n"
        "0.00 ▁▁▁ ███ ███ \n"
        "     2   3   4"
    )


def test_what_was_estimated_is_said_to_be() -> None:
    first = silhouette_plot(MANY, 76, 7, UNICODE).plain.split("\n")[0]
    assert first.endswith("k = 2: 0.50, the highest; not all exact")


def test_an_estimate_above_the_chosen_score_is_not_called_lower() -> None:
    known = Silhouettes(((2, 0.3), (3, 0.4)), 2, estimated=True)
    first = silhouette_plot(known, 76, 7, UNICODE).plain.split("\n")[0]
    assert first == "mean silhouette by k  k = 2: 0.30; not all exact"


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (50, "mean silhouette by k  k = 2: 0.50; not all exact"),
        (38, "mean silhouette by k  k = 2: 0.50"),
        (30, "silhouettes  k = 2: 0.50"),
        (20, "k = 2: 0.50"),
    ],
)
def test_a_heading_has_as_many_words_as_fit(width: int, words: str) -> None:
    assert silhouette_plot(MANY, width, 7, UNICODE).plain.split("\n")[0] == words


def test_every_k_has_a_column_and_the_chosen_its_number() -> None:
    *_, lowest, axis = silhouette_plot(MANY, 76, 7, UNICODE).plain.split("\n")
    assert len(lowest[5:].split()) == 29
    numbers = axis.split()
    assert numbers[0] == "2"
    assert numbers[-1] == "30"
    assert axis.index("10") == 5 + 2 * 8


def test_where_there_is_no_height_the_columns_are_a_line() -> None:
    assert silhouette_line(FEW, 40, UNICODE).plain == "silhouette by k: 2 ▁█▃ 4"
    assert silhouette_plot(FEW, 40, 3, UNICODE).plain.split("\n")[1] == "silhouette by k: 2 ▁█▃ 4"


def test_a_single_k_is_told_in_words() -> None:
    one = Silhouettes(((2, 0.25),), 2, False)
    assert silhouette_line(one, 40, UNICODE).plain == "silhouette 0.25 at k = 2"


@pytest.mark.parametrize("width", [20, 38, 50, 76, 200])
def test_no_line_is_wider_than_the_pane(width: int) -> None:
    rows = silhouette_plot(MANY, width, 7, ASCII).plain.split("\n")
    assert max(map(len, rows)) <= width
    assert all(row.isascii() for row in rows)


@pytest.fixture
def mapped(queued: Path) -> Path:
    """scan_0 to scan_5 at x = 0 to 5; scan_0 is labelled."""
    with Project(queued) as project:
        names = tuple(f"scan_{n}" for n in range(6))
        file = project.layout.maps / "map.npz"
        save_map(file, names, np.array([(n, 0.0) for n in range(6)]))
        project.store.insert(
            "maps",
            map_id=1,
            encoder_hash="",
            file=project.layout.relative(file),
            sha256="",
            seed=0,
            scans=6,
            params={},
            created_at="",
        )
        project.store.update("queue", {"scan_id": "scan_0"}, status="labelled")
        label(project, "scan_0")
    return queued


def label(project: Project, scan_id: str) -> None:
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
        created_at="2026-01-01T00:00:00+00:00",
    )


class PickingApp(PaneApp):
    """Notes which clusters were picked, and what was read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.picked: list[int] = []
        self.asked: list[str] = []

    def on_clusters_pane_picked(self, message: ClustersPane.Picked) -> None:
        self.picked.append(message.cluster)

    def read(self, key: str, *more: Any, **options: Any) -> None:
        self.asked.append(key)
        super().read(key, *more, **options)


def session(root: Path, steps: Any, size: tuple[int, int] = (80, 22)) -> PickingApp:
    import asyncio

    app = PickingApp(root, ClustersPane())

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(run())
    return app


async def measured(app: PaneApp, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: "17 %" in str(app.pane.border_subtitle))


def test_the_pane_shows_clusters_coverage_and_silhouettes(mapped: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await measured(app, pilot)
        text = screen(app)
        # scan_0 of C1's four; r is 0.5, half of the map lies at most so far from the queue.
        assert "C1 ■          4         1    –       2" in text
        assert "25 %" in text
        assert "k = 2: 0.75, the highest" in text
        assert str(app.pane.border_title) == "3 Clusters  k = 2 (silhouette 0.75)"
        assert str(app.pane.border_subtitle) == "labels cover 17 % of the map"

    drive(mapped, ClustersPane(), steps, size=(80, 22))


def test_enter_picks_the_cluster_under_the_cursor(mapped: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "enter", "k", "enter", "G", "enter")

    assert session(mapped, steps).picked == [1, 0, 1]


def test_marks_mean_nothing_here(mapped: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "v", "j", "asterisk")
        assert isinstance(app.pane, ClustersPane)
        assert app.pane.table.marked == []

    session(mapped, steps)


def test_coverage_follows_the_labels(mapped: Path) -> None:
    async def steps(app: PickingApp, pilot: Pilot[None]) -> None:
        await measured(app, pilot)
        with Project(mapped) as project:
            label(project, "scan_5")
        app.refresh_view()
        await until(pilot, lambda: "33 %" in str(app.pane.border_subtitle))

    session(mapped, steps)


def test_coverage_is_measured_once_for_the_same_labels(mapped: Path) -> None:
    async def steps(app: PickingApp, pilot: Pilot[None]) -> None:
        await measured(app, pilot)
        with Project(mapped) as project:
            project.store.update("queue", {"scan_id": "scan_1"}, status="exported")
        app.refresh_view()
        await pilot.pause()
        assert "C1 ■          4         1    1       1" in screen(app)
        assert app.asked == ["clusters"]

    session(mapped, steps)


def test_the_cluster_of_the_current_scan_is_shown(mapped: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_4")
        await pilot.pause()
        assert "C2 ▲ ◎" in screen(app)
        app.pane.go_to(None)
        await pilot.pause()
        assert "◎" not in screen(app)

    drive(mapped, ClustersPane(), steps)


def test_a_scan_named_before_the_map_was_read_is_found_on_it_later(mapped: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        pane, view = app.pane, app.view
        assert isinstance(pane, ClustersPane)
        assert view is not None
        assert view.map_view is not None
        scan_id = view.map_view.scan_ids[0]
        pane.show(replace(view, map_view=None))
        pane.go_to(scan_id)
        await pilot.pause()
        assert "◎" not in screen(app)
        pane.show(view)
        await until(pilot, lambda: "◎" in screen(app))

    drive(mapped, ClustersPane(), steps)


@pytest.mark.parametrize("size", [(42, 8), (60, 16), (200, 60), (40, 4)])
def test_the_pane_fits_any_size(mapped: Path, size: tuple[int, int]) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await measured(app, pilot)
        assert "C1 ■" in screen(app)
        assert app.errors == []

    drive(mapped, ClustersPane(), steps, size=size)


def test_a_small_pane_keeps_its_silhouettes_in_a_line(mapped: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert (
            screen(app).split("\n")[-1].strip() == "silhouette by k: 2 █▆ 3"
        )  # from 0: 0.5 is two thirds of 0.75
        await pilot.resize_terminal(80, 22)
        await pilot.pause()
        assert "mean silhouette by k" in screen(app)

    drive(mapped, ClustersPane(), steps, size=(42, 8))


def test_before_the_first_selection_the_pane_says_what_to_do(project: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert "no clusters yet: embed 6 scans and pick the first queue" in screen(app)

    drive(project, ClustersPane(), steps)


def test_nothing_is_measured_while_the_pane_is_hidden(mapped: Path) -> None:
    async def steps(app: PickingApp, pilot: Pilot[None]) -> None:
        await measured(app, pilot)
        app.pane.display = False
        await pilot.pause()
        with Project(mapped) as project:
            label(project, "scan_5")
        app.refresh_view()
        await pilot.pause()
        assert app.asked == ["clusters"]
        app.pane.display = True
        await until(pilot, lambda: "33 %" in str(app.pane.border_subtitle))

    session(mapped, steps)


def test_the_cursor_is_where_it_was(mapped: Path) -> None:
    pane = ClustersPane()
    pane.restore({"cluster": "1"})

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert pane.state() == {"cluster": "1"}

    drive(mapped, pane, steps)


def test_a_state_that_does_not_fit_is_passed_over(mapped: Path) -> None:
    pane = ClustersPane()
    pane.restore({"cluster": ["nonsense"]})

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        assert pane.state() == {"cluster": "0"}

    drive(mapped, pane, steps)
