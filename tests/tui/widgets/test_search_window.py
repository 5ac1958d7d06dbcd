"""Rows in groups, found while one types."""

from __future__ import annotations

import asyncio

from textual.app import App

from coldal_tui.tui.widgets.search_window import (
    MOST,
    SearchRow,
    SearchWindow,
    matching_rows,
    rows_text,
)
from tests.support.pane_app import screen, until

ROWS = (
    SearchRow("unreadable: cut short", "a/scan_1.nii.gz", ""),
    SearchRow("unreadable: cut short", "b/[bold]2.nii.gz", ""),
    SearchRow("refused: no pixels", "c.dcm", "SR"),
)


def test_every_typed_word_must_occur_somewhere() -> None:
    assert matching_rows(ROWS, "") == [*ROWS]
    assert matching_rows(ROWS, "CUT b/") == [ROWS[1]]
    assert matching_rows(ROWS, "refused sr") == [ROWS[2]]
    assert matching_rows(ROWS, "refused nii") == []


def test_rows_stand_below_their_group_with_its_count() -> None:
    assert rows_text(ROWS, 0).plain.splitlines() == [
        "unreadable: cut short  2",
        "  a/scan_1.nii.gz ",
        "  b/[bold]2.nii.gz ",
        "",
        "refused: no pixels  1",
        "  c.dcm SR",
    ]
    many = [SearchRow("g", f"f{n}", "") for n in range(MOST + 31_000)]
    text = rows_text(many, 0).plain
    assert "g  31,500" in text
    assert "… and 31,000 more: type to find them" in text


def test_typing_narrows_and_escape_closes() -> None:
    async def session() -> None:
        app: App[None] = App()
        async with app.run_test(size=(80, 24)) as pilot:
            await app.push_screen(SearchWindow("3 files", ROWS, 0))
            await pilot.press(*"no pix")
            await until(pilot, lambda: "c.dcm" in screen(app) and "scan_1" not in screen(app))
            await pilot.press(*"zzz")
            await until(pilot, lambda: "nothing like that" in screen(app))
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, SearchWindow))

    asyncio.run(session())
