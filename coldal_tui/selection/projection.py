"""The map: projects embeddings to 2-D by t-SNE, and adds new scans to an existing map."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.selection.determinism import seed32, single_thread
from coldal_tui.selection.pool import Floats, Floats64, Indices
from coldal_tui.selection.shortcuts.exact_gradient import tsne_gradient

Progress = Callable[[float, float, str], None]
Method = Literal["sklearn-tsne", "exact-tsne", "opentsne", "none"]
Rows = NDArray[np.float32]

SKLEARN_LIMIT = 1_000
"""Distinct rows up to which scikit-learn's t-SNE is used; openTSNE above."""
WHOLE_LIMIT = 5_000
"""Distinct rows up to which t-SNE sees the rows themselves; above, their principal components."""
EXACT_LIMIT = 20_000
"""Distinct rows up to which neighbours and gradient are exact; above, both are approximations."""
FEWEST_FOR_TSNE = 4
COMPONENTS = 50
"""Principal components that t-SNE sees of many wide rows."""
_BLOCK_ROWS = 4096
_ITERATIONS = 750  # openTSNE: 250 with early exaggeration, 500 without


@dataclass(frozen=True)
class Projection:
    """``xy`` (N, 2) float64; ``distinct`` rows among the N; identical rows share one point.

    ``method`` and ``perplexity`` say how it was made; ``none`` and None below 4 distinct rows.
    ``components`` is the number of principal components given to t-SNE; None: the rows themselves.
    """

    xy: Floats64
    method: Method
    perplexity: float | None
    distinct: int
    components: int | None = None


def project(embeddings: Floats, seed: int, progress: Progress | None = None) -> Projection:
    """Map (N, d) embeddings to the plane (steps 1 and 2 of the cold start).

    Rows are L2-normalised in float64 and kept as float32; zero rows stay zero. Identical rows
    (after that) share one point. t-SNE runs on the M distinct rows with perplexity min(30, (M - 1)
    / 3) and PCA initialisation: scikit-learn's up to 1,000 rows; above, openTSNE's, whose
    neighbours and gradient are exact up to 20,000 rows and approximations beyond. Above 5,000 rows
    wider than 50 it uses their first 50 principal components instead (van der Maaten and Hinton
    2008, section 4.2). With fewer than 4 distinct rows there is no t-SNE: points get their true
    distances, the first at the origin, the second on the x axis. ``progress(done, total,
    message)`` is called from the calling thread.

    Same input and seed: the same bits, on any number of threads.

    Raises
    ------
    ColdalError : not a 2-D array (``embedding-shape``), NaN or infinity in a row (``not-finite``).
    """
    rows = normalise(embeddings)
    first, inverse = distinct_rows(rows)
    rows = rows[first]
    report = progress if progress is not None else _silent
    report(0.0, 1.0, f"projecting {len(rows)} distinct embeddings")
    method: Method = "none"
    perplexity: float | None = None
    components: int | None = None
    if len(rows) < FEWEST_FOR_TSNE:
        points = _few(rows)
    else:
        perplexity = min(30.0, (len(rows) - 1) / 3)
        method, run = _method(len(rows))
        if len(rows) > WHOLE_LIMIT and rows.shape[1] > COMPONENTS:
            components, rows = COMPONENTS, _principal(rows)
        points = _finite(run(rows, perplexity, seed32(seed), report))
    report(1.0, 1.0, "projected")
    return Projection(points[inverse], method, perplexity, len(rows), components)


def place(base_embeddings: Floats, base_xy: Floats, new_embeddings: Floats, k: int = 5) -> Floats64:
    """Place (n, d) new embeddings into a map of (N, d) embeddings at (N, 2) ``base_xy``.

    A new row identical to a base row (both L2-normalised) lands exactly on its point; any other
    at the mean of its ``k`` nearest distinct base rows, weighted by 1 / distance. The base points
    don't move. Blockwise: memory O(N + n) beside the embeddings. Returns (n, 2) float64.

    Raises
    ------
    ColdalError : widths that differ, an empty base, rows that are not finite.
    """
    base, new = normalise(base_embeddings), normalise(new_embeddings)
    if not len(base) or len(base) != len(base_xy) or base.shape[1] != new.shape[1]:
        raise ColdalError(
            f"{new.shape[1]}-wide embeddings do not fit a map of {len(base)} scans "
            f"({base.shape[1]} wide) with {len(base_xy)} points",
            remedy="rebuild the map with the encoder in use",
            code="embedding-shape",
        )
    first, _ = distinct_rows(base)
    base, xy = base[first], np.asarray(base_xy, np.float64)[first]
    known = {key: n for n, key in enumerate(_digests(base))}
    new_first, inverse = distinct_rows(new)
    new = new[new_first]
    twins = np.array([known.get(key, -1) for key in _digests(new)], dtype=np.int64)
    placed = np.empty((len(new), 2))
    placed[twins >= 0] = xy[twins[twins >= 0]]
    strangers = np.flatnonzero(twins < 0)
    placed[strangers] = _weighted_means(base, xy, new[strangers], min(k, len(base)))
    return placed[inverse]


def normalise(embeddings: Floats) -> Rows:
    """(N, d) rows scaled to length 1, computed in float64, as float32; zero rows stay zero.

    Raises ColdalError naming the rows that hold NaN or infinity.
    """
    array = np.asarray(embeddings)
    if array.ndim != 2 or array.shape[1] < 1:
        raise ColdalError(
            f"embeddings have the shape {array.shape}, not (scans, width)",
            remedy="embed the scans again",
            code="embedding-shape",
        )
    _refuse_not_finite(array)
    result = np.zeros(array.shape, dtype=np.float32)
    for start in range(0, len(array), _BLOCK_ROWS):
        block = array[start : start + _BLOCK_ROWS].astype(np.float64)
        largest = np.abs(block).max(axis=1, keepdims=True)
        # Dividing by the largest entry first keeps squares of huge or tiny entries in range.
        block = np.divide(block, largest, out=np.zeros_like(block), where=largest > 0)
        length = np.sqrt(np.square(block).sum(axis=1, keepdims=True))
        np.divide(block, length, out=block, where=length > 0)
        result[start : start + _BLOCK_ROWS] = block
    result += np.float32(0.0)  # -0.0 becomes 0.0: equal rows have equal bytes
    return result


def distinct_rows(rows: Rows) -> tuple[Indices, Indices]:
    """First index of each distinct row, in order of appearance, and each row's index among these.

    ``rows`` is (N, d); the answers are of shapes (M,) and (N,).
    """
    seen: dict[bytes, int] = {}
    first: list[int] = []
    inverse = np.empty(len(rows), dtype=np.int64)
    for n, key in enumerate(_digests(rows)):
        slot = seen.setdefault(key, len(first))
        if slot == len(first):
            first.append(n)
        inverse[n] = slot
    return np.array(first, dtype=np.int64), inverse


def _digests(rows: Rows) -> list[bytes]:
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _refuse_not_finite(array: Floats) -> None:
    bad: list[int] = []
    for start in range(0, len(array), _BLOCK_ROWS):
        finite = np.isfinite(array[start : start + _BLOCK_ROWS]).all(axis=1)
        bad += (start + np.flatnonzero(~finite)).tolist()
    if bad:
        shown = ", ".join(map(str, bad[:10])) + (" …" if len(bad) > 10 else "")
        raise ColdalError(
            f"{len(bad)} embedding rows hold NaN or infinity: {shown}",
            where="embeddings",
            remedy="look at these scans, exclude them or embed them again",
            code="not-finite",
        )


def _few(rows: Rows) -> Floats64:
    """0 to 3 distinct rows in the plane at their true distances."""
    points = np.zeros((len(rows), 2))
    if len(rows) < 2:
        return points
    wide = rows.astype(np.float64)
    ab = float(np.linalg.norm(wide[1] - wide[0]))
    points[1, 0] = ab
    if len(rows) == 3:
        ac = float(np.linalg.norm(wide[2] - wide[0]))
        bc = float(np.linalg.norm(wide[2] - wide[1]))
        x = (ab * ab + ac * ac - bc * bc) / (2 * ab) if ab > 0 else 0.0
        points[2] = x, np.sqrt(max(ac * ac - x * x, 0.0))
    if len(np.unique(points, axis=0)) < len(rows):
        # Rows closer than float64 resolves: one point each, a unit apart.
        points = np.stack([np.arange(len(rows)), np.zeros(len(rows))], axis=1).astype(np.float64)
    return points


def _method(count: int) -> tuple[Method, Callable[[Rows, float, int, Progress], Floats64]]:
    if count <= SKLEARN_LIMIT:
        return "sklearn-tsne", _sklearn_tsne
    if count <= EXACT_LIMIT:
        return "exact-tsne", partial(_opentsne, neighbours="exact", gradient=tsne_gradient)
    return "opentsne", partial(_opentsne, neighbours="annoy", gradient="fft")


def _sklearn_tsne(rows: Rows, perplexity: float, seed: int, report: Progress) -> Floats64:
    from sklearn.manifold import TSNE

    with single_thread():
        model = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return np.asarray(model.fit_transform(rows.astype(np.float64)), dtype=np.float64)


def _principal(rows: Rows) -> Rows:
    """(n, 50) coordinates of (n, d) rows along their first principal axes."""
    from sklearn.decomposition import PCA

    with single_thread():
        model = PCA(COMPONENTS, svd_solver="covariance_eigh")
        return np.ascontiguousarray(model.fit_transform(rows), dtype=np.float32)


def _opentsne(
    rows: Rows,
    perplexity: float,
    seed: int,
    report: Progress,
    *,
    neighbours: str,
    gradient: str | Callable[..., tuple[float, Floats64]],
) -> Floats64:
    from openTSNE import TSNE
    from openTSNE.initialization import pca

    done = 0

    def advance(iteration: int, error: float, embedding: object) -> None:
        nonlocal done
        done += 50
        report(min(done / _ITERATIONS, 1.0), 1.0, f"t-SNE, KL divergence {error:.3f}")

    # It is repeatable with one job (gradients add up over threads, Annoy gives each thread
    # its own trees) and one seed for Annoy, PCA and the jitter of the start.
    with single_thread():
        start = pca(rows, random_state=seed).astype(np.float64)
        model = TSNE(
            2,
            perplexity=perplexity,
            initialization=start,
            neighbors=neighbours,
            negative_gradient_method=gradient,
            n_jobs=1,
            random_state=seed,
            callbacks=advance,
            callbacks_every_iters=50,
        )
        return np.asarray(model.fit(rows), dtype=np.float64)


def _finite(points: Floats64) -> Floats64:
    if not bool(np.all(np.isfinite(points))):
        raise ColdalError(
            "t-SNE gave coordinates that are not finite",
            where="map",
            remedy="try another seed or encoder",
            code="map-not-finite",
        )
    return points


def _weighted_means(base: Rows, xy: Floats64, new: Rows, k: int) -> Floats64:
    """The mean of each new row's ``k`` nearest base points, weighted by 1 / distance."""
    placed = np.empty((len(new), 2))
    squares = np.square(base, dtype=np.float64).sum(axis=1)
    rows = max(1, (1 << 22) // max(1, len(base)))
    with single_thread():
        for start in range(0, len(new), rows):
            block = new[start : start + rows]
            # Rough squared distances, less the constant |new|², are enough to find neighbours.
            rough = squares - 2.0 * (block @ base.T)
            near = np.argpartition(rough, k - 1, axis=1)[:, :k]
            near.sort(axis=1)
            for n, (row, neighbours) in enumerate(zip(block, near, strict=True), start):
                gap = base[neighbours].astype(np.float64) - row
                distance = np.sqrt(np.square(gap).sum(axis=1))
                weight = 1.0 / np.maximum(distance, 1e-12)
                placed[n] = (weight[:, None] * xy[neighbours]).sum(axis=0) / weight.sum()
    return placed


def _silent(done: float, total: float, message: str) -> None:
    """A progress callback that does nothing."""
