"""The map without a screen: windows, the cursor, the box, what is drawn over what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coldal_tui.maps import ScanIds
from coldal_tui.project.views.map_view import STATUSES, Column, MapView
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE, Look
from coldal_tui.tui.map.colouring import by_cluster, by_name, by_number
from coldal_tui.tui.map.model import MARKS, MapModel


def scene_of(
    xy: list[tuple[float, float]],
    cluster: list[int] | None = None,
    status: dict[int, str] | None = None,
    medoids: tuple[int, ...] = (),
) -> MapView:
    codes = np.zeros(len(xy), np.uint8)
    for n, name in (status or {}).items():
        codes[n] = STATUSES.index(name)
    return MapView(
        map_id=1,
        scan_ids=ScanIds(sorted(f"s{n}" for n in range(len(xy)))),
        xy=np.array(xy, np.float32),
        cluster=np.array(cluster or [0] * len(xy), np.int16),
        status=codes,
        entropy=np.full(len(xy), np.nan, np.float32),
        medoids=np.array(medoids, np.int64),
    )


def model_of(map_view: MapView, columns: int = 24, rows: int = 7, look: Look = ASCII) -> MapModel:
    model = MapModel(look, map_view, by_cluster(map_view, look))
    model.resize(columns, rows)
    return model


def drawn(model: MapModel) -> list[str]:
    return ["".join(row).rstrip() for row in model.canvas.text.tolist()]


# Corners and middle of a square: 5 rows high and 10 columns wide on the screen.
SQUARE = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0), (5.0, 5.0)]


def test_marks_lie_on_top_of_each_other_by_rank() -> None:
    heap = scene_of([(0, 0)] * 5, status={0: "labelled", 1: "exported", 2: "queued"}, medoids=(3,))
    shown = []
    for keep in (5, 3, 2, 1):
        part = replace(
            heap,
            medoids=np.array([3] if keep == 5 else [], np.int64),
            status=np.where(np.arange(5) < keep, heap.status, 0).astype(np.uint8),
        )
        shown.append("".join(drawn(model_of(part))).replace("C1", "").strip())
    assert shown == ["M", "o", "e", "L"]


def test_what_the_cell_shows_is_what_is_picked() -> None:
    heap = scene_of([(0, 0)] * 4, status={1: "labelled", 2: "queued"}, medoids=(3,))
    model = model_of(heap)
    cell = model.cell_of(0)
    assert model.at(cell) == 3
    model.show(replace(heap, medoids=np.array([], np.int64)), model.colouring)
    assert model.at(cell) == 2


def test_the_whole_map_fills_the_window() -> None:
    # Each axis is stretched by itself: 24 by 7 cells less a margin of one are 22 by 5.
    assert drawn(model_of(scene_of([(0, 0), (10, 0), (0, 10), (10, 10)], [0, 0, 1, 1]))) == [
        "",
        " ^C2                  ^",
        "",
        "",
        "",
        " #C1                  #",
        "",
    ]


def test_points_on_a_line_or_nearly_so_are_not_stretched_without_end() -> None:
    line = model_of(scene_of([(0, 0), (10, 0)]))
    assert (line.bounds.bottom, line.bounds.top) == (0, 0)
    # 20 dots of height for 0.01 and 44 of width for 10 would be a stretch of 454.
    flat = model_of(scene_of([(0, 0), (10, 0.01)]))
    assert flat.bounds.top == pytest.approx(0.01 * 8)


def test_another_size_keeps_the_place_that_is_looked_at() -> None:
    model = model_of(scene_of(SQUARE))
    model.go_to(3)
    model.zoom_by(4)
    kept = model.state()
    model.resize(40, 7)
    assert model.state()["x"] == pytest.approx(kept["x"])
    assert model.state()["y"] == pytest.approx(kept["y"])
    other = model_of(scene_of(SQUARE), 50, 20)
    other.restore(kept)
    assert other.state()["y"] == pytest.approx(kept["y"])


def test_a_row_less_does_not_change_how_points_are_drawn() -> None:
    few = model_of(scene_of(SQUARE * 11), 24, 7, look=UNICODE)  # 55 points in 168 cells
    assert not few.in_dots
    few.resize(24, 6)  # 144 cells: fewer than three for each point, more than two
    assert not few.in_dots
    few.resize(24, 4)  # 96 cells
    assert few.in_dots
    few.resize(24, 7)  # more than three again, fewer than four
    assert few.in_dots
    few.resize(24, 10)
    assert not few.in_dots


def test_the_shape_of_a_mark_tells_the_status_and_its_colour_the_cluster() -> None:
    model = model_of(scene_of(SQUARE, [0, 0, 1, 1, 1], status={2: "labelled", 3: "queued"}))
    canvas = model.canvas
    inks = {
        canvas.text[row, column]: canvas.ink[row, column] - canvas.marks
        for row, column in np.argwhere(canvas.ink >= canvas.marks).tolist()
    }
    assert inks["L"] == inks["o"] == len(MARKS) + 1


def test_few_points_are_glyphs_and_many_are_dots() -> None:
    few = model_of(scene_of(SQUARE), look=UNICODE)
    assert not few.in_dots
    many = model_of(scene_of(SQUARE * 20), look=UNICODE)
    assert many.in_dots
    many.toggle_glyphs()
    assert not many.in_dots
    many.toggle_glyphs()
    assert many.in_dots
    assert not model_of(scene_of(SQUARE * 20), look=ASCII).in_dots


def test_without_colours_only_clusters_are_dots() -> None:
    map_view = scene_of(SQUARE * 20)
    model = model_of(map_view, look=UNICODE)
    model.colourless = True
    assert model.in_dots
    model.recolour(by_number("entropy", np.linspace(0, 1, 100, dtype=np.float32), UNICODE))
    assert not model.in_dots


def test_zooming_keeps_the_cursor_where_it_is_and_back_shows_all() -> None:
    model = model_of(scene_of(SQUARE))
    model.go_to(3)
    before = model.cell_of(3)
    model.zoom_by(1.5)
    model.zoom_by(1.5)
    assert model.cell_of(3) == before
    assert model.zoom == 2.25
    assert model.in_view() < 5
    for _ in range(3):
        model.zoom_by(1 / 1.5)
    assert model.zoom == 1
    assert model.in_view() == 5
    assert model.cell_of(3) == before


def test_panning_stops_at_the_outermost_points() -> None:
    model = model_of(scene_of(SQUARE))
    model.go_to(4)
    model.zoom_by(4)
    for _ in range(50):
        model.pan(5, 0)
    assert model.view.x == 10
    for _ in range(50):
        model.pan(0, -5)
    # Stretched to 20 dots of height for 44 of width.
    assert (model.view.x, model.view.y) == (10, pytest.approx(10 * 20 / 44))


def test_a_cursor_that_leaves_the_window_takes_it_along() -> None:
    model = model_of(scene_of(SQUARE))
    model.go_to(4)
    model.zoom_by(8)
    seen = []
    for n in (0, 3, 1, 2, 4):
        model.go_to(n)
        seen.append(model.cell_of_cursor() is not None)
        assert model.zoom == 8
    assert all(seen)


def test_a_cursor_within_the_window_moves_nothing() -> None:
    model = model_of(scene_of(SQUARE))
    view = model.view
    canvas = model.canvas
    model.go_to(0)
    model.go_to(3)
    assert model.view is view
    assert model.canvas is canvas


def test_the_cursor_walks_from_scan_to_scan() -> None:
    model = model_of(scene_of(SQUARE))
    walked = []
    for way in ((1, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (0, -1)):
        found = model.beside(way)
        walked.append(found)
        model.go_to(found if found is not None else model.here)
    # It begins in the middle; corners are 22 dots aside and 10 up or down. Both below are as far:
    # the first of them. Right of that the middle is nearer than the other corner, above it the
    # first of two again, left of and above which there is nothing.
    assert walked == [4, 0, 4, 2, None, None]


def test_a_box_selects_what_lies_in_its_cells() -> None:
    model = model_of(scene_of(SQUARE))
    left, top = model.cell_of(2)
    model.start_box((left, top))
    assert model.boxed().tolist() == [2]
    model.stretch(model.cell_of(4))
    assert model.boxed().tolist() == [2, 4]
    model.stretch((999, 999))
    assert model.boxed().tolist() == [0, 1, 2, 3, 4]
    model.finish_box()
    model.stretch((0, 0))
    assert model.boxed().tolist() == [0, 1, 2, 3, 4]


def test_the_box_is_drawn_and_dropped() -> None:
    model = model_of(scene_of(SQUARE))
    model.start_box((2, 1))
    model.stretch((5, 3))
    assert [line[2:6] for line in drawn(model)[1:4]] == ["+--+", "|  |", "+--+"]
    model.drop_box()
    assert "+" not in "".join(drawn(model))


def test_zooming_to_a_box_shows_what_was_in_it() -> None:
    model = model_of(scene_of(SQUARE))
    column, row = model.cell_of(3)
    model.zoom_to((column - 1, row - 1, column + 1, row + 1))
    assert model.in_view() == 1
    assert model.view.holds(*model.cell_of(3))
    assert model.zoom == pytest.approx(7 / 3)


def test_another_state_of_the_map_keeps_the_view_and_the_cursor() -> None:
    model = model_of(scene_of(SQUARE))
    model.go_to(1)
    model.zoom_by(3)
    view = model.view
    changed = scene_of(SQUARE, status={0: "labelled"})
    model.show(changed, by_cluster(changed, ASCII))
    assert model.here == 1
    assert model.view == view
    assert model.map_view is changed


def test_another_map_is_shown_as_a_whole() -> None:
    model = model_of(scene_of(SQUARE))
    model.go_to(1)
    model.zoom_by(3)
    other = replace(scene_of(SQUARE[:2]), map_id=2)
    model.show(other, by_cluster(other, ASCII))
    assert (model.zoom, model.here, model.in_view()) == (1, 1, 2)


def test_scans_with_the_name_of_the_one_here_are_marked_where_colours_cannot_tell() -> None:
    names = tuple("abcdefghij")
    codes = np.array([9, 0, 9, 8, -1], np.int32)
    map_view = scene_of(SQUARE)
    model = MapModel(ASCII, map_view, by_name("patient", names, codes, ASCII))
    model.resize(24, 7)
    seen = []
    for n in range(5):
        model.go_to(n)
        seen.append((model.same().tolist(), "".join(drawn(model)).count("*")))
    # b, with a colour of its own, and the unknown have none; nor does "a".
    assert seen == [([0, 2], 2), ([], 0), ([0, 2], 2), ([3], 1), ([], 0)]


def test_marks_can_be_taken_off() -> None:
    map_view = scene_of(SQUARE, status={0: "labelled", 1: "queued"}, medoids=(2,))
    model = model_of(map_view)
    assert {"L", "o", "M"} <= set("".join(drawn(model)))
    model.toggle_marks()
    assert not {"L", "M"} & set("".join(drawn(model)))


def test_a_cluster_without_a_medoid_in_view_is_named_where_it_is_densest() -> None:
    map_view = scene_of([*SQUARE, (10, 10), (10, 10)], [0, 0, 0, 0, 0, 0, 0])
    model = model_of(map_view)
    column, row = model.cell_of(3)
    assert "C1" in drawn(model)[row]
    assert drawn(model)[row].index("C1") in (column + 1, column - 2)


def test_marks_are_counted() -> None:
    model = model_of(scene_of(SQUARE, status={0: "labelled", 1: "queued", 2: "queued"}))
    assert model.marked() == {"labelled": 1, "exported": 0, "queued": 2, "medoid": 0, "same": 0}


def test_the_number_of_others_in_the_cell() -> None:
    model = model_of(scene_of([(0, 0), (0, 0), (0, 0), (9, 9)]))
    model.go_to(0)
    assert model.others_here() == 2
    model.go_to(3)
    assert model.others_here() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (200, 60)])
def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    map_view = scene_of(SQUARE, status={0: "queued"}, medoids=(1,))
    model = model_of(map_view, *size)
    model.go_to(2)
    assert model.canvas.text.shape == (size[1], size[0])
    assert model.in_view() == 5


def test_a_column_of_numbers_is_a_digit_for_each_step() -> None:
    column = Column("meta:age", (), None, np.array([1, 2, 3, 4, np.nan], np.float32))
    map_view = scene_of(SQUARE)
    assert column.values is not None
    model = MapModel(ASCII, map_view, by_number(column.name, column.values, ASCII))
    model.resize(24, 7)
    assert sorted("".join(drawn(model)).replace(" ", "")) == [".", "0", "3", "6", "9"]
