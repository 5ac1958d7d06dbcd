"""``NO_COLOR``: nothing is told by a colour or a grey, and highlights stay."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.style import Style

from coldal_tui.tui.drawing.without_colour import plain_style
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from tests.support.pane_app import until

DARK = "#101418"


def test_attributes_take_the_place_of_colours() -> None:
    plain = plain_style(Style.parse("bold #d5dadf on #101418"), DARK)
    assert (plain.bold, plain.reverse, plain.dim) == (True, False, False)
    assert (plain.color, plain.bgcolor) == (None, None)
    assert plain_style(Style.parse("#ffffff on #b00020"), DARK).reverse
    assert plain_style(Style.parse("#404850 on #101418"), DARK).dim
    assert not plain_style(Style.parse("reverse #101418 on #e69f00"), DARK).reverse


def test_no_cell_of_the_app_has_a_colour(
    queued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ColdalApp(queued, memory=Memory(queued, tmp_path / "state", tmp_path / "config"))
    coloured: list[str] = []

    async def session() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.view is not None)
            await pilot.pause()
            for filtered in app._filters:
                for strip in app.screen._compositor.render_strips():
                    for segment in filtered.apply(list(strip), app.screen.background_colors[1]):
                        style = segment.style
                        if style is not None and (style.color or style.bgcolor):
                            coloured.append(segment.text)

    asyncio.run(session())
    assert coloured == []
