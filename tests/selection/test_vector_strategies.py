"""Strategies on embeddings: steps by hand, independent copies, ties, patients, planted cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.selection.clustering import choose_clusters
from coldal_tui.selection.coldstart import cold_start
from coldal_tui.selection.methods.covering import prob_cover, purity_radius
from coldal_tui.selection.pool import Pick, Pool
from coldal_tui.selection.projection import normalise
from coldal_tui.selection.strategies import strategies, strategy
from coldal_tui.selection.vectors import (
    choose_row_clusters,
    distance_tiles,
    kmeans,
    population,
    product_tiles,
)
from tests.support import naive, naive_vectors
from tests.support.naive_vectors import Field
from tests.support.scenes import vector_scene

ON_VECTORS = (
    "coldstart-embeddings",
    "kmeans",
    "typiclust",
    "k-center",
    "probcover",
    "facility-location",
)


def _pool(angles: list[float], covered: list[int] | None = None, **more: object) -> Pool:
    """Scans on the unit circle at the given degrees."""
    turn = np.deg2rad(angles)
    n = len(angles)
    taken = np.isin(np.arange(n), covered or [])
    rows = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return Pool(np.zeros((n, 2)), np.zeros(n, int), ~taken, taken, taken, embeddings=rows, **more)


def _indices(picks: list[Pick]) -> list[int]:
    return [pick.index for pick in picks]


def _field(pool: Pool) -> Field:
    patients = None if pool.patients is None else pool.patients.tolist()
    return Field(pool.candidate.tolist(), pool.covered.tolist(), patients)


def _rows(pool: Pool) -> list[list[float]]:
    assert pool.embeddings is not None
    return [[float(x) for x in row] for row in normalise(pool.embeddings)]


SCENES = [(seed, patients) for seed in range(60) for patients in (False, True)]


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_k_center_agrees_with_plain_loops(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients)
    for batch in {1, 5, len(pool)}:
        expected = naive_vectors.k_center(
            _rows(pool), _field(pool), population(pool).tolist(), batch
        )
        assert _indices(strategy("k-center")(pool, batch)) == expected


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_facility_location_agrees_with_plain_loops(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients, largest=18)
    expected = naive_vectors.facility_location(
        _rows(pool), _field(pool), population(pool).tolist(), 6
    )
    assert _indices(strategy("facility-location")(pool, 6)) == expected


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_probcover_agrees_with_plain_loops(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients)
    for delta in (0.0, 0.3, 0.9, np.inf):
        expected = naive_vectors.prob_cover(
            _rows(pool), _field(pool), population(pool).tolist(), delta, 7
        )
        assert _indices(prob_cover(pool, 7, 0, delta)) == expected


@pytest.mark.parametrize("seed", range(40))
def test_the_purity_radius_agrees_with_trying_every_distance(seed: int) -> None:
    pool = vector_scene(seed, largest=25)
    assert pool.embeddings is not None
    rows = normalise(pool.embeddings)
    labels = kmeans(rows, 3, 0)[0]
    for purity in (0.5, 0.95):
        expected = naive_vectors.purity_radius(_rows(pool), labels.tolist(), purity)
        assert purity_radius(rows, labels, purity) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("seed", "patients"), SCENES)
@pytest.mark.parametrize("name", ["kmeans", "typiclust"])
def test_strategies_by_cluster_agree_with_plain_loops(name: str, seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients, largest=60 if seed % 5 == 0 else 25)
    index = population(pool).tolist()
    batch = min(4, int(pool.candidate.sum()))
    assert pool.embeddings is not None
    if not batch:
        assert strategy(name)(pool, 4, seed=3) == []
        return
    labels, means = kmeans(normalise(pool.embeddings[index]), int(pool.covered.sum()) + batch, 3)
    rows = _rows(pool)

    def nearest_to_mean(left: list[int], among: list[int], group: int) -> int:
        centre = [float(x) for x in means[group]]
        return naive_vectors.first_largest(
            among, lambda i: -naive_vectors.distance(rows[i], centre)
        )

    def typical(left: list[int], among: list[int], group: int) -> int:
        return naive_vectors.most_typical(rows, left, among)

    expected = naive_vectors.from_clusters(
        rows,
        _field(pool),
        dict(zip(index, labels.tolist(), strict=True)),
        batch,
        nearest_to_mean if name == "kmeans" else typical,
    )
    assert _indices(strategy(name)(pool, batch, seed=3)) == expected


@pytest.mark.parametrize("seed", range(40))
def test_coldstart_on_two_wide_embeddings_is_the_cold_start_on_a_map(seed: int) -> None:
    pool = vector_scene(seed)
    assert pool.embeddings is not None
    flat = normalise(pool.embeddings[:, :2])
    labels = choose_clusters(flat, 6, seed).labels
    expected = naive.cold_start(
        [(float(x), float(y)) for x, y in flat.astype(np.float64)],
        labels.tolist(),
        pool.candidate.tolist(),
        pool.labelled.tolist(),
        6,
    )
    of = replace(pool, embeddings=flat, clusters=labels, clusters_by="coldstart-embeddings")
    picks = strategy("coldstart-embeddings")(of, 6, seed=seed)
    assert [(pick.index, pick.role) for pick in picks] == expected


@pytest.mark.parametrize("seed", range(40))
def test_coldstart_measures_wide_rows_as_it_measures_a_map(seed: int) -> None:
    """A third coordinate of zeros changes no distance, so it must change no pick."""
    pool = vector_scene(seed)
    wide = np.column_stack([pool.points, np.zeros(len(pool))])
    flat = cold_start(pool, 7)
    assert _indices(cold_start(pool, 7, wide)) == _indices(flat)


def test_coldstart_on_embeddings_clusters_by_itself() -> None:
    """Two clumps in the embeddings, which the pool's clusters know nothing of."""
    pool = _pool([0, 2, 4, 6, 9, 90, 92, 95])
    picks = strategy("coldstart-embeddings")(pool, 4)
    # Medoids at 4° and 92°; of two more, quotas 10/8 and 6/8: one each, at 9° and 95°.
    assert [(pick.index, pick.role, pick.cluster) for pick in picks] == [
        (2, "medoid", 0),
        (6, "medoid", 1),
        (4, "farthest-point", 0),
        (7, "farthest-point", 1),
    ]


def test_k_by_silhouette_of_the_embeddings() -> None:
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(5, 40))
    rows = centres[np.arange(60) % 5] + 0.3 * rng.normal(size=(60, 40))
    found = choose_row_clusters(rows, 12, 0)
    assert found.k == 5
    assert [len(set(found.labels[n::5])) for n in range(5)] == [1] * 5
    assert [k for k, _ in found.silhouettes] == list(range(2, 13))


def test_the_silhouette_of_embeddings_is_that_of_sklearn() -> None:
    from sklearn.metrics import silhouette_score

    rng = np.random.default_rng(1)
    rows = normalise(rng.normal(size=(50, 9)))
    found = choose_row_clusters(rows, 3, 0)
    labels = kmeans(rows, 3, 0)[0]
    expected = silhouette_score(rows.astype(np.float64), labels)
    assert dict(found.silhouettes)[3] == pytest.approx(expected, abs=1e-9)


def test_one_cluster_where_rows_hardly_differ() -> None:
    assert choose_row_clusters(np.ones((9, 4)), 5, 0).k == 1


def test_k_center_by_hand() -> None:
    # Covered at 0°; farthest 170°, then 80° (80 from 0, 90 from 170), then 40 (119 is 39 away).
    picks = strategy("k-center")(_pool([0, 40, 80, 119, 170], [0]), 3)
    assert _indices(picks) == [4, 2, 1]
    assert picks[0].terms["nearest"] == 0
    assert picks[0].terms["distance"] == pytest.approx(2 * np.sin(np.deg2rad(85)), abs=1e-6)
    assert picks[0].role == "farthest-point"


@pytest.mark.parametrize(("seed", "patients"), SCENES)
def test_k_center_of_the_model_is_k_center_on_its_features(seed: int, patients: bool) -> None:
    pool = vector_scene(seed, patients=patients)
    assert pool.features is not None
    rows = [[float(x) for x in row] for row in normalise(pool.features)]
    expected = naive_vectors.k_center(rows, _field(pool), population(pool).tolist(), 5)
    assert _indices(strategy("k-center-model")(pool, 5)) == expected


def test_what_the_model_has_not_seen_it_can_not_be_measured_to() -> None:
    # Seen: 0°, 40°, 80° and 170°; the labelled 119° and the candidate 60° are not.
    turn = np.deg2rad([0, 40, 80, 119, 170, 60])
    features = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    features[[3, 5]] = np.nan
    pool = replace(_pool([5.0] * 6, [0, 3]), features=features)
    picks = strategy("k-center-model")(pool, 9)
    assert _indices(picks) == [4, 2, 1]


def test_k_center_starts_in_the_middle() -> None:
    picks = strategy("k-center")(_pool([0, 20, 45, 80, 90]), 2)
    assert _indices(picks) == [2, 0]
    assert "distance_to_mean" in picks[0].terms


def test_probcover_by_hand() -> None:
    # Radius of 11°: the ball at 10° holds 0, 10, 20; that at 100° holds 95 to 105.
    radius = 2 * np.sin(np.deg2rad(5.5))
    pool = _pool([0, 10, 20, 95, 100, 105, 110, 180])
    picks = prob_cover(pool, 4, 0, radius)
    assert _indices(picks) == [4, 1, 7, 2]
    assert [pick.terms["covers"] for pick in picks] == [4, 3, 1, 0]
    assert picks[1].terms["covered_share"] == pytest.approx(7 / 8)


def test_what_labels_cover_probcover_leaves() -> None:
    radius = 2 * np.sin(np.deg2rad(5.5))
    pool = _pool([0, 10, 20, 95, 100, 105, 110, 180], covered=[4])
    assert _indices(prob_cover(pool, 2, 0, radius)) == [1, 7]


def test_facility_location_takes_the_middle_first() -> None:
    picks = strategy("facility-location")(_pool([0, 5, 10, 90, 95, 100, 105]), 2)
    assert _indices(picks)[0] == 3  # of all: the sum of cosines is largest near 60°
    assert _indices(picks)[1] == 1
    assert picks[1].terms["similarity"] > picks[0].terms["similarity"]


def test_typiclust_takes_the_densest_of_each_cluster() -> None:
    # Clumps at 0-8° (dense around 4) and at 90-120°, which is sparse.
    pool = _pool([0, 3, 4, 5, 8, 90, 97, 104, 120])
    picks = strategy("typiclust")(pool, 2)
    assert _indices(picks) == [2, 6]
    assert picks[0].terms["neighbours"] == 2
    # At 4° the two nearest are 1° away.
    one = 2 * np.sin(np.deg2rad(0.5))
    assert picks[0].terms["mean_distance"] == pytest.approx(one, rel=1e-4)


def test_typiclust_turns_to_the_cluster_without_labels() -> None:
    pool = _pool([0, 3, 4, 5, 8, 90, 97, 104, 120], covered=[2])
    assert _indices(strategy("typiclust")(pool, 1)) == [6]


def test_small_clusters_count_in_a_small_pool() -> None:
    pool = _pool([0, 1, 2, 3, 4, 5, 6, 7, 8, 180])
    assert 9 in _indices(strategy("typiclust")(pool, 2))


def test_small_clusters_are_noise_in_a_large_pool() -> None:
    angles = [*np.linspace(0, 20, 60).tolist(), *np.linspace(100, 120, 40).tolist(), 250.0]
    pool = _pool(angles)
    assert 100 not in _indices(strategy("typiclust")(pool, 3))


def test_kmeans_takes_the_scan_nearest_to_each_mean() -> None:
    pool = _pool([0, 4, 10, 90, 95, 97])
    picks = strategy("kmeans")(pool, 2)
    assert _indices(picks) == [1, 4]
    assert picks[0].terms["group_size"] == 3


@pytest.mark.parametrize("name", ON_VECTORS)
def test_equal_scans_are_picked_by_their_index(name: str) -> None:
    pool = _pool([30.0] * 6)
    assert _indices(strategy(name)(pool, 3)) == [0, 1, 2]


@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_an_empty_pool_gives_no_picks(name: str) -> None:
    pool = vector_scene(7)
    none = replace(
        pool,
        candidate=np.zeros(len(pool), bool),
        entropy=np.full(len(pool), 0.5),
    )
    assert strategy(name)(none, 5) == []


@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_a_pool_without_scans_gives_no_picks(name: str) -> None:
    nobody = np.zeros(0, bool)
    pool = Pool(
        np.zeros((0, 2)),
        np.zeros(0, int),
        nobody,
        nobody,
        nobody,
        np.zeros(0),
        np.zeros((0, 4)),
        np.zeros(0),
        np.zeros((0, 2)),
        np.zeros(0),
        np.zeros(0),
        np.zeros((0, 4)),
    )
    assert strategy(name)(pool, 5) == []


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_picks_are_distinct_candidates_and_as_many_as_asked(name: str, seed: int) -> None:
    pool = replace(vector_scene(seed), entropy=np.linspace(0.1, 0.9, len(vector_scene(seed))))
    pool = replace(pool, bald=pool.entropy)
    for batch in (1, 6, 99):
        found = _indices(strategy(name)(pool, batch, seed=seed))
        assert len(set(found)) == len(found) == min(batch, int(pool.candidate.sum()))
        assert set(found) <= set(pool.candidates().tolist())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_nobody_has_two_before_everybody_has_one(name: str, seed: int) -> None:
    pool = vector_scene(seed + 20, patients=True)
    scored = np.linspace(0.1, 0.9, len(pool))
    pool = replace(pool, entropy=scored, bald=scored)
    assert pool.patients is not None
    served = set(pool.patients[pool.covered].tolist())
    waiting = set(pool.patients[pool.candidate].tolist()) - served
    seen: list[int] = []
    for index in _indices(strategy(name)(pool, 99, seed=seed)):
        seen.append(int(pool.patients[index]))
        if len(seen) <= len(waiting):
            assert len(set(seen)) == len(seen)
            assert set(seen) <= waiting
    assert len(seen) == int(pool.candidate.sum())


@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_a_patient_for_each_scan_changes_nothing(name: str) -> None:
    pool = vector_scene(14)
    scored = np.linspace(0.1, 0.9, len(pool))
    pool = replace(pool, entropy=scored, bald=scored)
    alone = replace(pool, patients=np.arange(len(pool)))
    assert strategy(name)(alone, 8, seed=2) == strategy(name)(pool, 8, seed=2)


@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_same_pool_and_seed_same_picks(name: str) -> None:
    pool = vector_scene(16)
    pool = replace(pool, entropy=np.linspace(0, 1, len(pool)), bald=np.linspace(1, 0, len(pool)))
    assert strategy(name)(pool, 6, seed=5) == strategy(name)(pool, 6, seed=5)


@pytest.mark.parametrize("name", ON_VECTORS)
def test_the_number_of_threads_changes_no_pick(name: str) -> None:
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(3)
    n = 700
    covered = np.arange(n) < 5
    pool = Pool(
        np.zeros((n, 2)),
        np.zeros(n, int),
        ~covered,
        covered,
        covered,
        embeddings=rng.normal(size=(n, 96)),
    )
    picks = []
    for threads in (1, 4):
        with threadpool_limits(limits=threads):
            picks.append(strategy(name)(pool, 12, seed=1))
    assert picks[0] == picks[1]


@pytest.mark.parametrize("name", ON_VECTORS)
def test_embeddings_are_asked_for(name: str) -> None:
    with pytest.raises(ColdalError, match="needs embeddings") as caught:
        strategy(name)(replace(vector_scene(1), embeddings=None), 2)
    assert caught.value.code == "missing-input"


def test_tiles_in_both_precisions_are_the_distances() -> None:
    rng = np.random.default_rng(0)
    rows = normalise(rng.normal(size=(1500, 33)))
    exact = np.linalg.norm(
        rows[:, None].astype(np.float64)[:50] - rows[None].astype(np.float64), axis=2
    )
    for double, off in ((True, 1e-7), (False, 2e-5)):
        tiles = np.concatenate([gaps for _, gaps in distance_tiles(rows, rows, double=double)])
        apart = ~np.eye(50, 1500, dtype=bool)
        np.testing.assert_allclose(tiles[:50][apart], exact[apart], atol=off)
    products = np.concatenate([tile for _, tile in product_tiles(rows, rows[:7], double=True)])
    np.testing.assert_allclose(products, rows.astype(np.float64) @ rows[:7].T, atol=1e-7)


def _dominant(seed: int) -> tuple[Pool, np.ndarray]:
    """175 scans of one anatomy, the most uncertain ones, and 5 of each of five rare ones."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(6), [175, 5, 5, 5, 5, 5])
    centres = np.eye(6, 24) * 5
    rows = centres[of] + 0.3 * rng.normal(size=(200, 24))
    where = np.array([[0, 0], [40, 0], [0, 40], [-40, 0], [0, -40], [40, 40]])[of]
    points = where + rng.normal(size=(200, 2))
    entropy = np.where(of == 0, 0.8, 0.4) + 0.02 * rng.random(200)
    covered = np.arange(200) < 3
    pool = Pool(points, of, ~covered, covered, covered, entropy, rows, entropy)
    return replace(
        pool,
        class_entropy=entropy[:, None],
        foreground_entropy=entropy,
        boundary_entropy=entropy,
        features=rows,
    ), of


@pytest.mark.parametrize("seed", range(3))
def test_where_anatomies_are_rare_diversity_finds_them_and_entropy_does_not(seed: int) -> None:
    pool, of = _dominant(seed)
    found = {
        known.name: len(set(of[_indices(known(pool, 10, seed=seed, alpha=0.25))]) - {0})
        for known in strategies()
    }
    for name in (*ON_VECTORS, "coldstart", "entropy-diversity", "k-center-model"):
        assert found[name] >= 4, (name, found)
    for name in ("entropy", "entropy-foreground", "entropy-boundary", "bald"):
        assert found[name] == 0, (name, found)
    for name in ("random", "random-stratified"):
        assert found[name] <= 2, (name, found)


@pytest.mark.parametrize("seed", range(3))
def test_where_the_hard_scans_are_scattered_entropy_finds_them(seed: int) -> None:
    """20 of 200 scans are hard, everywhere alike: only their entropy tells them."""
    rng = np.random.default_rng(seed)
    hard = np.zeros(200, bool)
    hard[rng.choice(np.arange(5, 200), 20, replace=False)] = True
    entropy = np.where(hard, 0.8, 0.05) + 0.02 * rng.random(200)
    points, rows = rng.normal(size=(200, 2)), rng.normal(size=(200, 24))
    covered = np.arange(200) < 5
    pool = Pool(points, np.zeros(200, int), ~covered, covered, covered, entropy, rows, entropy)
    pool = replace(
        pool,
        class_entropy=entropy[:, None],
        foreground_entropy=entropy,
        boundary_entropy=entropy,
        features=rng.normal(size=(200, 24)),
        round=4,
    )
    share = {
        known.name: hard[_indices(known(pool, 10, seed=seed, alpha=0.8))].mean()
        for known in strategies()
    }
    for name in ("entropy", "entropy-foreground", "entropy-boundary", "bald", "entropy-diversity"):
        assert share[name] == 1.0, share
    assert share["clasp-pe"] >= 0.9, share
    assert share["power-entropy"] >= 0.4, share
    blind = ("random", "coldstart", "k-center-model", *ON_VECTORS)
    assert np.mean([share[name] for name in blind]) <= 0.2, share
