"""What people do to the queue, and who takes a skipped scan's place."""

from __future__ import annotations

import json

import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.labels.importing import import_masks, reject_labels
from coldal_tui.project.queue import candidates
from coldal_tui.project.queue.actions import (
    Change,
    assign,
    exclude,
    pin,
    reopen,
    skip,
)
from coldal_tui.project.views.snapshot import read_queue
from coldal_tui.project.views.why.explain import explain

HALVES = {f"s{n:02d}": int(n > 3) for n in range(8)}
TWO_CLUSTERS = [("s01", "medoid"), ("s06", "medoid")]
PATIENTS = '[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n'


def item(project, scan_id: str) -> dict:
    row = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    return row | {"terms": json.loads(row["terms"])}


def validation(project) -> dict[str, str]:
    rows = project.store.rows("SELECT patient_id, scan_id FROM validation")
    return {row["patient_id"]: row["scan_id"] for row in rows}


def test_the_next_farthest_point_takes_a_skipped_scans_place(lab, statuses):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")])
    assign(project, ["s07"], "ana")
    assert skip(project, ["s07"], "blurred") == [Change("s07", "skipped", "s06")]
    assert statuses(project) == {"s00": "queued", "s06": "queued", "s07": "skipped"}
    assert item(project, "s07")["reason"] == "blurred"
    assert item(project, "s07")["replaced_by"] == "s06"
    new = item(project, "s06")
    assert (new["rank"], new["round"], new["role"]) == (2, 0, "farthest-point")
    assert (new["cluster"], new["assignee"]) == (0, "ana")
    assert new["terms"]["distance"] == 6.0
    assert (new["terms"]["nearest"], new["terms"]["replaces"]) == ("s00", "s07")


def test_the_medoid_of_what_is_left_takes_a_lonely_medoids_place(lab):
    # Cluster 1 holds x = 4, 5, 7 besides: summed distances 4, 3, 5.
    project = lab.line(8, TWO_CLUSTERS, HALVES)
    assert skip(project, ["s06"], None)[0].replaced_by == "s05"
    assert item(project, "s05")["role"] == "medoid"


def test_labels_and_scans_that_are_out_are_kept_away_from(lab):
    # Covered x = 0 and 7: the farthest of the others are 3 and 4, the lower index wins.
    project = lab.line(8, [("s00", "medoid"), ("s07", "medoid"), ("s05", "farthest-point")])
    assert skip(project, ["s05"], None)[0].replaced_by == "s03"


def test_a_cluster_without_candidates_gives_no_substitute(lab):
    clusters = {f"s{n:02d}": int(n == 3) for n in range(4)}
    project = lab.line(4, [("s00", "medoid"), ("s03", "medoid")], clusters)
    assert skip(project, ["s03"], None) == [Change("s03", "skipped", None)]


def test_two_scans_skipped_at_once_do_not_stand_in_each_others_way(lab):
    # Both gone, x = 0 is all that is covered: 5 is farthest, then 2 (from 0 and 5: 2 and 3 tie).
    picks = [("s00", "medoid"), ("s06", "farthest-point"), ("s07", "farthest-point")]
    project = lab.line(8, picks)
    changes = skip(project, ["s06", "s07", "s06"], None)
    assert changes == [Change("s06", "skipped", "s05"), Change("s07", "skipped", "s02")]


def test_a_skip_without_replacement(lab, statuses):
    project = lab.line(4, [("s00", "medoid")])
    assert skip(project, ["s00"], None, replace=False) == [Change("s00", "skipped")]
    assert statuses(project) == {"s00": "skipped"}


def test_an_overspent_budget_replaces_nobody(lab):
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")])
    lab.configure("[budget]\ntotal = 1\n")
    project.reload_config()
    assert skip(project, ["s01"], None)[0].replaced_by is None


@pytest.mark.parametrize(
    ("alpha", "expected", "score"), [(0.0, "s08", 1.0), (1.0, "s04", 1.0), (0.5, "s04", 0.75)]
)
def test_the_strategys_next_pick_takes_a_later_rounds_place(lab, alpha, expected, score):
    # Only x = 0 is covered: D of s04 is 4/8, of s08 8/8; H is 1 for s04, 0 for all others.
    project = lab.line(10, [("s00", "medoid")])
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    lab.train(project)
    names = [f"s{n:02d}" for n in range(1, 10)]
    lab.score(project, {name: 0.7 if name == "s04" else 0.2 for name in names})
    clusters = dict.fromkeys(["s00", *names], 0)
    lab.select(project, [("s09", "acquired")], clusters, alpha=alpha)
    assert skip(project, ["s09"], None)[0].replaced_by == expected
    new = item(project, expected)
    assert (new["round"], new["role"], new["score"]) == (1, "acquired", score)
    assert new["entropy"] == (1.0 if expected == "s04" else 0.0)
    assert new["diversity"] == (0.5 if expected == "s04" else 1.0)
    assert new["terms"]["nearest"] == "s00"


def test_a_random_round_replaces_at_random_and_repeatably(lab):
    project = lab.line(8, [("s00", "random")])
    project.store.update("rounds", {"round": 0}, strategy="random")
    first = skip(project, ["s00"], None)[0].replaced_by
    assert item(project, first)["role"] == "random"
    project.store.undo_last()
    assert skip(project, ["s00"], None)[0].replaced_by == first


@pytest.fixture
def cohort(lab):
    """Four patients on a line, p3 in a cluster of its own; p1 validates, p2 trains."""
    names = ("p1_a", "p1_b", "p2_a", "p2_b", "p3_a", "p4_a")
    lab.pictures(*names)
    project = lab.start(PATIENTS)
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(names)})
    clusters = {name: int(name == "p3_a") for name in names}
    lab.select(project, [("p1_a", "validation"), ("p2_a", "medoid")], clusters)
    return project


def test_validation_is_replaced_within_the_patient_then_within_the_cluster(cohort, statuses):
    assert skip(cohort, ["p1_a"], None)[0].replaced_by == "p1_b"
    assert validation(cohort) == {"p1": "p1_b"}
    assert item(cohort, "p1_b")["role"] == "validation"
    assert skip(cohort, ["p1_b"], None)[0].replaced_by == "p4_a"
    assert validation(cohort) == {"p4": "p4_a"}
    # p2 trains and p4 is taken: only the other cluster is left.
    assert skip(cohort, ["p4_a"], None)[0].replaced_by == "p3_a"
    assert validation(cohort) == {"p3": "p3_a"}
    # Nobody is left: the patient stays frozen.
    assert skip(cohort, ["p3_a"], None)[0].replaced_by is None
    assert validation(cohort) == {"p3": "p3_a"}


def test_an_excluded_validation_scan_is_replaced_within_its_patient(cohort):
    assert exclude(cohort, ["p1_a"], "broken")[0].replaced_by == "p1_b"
    assert validation(cohort) == {"p1": "p1_b"}


def test_a_patient_whose_labelled_scan_is_missing_does_not_come_to_validate(lab, cohort):
    lab.mask("p2_a.png")
    import_masks(cohort, lab.masks)
    cohort.store.update("scans", {"scan_id": "p2_a"}, state="missing")
    exclude(cohort, ["p4_a"], None)
    skip(cohort, ["p1_a"], None)
    assert skip(cohort, ["p1_b"], None)[0].replaced_by == "p3_a"


def test_reopening_sends_a_queued_substitute_away(lab, statuses):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")])
    skip(project, ["s07"], "blurred")
    assert reopen(project, ["s07"]) == [Change("s07", "queued")]
    assert statuses(project) == {"s00": "queued", "s07": "queued"}
    assert (item(project, "s07")["reason"], item(project, "s07")["replaced_by"]) == (None, None)


def test_reopening_sends_the_substitute_of_the_substitute_away(lab, statuses):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")])
    skip(project, ["s07"], None)
    skip(project, ["s06"], None)
    reopen(project, ["s07"])
    assert statuses(project) == {"s00": "queued", "s06": "skipped", "s07": "queued"}
    assert item(project, "s06")["replaced_by"] is None


def test_a_substitute_that_is_out_stays(lab, statuses):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")])
    skip(project, ["s07"], None)
    project.store.update("queue", {"scan_id": "s06"}, status="exported")
    reopen(project, ["s07"])
    assert statuses(project) == {"s00": "queued", "s06": "exported", "s07": "queued"}


def test_reopening_needs_budget(lab, statuses):
    project = lab.line(
        8, [("s00", "medoid"), ("s07", "farthest-point")], toml="[budget]\ntotal = 2\n"
    )
    skip(project, ["s07"], None)
    project.store.update("queue", {"scan_id": "s06"}, status="exported")
    before = statuses(project)
    with pytest.raises(ColdalError) as caught:
        reopen(project, ["s07"])
    assert caught.value.code == "budget-spent"
    assert statuses(project) == before


def test_a_reopened_validation_scan_takes_its_place_back(cohort, statuses):
    skip(cohort, ["p1_a"], None)
    skip(cohort, ["p1_b"], None)
    reopen(cohort, ["p1_a"])
    assert validation(cohort) == {"p1": "p1_a"}
    assert statuses(cohort) == {"p1_a": "queued", "p1_b": "skipped", "p2_a": "queued"}
    assert item(cohort, "p1_a")["role"] == "validation"


def test_a_validation_scan_whose_place_is_taken_comes_back_to_train(cohort):
    skip(cohort, ["p1_a"], None)
    skip(cohort, ["p1_b"], None)
    cohort.store.update("queue", {"scan_id": "p4_a"}, status="exported")
    reopen(cohort, ["p1_a"])
    assert validation(cohort) == {"p4": "p4_a"}
    assert item(cohort, "p1_a")["role"] == "manual"


def test_a_scan_of_a_frozen_patient_is_not_reopened_for_nothing(cohort, statuses):
    skip(cohort, ["p1_a"], None)
    cohort.store.update("queue", {"scan_id": "p1_b"}, status="exported")
    before = statuses(cohort)
    with pytest.raises(UsageError, match="frozen for validation by p1_b"):
        reopen(cohort, ["p1_a"])
    assert statuses(cohort) == before


def test_a_patient_who_trains_by_now_does_not_validate_again(lab, cohort):
    skip(cohort, ["p1_a"], None)
    skip(cohort, ["p1_b"], None)
    lab.mask("p1_b.png")
    import_masks(cohort, lab.masks)
    reopen(cohort, ["p1_a"])
    assert validation(cohort) == {"p4": "p4_a"}
    assert item(cohort, "p1_a")["role"] == "manual"


def test_a_validation_scan_skipped_for_nobody_comes_back_as_it_was(cohort):
    skip(cohort, ["p1_a"], None, replace=False)
    assert validation(cohort) == {"p1": "p1_a"}
    reopen(cohort, ["p1_a"])
    assert item(cohort, "p1_a")["role"] == "validation"


def test_an_exported_scan_is_queued_again(lab, statuses):
    project = lab.line(4, [("s00", "medoid")])
    project.store.update("queue", {"scan_id": "s00"}, status="exported", export_id=3)
    reopen(project, ["s00"])
    assert (item(project, "s00")["status"], item(project, "s00")["export_id"]) == ("queued", None)


def test_exclusion_takes_a_scan_out_of_pool_and_queue(lab, statuses):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")])
    assert exclude(project, ["s07", "s03"], "not a chest") == [
        Change("s07", "excluded", "s06"),
        Change("s03", "excluded"),
    ]
    assert statuses(project) == {"s00": "queued", "s06": "queued", "s07": "skipped"}
    assert project.scan("s03").excluded == "not a chest"
    assert "s03" not in {row.scan_id for row in candidates.pool_rows(project)}
    assert reopen(project, ["s03"]) == [Change("s03", "candidate")]
    assert reopen(project, ["s07"]) == [Change("s07", "queued")]
    assert project.scan("s07").excluded is None


def test_the_last_usable_scan_can_be_excluded(lab, statuses):
    project = lab.line(1, [("s00", "medoid")])
    assert exclude(project, ["s00"], None) == [Change("s00", "excluded", None)]
    assert project.scan("s00").excluded == "excluded by hand"


def test_pinned_scans_lead_their_round(lab):
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "random")])
    pin(project, ["s02"])
    assert [q.scan_id for q in read_queue(project)] == ["s02", "s00", "s01"]
    pin(project, ["s02"], pinned=False)
    assert [q.scan_id for q in read_queue(project)] == ["s00", "s01", "s02"]


@pytest.mark.parametrize(("given", "kept"), [("ana", "ana"), (" ", None), (None, None)])
def test_a_scan_is_assigned(lab, given, kept):
    project = lab.line(4, [("s00", "medoid")])
    assign(project, ["s00"], "ben")
    assign(project, ["s00"], given)
    assert item(project, "s00")["assignee"] == kept


@pytest.mark.parametrize("act", ["skip", "exclude", "pin", "assign", "reopen"])
def test_every_action_is_undone(lab, act):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")])
    skip(project, ["s07"], None)
    before = [project.store.rows(f"SELECT * FROM {t}") for t in ("queue", "scans", "validation")]
    {
        "skip": lambda: skip(project, ["s00"], None),
        "exclude": lambda: exclude(project, ["s00", "s02"], "why"),
        "pin": lambda: pin(project, ["s00"]),
        "assign": lambda: assign(project, ["s00"], "ana"),
        "reopen": lambda: reopen(project, ["s07"]),
    }[act]()
    tables = ("queue", "scans", "validation")
    assert [project.store.rows(f"SELECT * FROM {t}") for t in tables] != before
    assert project.store.undo_last()["action"] == f"queue {act}"
    assert [project.store.rows(f"SELECT * FROM {t}") for t in tables] == before


def test_a_replaced_validation_patient_is_undone(cohort):
    skip(cohort, ["p1_a"], None)
    skip(cohort, ["p1_b"], None)
    cohort.store.undo_last()
    assert validation(cohort) == {"p1": "p1_b"}
    cohort.store.undo_last()
    assert validation(cohort) == {"p1": "p1_a"}


def test_a_selection_is_undone(lab):
    project = lab.line(4, [("s00", "validation"), ("s01", "medoid")])
    assert project.store.undo_last()["action"] == "select"
    for table in ("queue", "rounds", "validation"):
        assert project.store.rows(f"SELECT * FROM {table}") == []


@pytest.mark.parametrize(
    ("act", "scan_id", "what", "remedy"),
    [
        ("skip", "s01", "this scan is skipped", "coldal-tui queue reopen s01"),
        ("pin", "s01", "this scan is skipped", "coldal-tui queue reopen s01"),
        ("assign", "s02", "this scan has a label", "coldal-tui labels reject s02"),
        ("skip", "s02", "this scan has a label", "coldal-tui labels reject s02"),
        ("exclude", "s02", "this scan has a label", "coldal-tui labels reject s02"),
        ("exclude", "s05", "this scan has a label", "coldal-tui labels reject s05"),
        ("reopen", "s02", "this scan has a label", "coldal-tui labels reject s02"),
        ("skip", "s04", "this scan is not in the queue", "coldal-tui queue"),
        ("reopen", "s04", "this scan is not in the queue", "coldal-tui queue"),
        ("skip", "s0", "no such scan", "did you mean s0"),
        ("exclude", "s44", "no such scan", "did you mean s04"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(lab, act, scan_id, what, remedy):
    project = lab.line(6, [("s00", "medoid"), ("s01", "random"), ("s02", "random")])
    skip(project, ["s01"], None, replace=False)
    lab.mask("s02.png")
    lab.mask("s05.png", slice(4, 6))
    import_masks(project, lab.masks)
    before = [project.store.rows(f"SELECT * FROM {t}") for t in ("queue", "scans", "audit")]
    actions = {
        "skip": lambda ids: skip(project, ids, None),
        "exclude": lambda ids: exclude(project, ids, None),
        "pin": lambda ids: pin(project, ids),
        "assign": lambda ids: assign(project, ids, "ana"),
        "reopen": lambda ids: reopen(project, ids),
    }
    with pytest.raises(UsageError) as caught:
        actions[act](["s00", scan_id] if act != "reopen" else [scan_id])
    assert caught.value.what == what
    assert remedy in caught.value.remedy
    after = [project.store.rows(f"SELECT * FROM {t}") for t in ("queue", "scans", "audit")]
    assert after == before


def test_why_a_scan_is_in_the_queue(lab):
    project = lab.line(8, [("s00", "medoid"), ("s07", "farthest-point")], HALVES)
    skip(project, ["s07"], "blurred")
    found = explain(project, "s07")
    assert (found["status"], found["reason"], found["replaced_by"]) == ("skipped", "blurred", "s05")
    assert found["selection"]["strategy"] == "coldstart"
    assert explain(project, "s05")["terms"]["replaces"] == "s07"
    assert found["path"] == str(lab.images / "s07.png")
    json.dumps(found)


def test_why_a_scan_is_not_in_the_queue(lab, cohort):
    lab.mask("p4_a.png")
    import_masks(cohort, lab.masks)
    exclude(cohort, ["p3_a"], "broken")
    cohort.store.update("scans", {"scan_id": "p3_a"}, modality="CT")
    assert explain(cohort, "p4_a")["status"] == "labelled without having been queued"
    assert explain(cohort, "p3_a")["status"] == "not a candidate: excluded (broken)"
    assert explain(cohort, "p1_b")["status"].endswith("in the frozen validation set")
    reject_labels(cohort, ["p4_a"], None)
    assert explain(cohort, "p4_a")["status"] == "candidate: not picked yet"
    quick = cohort.scan("p4_a").quick_hash
    values = {"encoder_hash": "ab" * 32, "quick_hash": quick, "message": "it is cut short"}
    cohort.store.insert("embed_failures", scan_id="p4_a", **values)
    assert explain(cohort, "p4_a")["status"] == (
        "not a candidate: it could not be embedded (it is cut short)"
    )
    cohort.store.update("scans", {"scan_id": "p4_a"}, duplicate_of="p2_a")
    assert explain(cohort, "p4_a")["status"] == "not a candidate: an exact copy of p2_a"
    cohort.store.update("scans", {"scan_id": "p4_a"}, state="missing")
    assert explain(cohort, "p4_a")["status"] == "missing: the file is no longer there"
