"""From a request and the project as it is to the specification of the work."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import EmbedSpec, MapSpec, ScoreSpec, SelectSpec, TrainSpec
from coldal_tui.maps import save_clusters, save_map
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import round0_size
from coldal_tui.project.settings.config import edit_config
from coldal_tui.project.views.next_step import run_is_current
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.scheduler.plan_embed import shard_size
from coldal_tui.scheduler.plan_simulate import Wish, plan_design
from coldal_tui.scheduler.planning import build_spec
from coldal_tui.scheduler.request import train_options

IDS = ("a", "b", "c", "d")


def _refusal(project: Project, kind: str, **request: Any) -> ColdalError:
    with pytest.raises(ColdalError) as caught:
        build_spec(project, kind, request)
    assert caught.value.remedy
    return caught.value


def _map(project: Project, *, seed: int = 0, vectors: str = "") -> int:
    path = project.layout.maps / f"map-{seed}.npz"
    save_map(path, IDS, np.arange(8.0).reshape(4, 2))
    with project.store.transaction():
        return project.store.insert(
            "maps",
            encoder_hash="e" * 64,
            file=project.layout.relative(path),
            sha256="0" * 64,
            seed=seed,
            scans=4,
            params={"vectors": vectors},
            created_at=project.store.now(),
        )


def _round(project: Project, number: int = 0) -> None:
    path = project.layout.maps / f"clusters-{number}.npz"
    save_clusters(path, IDS, np.zeros(4, np.int64), 1)
    with project.store.transaction():
        project.store.insert(
            "rounds",
            round=number,
            strategy="coldstart",
            seed=0,
            budget=1,
            map_id=1,
            clusters=project.layout.relative(path),
            k=1,
            silhouettes=[],
            params={},
            created_at=project.store.now(),
        )


def _label(project: Project, scan_id: str) -> None:
    path = project.layout.labels / f"{scan_id}.png"
    path.write_bytes(scan_id.encode())
    with project.store.transaction():
        project.store.insert(
            "labels",
            scan_id=scan_id,
            version=1,
            file=project.layout.relative(path),
            sha256=sha256_file(path),
            state="active",
            role="manual",
            source="x",
            source_sha256="",
            format="raster",
            geometry="match",
            notes=[],
            voxels=[],
            created_at=project.store.now(),
        )


def _queue(project: Project, scan_id: str, status: str = "queued", role: str = "medoid") -> None:
    with project.store.transaction():
        project.store.insert(
            "queue", scan_id=scan_id, round=0, rank=1, role=role, status=status, terms={}
        )


def _freeze(project: Project, scan_id: str) -> None:
    patient = project.scan(scan_id).patient_id
    with project.store.transaction():
        project.store.insert("validation", patient_id=patient, scan_id=scan_id, round=0)


def _run(project: Project, run_id: str = "run-001") -> None:
    with project.store.transaction():
        project.store.insert(
            "runs",
            run_id=run_id,
            round=0,
            seed=0,
            train_scans=[],
            validation_scans=[],
            summary={},
            created_at=project.store.now(),
        )


def _budget(project: Project, total: int) -> None:
    edit_config(project.layout.config, {("budget", "total"): total})
    project.reload_config()


def test_an_unknown_kind_is_refused(project) -> None:
    assert _refusal(project, "bake").what == "there is no job of the kind 'bake'"


def test_embedding_needs_scans(empty_project) -> None:
    error = _refusal(empty_project, "embed")
    assert (error.what, error.code) == ("the project has no scan to work on", "no-scans")


def test_embed_takes_all_scans_first_and_nothing_when_all_is_done(project, embedded) -> None:
    spec = build_spec(project, "embed", {})
    assert isinstance(spec, EmbedSpec)
    assert [scan.scan_id for scan in spec.scans] == list(IDS)
    embedded()
    assert build_spec(project, "embed", {}) is None
    again = build_spec(project, "embed", {"again": True})
    assert isinstance(again, EmbedSpec)
    assert again.embedded == IDS


def test_a_scan_whose_bytes_changed_is_embedded_anew(project, embedded) -> None:
    embedded()
    with project.store.transaction():
        project.store.update("scans", {"scan_id": "b"}, quick_hash="other")
    spec = build_spec(project, "embed", {})
    assert isinstance(spec, EmbedSpec)
    assert spec.embedded == ("a", "c", "d")


def test_a_map_needs_an_embedding(project) -> None:
    assert _refusal(project, "map").what == "no scan has been embedded yet"


def test_a_map_needs_a_vector_of_a_scan_that_is_there(project, embedded) -> None:
    embedded()
    with project.store.transaction():
        project.store.execute("UPDATE scans SET quick_hash = 'other'")
    error = _refusal(project, "map")
    assert error.what == "no scan has an embedding by the configured encoder"


def test_a_map_of_these_very_vectors_is_not_made_twice(project, embedded) -> None:
    embedded()
    spec = build_spec(project, "map", {})
    assert isinstance(spec, MapSpec)
    assert spec.base is None
    _map(project, vectors=spec.fingerprint)
    assert build_spec(project, "map", {}) is None
    other = build_spec(project, "map", {"seed": 5})
    assert isinstance(other, MapSpec)
    assert (other.seed, other.base) == (5, None)


def test_once_a_round_stands_on_a_map_new_scans_are_placed_into_it(project, embedded) -> None:
    embedded()
    _map(project, seed=3, vectors="those before")
    _round(project)
    spec = build_spec(project, "map", {"seed": 5})
    assert isinstance(spec, MapSpec)
    assert (spec.seed, spec.base) == (3, str(project.layout.maps / "map-3.npz"))
    anew = build_spec(project, "map", {"seed": 5, "rebuild": True})
    assert isinstance(anew, MapSpec)
    assert (anew.seed, anew.base) == (5, None)


def test_selecting_needs_a_map(project, embedded) -> None:
    embedded()
    assert _refusal(project, "select").what == "there is no map yet"


def test_selecting_needs_budget(project, embedded) -> None:
    embedded()
    _map(project)
    _budget(project, 1)
    _queue(project, "a")
    error = _refusal(project, "select")
    assert (error.what, error.code) == ("the budget is spent", "budget-spent")


def test_selecting_needs_a_candidate(project, embedded) -> None:
    embedded()
    _map(project)
    for scan_id in IDS:
        _queue(project, scan_id, status="skipped")
    error = _refusal(project, "select")
    assert error.code == "pool-empty"
    assert error.what.startswith("no scan is left to pick")


def test_the_first_selection_by_default(project, embedded) -> None:
    embedded()
    _map(project)
    spec = build_spec(project, "select", {})
    assert isinstance(spec, SelectSpec)
    # A fifth of 100 is 20, and only six scans can be picked: too few to freeze any.
    assert (spec.round, spec.strategy, spec.budget, spec.validation) == (0, "coldstart", 20, 0)
    assert [row.scan_id for row in spec.pool] == list(IDS)
    assert spec.clusters is None
    assert spec.shards == ()  # the strategy looks at the map alone


def test_coldstart_picks_within_its_clusters_as_the_project_says(project, embedded) -> None:
    embedded()
    _map(project)
    edit_config(project.layout.config, {("selection", "within"): "herding"})
    project.reload_config()
    spec = build_spec(project, "select", {})
    assert spec.strategy == "coldstart-herding"
    assert sorted(name for shard in spec.shards for name in shard.scan_ids) == list(IDS)
    # Named by itself it is the paper's.
    assert build_spec(project, "select", {"strategy": "coldstart"}).strategy == "coldstart"
    assert plan_design(project, Wish())[0].cold == ("coldstart-herding", "random")


def test_later_selections_keep_the_clusters_and_move_the_seed(project, embedded) -> None:
    embedded()
    _map(project)
    _round(project)
    spec = build_spec(project, "select", {"seed": 10, "alpha": 0.25})
    assert isinstance(spec, SelectSpec)
    assert (spec.round, spec.strategy, spec.validation) == (1, "entropy-diversity", 0)
    assert (spec.seed, spec.alpha) == (11, 0.25)
    assert spec.clusters == str(project.layout.maps / "clusters-0.npz")


def test_a_batch_is_clipped_to_what_is_left(project, embedded) -> None:
    embedded()
    _map(project)
    _budget(project, 3)
    _queue(project, "a")
    spec = build_spec(project, "select", {"budget": 50})
    assert isinstance(spec, SelectSpec)
    assert spec.budget == 2
    states = {row.scan_id: (row.candidate, row.covered) for row in spec.pool}
    assert states["a"] == (False, True)
    assert states["b"] == (True, False)


@pytest.mark.parametrize(("total", "size"), [(3, 3), (20, 5), (26, 6), (100, 20)])
def test_round_0_is_a_fifth_and_at_least_five(project, total: int, size: int) -> None:
    _budget(project, total)
    assert round0_size(project) == size


def test_training_needs_a_label(project) -> None:
    error = _refusal(project, "train")
    assert (error.what, error.code) == ("there is no label to train on", "no-labels")


def test_validation_labels_alone_are_no_labels_to_train_on(project) -> None:
    _label(project, "a")
    _freeze(project, "a")
    assert _refusal(project, "train").code == "no-labels"


def test_training_leaves_validation_patients_out(project) -> None:
    for scan_id in ("a", "b", "c"):
        _label(project, scan_id)
    _freeze(project, "b")
    spec = build_spec(project, "train", {"steps": 7})
    assert isinstance(spec, TrainSpec)
    assert [case.scan.scan_id for case in spec.train] == ["a", "c"]
    assert [case.scan.scan_id for case in spec.validation] == ["b"]
    assert (spec.run_id, spec.options.steps) == ("run-001", 7)


@pytest.mark.parametrize(
    ("networks", "strategy", "wanted"),
    [
        (None, "entropy-diversity", 1),
        (None, "power-bald", 3),
        (None, "no-such-strategy", 1),
        (2, "bald", 2),
        (5, "random", 5),
    ],
)
def test_as_many_networks_are_trained_as_rounds_need(project, networks, strategy, wanted) -> None:
    _label(project, "a")
    edit_config(project.layout.config, {("selection", "round_strategy"): strategy})
    if networks is not None:
        edit_config(project.layout.config, {("train", "networks"): networks})
    project.reload_config()
    spec = build_spec(project, "train", {})
    assert isinstance(spec, TrainSpec)
    assert spec.networks == wanted


def test_a_run_knows_the_labels_there_were_when_it_began(project) -> None:
    _label(project, "a")
    _label(project, "b")
    spec = build_spec(project, "train", {})
    assert isinstance(spec, TrainSpec)
    digest = {name: hashlib.sha256(name.encode()).hexdigest() for name in "ab"}
    assert spec.labels == digest


@pytest.mark.parametrize(
    ("kind", "what"),
    [("score", "score with"), ("predict", "predict with"), ("evaluate", "evaluate")],
)
def test_scoring_and_evaluating_need_a_run(project, kind: str, what: str) -> None:
    error = _refusal(project, kind, cases="none.json")
    assert (error.what, error.code) == (f"there is no run to {what}", "no-run")


@pytest.mark.parametrize("kind", ["score", "predict", "evaluate"])
def test_a_run_that_is_not_there_is_named(project, kind: str) -> None:
    _run(project)
    error = _refusal(project, kind, run="run-9", cases="none.json")
    assert (error.what, error.where, error.remedy) == ("no such run", "run-9", "one of: run-001")


def test_cases_of_an_evaluation_that_are_gone(project) -> None:
    _run(project)
    error = _refusal(project, "evaluate", cases=".coldal/cache/evaluation-1/cases.json")
    assert error.code == "no-cases"


def test_score_takes_candidates_and_predicts_the_queued(project) -> None:
    _run(project)
    _queue(project, "b")
    spec = build_spec(project, "score", {})
    assert isinstance(spec, ScoreSpec)
    assert [scan.scan_id for scan in spec.scans] == list(IDS)
    assert spec.predict == ("b",)


def test_a_scan_queued_after_it_was_scored_is_predicted_still(project) -> None:
    """Its entropy is known from the pool, but it has no pre-label yet."""
    _run(project)
    with project.store.transaction():
        for scan_id in IDS:
            project.store.insert("scores", run_id="run-001", scan_id=scan_id, entropy=0.5)
    assert build_spec(project, "score", {}) is None
    _queue(project, "b", role="acquired")
    spec = build_spec(project, "score", {})
    assert isinstance(spec, ScoreSpec)
    assert [scan.scan_id for scan in spec.scans] == ["b"]
    assert spec.predict == ("b",)
    predictions = project.layout.runs / "run-001" / "predictions"
    predictions.mkdir(parents=True)
    (predictions / "b.png").write_bytes(b"")
    assert build_spec(project, "score", {}) is None


def test_predict_takes_what_is_queued_or_out_and_nothing_else(project) -> None:
    _run(project)
    _queue(project, "b")
    _queue(project, "c", status="exported")
    _queue(project, "d", status="skipped")
    spec = build_spec(project, "predict", {})
    assert isinstance(spec, ScoreSpec)
    assert [scan.scan_id for scan in spec.scans] == ["b", "c"]
    assert spec.predict == ("b", "c")


def test_predict_passes_over_scans_whose_file_is_gone(project) -> None:
    _run(project)
    _queue(project, "b")
    with project.store.transaction():
        project.store.update("scans", {"scan_id": "b"}, state="missing")
    assert build_spec(project, "predict", {}) is None


@pytest.mark.parametrize(
    ("scans", "rows"), [(1, 8), (48, 8), (640, 10), (5_000, 78), (32_768, 512), (200_000, 512)]
)
def test_a_kill_costs_no_more_of_an_embedding_than_a_shard(scans: int, rows: int) -> None:
    assert shard_size(scans) == rows


def test_a_run_by_another_rule_for_intensities_is_not_current(project: Project) -> None:
    plan = {"intensity": {"window": "lung"}}
    store = project.store
    with store.transaction():
        store.insert(
            "runs",
            run_id="run-001",
            round=0,
            seed=0,
            train_scans=[],
            validation_scans=[],
            summary={"labels": {}, "plan": plan},
            created_at="2026",
        )
    assert not run_is_current(project)
    (run,) = take_snapshot(project).runs
    assert "another rule now (auto, window soft-tissue)" in run.stale
    edit_config(project.layout.config, {("images", "window"): "lung"})
    project.reload_config()
    assert run_is_current(project)
    assert take_snapshot(project).runs[0].stale == ""
    assert train_options(project, {}).intensity.window == project.encoder.window == "lung"
