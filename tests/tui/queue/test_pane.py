"""The queue's pane under real keys: what is shown, what is done, α, what is the same on return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from coldal_tui.project.project import Project
from coldal_tui.project.queue import actions
from coldal_tui.tui.drawing.glyphs import ASCII
from coldal_tui.tui.queue.pane import QueuePane
from coldal_tui.tui.widgets.alpha_line import AlphaLine
from coldal_tui.tui.widgets.filter_line import FilterLine
from coldal_tui.tui.widgets.table import BigTable
from tests.support.pane_app import PaneApp, drive, screen, until
from tests.support.second_round import queue, second_round


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return second_round(tmp_path)


def bordered() -> QueuePane:
    """The pane in a border, as the app draws it: its titles are there."""
    pane = QueuePane()
    pane.styles.border = ("round", "blue")
    return pane


def shown(app: PaneApp) -> list[str]:
    """Keys of the rows, in order."""
    table = app.pane.query_one(BigTable)
    return [table.model.key(row) for row in range(table.row_count)]


def table_of(app: PaneApp) -> BigTable:
    return app.pane.query_one(BigTable)


async def ready(app: PaneApp, pilot: Pilot[None], rows: int = 8) -> None:
    await until(pilot, lambda: table_of(app).row_count == rows)
    await pilot.pause()


async def press(app: PaneApp, pilot: Pilot[None], *keys: str) -> None:
    """Press, and let threads that were started answer."""
    for key in keys:
        await pilot.press(key)
    await app.workers.wait_for_complete()
    await pilot.pause()


def store(root: Path, read: Callable[[Project], Any]) -> Any:
    with Project(root) as project:
        return read(project)


def row_of(root: Path, scan_id: str) -> dict[str, Any]:
    sql = "SELECT * FROM queue WHERE scan_id = ?"
    return store(root, lambda project: project.store.row(sql, (scan_id,)))


def test_the_queue_comes_by_round_and_rank_with_its_numbers(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert shown(app) == ["s00", "s05", "s10", *picks]
        lines = screen(app).splitlines()
        assert lines[0].startswith("╭─ 1 Queue  8 ─")
        titles = "# scan round cluster role H D S status"
        assert lines[1].strip("│").split() == titles.split()
        first = row_of(root, picks[0])
        numbers = [
            f"{first[key]:.2f}".removeprefix("0") for key in ("entropy", "diversity", "score")
        ]
        cluster = [f"C{first['cluster'] + 1}", app.look.cluster_glyph(first["cluster"])]
        told = ["1", picks[0], "1", *cluster, "acquired", *numbers, "○", "queued"]
        assert lines[5].strip("│").split() == told

    drive(root, bordered(), steps)


def test_keys_move_and_tell_which_scan_is_current(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert app.chosen == ["s00"]
        await press(app, pilot, "j", "down", "G", "k", "g", "enter")
        last = shown(app)[-1]
        before = shown(app)[-2]
        assert app.chosen[1:] == ["s05", "s10", last, before, "s00"]
        assert app.opened == [("s00", "scan")]

    drive(root, bordered(), steps)


def test_it_follows_another_pane_without_saying_so_again(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to("s10")
        await pilot.pause()
        assert table_of(app).current == "s10"
        assert app.chosen == ["s00"]

    drive(root, bordered(), steps)


def test_a_scan_that_is_not_there_yet_is_gone_to_when_it_comes(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to("s02")
        await press(app, pilot, "a", "a")
        await ready(app, pilot, 30)
        assert table_of(app).current == "s02"

    drive(root, bordered(), steps)


def test_a_filter_narrows_as_it_is_typed_and_escape_clears_it(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await pilot.press("slash", *"role:medoid")
        await until(pilot, lambda: table_of(app).row_count == 3)
        assert "3 of 8" in screen(app)
        await press(app, pilot, "enter")
        assert app.focused is app.pane
        assert "Queue  3 of 8 · /role:medoid" in screen(app)
        await press(app, pilot, "escape")
        assert table_of(app).row_count == 8
        assert "/role" not in screen(app)

    drive(root, bordered(), steps)


def test_escape_in_the_line_drops_the_filter(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await pilot.press("slash", *"s05")
        await until(pilot, lambda: table_of(app).row_count == 1)
        await press(app, pilot, "escape")
        assert (table_of(app).row_count, app.focused) == (8, app.pane)

    drive(root, bordered(), steps)


def test_an_unknown_value_says_what_there_is_and_keeps_the_rows(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await pilot.press("slash", *"role:x")
        await until(pilot, lambda: "no role 'x'" in screen(app))
        assert "there is: medoid, acquired" in screen(app)
        assert table_of(app).row_count == 8
        await press(app, pilot, "enter")
        assert app.pane.query_one(FilterLine).is_open
        assert table_of(app).row_count == 8
        assert "no role 'x'" in screen(app)

    drive(root, bordered(), steps)


def test_the_right_arrow_completes_names_and_values(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await pilot.press("slash", *"rol")
        await pilot.pause(0.1)
        await pilot.press("right", *"acq")
        await pilot.pause(0.1)
        await pilot.press("right", "enter")
        assert app.pane.query_one(Input).value == "role:acquired"
        await until(pilot, lambda: table_of(app).row_count == 5)

    drive(root, bordered(), steps)


def test_a_filter_from_outside_looks_wider_where_the_queue_has_nothing(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert isinstance(app.pane, QueuePane)
        app.pane.set_filter("status:candidate")
        await until(pilot, lambda: table_of(app).row_count == 22)
        assert "All scans  22 of 30 · /status:candidate" in screen(app)

    drive(root, bordered(), steps)


def test_scans_picked_out_elsewhere_are_shown_alone(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert isinstance(app.pane, QueuePane)
        app.pane.show_only(["s02", "s05"])
        await until(pilot, lambda: shown(app) == ["s02", "s05"])
        assert "All scans  2 of 30 · 2 picked out" in screen(app)
        await press(app, pilot, "escape")
        assert table_of(app).row_count == 30

    drive(root, bordered(), steps)


def test_sorting_by_a_column_and_back(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        natural = shown(app)
        app.answers += ["entropy", "rank"]
        await press(app, pilot, "s")
        rows = {scan: row_of(root, scan)["entropy"] for scan in natural}
        scored = sorted((s for s in natural if rows[s] is not None), key=lambda s: -rows[s])
        assert shown(app) == [*scored, "s00", "s05", "s10"]
        assert "H↓" in screen(app)
        assert "by H, largest first" in screen(app)
        await press(app, pilot, "S")
        assert shown(app) == [*scored[::-1], "s00", "s05", "s10"]
        await press(app, pilot, "s")
        assert shown(app) == natural

    drive(root, bordered(), steps)


def test_skip_asks_for_a_reason_and_shows_who_comes_instead(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to(picks[1])
        app.answers.append("motion artefact")
        await press(app, pilot, "x")
        await ready(app, pilot, 9)
        assert row_of(root, picks[1])["reason"] == "motion artefact"
        heir = row_of(root, picks[1])["replaced_by"]
        assert app.told == [f"skipped: {picks[1]}; {heir} instead"]
        line = next(line for line in screen(app).splitlines() if f" {picks[1]} " in line)
        assert "× skipped" in line
        assert table_of(app).current == picks[2]  # on to the next one

    drive(root, bordered(), steps)


def test_a_number_stands_for_a_reason_given_before(root: Path) -> None:
    picks = store(root, queue)
    store(root, lambda project: actions.skip(project, [picks[0]], "wrong view"))

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, 9)
        app.pane.go_to(picks[1])
        app.answers.append("1")
        await press(app, pilot, "x")
        assert "1 wrong view" in app.questions[0]
        assert row_of(root, picks[1])["reason"] == "wrong view"

    drive(root, bordered(), steps)


def test_marked_scans_are_pinned_together_and_unpinned_again(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to(picks[3])
        await press(app, pilot, "space", "space")
        assert "2 marked" in screen(app)
        await press(app, pilot, "P")
        assert shown(app)[3:5] == [picks[3], picks[4]]
        assert "↑4" in screen(app)
        assert table_of(app).marked == []
        app.pane.go_to(picks[3])
        await press(app, pilot, "v", "j", "P")
        assert shown(app)[3:] == picks

    drive(root, bordered(), steps)


def test_assign_gives_a_name_and_takes_it_off(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to(picks[0])
        app.answers += ["ana", ""]
        await press(app, pilot, "T")
        line = next(line for line in screen(app).splitlines() if f" {picks[0]} " in line)
        assert "ana" in line
        await press(app, pilot, "T")
        assert row_of(root, picks[0])["assignee"] is None

    drive(root, bordered(), steps)


def test_a_block_moves_through_the_ranks(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to(picks[2])
        await press(app, pilot, "space", "space", "U", "U")
        order = [picks[2], picks[3], picks[0], picks[1], picks[4]]
        assert shown(app)[3:] == order
        await press(app, pilot, "U")
        assert app.told[-1] == "2 scans: first of the round already"
        await press(app, pilot, "D")
        assert store(root, queue) == [picks[0], picks[2], picks[3], picks[1], picks[4]]

    drive(root, bordered(), steps)


def test_ranks_are_not_moved_while_sorted_otherwise(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.answers.append("scan")
        await press(app, pilot, "s", "U")
        assert "sorted by rank" in app.told[-1]

    drive(root, bordered(), steps)


def test_exclude_and_bring_back(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to(picks[0])
        app.answers.append("not a chest")
        await press(app, pilot, "X")
        assert store(root, lambda p: p.scan(picks[0]).excluded) == "not a chest"
        app.pane.go_to(picks[0])
        await press(app, pilot, "O")
        assert row_of(root, picks[0])["status"] == "queued"

    drive(root, bordered(), steps)


def test_what_is_refused_is_an_error_of_the_desk_and_changes_nothing(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.answers.append("")
        await press(app, pilot, "x")
        assert [str(error).splitlines()[0] for error in app.errors] == [
            "s00: this scan has a label"
        ]

    drive(root, bordered(), steps)


def test_read_only_changes_are_greyed_and_do_nothing(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        for action in ("skip", "exclude", "pin", "assign", "reopen", "shift"):
            assert app.pane.check_action(action, ()) is None
        await press(app, pilot, "P", "x", "U")
        assert (app.told, app.questions) == ([], [])
        await pilot.press("slash", *"s05")
        await until(pilot, lambda: table_of(app).row_count == 1)

    drive(root, bordered(), steps, readonly=True)


def test_escape_is_left_to_the_app_when_there_is_nothing_to_clear(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert app.pane.check_action("clear", ()) is False
        await press(app, pilot, "space")
        assert app.pane.check_action("clear", ()) is True
        await press(app, pilot, "escape")
        assert table_of(app).marked == []

    drive(root, bordered(), steps)


def test_alpha_is_tried_out_and_dropped(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await press(app, pilot, "A")
        assert "round 1 with α 0.50, a trial" in screen(app)
        assert shown(app) == picks
        assert "as it is" in screen(app)
        await press(app, pilot, *["right"] * 10)
        text = screen(app)
        assert "α 1.00" in text
        assert "2 in, 2 out" in text
        assert text.count(" new ") == 2
        assert "leaving: " in text
        assert app.pane.check_action("skip", ()) is None
        await press(app, pilot, "escape")
        assert shown(app)[3:] == picks
        assert not app.pane.query_one(AlphaLine).display

    drive(root, bordered(), steps)
    assert store(root, queue) == picks


def test_alpha_applied_is_what_was_shown(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await press(app, pilot, "A", "left", "left_square_bracket")
        assert "α 0.44" in screen(app)
        await press(app, pilot, *["right"] * 20)
        tried = shown(app)
        app.answers += ["no", "yes"]
        await press(app, pilot, "enter")
        assert "Re-rank round 1 with α 1.00: 2 in, 2 out?" in app.questions[0]
        assert app.focused is app.pane.query_one(AlphaLine)
        await press(app, pilot, "enter")
        assert store(root, queue) == tried
        assert shown(app)[3:] == tried
        assert app.told == ["round 1 re-ranked with α 1.00: 2 in, 2 out"]

    drive(root, bordered(), steps)


def test_a_change_by_somebody_else_is_ranked_in(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await press(app, pilot, "A", "right")
        store(root, lambda project: actions.pin(project, [picks[4]]))
        app.refresh_view()
        await press(app, pilot)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "α 0.55" in screen(app)
        assert shown(app)[0] == picks[4]

    drive(root, bordered(), steps)


def test_in_the_first_round_alpha_says_why_not(queued: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot, 3)
        await press(app, pilot, "A")
        assert "the first round is picked before there is any" in app.told[0]
        assert not app.pane.query_one(AlphaLine).display

    drive(queued, bordered(), steps)


def test_why_opens_all_that_is_known(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.pane.go_to(picks[0])
        await press(app, pilot, "w")
        await until(pilot, lambda: "why this scan" in screen(app))
        text = screen(app)
        assert "uncertainty, weighs .50" in text
        assert "chosen over" in text
        await press(app, pilot, "escape")
        assert "why this scan" not in screen(app)

    drive(root, bordered(), steps)


def test_an_empty_project_says_what_to_press(project: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "nothing is queued yet" in screen(app))
        assert "a  shows all 6 scans" in screen(app)
        await press(app, pilot, "a")
        await ready(app, pilot, 6)

    drive(project, bordered(), steps)


def test_the_view_is_the_same_on_return(root: Path) -> None:
    kept: dict[str, Any] = {}

    async def leave(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.answers.append("diversity")
        await press(app, pilot, "a", "a", "s")
        await ready(app, pilot, 30)
        await pilot.press("slash", *"cluster:1")
        await press(app, pilot, "enter", "j", "j")
        kept.update(app.pane.state())
        kept["rows"] = shown(app)

    async def back(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: shown(app) == kept["rows"])
        assert app.pane.state() == {k: v for k, v in kept.items() if k != "rows"}

    drive(root, bordered(), leave)
    pane = bordered()
    pane.restore({k: v for k, v in kept.items() if k != "rows"})
    drive(root, pane, back)
    assert (kept["scope"], kept["sort"], kept["filter"]) == ("all", "diversity", "cluster:1")
    assert kept["scan"] in kept["rows"][2:]


def test_the_footer_greys_what_cannot_be_done_to_no_rows(root: Path) -> None:
    def enabled(app: PaneApp) -> bool:
        return app.screen.active_bindings["x"].enabled

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert enabled(app)
        await press(app, pilot, "slash", *"zzz", "enter")
        assert not enabled(app)
        await press(app, pilot, "escape")
        assert enabled(app)

    drive(root, bordered(), steps)


def test_a_filter_that_is_still_typed_is_not_kept(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await pilot.press("slash", *"s05", "enter", "slash", "x")
        await until(pilot, lambda: table_of(app).row_count == 0)
        assert app.pane.state()["filter"] == "s05"

    drive(root, bordered(), steps)


def test_a_state_that_is_nonsense_is_passed_over(root: Path) -> None:
    pane = bordered()
    pane.restore({"scan": 3, "filter": None, "sort": ["x"], "scope": "everything"})

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)

    drive(root, pane, steps)


def test_sixty_columns_and_plain_letters(root: Path) -> None:
    picks = store(root, queue)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        first = row_of(root, picks[0])
        line = next(line for line in screen(app).splitlines() if f" {picks[0]} " in line)
        glyph = ASCII.cluster_glyph(first["cluster"])
        assert line[1:].split()[:2] == ["1", picks[0]]
        assert f"C{first['cluster'] + 1} {glyph}" in line
        assert "o queued" in line
        assert line.strip("│ ").isascii()

    drive(root, bordered(), steps, size=(60, 16), look=ASCII)


def test_names_from_outside_are_not_obeyed(root: Path) -> None:
    bad = "[red]s\x1b[31mX"

    def rename(project: Project) -> None:
        for name in ("scans", "queue"):
            project.store.update(name, {"scan_id": "s10"}, scan_id=bad)
        project.store.update("queue", {"scan_id": bad}, assignee="\x1b]0;x\x07[b]")

    store(root, rename)

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert r"[red]s\x1b[31mX" in screen(app)
        assert "\x1b" not in screen(app)

    drive(root, bordered(), steps)


def test_rows_that_come_do_not_lead_the_other_panes_away(root: Path) -> None:
    pane = bordered()
    pane.go_to("s02")

    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert app.chosen == []
        await press(app, pilot, "j")
        assert app.chosen == ["s05"]

    drive(root, pane, steps)


def test_a_scan_of_another_pane_that_is_in_no_row_leaves_no_row_highlighted(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        assert "▸" in screen(app)
        app.pane.go_to("s02")  # not in the open queue
        await pilot.pause()
        assert "▸" not in screen(app)
        assert "s02 is in none of these rows" in screen(app)
        assert table_of(app).chosen() == []
        await press(app, pilot, "x")
        assert app.questions == []  # nothing is asked about a row that is not highlighted
        await press(app, pilot, "enter")
        assert app.opened == [("s02", "scan")]
        await press(app, pilot, "j")
        assert "▸" in screen(app)
        assert app.chosen[-1] == table_of(app).current

    drive(root, bordered(), steps)


def test_a_filter_that_cannot_be_read_keeps_its_line_open(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        await press(app, pilot, "slash", *"nonsense>1", "enter")
        line = app.pane.query_one(FilterLine)
        assert line.is_open
        assert app.focused is not app.pane
        await until(pilot, lambda: "nonsense" in screen(app).splitlines()[-2])
        await press(app, pilot, *["backspace"] * 10, *"role:medoid", "enter")
        assert not line.is_open
        assert app.focused is app.pane
        assert "Queue  3 of 8 · /role:medoid" in screen(app)

    drive(root, bordered(), steps)


def test_a_click_takes_the_focus_and_the_scan(root: Path) -> None:
    async def steps(app: PaneApp, pilot: Pilot[None]) -> None:
        await ready(app, pilot)
        app.set_focus(None)
        await pilot.click(BigTable, offset=(10, 3))
        await pilot.pause()
        assert (table_of(app).current, app.focused) == ("s10", app.pane)

    drive(root, bordered(), steps)
