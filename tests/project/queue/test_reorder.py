"""Ranks moved by hand: who makes room, who stays, what is refused, what undo takes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.project.project import Project
from coldal_tui.project.queue import actions
from coldal_tui.project.queue.reorder import move, shift
from tests.support.second_round import queue, second_round


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project(second_round(tmp_path)) as opened:
        for rank, name in enumerate(queue(opened), 1):
            # Names by rank are easier to follow: r1 … r5.
            opened.store.update("queue", {"scan_id": name}, scan_id=f"r{rank}")
            opened.store.update("scans", {"scan_id": name}, scan_id=f"r{rank}")
        yield opened


def order(project: Project) -> str:
    return " ".join(queue(project))


MOVES = {
    "up": (["r4"], 2, "r1 r4 r2 r3 r5"),
    "down": (["r1"], 3, "r2 r3 r1 r4 r5"),
    "to the top": (["r5"], 1, "r5 r1 r2 r3 r4"),
    "to the end": (["r2"], 5, "r1 r3 r4 r5 r2"),
    "beyond the end": (["r2"], 99, "r1 r3 r4 r5 r2"),
    "several, in the order given": (["r5", "r2"], 1, "r5 r2 r1 r3 r4"),
    "several down": (["r1", "r2"], 3, "r3 r4 r1 r2 r5"),
}


@pytest.mark.parametrize("case", MOVES)
def test_move(project: Project, case: str) -> None:
    scans, rank, wanted = MOVES[case]
    move(project, scans, rank)
    assert order(project) == wanted
    ranks = project.store.rows("SELECT rank FROM queue WHERE round = 1 ORDER BY rank")
    assert [row["rank"] for row in ranks] == [1, 2, 3, 4, 5]


SHIFTS = {
    "up": (["r3"], -1, "r1 r3 r2 r4 r5"),
    "down": (["r3"], 1, "r1 r2 r4 r3 r5"),
    "a block up": (["r3", "r4"], -1, "r1 r3 r4 r2 r5"),
    "a block down": (["r2", "r3"], 1, "r1 r4 r2 r3 r5"),
    "apart": (["r2", "r5"], -1, "r2 r1 r3 r5 r4"),
    "against the top": (["r1", "r3"], -1, "r1 r3 r2 r4 r5"),
}


@pytest.mark.parametrize("case", SHIFTS)
def test_shift(project: Project, case: str) -> None:
    scans, by, wanted = SHIFTS[case]
    shift(project, scans, by)
    assert order(project) == wanted


def test_a_shift_is_one_action_that_undo_takes_back(project: Project) -> None:
    shift(project, ["r3", "r4"], -1)
    undone = project.store.undo_last()
    assert undone is not None
    assert undone["summary"] == "moved r3, r4 up"
    assert order(project) == "r1 r2 r3 r4 r5"


def test_labelled_and_skipped_scans_keep_their_ranks(project: Project) -> None:
    project.store.update("queue", {"scan_id": "r2"}, status="labelled")
    project.store.update("queue", {"scan_id": "r4"}, status="skipped")
    move(project, ["r5"], 1)
    assert order(project) == "r5 r2 r1 r4 r3"


def test_pinned_scans_change_places_among_themselves(project: Project) -> None:
    actions.pin(project, ["r2", "r5"])
    shift(project, ["r5"], -1)
    rows = project.store.rows("SELECT scan_id, rank FROM queue WHERE round = 1 ORDER BY rank")
    assert [row["scan_id"] for row in rows] == ["r1", "r5", "r3", "r4", "r2"]


def test_other_rounds_are_not_touched(project: Project) -> None:
    before = project.store.rows("SELECT * FROM queue WHERE round = 0 ORDER BY scan_id")
    move(project, ["r5"], 1)
    assert project.store.rows("SELECT * FROM queue WHERE round = 0 ORDER BY scan_id") == before


def test_scores_and_terms_stay_as_they_were(project: Project) -> None:
    before = project.store.row("SELECT score, terms FROM queue WHERE scan_id = 'r5'")
    move(project, ["r5"], 1)
    assert project.store.row("SELECT score, terms FROM queue WHERE scan_id = 'r5'") == before


WRONG = {
    "labelled": (["s00"], 1, "status"),
    "not queued": (["s02"], 1, "status"),
    "several rounds": (["r1", "s10"], 1, "several-groups"),
    "no rank": (["r1"], 0, "rank"),
    "there already": (["r2"], 2, "unmoved"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused_changes_nothing_and_leaves_no_trace(project: Project, case: str) -> None:
    scans, rank, code = WRONG[case]
    with pytest.raises(UsageError) as caught:
        move(project, scans, rank)
    assert caught.value.code == code
    assert order(project) == "r1 r2 r3 r4 r5"
    assert project.store.value("SELECT count(*) FROM audit WHERE action = 'queue move'") == 0


def test_pinned_and_others_are_not_moved_together(project: Project) -> None:
    actions.pin(project, ["r1"])
    with pytest.raises(UsageError, match="some of these scans are pinned"):
        move(project, ["r1", "r2"], 3)


def test_the_first_cannot_go_up(project: Project) -> None:
    with pytest.raises(UsageError) as caught:
        shift(project, ["r1", "r2"], -1)
    assert caught.value.code == "unmoved"
