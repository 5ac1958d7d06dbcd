"""Covers of very many scans, estimated on a part of them."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.selection.methods import covering
from coldal_tui.selection.methods.covering import facility_location, measured_on, prob_cover
from coldal_tui.selection.pool import Pick, Pool

STRATEGIES = {"probcover": prob_cover, "facility-location": facility_location}


def _pool(per_cluster: int, covered: int = 0) -> Pool:
    """Four planted directions in 16 dimensions, ``per_cluster`` scans around each."""
    rng = np.random.default_rng(0)
    count = 4 * per_cluster
    rows = np.repeat(np.eye(16)[:4], per_cluster, axis=0) + rng.normal(size=(count, 16)) * 0.05
    taken = np.arange(count) < covered
    clusters = np.repeat(np.arange(4), per_cluster)
    return Pool(rows[:, :2].copy(), clusters, ~taken, taken, taken, embeddings=rows)


def _said(picks: list[Pick]) -> list[tuple[int, dict[str, object]]]:
    return [(pick.index, dict(pick.terms)) for pick in picks]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("covered", [0, 7])
def test_measured_on_all_it_is_the_exact_cover(name, covered, monkeypatch):
    pool = _pool(15, covered)
    exact = _said(STRATEGIES[name](pool, 12, seed=3))
    monkeypatch.setattr(covering, "EXACT_COVER", 10)
    monkeypatch.setattr(covering, "COVER_SAMPLE", 60)
    assert _said(STRATEGIES[name](pool, 12, seed=3)) == exact


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_part_is_enough_to_find_the_planted_clusters(name, monkeypatch):
    monkeypatch.setattr(covering, "EXACT_COVER", 100)
    monkeypatch.setattr(covering, "COVER_SAMPLE", 80)
    pool = _pool(50)
    picks = STRATEGIES[name](pool, 4, seed=1)
    assert sorted(pick.cluster for pick in picks) == [0, 1, 2, 3]
    assert {pick.terms["estimated_on"] for pick in picks} == {80}
    assert _said(picks) == _said(STRATEGIES[name](pool, 4, seed=1))


def test_estimates_are_near_the_exact_numbers(monkeypatch):
    pool = _pool(50)
    exact = facility_location(pool, 1)[0].terms
    assert "estimated_on" not in exact
    monkeypatch.setattr(covering, "EXACT_COVER", 100)
    monkeypatch.setattr(covering, "COVER_SAMPLE", 100)
    found = facility_location(pool, 1)[0].terms
    # Similarities are about 1 in the own cluster and 1/2 elsewhere: a spread of 0.22, and of a
    # mean of 100 of them 0.022.
    assert found["similarity"] == pytest.approx(exact["similarity"], abs=4 * 0.022)
    assert found["gain"] == pytest.approx(exact["gain"], abs=200 * 4 * 0.022)


def test_all_scans_are_measured_up_to_the_limit():
    assert measured_on(20_000, 0).tolist() == list(range(20_000))
    drawn = measured_on(20_001, 0)
    assert (len(drawn), len(set(drawn.tolist())), int(drawn.max()) < 20_001) == (4_000, 4_000, True)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_candidate_can_be_picked(name, monkeypatch):
    monkeypatch.setattr(covering, "EXACT_COVER", 10)
    monkeypatch.setattr(covering, "COVER_SAMPLE", 9)
    picks = STRATEGIES[name](_pool(8), 32, seed=0)
    assert sorted(pick.index for pick in picks) == list(range(32))
