"""The scan pane with real keys: slices, overlays, windows, the queue, and what goes wrong."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from coldal_tui.imaging.intensity import CT_WINDOW
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.drawing.plane_slices import Slices
from coldal_tui.tui.drawing.viewport import Eye, Memory, chosen_window, window_choices
from coldal_tui.tui.scan import pane as scan_module
from coldal_tui.tui.scan.pane import ScanPane
from coldal_tui.tui.scan.text import facts_text, when
from coldal_tui.tui.widgets.graphics import INSTALL, GraphicView
from coldal_tui.tui.widgets.picture import PictureView
from tests.support.overlays import add_masks, add_run, square
from tests.support.pane_app import PaneApp, drive, screen, until

LEFT = square(rows=(1, 7), columns=(1, 4))
RIGHT = square(rows=(1, 7), columns=(4, 7))
NOW = datetime(2026, 3, 5, tzinfo=UTC)
BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


@pytest.fixture
def overlaid(queued: Path, tmp_path: Path) -> Path:
    """scan_0 has a label, a prediction beside it, and an entropy map; scan_1 a prediction."""
    with Project(queued) as project:
        add_masks(project, tmp_path / "drawn", {"scan_0": LEFT})
        entropy = np.full((8, 8), 255, np.uint8)
        add_run(project, "run-001", {"scan_0": RIGHT, "scan_1": RIGHT}, entropy={"scan_0": entropy})
    return queued


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """``v``: 6 × 8 × 10 voxels of 1 mm, brighter from slice to slice; a label on slice 7."""
    images = tmp_path / "images"
    images.mkdir()
    voxels = np.zeros((6, 8, 10), np.int16) + np.arange(10, dtype=np.int16) * 100
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), images / "v.nii.gz")
    nib.save(nib.Nifti1Image(voxels[:, :, :3] + 5, np.eye(4)), images / "w.nii.gz")
    with Project.create(tmp_path / "lungs", images) as project:
        reindex(project)
        labels = np.zeros((6, 8, 10), np.uint8)
        labels[2:4, 3:6, 7] = 1
        add_run(project, "run-001", {"v": labels})
    return tmp_path / "lungs"


def colours(app: PaneApp) -> set[tuple[int, int, int]]:
    """All colours of the picture."""
    found = set()
    for strip in app.query_one(PictureView)._strips:
        for segment in strip:
            for colour in (segment.style.color, segment.style.bgcolor):
                if colour is not None and colour.triplet is not None:
                    found.add(tuple(colour.triplet))
    return found


def see(root: Path, scan_id: str | None, *keys: str, **options: Any) -> tuple[PaneApp, str]:
    """The pane at a scan after some keys, and what is on the screen."""
    seen = []

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.answers = list(options_answers)
        app.pane.go_to(scan_id)
        if scan_id is not None:
            await until(pilot, lambda: shown(app) == scan_id)
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        seen.append((screen(app), colours(app)))

    options_answers = options.pop("answers", ())
    pane = options.pop("pane", None) or ScanPane()
    app = drive(root, pane, steps, **options)
    app.seen_colours = seen[0][1]
    return app, seen[0][0]


def shown(app: PaneApp) -> str | None:
    ready = app.pane._ready
    return None if ready is None else ready.view.scan_id


def test_a_scan_is_drawn_with_what_is_known_of_it(overlaid: Path) -> None:
    app, text = see(overlaid, "scan_0")
    assert BLUE in app.seen_colours
    assert "4 Scan  scan_0" in str(app.pane.border_title)
    for words in ("● labelled", "scan_0.png", "8×8 uint8", "v1 from scan_0.png"):
        assert words in text
    assert "predicted by run-001" in text
    assert "Dice 0.00" in text
    assert "history" in text


def test_mask_and_prediction_have_their_own_outlines_and_words(overlaid: Path) -> None:
    app, text = see(overlaid, "scan_0")
    assert {BLUE, ORANGE} <= app.seen_colours
    assert "━━ mask" in text
    assert "╍╍ prediction" in text


def test_m_and_p_take_overlays_off_and_bring_them_back(overlaid: Path) -> None:
    app, text = see(overlaid, "scan_0", "m")
    assert BLUE not in app.seen_colours
    assert "mask off" in text
    app, text = see(overlaid, "scan_0", "m", "p", "m")
    assert BLUE in app.seen_colours
    assert ORANGE not in app.seen_colours
    assert "prediction off" in text


def test_o_tints_instead(overlaid: Path) -> None:
    app, text = see(overlaid, "scan_0", "o")
    assert BLUE not in app.seen_colours
    assert "■ mask" in text


def test_u_shows_where_the_model_was_unsure(overlaid: Path) -> None:
    assert "entropy to 1" not in see(overlaid, "scan_0")[1]
    assert "entropy to 1" in see(overlaid, "scan_0", "u")[1]


def test_keys_of_overlays_that_are_not_there_are_off(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_1")
    allowed = {name: app.pane.check_action("overlay", (name,)) for name in ("mask", "prediction")}
    assert allowed == {"mask": False, "prediction": True}
    assert not app.pane.check_action("axis", ())


def test_volumes_open_at_the_slice_that_shows_most(volumes: Path) -> None:
    app, text = see(volumes, "v")
    assert str(app.pane.border_subtitle) == "axial 8/10"
    assert {ORANGE} <= app.seen_colours
    assert "╍╍ prediction" in text


def test_keys_go_through_the_slices_and_stop_at_the_ends(volumes: Path) -> None:
    """From the eighth of ten slices."""
    pressed = {
        "k": 7, "left_square_bracket": 6, "up": 5, "j": 6, "down": 7, "right_square_bracket": 8,
        "G": 10, "pagedown": 10, "g": 1, "pageup": 1, "end": 10, "home": 1,
    }  # fmt: skip
    places: dict[str, str] = {}

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("v")
        await until(pilot, lambda: shown(app) == "v")
        for key in pressed:
            await pilot.press(key)
            places[key] = str(app.pane.border_subtitle)

    drive(volumes, ScanPane(), steps)
    assert places == {key: f"axial {place}/10" for key, place in pressed.items()}


def test_t_goes_through_the_planes(volumes: Path) -> None:
    places: list[str] = []

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("v")
        await until(pilot, lambda: shown(app) == "v")
        for _ in range(3):
            await pilot.press("t")
            places.append(str(app.pane.border_subtitle))

    drive(volumes, ScanPane(), steps)
    assert places == ["coronal 5/8", "sagittal 3/6", "axial 8/10"]


def test_the_patients_sides_are_told_at_the_pictures_edges(volumes: Path) -> None:
    _, text = see(volumes, "v", size=(60, 20))
    lines = [line.strip() for line in text.splitlines()]
    assert len([line for line in lines if line.startswith("R") and line.endswith("L")]) == 1
    assert [line.count("A") for line in lines].index(1) == 0
    assert [line.count("P") for line in lines].index(1) == 18


def test_a_window_can_be_moved_and_set_back(volumes: Path) -> None:
    before = see(volumes, "v")[0].seen_colours
    app, _ = see(volumes, "v", "right_curly_bracket")
    assert "W " in str(app.pane.border_subtitle)
    narrower = app.pane.eye.window
    assert narrower is not None
    app, _ = see(volumes, "v", "B", "B")
    assert app.seen_colours != before
    app, _ = see(volumes, "v", "B", "B", "V")
    assert app.seen_colours == before


def test_windows_are_chosen_by_name(volumes: Path) -> None:
    app, _ = see(volumes, "v", "W", answers=["full"])
    assert app.questions == ["window"]
    assert app.pane.eye.window == (0.0, 900.0)


def test_zooming_and_panning_show_a_part(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_0", "greater_than_sign", "greater_than_sign")
    assert str(app.pane.border_subtitle) == "2.2x"
    app, _ = see(overlaid, "scan_0", "greater_than_sign", "greater_than_sign", "L", "J")
    assert app.pane.eye.view.centre[0] > 0.5
    assert app.pane.eye.view.centre[1] > 0.5
    app, _ = see(overlaid, "scan_0", "greater_than_sign", "L", "f")
    assert app.pane.eye.view == Eye().view
    app, _ = see(overlaid, "scan_0", "greater_than_sign", "less_than_sign", "less_than_sign")
    assert app.pane.eye.view.zoom == 1.0


def test_d_hides_details_and_where_there_is_no_room_shows_them(overlaid: Path) -> None:
    assert "history" in see(overlaid, "scan_0", size=(80, 24))[1]
    assert "history" not in see(overlaid, "scan_0", "d", size=(80, 24))[1]
    assert "history" not in see(overlaid, "scan_0", size=(60, 16))[1]
    assert "● labelled" in see(overlaid, "scan_0", "d", size=(60, 16))[1]


def test_a_narrow_and_tall_pane_has_details_below(overlaid: Path) -> None:
    _, text = see(overlaid, "scan_0", size=(60, 45))
    lines = text.splitlines()
    picture = next(n for n, line in enumerate(lines) if "▐" in line or "▌" in line)
    facts = next(n for n, line in enumerate(lines) if "● labelled" in line)
    assert picture < facts


def test_the_next_of_the_queue_is_told_to_the_others(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_0", "full_stop", "full_stop", "comma")
    assert app.chosen == ["scan_1", "scan_2", "scan_1"]


def test_the_queues_ends_are_told(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_0", "comma")
    assert app.chosen == []
    assert app.told == ["the queue begins here"]


def test_a_scan_that_is_not_queued_leads_to_the_first_of_the_queue(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_5", "full_stop")
    assert app.chosen == ["scan_0"]


def test_following_another_pane_is_not_told_back(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_1")
    assert app.chosen == []


def test_without_a_scan_the_pane_says_what_to_do(overlaid: Path) -> None:
    _, text = see(overlaid, None)
    assert "no scan chosen" in text
    assert "press ." in text


def test_a_damaged_scan_says_why_and_what_to_do(overlaid: Path) -> None:
    (overlaid.parent / "images" / "scan_1.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    app, text = see(overlaid, "scan_1", size=(80, 24))
    assert "no picture" in text
    assert "→" in text
    assert app.errors == []


def test_a_scan_that_is_gone_from_the_project_is_told(overlaid: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("nothing")
        await until(pilot, lambda: "no such scan" in screen(app))

    assert drive(overlaid, ScanPane(), steps).errors == []


def test_names_from_files_are_no_markup(tmp_path: Path, queued: Path) -> None:
    source = queued.parent / "images" / "scan_3.png"
    source.rename(source.with_name("[red]x[.png"))
    with Project(queued) as project:
        reindex(project)
        project.store.execute("UPDATE scans SET meta = ? WHERE scan_id = 'scan_3'", ('{"a":"[b"}',))
        found = [s.scan_id for s in project.scans() if "[red]x[" in s.rel_path]
    _, text = see(queued, found[0])
    assert "[red]x[.png" in text


def test_the_newest_request_wins(overlaid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, prepare, asked = threading.Event(), scan_module.prepare, []

    def slow(project: Project, scan_id: str, cache: Any) -> Any:
        asked.append(scan_id)
        if scan_id == "scan_0":
            hold.wait(5)
        return prepare(project, scan_id, cache)

    monkeypatch.setattr(scan_module, "prepare", slow)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        for number in range(5):
            app.pane.go_to(f"scan_{number}")
        await until(pilot, lambda: shown(app) == "scan_4")
        hold.set()
        await pilot.pause(0.3)
        assert shown(app) == "scan_4"

    drive(overlaid, ScanPane(), steps)
    assert asked == ["scan_0", "scan_4"]


def test_reading_is_said_only_when_it_takes_long(
    overlaid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, prepare = threading.Event(), scan_module.prepare

    def slow(project: Project, scan_id: str, cache: Any) -> Any:
        hold.wait(5)
        return prepare(project, scan_id, cache)

    monkeypatch.setattr(scan_module, "prepare", slow)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await pilot.pause(0.05)
        assert "reading" not in screen(app)
        await until(pilot, lambda: "reading scan_0" in screen(app))
        hold.set()
        await until(pilot, lambda: "● labelled" in screen(app))
        assert "reading" not in screen(app)

    drive(overlaid, ScanPane(), steps)


def test_a_new_label_shows_and_the_slice_stays(volumes: Path, tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("v")
        await until(pilot, lambda: shown(app) == "v")
        await pilot.press("k")
        labels = np.zeros((6, 8, 10), np.uint8)
        labels[1, 1, 1] = 1
        with Project(volumes) as project:
            add_run(project, "run-002", {"v": labels}, at="2026-01-03T00:00:00+00:00")
        app.refresh_view()
        await until(pilot, lambda: "by run-002" in screen(app))
        assert str(app.pane.border_subtitle) == "axial 7/10"

    drive(volumes, ScanPane(), steps)


def test_an_unchanged_project_costs_no_redraw(overlaid: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await until(pilot, lambda: shown(app) == "scan_0")
        ready = app.pane._ready
        app.refresh_view()
        await pilot.pause(0.3)
        assert app.pane._ready is ready

    drive(overlaid, ScanPane(), steps)


def test_a_hidden_pane_reads_when_it_is_shown(overlaid: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.display = False
        await pilot.pause()
        app.pane.go_to("scan_1")
        await pilot.pause(0.3)
        assert shown(app) is None
        app.pane.display = True
        await until(pilot, lambda: shown(app) == "scan_1")

    drive(overlaid, ScanPane(), steps)


def test_the_view_is_the_same_on_return(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_0", "m", "u", "o", "d")
    state = app.pane.state()
    pane = ScanPane()
    pane.restore(state | {"unknown": 1})
    app, text = see(overlaid, "scan_0", pane=pane)
    assert "mask off" in text
    assert "■ prediction" in text
    assert "entropy to 1" in text
    assert "history" not in text


@pytest.mark.parametrize("state", [{}, {"mask": "x", "details": [1, 2], "plane": 3, "tint": None}])
def test_an_unfit_state_is_passed_over(state: dict[str, Any]) -> None:
    pane = ScanPane()
    pane.restore(state)
    assert pane.state() == ScanPane().state()


def test_a_picture_in_ascii_has_nothing_but_ascii(overlaid: Path) -> None:
    _, text = see(overlaid, "scan_0", "u", look=ASCII)
    assert text.isascii()
    assert "A mask" in text
    assert "a prediction" in text


def test_without_colours_the_picture_is_made_of_letters(
    overlaid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, text = see(overlaid, "scan_0")
    assert BLUE not in app.seen_colours
    assert "AAAA" in text
    assert "A mask" in text


def test_graphics_without_the_package_say_what_to_install(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_0", pane=ScanPane(graphics="sixel"))
    assert app.told == [INSTALL]
    assert BLUE in app.seen_colours


def test_graphics_get_the_picture_in_true_pixels(
    overlaid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shows(Widget):
        image: Any = None

    view = GraphicView(Shows, (10, 20), id="scan-main")
    monkeypatch.setattr(
        scan_module,
        "picture_view",
        lambda _, id=None: view if id == "scan-main" else PictureView(id=id),
    )

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.go_to("scan_0")
        await until(pilot, lambda: view.children[0].image is not None)
        image = view.children[0].image
        assert image.size == (view.size.width * 10, view.size.height * 20)
        blue = (np.asarray(image) == BLUE).all(axis=2)
        assert blue.sum() > 1000

    drive(overlaid, ScanPane(), steps)


def test_a_class_that_the_project_does_not_know_is_named_by_its_value(overlaid: Path) -> None:
    with Project(overlaid) as project:
        text = (overlaid / "coldal.toml").read_text()
        names = 'names = ["lung", "heart"]'
        (overlaid / "coldal.toml").write_text(text.replace('names = ["foreground"]', names))
        add_run(project, "run-002", {"scan_1": RIGHT * 3}, at="2026-02-01T00:00:00+00:00")
    _, text = see(overlaid, "scan_1")
    assert "lung" in text
    assert "heart" in text
    assert "value 3" in text


def test_details_never_run_over_their_width(overlaid: Path) -> None:
    app, _ = see(overlaid, "scan_0")
    for width in (16, 24, 40):
        lines = facts_text(app.pane._ready.view.facts, UNICODE, width, NOW).plain.splitlines()
        assert max(map(len, lines)) <= max(width, 22)


def test_times_are_told_in_the_zone_of_the_clock() -> None:
    assert when("2026-03-04T14:02:09+00:00", NOW) == " 4 Mar 14:02"
    assert when("2025-12-24T14:02:09+00:00", NOW) == "24 Dec 2025"
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert when("2026-03-04T16:02:09+00:00", east) == " 5 Mar 01:02"


def test_ct_keeps_its_window_from_scan_to_scan_and_others_do_not(volumes: Path) -> None:
    with Project(volumes) as project:
        mr = [scan_module.prepare(project, s, ViewCache()).slices for s in ("v", "w")]
    ct = [Slices(s.view, replace(s.pixels, rule=CT_WINDOW)) for s in mr]
    memory = Memory()
    memory.keep("v", ct[0], Eye(2, 3, window=(0.0, 50.0)))
    assert memory.eye("w", ct[1]).window == (0.0, 50.0)
    memory.keep("v", mr[0], Eye(2, 3, window=(0.0, 60.0)))
    assert memory.eye("w", mr[1]).window is None
    assert memory.eye("v", mr[0]).window == (0.0, 60.0)
    assert memory.eye("v", mr[0]).index == 3
    names = [key for key, _ in window_choices(ct[0])]
    assert names == ["soft-tissue", "lung", "bone", "brain", "liver"]
    assert chosen_window(ct[0], "lung") == (-1350.0, 150.0)


def test_a_plane_that_was_chosen_is_that_of_the_next_volume(volumes: Path) -> None:
    pane = ScanPane()
    pane.restore(see(volumes, "v", "t")[0].pane.state())
    app, _ = see(volumes, "w", pane=pane)
    assert str(app.pane.border_subtitle).startswith("coronal")


def test_an_overlay_that_cannot_be_read_is_said_in_the_legend(overlaid: Path) -> None:
    with Project(overlaid) as project:
        path = project.layout.runs / "run-001" / "predictions" / "scan_1.png"
    path.write_bytes(b"no")
    _, text = see(overlaid, "scan_1")
    assert "! prediction: " in text


def test_a_scan_that_is_left_and_come_back_to_while_it_is_read_is_shown(queued: Path) -> None:
    pane = ScanPane()
    held: list[Any] = []

    class Holding(PaneApp):
        """Keeps the answers of reads until they are let go."""

        def read(self, key: str, work: Any, then: Any, failed: Any = None) -> None:
            def later(found: Any) -> None:
                held.append(partial(then, found))

            super().read(key, work, later, failed)

    async def session() -> None:
        app = Holding(queued, pane)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: pane.seen)
            await until(pilot, lambda: pane._timer is None)
            held.clear()
            pane.go_to("scan_0")
            await until(pilot, lambda: len(held) == 1)
            # The answer comes while another scan is wanted, whose turn has not come yet.
            pane.go_to("scan_1")
            held.pop()()
            pane.go_to("scan_0")
            await until(pilot, lambda: len(held) == 1)
            held.pop()()
            assert pane._ready is not None
            assert pane._ready.view.scan_id == "scan_0"

    asyncio.run(session())
