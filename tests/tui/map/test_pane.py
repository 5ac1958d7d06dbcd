"""The map's pane with real keys, on small projects whose maps were put in by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from coldal_tui.maps import save_map
from coldal_tui.project.project import Project
from coldal_tui.tui.drawing.glyphs import ASCII
from coldal_tui.tui.map.map_lines import MapLines
from coldal_tui.tui.map.pane import MapPane
from tests.support.pane_app import PaneApp, drive, screen, until
from tests.support.small_projects import add_to_queue

# scan_0 to scan_3 at the corners of a square, scan_4 in its middle, scan_5 far to the right.
PLACES = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0), (5.0, 5.0), (30.0, 5.0)]
SMALL = (80, 24)


def add_map(root: Path, places: list[tuple[float, float]] = PLACES, map_id: int = 1) -> None:
    with Project(root) as opened:
        names = tuple(f"scan_{n}" for n in range(len(places)))
        file = opened.layout.maps / f"map-{map_id}.npz"
        save_map(file, names, np.array(places, float))
        opened.store.insert(
            "maps",
            map_id=map_id,
            encoder_hash="ab",
            file=opened.layout.relative(file),
            sha256="",
            seed=0,
            scans=len(places),
            params={"method": "sklearn-tsne"},
            created_at="2026-01-01T00:00:00+00:00",
        )


@pytest.fixture
def mapped(queued: Path) -> Path:
    """Six scans on a map, clusters of four and two, scan_0 to scan_2 queued, scan_0 a medoid."""
    add_map(queued)
    return queued


def pane_of(app: PaneApp) -> MapPane:
    assert isinstance(app.pane, MapPane)
    return app.pane


def here(app: PaneApp) -> str | None:
    model = pane_of(app).model
    return None if model is None or model.here is None else model.map_view.scan_ids[model.here]


def zoom(app: PaneApp) -> float:
    model = pane_of(app).model
    assert model is not None
    return model.zoom


def box_text(app: PaneApp) -> str:
    return str(app.pane.border_subtitle)


def lines(app: PaneApp) -> list[str]:
    """The pane's lines without its border."""
    return [app.pane.render_line(y).text.rstrip() for y in range(app.pane.size.height)]


def test_the_map_its_legend_and_the_scan_here(mapped: Path) -> None:
    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.pause()
        shown = lines(app)
        assert str(app.pane.border_title) == "2 Map · t-SNE · efficientnet-lite0 · colour: cluster"
        assert shown[-2].startswith("■ C1 4  ▲ C2 2  ○ queued 3  ◆ medoid 1")
        assert shown[-1].startswith("◎ scan_0  ■ C1  ○ queued, medoid, round 0, rank 1")
        assert sum(line.count("○") for line in shown[:-2]) == 2
        column, row = pane_of(app).model.cell_of(0)
        under = next(iter(app.pane.render_line(row).crop(column, column + 1)))
        assert under.text == "◆"  # the cursor shows what is under it, in a style of its own
        here = app.pane.get_component_rich_style("map--here")
        assert under.style.bgcolor == here.bgcolor

    drive(mapped, MapPane(), look, SMALL)


def test_arrows_and_letters_go_to_the_next_scan_that_way(mapped: Path) -> None:
    async def walk(app: PaneApp, pilot: Pilot[None]) -> None:
        # The corners are 52 dots apart across and 76 up; the middle is 26 and 38 away, scan_5 a
        # further 104 to the right of the corners and as high as the middle.
        seen, steps = (
            [],
            ((0, "l"), (1, "right"), (0, "k"), (4, "l"), (3, "h"), (3, "left"), (2, "j")),
        )
        for start, key in steps:
            app.pane.go_to(f"scan_{start}")
            await pilot.press(key)
            seen.append(here(app))
        assert seen == [f"scan_{n}" for n in (1, 5, 4, 5, 2, 2, 4)]
        app.pane.go_to("scan_2")
        await pilot.press("up")
        # The step to where there is nothing is none.
        assert app.chosen == seen

    drive(mapped, MapPane(), walk, SMALL)


def test_the_first_step_finds_the_scan_in_the_middle(mapped: Path) -> None:
    async def walk(app: PaneApp, pilot: Pilot[None]) -> None:
        assert lines(app)[-1] == "arrows or a click choose a scan"
        await pilot.press("j")
        assert app.chosen == ["scan_1"]

    drive(mapped, MapPane(), walk, SMALL)


def test_following_another_pane_sends_nothing_back(mapped: Path) -> None:
    async def follow(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_3")
        await pilot.pause()
        assert here(app) == "scan_3"
        app.pane.go_to("scan_99")
        await pilot.pause()
        assert here(app) is None
        assert lines(app)[-1] == "scan_99 is not on this map"
        app.pane.go_to(None)
        await pilot.pause()
        assert lines(app)[-1] == "arrows or a click choose a scan"
        assert app.chosen == []

    drive(mapped, MapPane(), follow, SMALL)


def test_zoom_pan_and_fit(mapped: Path) -> None:
    async def move(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_4")
        for key, expected in ((">", 1.5), ("equals_sign", 2.25), ("-", 1.5), (">", 2.25)):
            await pilot.press(key)
            assert zoom(app) == pytest.approx(expected)
        assert "of 6 scans in view" in box_text(app)
        model = pane_of(app).model
        assert model is not None
        before = model.view
        await pilot.press("L")
        assert model.view.x > before.x
        await pilot.press("shift+left", "K")
        assert model.view.x == pytest.approx(before.x)
        assert model.view.y > before.y
        await pilot.press("f")
        assert (zoom(app), box_text(app)) == (1, "")
        assert here(app) == "scan_4"

    drive(mapped, MapPane(), move, SMALL)


def test_a_scan_out_of_view_is_brought_into_it(mapped: Path) -> None:
    async def follow(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press(">", ">", ">", ">", ">")
        app.pane.go_to("scan_5")
        await pilot.pause()
        model = pane_of(app).model
        assert model is not None
        assert model.cell_of_cursor() is not None
        assert model.zoom == pytest.approx(1.5**5)

    drive(mapped, MapPane(), follow, SMALL)


def test_being_told_again_of_the_same_scan_moves_nothing(mapped: Path) -> None:
    async def follow(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press(">", ">", ">", "L", "L", "L", "L")
        model = pane_of(app).model
        assert model is not None
        assert model.cell_of_cursor() is None
        view = model.view
        app.pane.go_to("scan_0")
        assert model.view is view

    drive(mapped, MapPane(), follow, SMALL)


def test_the_next_medoid_and_the_next_queued(mapped: Path) -> None:
    async def jump(app: PaneApp, pilot: Pilot[None]) -> None:
        for key in (")", ")", ".", ".", ".", ",", "("):
            await pilot.press(key)
        assert app.chosen == [f"scan_{n}" for n in (0, 0, 1, 2, 0, 2, 0)]

    drive(mapped, MapPane(), jump, SMALL)


def test_without_any_it_is_said(project: Path) -> None:
    add_map(project)

    async def jump(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press(")", ".")
        assert app.told == ["no medoid yet", "nothing is queued"]

    drive(project, MapPane(), jump, SMALL)


def test_enter_opens_the_scan(mapped: Path) -> None:
    async def open_it(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        app.pane.go_to("scan_4")
        await pilot.press("enter")
        await pilot.pause()
        assert app.opened == [("scan_4", "scan")]

    drive(mapped, MapPane(), open_it, SMALL)


def set_facts(root: Path) -> None:
    with Project(root) as opened:
        for n, (patient, site) in enumerate(zip("aabbcc", "xxyyxz", strict=True)):
            opened.store.update(
                "scans", {"scan_id": f"scan_{n}"}, patient_id=patient, meta={"site": site}
            )


def test_colours_go_round_and_metadata_are_chosen(mapped: Path) -> None:
    set_facts(mapped)

    async def colour(app: PaneApp, pilot: Pilot[None]) -> None:
        pane = pane_of(app)
        await until(pilot, lambda: pane.known == ("patient", "meta:site"))
        seen = []
        for _ in range(3):
            await pilot.press("c")
            await until(pilot, lambda: pane.model.colouring.name == pane.colour)  # type: ignore[union-attr]
            seen.append(str(pane.border_title).rpartition(" ")[2])
        assert seen == ["status", "patient", "cluster"]
        app.answers = ["meta:site"]
        await pilot.press("C")
        assert app.questions == ["Colour the map by"]
        await until(pilot, lambda: "colour: site" in str(pane.border_title))
        app.pane.go_to("scan_5")
        await pilot.pause()
        assert lines(app)[-2].startswith("■ x 3  ▲ y 2  ▼ z 1")
        assert lines(app)[-1].endswith("site z  patient c")

    drive(mapped, MapPane(), colour, SMALL)


def test_a_column_that_changes_is_read_again(mapped: Path) -> None:
    set_facts(mapped)

    async def change(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await until(pilot, lambda: lines(app)[-1].endswith("patient a"))
        with Project(mapped) as opened:
            for n in (0, 1, 2, 3):
                opened.store.update("scans", {"scan_id": f"scan_{n}"}, patient_id="new")
        app.refresh_view()
        await until(pilot, lambda: lines(app)[-1].endswith("patient new"))

    drive(mapped, MapPane(), change, SMALL)


def test_a_change_of_status_shows_and_keeps_view_and_cursor(mapped: Path) -> None:
    async def change(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_1")
        await pilot.press(">")
        with Project(mapped) as opened:
            opened.store.update("queue", {"scan_id": "scan_1"}, status="exported")
        app.refresh_view()
        await pilot.pause()
        assert (here(app), zoom(app)) == ("scan_1", 1.5)
        assert "◐ exported, farthest-point, round 0, rank 2" in lines(app)[-1]
        assert "◐ exported 1  ○ queued 2" in lines(app)[-2]

    drive(mapped, MapPane(), change, SMALL)


def test_an_unchanged_view_draws_nothing(mapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def show(app: PaneApp, pilot: Pilot[None]) -> None:
        pane = pane_of(app)
        await pilot.pause(0.3)
        asked: list[Any] = []
        monkeypatch.setattr(MapPane, "refresh", lambda self, *a, **k: asked.append(a))
        assert app.view is not None
        pane.show(app.view)
        assert asked == []

    drive(mapped, MapPane(), show, SMALL)


def test_moving_the_cursor_draws_two_rows_and_the_lines_below(
    mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def move(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.pause()
        lines(app)
        made: list[int] = []
        real = MapLines._drawn
        monkeypatch.setattr(
            MapLines, "_drawn", lambda self, y, *given: made.append(y) or real(self, y, *given)
        )
        app.pane.go_to("scan_2")
        await pilot.pause()
        model = pane_of(app).model
        assert model is not None
        below = range(model.view.rows, app.pane.size.height)
        assert set(made) == {model.cell_of(0)[1], model.cell_of(2)[1], *below}

    drive(mapped, MapPane(), move, SMALL)


# The box


def corners(app: PaneApp, one: int, other: int) -> list[str]:
    """Keys that stretch a box from one scan's cell to another's to its right, above or below."""
    model = pane_of(app).model
    assert model is not None
    (left, top), (right, bottom) = model.cell_of(one), model.cell_of(other)
    far, near = divmod(right - left, 8)
    down, up = divmod(abs(bottom - top), 4)
    big, small = ("J", "j") if bottom > top else ("K", "k")
    return ["L"] * far + ["l"] * near + [big] * down + [small] * up


def test_a_box_counts_what_is_in_it(mapped: Path) -> None:
    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press("v")
        assert box_text(app) == "1 scan: 1 queued"
        await pilot.press(*corners(app, 0, 3))
        assert box_text(app) == "5 scans: 2 candidates, 3 queued"
        assert here(app) == "scan_0"
        await pilot.press("escape")
        assert box_text(app) == ""

    drive(mapped, MapPane(), select, SMALL)


def test_candidates_in_the_box_are_queued_by_hand(mapped: Path) -> None:
    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press("v", *corners(app, 0, 3))
        app.answers = ["queue", "yes"]
        await pilot.press("enter")
        await pilot.pause()
        assert app.questions == [
            "5 scans: 2 candidates, 3 queued",
            "Queue 2 scans by hand? 97 of the budget are left.",
        ]
        assert app.told == ["queued 2 scans by hand"]
        assert box_text(app) == ""

    drive(mapped, MapPane(), select, SMALL)
    with Project(mapped) as opened:
        rows = opened.store.tuples("SELECT scan_id FROM queue WHERE role = 'manual' ORDER BY rank")
    assert rows == [("scan_3",), ("scan_4",)]


def test_queued_scans_in_the_box_are_assigned(mapped: Path) -> None:
    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press("v", *corners(app, 0, 1))
        app.answers = ["assign", "ana"]
        await pilot.press("v")
        assert app.told == ["assigned 2 scans to ana"]

    drive(mapped, MapPane(), select, SMALL)
    with Project(mapped) as opened:
        rows = opened.store.tuples("SELECT scan_id FROM queue WHERE assignee = 'ana'")
    assert sorted(rows) == [("scan_0",), ("scan_1",)]


def test_scans_in_the_box_are_excluded(mapped: Path) -> None:
    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_4")
        await pilot.press("v")
        app.answers = ["exclude", "blurred"]
        await pilot.press("enter")
        assert app.told == ["excluded 1 scan"]
        assert "× excluded" in lines(app)[-1]

    drive(mapped, MapPane(), select, SMALL)
    with Project(mapped) as opened:
        assert opened.scan("scan_4").excluded == "blurred"


def test_a_selection_is_shown_in_the_queue(mapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selected: list[tuple[str, ...]] = []

    def take(_: PaneApp, message: MapPane.Selected) -> None:
        selected.append(message.scan_ids)

    monkeypatch.setattr(PaneApp, "on_map_pane_selected", take, raising=False)

    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press("v", *corners(app, 0, 3))
        app.answers = ["show"]
        await pilot.press("enter")
        await pilot.pause()
        assert selected == [("scan_0", "scan_1", "scan_2")]

    drive(mapped, MapPane(), select, SMALL)


def test_zooming_in_on_the_box(mapped: Path) -> None:
    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press("v", *corners(app, 0, 3))
        app.answers = ["zoom"]
        await pilot.press("enter")
        assert zoom(app) > 1
        assert box_text(app).endswith("5 of 6 scans in view")

    drive(mapped, MapPane(), select, SMALL)


def test_an_empty_box_is_said(mapped: Path) -> None:
    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        model = pane_of(app).model
        assert model is not None
        model.start_box((0, 0))
        await pilot.press("enter")
        assert app.told == ["no scan lies in the box"]
        assert model.box is None

    drive(mapped, MapPane(), select, SMALL)


def test_read_only_offers_nothing_that_changes(
    mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[list[str]] = []

    def choose(_: PaneApp, title: str, options: Any, then: Any) -> None:
        offered.append([key for key, _ in options])

    monkeypatch.setattr(PaneApp, "choose", choose)

    async def select(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.press("v", *corners(app, 0, 3), "v")
        assert offered == [["show", "zoom"]]

    drive(mapped, MapPane(), select, SMALL, readonly=True)


def test_escape_is_the_apps_where_there_is_no_box(mapped: Path) -> None:
    async def press(app: PaneApp, pilot: Pilot[None]) -> None:
        assert app.pane.check_action("leave_box", ()) is False
        await pilot.press("v")
        assert app.pane.check_action("leave_box", ()) is True

    drive(mapped, MapPane(), press, SMALL)


# The mouse


def offset_of(app: PaneApp, n: int, border: int = 0) -> tuple[int, int]:
    model = pane_of(app).model
    assert model is not None
    column, row = model.cell_of(n)
    return column + border, row + border


def test_a_click_picks_the_scan(mapped: Path) -> None:
    async def click(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.click(MapPane, offset=offset_of(app, 3))
        column, row = offset_of(app, 5)
        await pilot.click(MapPane, offset=(column - 3, row + 1))
        assert app.chosen == ["scan_3", "scan_5"]
        await pilot.click(MapPane, offset=(1, app.pane.size.height - 1))
        assert app.chosen == ["scan_3", "scan_5"]

    drive(mapped, MapPane(), click, SMALL)


def test_a_double_click_opens_it(mapped: Path) -> None:
    async def click(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.click(MapPane, offset=offset_of(app, 3), times=2)
        await pilot.pause()
        assert app.opened == [("scan_3", "scan")]

    drive(mapped, MapPane(), click, SMALL)


def test_dragging_makes_a_box(mapped: Path) -> None:
    async def drag(app: PaneApp, pilot: Pilot[None]) -> None:
        app.answers = ["show"]
        await pilot.mouse_down(MapPane, offset=offset_of(app, 2))
        await pilot.hover(MapPane, offset=offset_of(app, 4))
        assert box_text(app) == "2 scans: 1 candidate, 1 queued"
        await pilot.hover(MapPane, offset=offset_of(app, 1))
        await pilot.mouse_up(MapPane, offset=offset_of(app, 1))
        assert app.questions == ["5 scans: 2 candidates, 3 queued"]
        assert app.chosen == []

    drive(mapped, MapPane(), drag, SMALL)


def test_the_wheel_zooms_where_the_mouse_is(mapped: Path) -> None:
    async def turn(app: PaneApp, pilot: Pilot[None]) -> None:
        place = offset_of(app, 3)
        await pilot._post_mouse_events([scroll("MouseScrollUp")], MapPane, offset=place, button=0)
        assert zoom(app) == 1.5
        column, row = offset_of(app, 3)
        assert abs(column - place[0]) <= 1
        assert abs(row - place[1]) <= 1
        await pilot._post_mouse_events([scroll("MouseScrollDown")], MapPane, offset=place, button=0)
        assert zoom(app) == 1

    drive(mapped, MapPane(), turn, SMALL)


def scroll(name: str) -> Any:
    from textual import events

    return getattr(events, name)


# Without a map, and at its edges


def test_before_there_is_a_map_it_teaches(project: Path) -> None:
    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        assert "no map yet" in screen(app)
        assert "n  embed 6 scans and pick the first queue" in screen(app)
        await pilot.press("j", "v", "enter", "c", "C", ">", "f", ")", ".", "L", "o", "m", "escape")
        assert app.pane.check_action("colour", ()) is None
        assert app.errors == []
        add_map(project)
        app.refresh_view()
        await pilot.pause()
        assert "no map yet" not in screen(app)
        assert lines(app)[-2].startswith("· in no cluster 6")

    drive(project, MapPane(), look, SMALL)


def test_scans_that_all_look_the_same_lie_on_one_point(queued: Path) -> None:
    add_map(queued, [(1.0, 1.0)] * 6)

    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        assert box_text(app) == "all 6 scans lie on one point"
        await pilot.press(")", "l", ">", ">", "f")
        assert here(app) == "scan_0"
        assert lines(app)[-1].endswith("+5 in this cell")

    drive(queued, MapPane(), look, SMALL)


@pytest.mark.parametrize("size", [(60, 16), (20, 5), (8, 3), (3, 1), (120, 40), (200, 60)])
def test_any_size_is_survived(size: tuple[int, int], mapped: Path) -> None:
    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press(")", ">", "v", "l", "escape", "c", "f")
        assert [len(app.pane.render_line(y).text) for y in range(size[1])] == [size[0]] * size[1]
        assert here(app) == "scan_0"

    drive(mapped, MapPane(), look, size)


def test_a_small_pane_keeps_the_line_about_the_scan(mapped: Path) -> None:
    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press(")")
        assert lines(app)[-1].startswith("◎ scan_0")
        await pilot.resize_terminal(40, 5)
        await pilot.pause()
        assert lines(app)[-1].startswith("◎ scan_0")
        assert not any("queued 3" in line for line in lines(app))
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert any("queued 3" in line for line in lines(app))

    drive(mapped, MapPane(), look, SMALL)


def test_ascii_has_no_other_characters(mapped: Path) -> None:
    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press(")", "v", "l")
        text = "\n".join(lines(app))
        assert text.isascii()

    drive(mapped, MapPane(), look, SMALL, look=ASCII)


def test_dots_or_glyphs_and_marks_on_or_off(mapped: Path) -> None:
    async def press(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("o")
        assert any("⠀" < letter <= "⣿" for line in lines(app) for letter in line)
        await pilot.press("m")
        assert "○" not in "\n".join(lines(app))
        await pilot.press("m", "o")
        assert "○" in "\n".join(lines(app))

    drive(mapped, MapPane(), press, SMALL)


# From one session to the next


def test_the_next_session_looks_where_this_one_did(mapped: Path) -> None:
    set_facts(mapped)
    kept: dict[str, Any] = {}

    async def leave(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_3")
        await pilot.press(">", ">", "L", "m")
        pane_of(app).colour = "meta:site"
        kept.update(app.pane.state())

    drive(mapped, MapPane(), leave, SMALL)
    pane = MapPane()
    pane.restore(kept)

    async def come_back(app: PaneApp, pilot: Pilot[None]) -> None:
        assert here(app) == "scan_3"
        assert zoom(app) == 2.25
        await until(pilot, lambda: "colour: site" in str(app.pane.border_title))
        assert app.pane.state() == kept

    drive(mapped, pane, come_back, SMALL)


@pytest.mark.parametrize(
    "state",
    [
        {"zoom": "x", "x": None, "colour": 7, "scan": 3, "map": 1},
        {"zoom": float("nan"), "x": 0, "y": 0, "map": 1},
        {"zoom": 3, "x": 0, "y": 0, "map": 99},
        {"colour": "meta:gone", "glyphs": "?", "marks": None},
    ],
)
def test_what_is_unfit_is_passed_over(state: dict[str, Any], mapped: Path) -> None:
    pane = MapPane()
    pane.restore(state)

    async def look(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.pause(0.2)
        await until(pilot, lambda: pane.colour == "cluster")
        assert zoom(app) == 1
        assert "colour: cluster" in str(app.pane.border_title)
        assert app.errors == []

    drive(mapped, pane, look, SMALL)


def test_a_new_map_is_shown_as_a_whole(mapped: Path) -> None:
    async def change(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_4")
        await pilot.press(">", ">")
        add_map(mapped, [(n, n * 2.0) for n in range(6)], map_id=2)
        with Project(mapped) as opened:
            opened.store.update("rounds", {"round": 0}, map_id=2)
        app.refresh_view()
        await pilot.pause()
        assert (here(app), zoom(app)) == ("scan_4", 1)

    drive(mapped, MapPane(), change, SMALL)


def test_a_queue_item_that_changes_is_told_anew(mapped: Path) -> None:
    async def change(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_5")
        with Project(mapped) as opened:
            add_to_queue(opened, [("scan_5", 9, "random", {})])
        app.refresh_view()
        await pilot.pause()
        assert "○ queued, random, round 0, rank 9" in lines(app)[-1]

    drive(mapped, MapPane(), change, SMALL)
