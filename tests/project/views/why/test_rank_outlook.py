"""Where a scan stands: in its cluster, beside labels, and what it lacks to be picked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.maps import load_clusters, load_map
from coldal_tui.project.project import Project
from coldal_tui.project.views.why.rank_outlook import Standings
from coldal_tui.selection.acquisition import entropy_diversity
from tests.support.second_round import RUN, add_scores, queue, second_round


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project(second_round(tmp_path)) as opened:
        yield opened


def candidates(project: Project) -> list[str]:
    taken = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM queue")}
    return [scan.scan_id for scan in project.scans() if scan.scan_id not in taken]


def scores(project: Project) -> dict[str, float]:
    return {r["scan_id"]: r["entropy"] for r in project.store.rows("SELECT * FROM scores")}


def test_place_by_entropy_counts_the_scored_of_the_cluster(project: Project) -> None:
    of = load_clusters(project.layout.maps / "clusters.npz").of
    raw = scores(project)
    for scan_id in queue(project):
        found = Standings().of(project, scan_id, RUN)
        peers = sorted((raw[s] for s in raw if of[s] == of[scan_id]), reverse=True)
        assert found is not None
        assert found.entropy_of == len(peers)
        assert found.entropy_place == peers.index(raw[scan_id]) + 1
        assert found.cluster_size == sum(number == of[scan_id] for number in of.values())


def test_the_nearest_label_is_another_scan(project: Project) -> None:
    placed = load_map(project.layout.maps / "map.npz")
    at = placed.index()
    found = Standings().of(project, "s00")
    assert found is not None
    assert found.nearest_labelled is not None
    assert found.nearest_labelled.scan_id == "s05"
    gap = np.linalg.norm(placed.xy[at["s00"]] - placed.xy[at["s05"]])
    assert found.nearest_labelled.distance == pytest.approx(gap)


def next_batch(project: Project, raised: dict[str, float] | None = None) -> list[str]:
    """What would be picked now, by the acquisition itself; entropies of some scans raised."""
    placed = load_map(project.layout.maps / "map.npz")
    covered_ids = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM queue")}
    covered = np.array([name in covered_ids for name in placed.scan_ids])
    raw = scores(project) | (raised or {})
    entropy = np.array([raw.get(name, np.nan) for name in placed.scan_ids])
    batch = 20  # a fifth of the budget of 100
    found = entropy_diversity(placed.xy, ~covered, covered, entropy, batch, 0.5)
    return [placed.scan_ids[one.index] for one in found]


def test_a_scan_of_the_next_batch_is_told_its_turn(project: Project) -> None:
    batch = next_batch(project)
    for scan_id in candidates(project):
        found = Standings().of(project, scan_id)
        assert found is not None
        assert found.prospect is not None
        assert found.prospect.batch == 20
        wanted = batch.index(scan_id) + 1 if scan_id in batch else None
        assert found.prospect.step == wanted


def test_the_entropy_that_it_lacks_is_just_enough(project: Project) -> None:
    raw = scores(project)
    known = [raw[name] for name in candidates(project)]
    low, high = min(known), max(known)
    tried = 0
    for scan_id in candidates(project):
        found = Standings().of(project, scan_id)
        assert found is not None
        prospect = found.prospect
        assert prospect is not None
        if prospect.step is not None or prospect.entropy_needed is None:
            continue
        tried += 1
        for margin, picked in ((0.001, True), (-0.001, False)):
            term = prospect.entropy_needed + margin
            assert (scan_id in next_batch(project, {scan_id: low + term * (high - low)})) == picked
    assert tried


def test_nothing_but_a_candidate_has_a_prospect(project: Project) -> None:
    project.store.update("scans", {"scan_id": "s02"}, excluded="dark")
    for scan_id in ("s00", "s02", "s10", queue(project)[0]):
        found = Standings().of(project, scan_id)
        assert found is not None
        assert found.prospect is None


def test_without_entropies_it_stands_by_distance_alone(project: Project) -> None:
    project.store.execute("DELETE FROM scores")
    found = Standings().of(project, candidates(project)[0])
    assert found is not None
    assert found.prospect is not None
    assert (found.prospect.alpha, found.prospect.entropy_term) == (0.0, None)
    assert found.prospect.score == found.prospect.diversity_term
    assert (found.entropy_place, found.run_id) == (None, None)


def test_a_scan_that_is_on_no_map_has_no_standing(project: Project) -> None:
    project.store.update("scans", {"scan_id": "s02"}, scan_id="new")
    assert Standings().of(project, "new") is None


def test_no_map_no_standing(project: Project) -> None:
    project.store.execute("DELETE FROM rounds")
    project.store.execute("DELETE FROM maps")
    assert Standings().of(project, "s00") is None


def test_what_is_kept_is_read_again_after_a_change(project: Project) -> None:
    standings = Standings()
    scan_id = candidates(project)[0]
    before = standings.of(project, scan_id)
    with project.store.action("score", undoable=False):
        raised = dict.fromkeys(candidates(project), 0.0) | {scan_id: 1.0}
        add_scores(project, raised, run_id="run-002")
    after = standings.of(project, scan_id)
    assert before is not None
    assert after is not None
    assert after.prospect is not None
    assert (after.entropy_place, after.prospect.step) == (1, 1)
    assert after != before
