"""The picture of a project, and the next sensible step in every state."""

from __future__ import annotations

import json
import shutil
from dataclasses import FrozenInstanceError

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.export.exporting import export_queue
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.labels.importing import import_masks, reject_labels
from coldal_tui.project.queue.actions import exclude, skip
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.views import snapshot as snapshots
from coldal_tui.project.views.next_step import NextStep
from coldal_tui.project.views.snapshot import ClusterState, take_snapshot
from coldal_tui.scheduler import queue

HALVES = {f"s{n:02d}": int(n > 3) for n in range(8)}


def step(project) -> NextStep:
    return take_snapshot(project).next


@pytest.fixture
def project(lab):
    """Scans s00 to s07 in two clusters; s00 and s01 (validation) are queued; budget 4."""
    picks = [("s00", "medoid"), ("s01", "validation")]
    return lab.line(8, picks, HALVES, "[budget]\ntotal = 4\n")


def label(lab, project, *names: str) -> None:
    for n, name in enumerate(names):
        lab.mask(f"{name}.png", slice(0, n + 1))
    import_masks(project, lab.masks)


def test_counts_of_scans(lab):
    lab.pictures(*"abcdef")
    shutil.copy(lab.images / "a.png", lab.images / "z.png")
    (lab.images / "bad.png").write_bytes(b"")
    (lab.images / "notes.txt").write_text("x")
    project = lab.start()
    lab.embed(project)
    exclude(project, ["b"], None)
    (lab.images / "c.png").unlink()
    lab.picture("new.png")
    reindex(project)
    taken = take_snapshot(project)
    assert (taken.scans, taken.usable, taken.patients) == (8, 5, 5)
    assert (taken.duplicates, taken.excluded, taken.missing) == (1, 1, 1)
    assert taken.unreadable == 1
    # a, d, e, f: not the excluded, the missing, the new one.
    assert taken.embedded == 4
    assert taken.next.text == "embed 1 scan and pick the first queue"


def test_clusters_rounds_and_queue(lab, project):
    label(lab, project, "s00", "s05")
    taken = take_snapshot(project)
    assert taken.clusters == (ClusterState(0, 4, 1, 1, 0), ClusterState(1, 4, 1, 0, 0))
    (round_,) = taken.rounds
    assert (round_.strategy, round_.size, round_.labelled, round_.k) == ("coldstart", 2, 1, 2)
    assert (round_.silhouettes, round_.notes) == (((2, 0.5),), ("a note",))
    assert [(q.rank, q.scan_id, q.status) for q in taken.queue] == [
        (1, "s00", "labelled"),
        (2, "s01", "queued"),
    ]
    assert taken.queue[0].terms == {"cluster_size": 1}
    assert (taken.labels, taken.validation_patients, taken.map_id) == (2, 1, 1)


def test_runs_show_what_was_measured(lab, project):
    label(lab, project, "s00", "s01")
    lab.train(project)
    (run,) = take_snapshot(project).runs
    assert (run.run_id, run.round, run.labels, run.validation) == ("run-001", 0, 1, 1)
    assert run.mean == {"dice": 0.5, "low": None, "high": None, "hd": 2.0, "hd95": 1.0}
    assert run.measured == "frozen validation"
    assert run.classes["lung"]["unit"] == "px"


def test_jobs_show_how_far_they_are(project):
    number = queue.submit(project, "train")
    job = get_job(project, number)
    job.folder.path.mkdir(parents=True)
    job.folder.append_progress(1, 4, "step 1", {})
    with project.store.transaction():
        queue.set_status(project, number, "running")
    shown = take_snapshot(project).jobs[-1]
    assert (shown.kind, shown.status, shown.fraction, shown.message) == (
        "train",
        "running",
        0.25,
        "step 1",
    )


def test_the_json_document(lab, project):
    label(lab, project, "s00")
    document = json.loads(json.dumps(take_snapshot(project).as_json()))
    wanted = {"scans", "budget", "clusters", "rounds", "labels", "runs", "jobs", "next"}
    assert wanted <= set(document)
    assert document["scans"] == 8
    budget = {key: document["budget"][key] for key in ("total", "labelled", "queued", "left")}
    assert budget == {"total": 4, "labelled": 1, "queued": 1, "left": 2}
    cluster = {key: document["clusters"][0][key] for key in ("id", "size", "labelled", "queued")}
    assert cluster == {"id": 0, "size": 4, "labelled": 1, "queued": 1}


def test_a_snapshot_is_immutable(project):
    with pytest.raises(FrozenInstanceError):
        take_snapshot(project).labels = 3


def test_a_snapshot_shows_one_moment(lab, project, monkeypatch):
    lab.mask("s00.png")
    other = lab.open()
    read = snapshots.read_queue

    def meanwhile(project, **given):
        found = read(project, **given)
        import_masks(other, lab.masks)
        return found

    monkeypatch.setattr(snapshots, "read_queue", meanwhile)
    taken = take_snapshot(project)
    assert (taken.labels, taken.budget.labelled, taken.budget.queued) == (0, 0, 2)
    monkeypatch.undo()
    assert take_snapshot(project).labels == 1


def test_a_project_can_be_written_after_a_snapshot_that_failed(lab, project):
    clusters = project.store.value("SELECT clusters FROM rounds")
    project.file_of(clusters).unlink()
    with pytest.raises(ColdalError):
        take_snapshot(project)
    with project.store.transaction():
        project.store.insert("meta", key="k", value="v")


def test_step_a_job_runs_or_waits(project):
    number = queue.submit(project, "train")
    assert step(project) == NextStep("coldal-tui jobs list", "train waits for its turn", "wait")
    other = queue.submit(project, "score", depends_on=[number])
    with project.store.transaction():
        queue.set_status(project, number, "done")
        queue.set_status(project, other, "running")
    assert step(project).text.startswith("score is running")


def test_step_no_scan(lab):
    project = lab.start()
    assert step(project).command == "coldal-tui index"
    assert str(lab.images) in step(project).text


def test_step_first_selection(lab):
    lab.pictures("a", "b")
    project = lab.start()
    assert step(project) == NextStep(
        "coldal-tui select", "embed 2 scans and pick the first queue", "select"
    )
    lab.embed(project)
    assert step(project) == NextStep("coldal-tui select", "pick the first queue", "select")


def test_step_quarantine_comes_before_the_queue(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    assert step(project) == NextStep(
        "coldal-tui labels list", "1 mask is in quarantine; see why", "quarantine"
    )


def test_step_export_then_import(project):
    assert step(project) == NextStep(
        "coldal-tui export-queue", "hand 2 queued scans to labelers", "export"
    )
    export_queue(project, top=1)
    assert step(project) == NextStep(
        "coldal-tui export-queue", "hand 1 queued scan to labelers", "export"
    )
    export_queue(project)
    assert step(project) == NextStep(
        "coldal-tui import-masks DIR", "2 scans are out with labelers; import their masks", "import"
    )


def test_step_everything_was_skipped(project):
    skip(project, ["s00", "s01"], None, replace=False)
    assert step(project).command == "coldal-tui queue reopen SCAN"
    assert "every queued scan was skipped" in step(project).text


def test_step_train_and_pick_then_only_pick(lab, project):
    label(lab, project, "s00", "s01")
    assert step(project) == NextStep(
        "coldal-tui next", "2 labels are in; train and pick the next batch", "next"
    )
    lab.train(project)
    assert step(project) == NextStep(
        "coldal-tui next", "2 of the budget left; pick the next batch", "next"
    )


def test_step_a_label_that_changed_needs_another_run(lab, project):
    label(lab, project, "s00", "s01")
    lab.train(project)
    lab.mask("s00.png", slice(0, 6))
    import_masks(project, lab.masks)
    assert step(project).text == "2 labels are in; train and pick the next batch", "next"
    reject_labels(project, ["s00"], None)
    assert step(project).command == "coldal-tui import-masks DIR"


def test_step_the_budget_is_spent(lab, project):
    label(lab, project, "s00", "s01", "s02", "s03")
    assert step(project) == NextStep(
        "coldal-tui train", "4 labels are in; train and measure the final model", "train"
    )
    lab.train(project)
    assert step(project) == NextStep("", "the budget is spent; raise it in coldal.toml to go on")


def test_step_nobody_is_left(lab):
    project = lab.line(2, [("s00", "medoid")])
    label(lab, project, "s00", "s01")
    assert step(project).command == "coldal-tui train"
    lab.train(project)
    assert step(project) == NextStep("", "no scan is left to pick; add scans and index to go on")
