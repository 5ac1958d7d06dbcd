"""Selection against what a user would take instead, at three sizes each.

    python benchmarks/selection.py [--only WORDS] [--largest 650000] [--pairs 3] [--json FILE]

The picks of both sides are compared before anything is timed wherever the peer gives picks.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from measuring import Result, compare, finish, machine
from numpy.typing import NDArray

from coldal_tui.selection.acquisition import entropy_diversity
from coldal_tui.selection.clustering import choose_clusters, medoid
from coldal_tui.selection.coldstart import farthest_points
from coldal_tui.selection.methods.covering import facility_location, prob_cover
from coldal_tui.selection.pool import Pool
from coldal_tui.selection.projection import project

Points = NDArray[np.float64]
PICKS = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--largest", type=int, default=650_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    where = machine()
    results: list[Result] = []
    for name, case in CASES.items():
        if options.only in name:
            results += case(options.largest, options.pairs)
    finish("selection", results, options.json, where)
    return 0


def cloud(count: int, seed: int = 0) -> Points:
    """(count, 2) points like a t-SNE map: twelve soft heaps of different width."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, 2)) * 30
    width = rng.uniform(2, 8, (count, 1))
    return np.asarray(centres[rng.integers(0, 12, count)] + rng.normal(size=(count, 2)) * width)


def farthest(largest: int, pairs: int) -> Iterator[Result]:
    """1,000 farthest points, from the first point on."""
    has_peer = importlib.util.find_spec("fpsample") is not None
    for count in _sizes(largest):
        points, everyone, start = cloud(count), np.arange(count), np.array([0])
        ours = partial(farthest_points, points, everyone, start, PICKS - 1)
        loop = partial(farthest_loop, points, PICKS)
        assert [0, *(step.index for step in ours())] == loop(), "picks differ"
        yield compare("farthest 1,000", count, ours, "numpy loop", loop, pairs=pairs)
        if has_peer:
            theirs = partial(fpsample_picks, points)
            yield compare("farthest 1,000 ", count, ours, "fpsample", theirs, pairs=pairs)


def farthest_loop(points: Points, count: int) -> list[int]:
    """Farthest-point sampling as one writes it down."""
    picks, gap = [0], np.full(len(points), np.inf)
    while len(picks) < count:
        gap = np.minimum(gap, np.sqrt(((points - points[picks[-1]]) ** 2).sum(axis=1)))
        picks.append(int(gap.argmax()))
    return picks


def fpsample_picks(points: Points) -> object:
    import fpsample

    return fpsample.bucket_fps_kdline_sampling(points, PICKS, h=7, start_idx=0)


def acquired(largest: int, pairs: int) -> Iterator[Result]:
    """1,000 picks by entropy and diversity, 20 scans covered."""
    for count in _sizes(largest):
        points = cloud(count)
        entropy = np.random.default_rng(1).random(count)
        covered = np.arange(count) < 20
        ours = partial(entropy_diversity, points, ~covered, covered, entropy, PICKS, 0.5)
        loop = partial(acquired_loop, points, covered, entropy, PICKS, 0.5)
        assert [one.index for one in ours()] == loop(), "picks differ"
        yield compare("S(i), 1,000 picks", count, ours, "numpy loop", loop, pairs=pairs)


def acquired_loop(
    points: Points, covered: NDArray[np.bool_], entropy: Points, batch: int, alpha: float
) -> list[int]:
    """Entropy and diversity as one writes them down."""
    left = ~covered
    h = (entropy - entropy[left].min()) / (entropy[left].max() - entropy[left].min())
    gap = np.full(len(points), np.inf)
    for scan in np.flatnonzero(covered):
        gap = np.minimum(gap, np.sqrt(((points - points[scan]) ** 2).sum(axis=1)))
    picks: list[int] = []
    for _ in range(batch):
        score = np.where(left, alpha * h + (1 - alpha) * (gap / gap[left].max()), -np.inf)
        best = int(score.argmax())
        picks.append(best)
        left[best] = False
        gap = np.minimum(gap, np.sqrt(((points - points[best]) ** 2).sum(axis=1)))
    covered[picks] = False
    return picks


def medoids(largest: int, pairs: int) -> Iterator[Result]:
    """Eight exact medoids; the peer sums up all pairs and has a small size only."""
    for count in _sizes(largest):
        points = cloud(count)
        parts = [np.arange(n, count, 8) for n in range(8)]
        plain = partial(plain_medoids, points, parts) if count <= 30_000 else None
        if plain is not None:
            assert [medoid(points, part) for part in parts] == plain(), "medoids differ"

        def ours(points: Points = points, parts: list[NDArray[np.int64]] = parts) -> object:
            return [medoid(points, part) for part in parts]

        yield compare("8 medoids", count, ours, "scipy cdist" if plain else "", plain, pairs=pairs)


def plain_medoids(points: Points, parts: list[NDArray[np.int64]]) -> list[int]:
    from scipy.spatial.distance import cdist

    return [int(part[cdist(points[part], points[part]).sum(axis=1).argmin()]) for part in parts]


def clusters(largest: int, pairs: int) -> Iterator[Result]:
    """k-means and silhouettes for k up to 30; above 20,000 the silhouette is an estimate."""
    import sklearn.cluster  # noqa: F401  both sides need it

    for count in sorted({2_000, 5_000, 20_000, 100_000, largest}):
        if count > largest:
            break
        points = cloud(count)
        ours = partial(choose_clusters, points, 30, 0)
        theirs = partial(sklearn_clusters, points) if count <= 5_000 else None
        note = "estimated on 5,000" if count > 20_000 else ""
        peer = "scikit-learn" if theirs else ""
        # The peer takes half a minute from 20,000 points on.
        yield compare(
            "k-means and silhouettes, k to 30", count, ours, peer, theirs, pairs=pairs, note=note
        )


def sklearn_clusters(points: Points) -> int:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    scores = {
        k: silhouette_score(points, KMeans(k, n_init=10, random_state=0).fit(points).labels_)
        for k in range(2, 31)
    }
    return max(scores, key=lambda k: scores[k])


def maps(largest: int, pairs: int) -> Iterator[Result]:
    """A map of rows of 1,280; the peer is openTSNE as it comes, on components above 5,000 rows."""
    import openTSNE  # noqa: F401  both sides need it

    for count in (1_000, 5_000, 20_000, 100_000):
        if count > largest:
            continue
        rows = features(count)
        trust = trustworthiness(rows, project(rows, 0).xy) if count <= 5_000 else None
        theirs = partial(opentsne, rows) if count <= 20_000 else None
        if trust is not None:
            assert trust > trustworthiness(rows, opentsne(rows)) - 0.005, "a worse map"
        note = "" if trust is None else f"trustworthiness {trust:.4f}"
        peer = "openTSNE on 50 components" if count > 5_000 else "openTSNE"
        yield compare(
            "map of rows of 1,280", count, partial(project, rows, 0),
            peer if theirs else "", theirs, pairs=pairs, note=note,
        )  # fmt: skip


def features(count: int) -> NDArray[np.float32]:
    """(count, 1280) noisy features of shifted digits, as a frozen network gives them."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    digits = load_digits().images / 16
    shifts = rng.integers(-1, 2, (count, 2))
    chosen = digits[rng.integers(0, len(digits), count)]
    pixels = [
        np.roll(one, shift, (0, 1)).ravel() for one, shift in zip(chosen, shifts, strict=True)
    ]
    weights = rng.normal(size=(64, 1280)).astype(np.float32)
    noise = rng.normal(size=(count, 1280)).astype(np.float32) * 0.5
    return np.maximum(np.array(pixels, np.float32) @ weights + noise, 0)


def opentsne(rows: NDArray[np.float32]) -> Points:
    """openTSNE with its own settings, on unit rows."""
    from openTSNE import TSNE
    from sklearn.decomposition import PCA

    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    if len(rows) > 5_000:
        rows = PCA(50, random_state=0).fit_transform(rows)
    return np.asarray(TSNE(perplexity=30, n_jobs=1, random_state=0).fit(rows))


def trustworthiness(rows: NDArray[np.float32], xy: Points) -> float:
    """How far 15 neighbours on the map are neighbours of the unit rows, too; 1: all."""
    from sklearn import manifold

    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return float(manifold.trustworthiness(unit, xy, n_neighbors=15))


def covers(largest: int, pairs: int) -> Iterator[Result]:
    """200 picks by the two rules of coverage, on rows of 1,280; estimated above 20,000 scans."""
    for count in (2_000, 40_000, 100_000):
        if count > largest:
            continue
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(12, 1280)).astype(np.float32)
        rows = centres[rng.integers(0, 12, count)] + rng.normal(size=(count, 1280)) * 0.7
        nobody = np.zeros(count, dtype=bool)
        pool = Pool(cloud(count), np.zeros(count, dtype=int), ~nobody, nobody, nobody)
        pool = replace(pool, embeddings=rows.astype(np.float32))
        for name, pick in (("facility-location", facility_location), ("probcover", prob_cover)):
            ours = partial(pick, pool, 200, 0)
            yield compare(f"{name}, 200 picks", count, ours, pairs=pairs)


def _sizes(largest: int) -> list[int]:
    return [size for size in (10_000, 100_000, 650_000) if size <= largest]


CASES: dict[str, Callable[[int, int], Iterator[Result]]] = {
    "farthest": farthest,
    "acquired": acquired,
    "medoids": medoids,
    "clusters": clusters,
    "maps": maps,
    "covers": covers,
}


if __name__ == "__main__":
    raise SystemExit(main())
