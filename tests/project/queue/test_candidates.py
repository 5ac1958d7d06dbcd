"""Who may be picked, and what is left of the budget."""

from __future__ import annotations

import shutil

import pytest

from coldal_tui.project import runs
from coldal_tui.project.labels.importing import import_masks, reject_labels
from coldal_tui.project.queue import actions
from coldal_tui.project.queue import candidates as pool
from coldal_tui.project.queue.budget import Budget, default_validation_count, read_budget
from coldal_tui.project.runs import kept_scores, latest_run, run_entropies, with_scores
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.settings.config import edit_config
from coldal_tui.selection.rows import PoolRow
from coldal_tui.simulation.cells import ScanScores, from_halves

PATIENTS = '[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n'


def candidates(project) -> set[str]:
    return {row.scan_id for row in pool.pool_rows(project) if row.candidate}


def row(project, scan_id: str) -> PoolRow | None:
    return next((row for row in pool.pool_rows(project) if row.scan_id == scan_id), None)


@pytest.fixture
def project(lab):
    """Scans s00 to s05; s00 and s01 are queued."""
    return lab.line(6, [("s00", "medoid"), ("s01", "farthest-point")])


def test_what_is_in_the_queue_is_no_candidate(project):
    assert candidates(project) == {"s02", "s03", "s04", "s05"}
    assert row(project, "s00").covered
    assert not row(project, "s02").covered


def test_a_skipped_scan_is_neither_candidate_nor_covered(project):
    actions.skip(project, ["s00"], None, replace=False)
    assert (row(project, "s00").candidate, row(project, "s00").covered) == (False, False)


def test_a_labelled_scan_is_covered_and_no_candidate(lab, project):
    lab.mask("s03.png")
    import_masks(project, lab.masks)
    found = row(project, "s03")
    assert (found.candidate, found.covered, found.labelled) == (False, True, True)


def test_excluded_missing_and_copied_scans_are_not_in_the_pool(lab, project):
    actions.exclude(project, ["s02"], None)
    (lab.images / "s03.png").unlink()
    shutil.copy(lab.images / "s04.png", lab.images / "copy.png")
    reindex(project)
    assert [r.scan_id for r in pool.pool_rows(project)] == ["s00", "s01", "s04", "s05"]


def test_scans_of_a_validation_patient_leave_the_pool_for_good(lab):
    lab.pictures("p1_a", "p1_b", "p2_a", "p2_b")
    project = lab.start(PATIENTS)
    ids = ("p1_a", "p1_b", "p2_a", "p2_b")
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(ids)})
    lab.select(project, [("p1_a", "validation")], dict.fromkeys(ids, 0))
    assert candidates(project) == {"p2_a", "p2_b"}
    lab.mask("p1_a.png")
    import_masks(project, lab.masks)
    lab.picture("p1_c.png")
    reindex(project)
    assert candidates(project) == {"p2_a", "p2_b"}
    assert pool.validation_patients(project) == {"p1"}
    # Nothing is trained on it, labelled or not, so no pick keeps away from it.
    assert (row(project, "p1_a").covered, row(project, "p1_a").labelled) == (False, False)


def test_a_validation_patient_that_is_named_anew_stays_frozen(lab):
    lab.pictures("p1_a", "p1_b", "p2_a")
    project = lab.start(PATIENTS)
    ids = ("p1_a", "p1_b", "p2_a")
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(ids)})
    lab.select(project, [("p1_a", "validation")], dict.fromkeys(ids, 0))
    lab.configure('[images]\ndir = "../images"\npatients_pattern = "p([0-9])"\n')
    project.reload_config()
    reindex(project)
    assert pool.validation_patients(project) == {"p1", "1"}
    assert candidates(project) == {"p2_a"}


def test_entropies_are_those_of_the_run(project):
    project.store.insert("scores", run_id="run-001", scan_id="s02", entropy=0.25)
    project.store.insert("scores", run_id="run-002", scan_id="s02", entropy=0.75)
    entropies = {r.scan_id: r.entropy for r in pool.pool_rows(project, "run-001")}
    assert (entropies["s02"], entropies["s03"]) == (0.25, None)
    assert row(project, "s02").entropy is None


def test_the_newest_run_is_the_one_made_last(project):
    assert latest_run(project) is None
    for run, at in (("run-002", "2024-01-01"), ("run-001", "2024-01-02")):
        values = {"round": 0, "seed": 0, "train_scans": [], "validation_scans": []}
        project.store.insert("runs", run_id=run, summary={}, created_at=at, **values)
    assert latest_run(project) == "run-001"


def test_the_budget_counts_what_is_queued_out_and_labelled(lab, project):
    lab.configure("[budget]\ntotal = 4\n")
    project.reload_config()
    assert read_budget(project) == Budget(4, labelled=0, queued=2, exported=0, skipped=0, manual=0)
    lab.mask("s00.png")
    lab.mask("s05.png", slice(3, 6))
    import_masks(project, lab.masks)
    counted = read_budget(project)
    assert counted == Budget(4, labelled=2, queued=1, exported=0, skipped=0, manual=1)
    assert counted.left == 1
    actions.skip(project, ["s01"], None, replace=False)
    assert read_budget(project) == Budget(4, 2, queued=0, exported=0, skipped=1, manual=1)
    assert read_budget(project).left == 2


def test_a_rejected_label_is_out_again(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    reject_labels(project, ["s00"], "wrong organ")
    assert read_budget(project) == Budget(100, 0, queued=1, exported=1, skipped=0, manual=0)


def test_left_is_never_negative(lab, project):
    lab.configure("[budget]\ntotal = 1\n")
    project.reload_config()
    assert (read_budget(project).spent, read_budget(project).left) == (2, 0)


SCORES = ScanScores(0.1, (0.02, 0.03), None, 0.4, 0.25, (0.5, -1.25, 3.0))


@pytest.fixture
def scored(project):
    """s02 was scored with all there is, s03 by a version that knew the entropy alone."""
    with project.store.action("score") as action:
        action.summary = "scored"
        for scan_id, scores in (("s02", SCORES), ("s03", None)):
            project.store.replace(
                "scores",
                run_id="run-001",
                scan_id=scan_id,
                entropy=0.1 if scores else 0.2,
                **kept_scores(scores),
            )
    return project


def test_a_run_without_scores_changes_no_row(scored):
    plain = pool.pool_rows(scored, "run-001")
    assert tuple(with_scores(scored, plain, "run-002")) == plain
    assert tuple(with_scores(scored, plain, None)) == plain


def test_rows_have_features_only_where_they_are_needed(scored):
    for needs, there in ((("features",), True), (("bald",), False), (("embeddings",), False)):
        rows = {one.scan_id: one for one in pool.pool_rows(scored, "run-001", needs)}
        assert (rows["s02"].features is not None) == there
        assert (rows["s02"].class_entropy is not None) == (needs != ("embeddings",))


def test_scores_are_read_page_by_page(scored, monkeypatch):
    plain = pool.pool_rows(scored, "run-001")
    whole = tuple(with_scores(scored, plain, "run-001"))
    monkeypatch.setattr(runs, "_PAGE", 2)
    assert tuple(with_scores(scored, plain, "run-001")) == whole


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", {"s02": 0.1, "s03": 0.2}),
        ("foreground", {"s02": 0.4}),
        ("boundary", {"s02": 0.25}),
    ],
)
def test_the_project_says_which_mean_of_the_entropy_counts(scored, kind, expected):
    edit_config(scored.layout.config, {("selection", "entropy"): kind})
    scored.reload_config()
    assert run_entropies(scored, "run-001") == expected
    rows = {one.scan_id: one.entropy for one in pool.pool_rows(scored, "run-001")}
    assert {name: value for name, value in rows.items() if value is not None} == expected


def test_strategies_that_need_more_than_the_entropy_get_it(scored):
    plain = pool.pool_rows(scored, "run-001")
    rows = {one.scan_id: one for one in with_scores(scored, plain, "run-001")}
    full = rows["s02"]
    assert (full.entropy, full.foreground_entropy, full.boundary_entropy) == (0.1, 0.4, 0.25)
    assert (full.class_entropy, full.bald) == ((0.02, 0.03), None)
    assert from_halves(full.features) == (0.5, -1.25, 3.0)
    assert (rows["s03"].features, rows["s03"].class_entropy) == (None, None)
    assert rows["s04"] == next(one for one in plain if one.scan_id == "s04")


@pytest.mark.parametrize(
    ("size", "frozen"), [(1, 0), (5, 0), (14, 0), (29, 0), (30, 6), (31, 7), (100, 20)]
)
def test_auto_freezes_a_fifth_from_thirty_scans_on(size, frozen):
    assert default_validation_count(size) == frozen
