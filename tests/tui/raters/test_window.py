"""The window of disputes and the text on people, on real drawings of two people."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.raters.adjudication import list_disputes
from coldal_tui.project.labels.raters.rater_figures import read_figures
from coldal_tui.project.project import Project
from coldal_tui.project.views.dispute_view import read_drawn_views
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.snapshot import read_queue, take_snapshot
from coldal_tui.tui.drawing.glyphs import UNICODE
from coldal_tui.tui.raters.rows import RaterRows, open_words, person_text
from coldal_tui.tui.raters.window import DisputeRows, DisputesWindow, _side
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from coldal_tui.tui.widgets.dialogs import Choose
from tests.support.pane_app import screen, until
from tests.support.small_projects import add_round, make_project, write_mask


@pytest.fixture
def disputed(tmp_path: Path) -> Path:
    """Ana drew 12 pixels of scan_0, ben all 64."""
    root = make_project(tmp_path)
    write_mask(tmp_path / "drawn" / "ana" / "scan_0.png")
    (tmp_path / "drawn" / "ben").mkdir()
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "drawn" / "ben" / "scan_0.png")
    add_round(root)
    with Project(root) as project:
        here = {"scan_id": "scan_0"}
        project.store.update("queue", here, status="exported", assignee="ana,ben")
        import_masks(project, tmp_path / "drawn" / "ana", match="{annotator}/{stem}")
        item = read_queue(project)[0]
        assert (item.status, item.back) == ("exported", "1 of 2 back")
        import_masks(project, tmp_path / "drawn" / "ben", match="{annotator}/{stem}")
        item = read_queue(project)[0]
        assert (item.as_json()["back"], item.back) == ("in dispute", "in dispute")
    return root


def test_both_drawings_lie_beside_each_other(disputed: Path) -> None:
    with Project(disputed) as project:
        rows = DisputeRows(list_disputes(project), UNICODE)
        assert [str(cell) for cell in rows.cells(0)] == [
            "scan_0", "52", "0.32", "ana, ben", "none",
        ]  # fmt: skip
        views = read_drawn_views(project, "scan_0", ViewCache(most_bytes=1 << 20))
        left, right = (_side(views, n) for n in (0, 1))
        assert (left.title, right.title) == ("A  ana", "B  ben")
        assert left.slices is not None
        assert right.slices is not None
        for one in views:
            assert one.view.mask is not None
            assert one.view.mask.values is not None
            assert one.view.prediction is None
        drawn = sorted(project.layout.label_versions.iterdir())
        assert [int(read_label(path).sum()) for path in drawn] == [12, 64]


def test_the_next_step_is_the_dispute_and_people_are_told_in_words(disputed: Path) -> None:
    with Project(disputed) as project:
        step = take_snapshot(project).next
        assert (step.action, step.command) == ("disputes", "coldal-tui labels adjudicate")
        figures = read_figures(project)
    ana, ben = (person_text(figures, name).plain for name in ("ana", "ben"))
    assert "foreground: draws 81% less (median of 1 scan; over on 0, under on 1)" in ana
    assert "foreground: draws 433% more (median of 1 scan; over on 1, under on 0)" in ben
    # 2 · 12 / (12 + 64) pixels; the farthest rows and columns are four pixels away.
    assert "with ben (1 scan)\n  foreground: Dice 0.316, HD95" in ana
    assert open_words(figures) == "1 in dispute"
    rows = RaterRows(figures.people, UNICODE)
    assert [str(cell) for cell in rows.cells(0)][:6] == ["ana", "1", "1", "–", "–", "0.316"]


def test_a_key_decides_and_the_window_is_empty_then(disputed: Path) -> None:
    app = ColdalApp(
        disputed,
        memory=Memory(disputed, disputed.parent / "state", disputed.parent / "config"),
    )

    async def session() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.view is not None)
            await until(pilot, lambda: "in dispute" in screen(app).partition("scan_0")[2])
            app.own.disputes()
            await until(pilot, lambda: isinstance(app.screen, DisputesWindow))
            await until(pilot, lambda: "A  ana" in screen(app) and "B  ben" in screen(app))
            assert "52 pixels or voxels differ" in screen(app)
            await pilot.press("Y")
            await until(pilot, lambda: isinstance(app.screen, Choose))
            await pilot.press("j", "enter")  # ana's on the left, ben's on the right
            await until(pilot, lambda: "nothing is in dispute" in screen(app))
            await pilot.press("escape")
            await pilot.press("8")
            await until(pilot, lambda: "Dice 0.316" in screen(app))
            assert "Raters  2 people" in screen(app)
            await pilot.press("j")
            await until(pilot, lambda: "draws 433% more" in screen(app))
            await pilot.press("enter")
            await until(pilot, lambda: '1 of 3 · /to:"ben"' in screen(app))

    asyncio.run(session())
    with Project(disputed) as project:
        assert int(read_label(project.layout.labels / "scan_0.png").sum()) == 64
        assert project.store.value("SELECT author FROM labels WHERE state = 'active'") == "ben"
