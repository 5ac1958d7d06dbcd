"""Which panes share a screen."""

from __future__ import annotations

import pytest

from coldal_tui.tui.shell.layout import COLUMNS, HOME, HOME_MIDDLE, HOME_WIDE, NUMBERED, arrange


@pytest.mark.parametrize(
    ("width", "height", "panes"),
    [
        (80, 24, ("queue",)),
        (60, 16, ("queue",)),
        (200, 24, ("queue",)),
        (99, 60, ("queue",)),
        (100, 30, HOME),
        (119, 40, HOME),
        (120, 40, HOME_MIDDLE),
        (169, 40, HOME_MIDDLE),
        (170, 30, HOME_WIDE),
        (200, 60, HOME_WIDE),
    ],
)
def test_what_fits_is_shown(width: int, height: int, panes: tuple[str, ...]) -> None:
    assert arrange(width, height, "queue", zoomed=False).panes == panes


@pytest.mark.parametrize("size", [(60, 16), (119, 40)])
def test_a_zoomed_pane_is_alone(size: tuple[int, int]) -> None:
    assert arrange(*size, "map", zoomed=True).panes == ("map",)


@pytest.mark.parametrize("size", [(60, 16), (119, 40)])
def test_a_pane_without_a_place_at_home_is_alone_while_it_has_the_focus(
    size: tuple[int, int],
) -> None:
    assert arrange(*size, "labels", zoomed=False).panes == ("labels",)


def test_from_120_columns_the_scan_lies_beside_queue_map_and_labels() -> None:
    for name in ("queue", "map", "labels"):
        assert arrange(120, 40, name, zoomed=True).panes == (name, "scan")
    assert arrange(120, 40, "runs", zoomed=True).panes == ("runs",)
    assert arrange(120, 40, "scan", zoomed=True).panes == ("scan",)
    assert arrange(120, 24, "queue", zoomed=True).panes == ("queue",)


def test_a_small_screen_shows_the_pane_in_focus() -> None:
    assert arrange(80, 24, "map", zoomed=False).panes == ("map",)
    assert arrange(80, 24, "budget", zoomed=False).panes == ("queue",)


def test_every_pane_has_one_column() -> None:
    placed = [name for names in COLUMNS.values() for name in names]
    assert len(placed) == len({*placed})
    assert {*NUMBERED, *HOME_WIDE, *HOME_MIDDLE} <= {*placed}
    assert arrange(200, 60, "queue", zoomed=False).column("right") == ("scan", "jobs")
