"""Scans that a person picks by hand."""

from __future__ import annotations

import json

import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.database.store import current_user
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.queue.actions import Change, exclude, skip
from coldal_tui.project.queue.add import queue_by_hand
from coldal_tui.project.queue.budget import read_budget

HALVES = {f"s{n:02d}": int(n > 3) for n in range(8)}
PICKS = [("s01", "medoid"), ("s06", "medoid")]


def rows(project) -> list[tuple]:
    return project.store.tuples(
        "SELECT scan_id, round, rank, role, cluster, status FROM queue ORDER BY round, rank"
    )


def test_scans_come_after_what_is_queued_in_the_order_given(lab):
    project = lab.line(8, PICKS, HALVES)
    assert queue_by_hand(project, ["s05", "s02", "s05"]) == [
        Change("s05", "queued"),
        Change("s02", "queued"),
    ]
    assert rows(project) == [
        ("s01", 0, 1, "medoid", 0, "queued"),
        ("s06", 0, 2, "medoid", 1, "queued"),
        ("s05", 0, 3, "manual", 1, "queued"),
        ("s02", 0, 4, "manual", 0, "queued"),
    ]
    terms = project.store.value("SELECT terms FROM queue WHERE scan_id = 's05'")
    assert json.loads(terms) == {"by": current_user()}


def test_they_come_into_the_newest_round(lab):
    project = lab.line(8, PICKS, HALVES)
    lab.select(project, [("s00", "acquired")], HALVES)
    queue_by_hand(project, ["s03"])
    assert rows(project)[-1][:4] == ("s03", 1, 2, "manual")


def test_a_scan_that_is_not_on_the_map_can_be_queued(lab):
    project = lab.line(4, [("s00", "medoid")], {"s00": 0, "s01": 0})
    queue_by_hand(project, ["s03"])
    assert rows(project)[-1] == ("s03", 0, 2, "manual", None, "queued")


def test_the_budget_counts_them_and_undo_gives_it_back(lab):
    project = lab.line(8, PICKS, HALVES)
    before = read_budget(project)
    queue_by_hand(project, ["s02", "s03"])
    assert read_budget(project).left == before.left - 2
    undone = project.store.undo_last()
    assert (undone["action"], undone["summary"]) == ("queue add", "queued by hand: s02, s03")
    assert read_budget(project) == before


def test_more_than_the_budget_is_refused_as_a_whole(lab):
    project = lab.line(8, PICKS, HALVES, toml="[budget]\ntotal = 3\n")
    with pytest.raises(ColdalError) as caught:
        queue_by_hand(project, ["s02", "s03"])
    assert str(caught.value) == (
        "s03: the budget has room for 1 more, not for 2\n"
        "  → queue fewer, or raise total under [budget] in coldal.toml"
    )
    assert caught.value.code == "budget-spent"
    assert len(rows(project)) == 2


def test_a_spent_budget_is_said(lab):
    project = lab.line(8, PICKS, HALVES, toml="[budget]\ntotal = 2\n")
    with pytest.raises(ColdalError, match="the budget has no room left, not for 1"):
        queue_by_hand(project, ["s02"])


def test_before_the_first_round_there_is_nothing_to_add_to(lab):
    lab.pictures("a")
    with pytest.raises(ColdalError) as caught:
        queue_by_hand(lab.start(), ["a"])
    assert caught.value.code == "no-round"


def test_an_unknown_scan_is_refused(lab):
    project = lab.line(3, [("s00", "medoid")])
    with pytest.raises(UsageError, match="no such scan"):
        queue_by_hand(project, ["s01", "s99"])
    assert len(rows(project)) == 1


def test_no_scan_is_a_mistake(lab):
    project = lab.line(3, [("s00", "medoid")])
    with pytest.raises(UsageError, match="which scans"):
        queue_by_hand(project, [])


def spoil_queued(project, lab) -> None:
    queue_by_hand(project, ["s02"])


def spoil_skipped(project, lab) -> None:
    queue_by_hand(project, ["s02"])
    skip(project, ["s02"], None, replace=False)


def spoil_labelled(project, lab) -> None:
    lab.mask("s02.png")
    import_masks(project, lab.masks)


def spoil_excluded(project, lab) -> None:
    exclude(project, ["s02"], None)


def spoil_missing(project, lab) -> None:
    project.store.update("scans", {"scan_id": "s02"}, state="missing")


def spoil_copied(project, lab) -> None:
    project.store.update("scans", {"scan_id": "s02"}, duplicate_of="s00")


def spoil_frozen(project, lab) -> None:
    patient = project.scan("s02").patient_id
    project.store.insert("validation", patient_id=patient, scan_id="s07", round=0)


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (spoil_queued, "status", "queued already"),
        (spoil_skipped, "status", "was skipped"),
        (spoil_labelled, "status", "labelled already"),
        (spoil_excluded, "not-a-candidate", "it is excluded"),
        (spoil_missing, "not-a-candidate", "no longer there"),
        (spoil_copied, "not-a-candidate", "an exact copy of s00"),
        (spoil_frozen, "frozen", "frozen for validation"),
    ],
)
def test_what_is_no_candidate_is_refused_with_its_reason(lab, spoil, code, words):
    project = lab.line(8, PICKS, HALVES)
    spoil(project, lab)
    before = rows(project)
    with pytest.raises(UsageError, match=words) as caught:
        queue_by_hand(project, ["s03", "s02"])
    assert (caught.value.code, caught.value.where) == (code, "s02")
    assert rows(project) == before
