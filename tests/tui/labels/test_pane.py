"""The labels pane with real keys: both lists, side by side, and what people decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot

from coldal_tui.project.labels.agreement import Agreement
from coldal_tui.project.labels.quality import LabelCheck
from coldal_tui.project.project import Project
from coldal_tui.project.views.label_view import LabelLine, WaitingLine
from coldal_tui.trust_store import TrustStore
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.labels.decisions import Deciding
from coldal_tui.tui.labels.pane import LabelsPane
from coldal_tui.tui.labels.rows import ORDERS, LabelRows, ordered, remedy_keys, worst_class
from coldal_tui.tui.widgets.picture import PictureView
from tests.support.overlays import add_masks, add_run, square
from tests.support.pane_app import PaneApp, drive, screen, until

LEFT = square(rows=(1, 7), columns=(1, 4))
RIGHT = square(rows=(1, 7), columns=(4, 7))
ACTIONS = ("retry", "accept", "confirm_empty", "reject", "leave")
BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


@pytest.fixture
def lists(queued: Path, tmp_path: Path) -> Path:
    """Labels of scan_0 (the model disagrees) and scan_1 (it agrees) and scan_2 (unknown).

    In quarantine: 1 an empty mask of scan_3, 2 one of scan_4 that is too small.
    """
    with Project(queued) as project:
        add_masks(project, tmp_path / "good", {f"scan_{n}": LEFT for n in range(3)})
        empty = np.zeros((8, 8), np.uint8)
        add_masks(project, tmp_path / "bad", {"scan_3": empty, "scan_4": LEFT[:6]})
        add_run(project, "run-001", {"scan_0": RIGHT, "scan_1": LEFT})
        # A copy of a template: it is this person's from here on.
        TrustStore().note_made(queued, project.config.project.id or "")
    return queued


def see(root: Path, *keys: str, **options: Any) -> tuple[PaneApp, str]:
    """The pane after its lists were read and some keys; what is on the screen."""
    seen = []
    answers = options.pop("answers", ())
    at = options.pop("at", None)
    pane = options.pop("pane", None) or LabelsPane()

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.answers = list(answers)
        await until(pilot, lambda: app.pane._known.labels or "no labels" in screen(app))
        await until(pilot, lambda: app.pane._agreements or not app.pane._known.labels)
        await until(pilot, lambda: app.pane._checks or not app.pane._known.labels)
        if at is not None:
            app.pane.go_to(at)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.02)
        if app.pane.comparing:
            await until(
                pilot, lambda: str(app.pane.border_title).endswith(app.pane.current.scan_id)
            )
        await pilot.pause()
        seen.append(screen(app))
        app.asked = {name: app.pane.check_action(name, ()) for name in ACTIONS}

    return drive(root, pane, steps, **options), seen[0]


def rows(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def in_project(root: Path, read: Callable[[Project], Any]) -> Any:
    with Project(root) as project:
        return read(project)


def waiting(root: Path) -> list[int]:
    sql = "SELECT quarantine_id FROM quarantine WHERE state = 'waiting' ORDER BY 1"
    return [row["quarantine_id"] for row in in_project(root, lambda p: p.store.rows(sql))]


def labelled(root: Path) -> set[str]:
    sql = "SELECT scan_id FROM labels WHERE state = 'active'"
    return {row["scan_id"] for row in in_project(root, lambda p: p.store.rows(sql))}


def test_quarantine_comes_first_with_the_reason_of_each_mask(lists: Path) -> None:
    _, text = see(lists)
    assert "▸quarantine 2    labels 3" in text
    assert "scan_3.png" in text
    assert "wrong-size" in text
    assert "mask 1 · scan_3.png for scan scan_3" in text
    assert "The mask is empty" in text
    assert "E confirm that nothing is there" in text


def test_the_details_follow_the_cursor(lists: Path) -> None:
    _, text = see(lists, "j")
    assert "mask 2 · scan_4.png" in text
    assert "8×6 pixels" in text


def test_labels_come_by_least_agreement_first(lists: Path) -> None:
    _, text = see(lists, "a")
    scans = [line for line in rows(text) if "scan_" in line][:3]
    assert "scan_0" in scans[0]
    assert "!0.00" in scans[0]
    assert "scan_1" in scans[1]
    assert "1.00" in scans[1]
    assert "scan_2" in scans[2]
    assert " – " in scans[2]
    assert "Dice against run-001, test-then-train: foreground 0.00" in text


def test_o_orders_labels_otherwise(lists: Path) -> None:
    _, text = see(lists, "a", "s")
    assert "by scan" in text
    _, text = see(lists, "a", "s", "s")
    assert "newest first" in text


def test_the_check_has_a_column_an_order_and_its_reasons(lists: Path, tmp_path: Path) -> None:
    speckled = square(rows=(1, 6), columns=(1, 4))
    speckled[6, 6] = 1
    with Project(lists) as project:
        add_masks(project, tmp_path / "more", {"scan_5": speckled})
    _, text = see(lists, "a", "s", "s", "s", at="scan_5")
    assert "worst check first" in text
    scans = [line.split() for line in rows(text) if "scan_" in line][:4]
    names = ("scan_0", "scan_5", "scan_1", "scan_2")
    for words, name, score in zip(scans, names, ("0.00", "0.90", "1.00", "1.00"), strict=True):
        place = next(n for n, word in enumerate(words) if name in word)
        assert words[place + 2] == score
    assert "check 0.90: foreground: 1 speck" in text


def test_with_an_empty_quarantine_labels_come_first(queued: Path, tmp_path: Path) -> None:
    with Project(queued) as project:
        add_masks(project, tmp_path / "good", {"scan_0": LEFT})
        add_run(project, "run-001", {"scan_0": LEFT})
    _, text = see(queued)
    assert "▸labels 1" in text
    _, text = see(queued, "a", "a")
    assert "nothing in quarantine" in text


def test_the_inbox_lists_every_file_that_came_back(lists: Path) -> None:
    app, text = see(lists, "a", "a", size=(100, 24))
    assert "quarantine 2    labels 3   ▸inbox 5" in text
    found = [line for line in rows(text) if ".png" in line and "  " in line]
    label = next(line for line in found if "scan_0.png" in line).split()
    waits = next(line for line in found if "scan_3.png" in line)
    assert label[label.index("label") + 1] == "scan_0"
    assert "in quarantine" in waits
    assert "files of nobody known: 2 in quarantine, 3 label" in text
    assert not any(app.asked.values())  # nothing is decided here
    _, text = see(lists, "a", "a", "j", "j")
    assert app.opened == []


def test_without_labels_the_pane_says_how_they_come(queued: Path) -> None:
    _, text = see(queued)
    assert "no labels yet" in text
    assert "press e to hand scans out" in text


def test_moving_tells_the_other_panes(lists: Path) -> None:
    app, _ = see(lists, "a", "j")
    assert app.chosen[-2:] == ["scan_0", "scan_1"]


def test_it_follows_the_other_panes(lists: Path) -> None:
    app, text = see(lists, "a", "s", at="scan_1")
    assert "scan_1 v1" in text
    app, text = see(lists, at="scan_4")
    assert "mask 2" in text
    assert app.chosen == ["scan_3"]


def test_enter_puts_label_and_prediction_side_by_side(lists: Path) -> None:
    app, text = see(lists, "a", "enter")
    assert "label v1" in text
    assert "prediction run-001, test-then-train Dice 0.00" in text
    assert "5 Labels  scan_0" in str(app.pane.border_title)
    assert "1 of 3" in str(app.pane.border_subtitle)


def test_each_side_has_its_own_outline(lists: Path) -> None:
    found: list[set[Any]] = []

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.pane._agreements))
        await pilot.press("a", "enter")
        await until(pilot, lambda: app.pane.border_subtitle is not None)
        for view in app.query(PictureView):
            styles = [segment.style for strip in view._strips for segment in strip]
            pairs = [colour for style in styles for colour in (style.color, style.bgcolor)]
            found.append({tuple(colour.triplet) for colour in pairs if colour is not None})

    drive(lists, LabelsPane(), steps)
    assert BLUE in found[0]
    assert ORANGE not in found[0]
    assert ORANGE in found[1]
    assert BLUE not in found[1]


def test_side_by_side_the_next_row_is_a_key_away_and_esc_leads_back(lists: Path) -> None:
    app, text = see(lists, "a", "enter", "j", "j")
    assert "5 Labels  scan_2" in str(app.pane.border_title)
    assert "no run has predicted this scan" in text
    app, text = see(lists, "a", "enter", "escape")
    assert not app.pane.comparing
    assert "least agreement" in text


def test_enter_again_opens_the_scan(lists: Path) -> None:
    app, _ = see(lists, "a", "enter", "enter")
    assert app.opened == [("scan_0", "scan")]


def test_a_mask_in_quarantine_stands_beside_its_scan(lists: Path) -> None:
    _, text = see(lists, "j", "enter")
    assert "the mask's file, 8 by 6" in text
    _, text = see(lists, "enter")
    assert "the mask on it, 8 by 8" in text


def test_a_mask_that_is_no_picture_is_told_in_its_place(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "bad" / "scan_3.png").write_text("no picture")
    _, text = see(lists, "enter")
    assert "there is no picture to show" in text


def test_c_confirms_an_empty_mask_after_asking(lists: Path) -> None:
    app, _ = see(lists, "E", answers=["yes"])
    assert app.questions == ["mask 1: take it as showing none of the classes?"]
    assert app.told == ["mask 1 is the label of scan_3"]
    assert "scan_3" in labelled(lists)
    assert waiting(lists) == [2]


def test_no_is_no(lists: Path) -> None:
    see(lists, "E", answers=["no"])
    assert waiting(lists) == [1, 2]


def test_only_empty_masks_can_be_confirmed_as_empty(lists: Path) -> None:
    app, _ = see(lists, "j", "E")
    assert app.questions == []
    assert "only a mask that was found empty" in app.told[0]


def test_r_tries_a_mended_mask_again(lists: Path, tmp_path: Path) -> None:
    Image.fromarray(LEFT).save(tmp_path / "bad" / "scan_4.png")
    app, _ = see(lists, "j", "r")
    assert app.told == ["mask 2 is the label of scan_4"]
    assert "scan_4" in labelled(lists)


def test_a_mask_that_still_does_not_fit_says_why(lists: Path) -> None:
    app, _ = see(lists, "j", "r")
    assert app.told[0].startswith("2: The mask is 8×6 pixels")
    assert waiting(lists) == [1, 2]


def test_R_tries_all_again(lists: Path, tmp_path: Path) -> None:  # noqa: N802
    for number in (3, 4):
        Image.fromarray(LEFT).save(tmp_path / "bad" / f"scan_{number}.png")
    see(lists, "R")
    assert waiting(lists) == []


def test_marked_masks_are_decided_on_together(lists: Path) -> None:
    app, _ = see(lists, "space", "space", "N", answers=["yes"])
    assert app.questions == ["leave 2 masks out for good? The files stay where they are."]
    assert waiting(lists) == []


def test_a_offers_ways_to_accept(lists: Path) -> None:
    app, _ = see(lists, "j", "Y", answers=["same-grid"])
    assert app.questions == ["accept mask 2"]
    assert waiting(lists) == [1, 2]
    app, _ = see(lists, "Y", answers=["empty"])
    assert waiting(lists) == [2]


def test_a_mask_can_be_given_to_another_scan(lists: Path, tmp_path: Path) -> None:
    Image.fromarray(LEFT).save(tmp_path / "bad" / "scan_4.png")
    app, _ = see(lists, "j", "Y", answers=["scan", "scan_5"])
    assert app.questions == ["accept mask 2", "for which scan?"]
    assert "scan_5" in labelled(lists)


def test_a_scan_that_does_not_exist_is_an_error_of_the_change(lists: Path) -> None:
    app, _ = see(lists, "j", "Y", answers=["scan", "nothing"])
    assert "no such scan" in str(app.errors[0])
    assert waiting(lists) == [1, 2]


def test_x_takes_a_label_back_with_a_reason(lists: Path) -> None:
    app, _ = see(lists, "a", "N", answers=["blurred", "yes"])
    assert app.questions == [
        "why? (it may stay empty)",
        "take back the label of scan_0 (blurred)? The scan goes out again.",
    ]
    assert "scan_0" not in labelled(lists)
    sql = "SELECT status, reason FROM queue WHERE scan_id = 'scan_0'"
    row = in_project(lists, lambda project: project.store.row(sql))
    assert row == {"status": "exported", "reason": "blurred"}


def test_read_only_nothing_can_be_decided(lists: Path) -> None:
    app, _ = see(lists, "E", "r", "N", "Y", readonly=True)
    assert app.questions == []
    assert waiting(lists) == [1, 2]
    assert app.asked["retry"] is None
    cache = lists / ".coldal" / "cache"
    assert not [*cache.glob("agreement.json"), *cache.glob("label-check.json")]


def test_keys_of_quarantine_are_off_among_labels(lists: Path) -> None:
    app, _ = see(lists, "a")
    assert app.asked == dict.fromkeys(ACTIONS, False) | {"reject": True}


def test_a_new_label_appears_and_the_cursor_stays(lists: Path, tmp_path: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.pane._agreements))
        await pilot.press("a", "s", "j")
        with Project(lists) as project:
            add_masks(project, tmp_path / "more", {"scan_5": RIGHT})
        app.refresh_view()
        await until(pilot, lambda: "labels 4" in screen(app))
        assert app.pane.current.scan_id == "scan_1"

    drive(lists, LabelsPane(), steps)


def test_a_hidden_pane_reads_when_it_is_shown(lists: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.display = False
        await pilot.pause()
        with Project(lists) as project:
            add_run(project, "run-002", {"scan_2": LEFT}, at="2026-02-01T00:00:00+00:00")
        app.refresh_view()
        await pilot.pause(0.3)
        assert "scan_2" not in app.pane._agreements
        app.pane.display = True
        await until(pilot, lambda: "scan_2" in app.pane._agreements)

    drive(lists, LabelsPane(), steps)


def test_the_view_is_the_same_on_return(lists: Path) -> None:
    app, _ = see(lists, "a", "s")
    pane = LabelsPane()
    pane.restore(app.pane.state())
    _, text = see(lists, pane=pane)
    assert "▸labels 3" in text
    assert "by scan" in text


@pytest.mark.parametrize("state", [{}, {"list": 3, "order": "x"}, {"list": None}])
def test_an_unfit_state_is_passed_over(state: dict[str, Any]) -> None:
    pane = LabelsPane()
    pane.restore(state)
    assert pane.state() == LabelsPane().state()


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (200, 60)])
def test_both_views_fit_every_screen(lists: Path, size: tuple[int, int]) -> None:
    _, text = see(lists, size=size)
    assert "empty" in text
    _, text = see(lists, "a", "enter", size=size)
    assert "label v1" in text
    assert any(mark in text for mark in "▌▐")


def test_in_ascii_there_is_nothing_but_ascii(lists: Path) -> None:
    with Project(lists) as project:
        project.store.execute("UPDATE quarantine SET message = 'no cross in its words'")
    for keys in ((), ("enter",), ("a",), ("a", "enter")):
        assert see(lists, *keys, look=ASCII)[1].isascii()


def line(scan_id: str, at: str = "2026") -> LabelLine:
    return LabelLine(scan_id, 1, "medoid", "/x/a.png", "match", (), (), at)


def agree(**classes: float) -> Agreement:
    return Agreement("run-001", Path("p"), classes)


def test_orders() -> None:
    lines = [line("a", "2026-01"), line("b", "2026-03"), line("c", "2026-03")]
    known = {"a": agree(x=0.9), "c": agree(x=0.2)}
    checks = {name: LabelCheck(name, score, None, ()) for name, score in (("a", 0.9), ("b", 0.1))}
    found = {
        order: [one.scan_id for one in ordered(lines, known, order, checks)] for order in ORDERS
    }
    assert found == {
        "disagreement": ["c", "a", "b"],
        "scan": ["a", "b", "c"],
        "newest": ["b", "c", "a"],
        "check": ["b", "a", "c"],
    }


def test_the_worst_class_is_named_where_there_are_several() -> None:
    assert worst_class(agree(heart=0.9, lung=0.25)) == "lung 0.25"
    assert worst_class(agree(lung=0.25)) == ""
    several = LabelRows([line("a")], {"a": agree(heart=0.9, lung=0.25)}, "scan", UNICODE)
    one = LabelRows([line("a")], {"a": agree(lung=0.25)}, "scan", UNICODE)
    assert "worst" in [column.key for column in several.columns]
    assert "worst" not in [column.key for column in one.columns]
    assert len(one.cells(0)) == len(one.columns)


@pytest.mark.parametrize(
    ("scan_id", "code", "words"),
    [(None, "no-scan", "Y name its scan"), ("a", "empty", "E confirm"), ("a", "grid", "r try")],
)
def test_the_keys_that_help_are_named(scan_id: str | None, code: str, words: str) -> None:
    assert remedy_keys(WaitingLine(1, scan_id, "s", "", code, "m", "")).startswith(words)


def test_frames_that_disagree_are_accepted_by_the_reading_chosen() -> None:
    """The two readings are offered for such a mask alone, and first."""
    offered: list[list[str]] = []
    asked: list[dict[str, Any]] = []

    class Fake:
        def choose(self, _title: str, options: Any, then: Callable[[str], None]) -> None:
            offered.append([key for key, _ in options])
            then(offered[-1][0])

    class Noted(Deciding):
        def _again(self, lines: Any, title: str, **options: Any) -> None:
            asked.append({key: value for key, value in options.items() if value})

    line = WaitingLine(1, "scan_3", "a.dcm", "", "frames-disagree", "", "")
    deciding = Noted(Fake())  # type: ignore[arg-type]
    deciding.accept([line])
    deciding.accept([replace(line, code="geometry")])

    assert offered == [
        ["position", "source", "same-grid", "resample", "scan"],
        ["same-grid", "resample", "scan"],
    ]
    assert asked == [{"frames_by": "position"}, {"same_grid": True}]
