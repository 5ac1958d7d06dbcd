"""The gradient of t-SNE over all pairs of points, compiled when it is first needed.

Up to some ten thousand points, a plain loop over all pairs is faster on today's processors than the
approximations by a tree or a grid, since it handles eight or sixteen pairs at a time; and it is
exact. Compiling takes about a second in each process.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.pool import Floats64


def tsne_gradient(
    embedding: Floats64,
    P: Any,
    dof: float,
    should_eval_error: bool = False,
    reference_embedding: Floats64 | None = None,
    **_: object,
) -> tuple[float, Floats64]:
    """The Kullback-Leibler divergence and its gradient, as openTSNE asks for them.

    Parameters
    ----------
    embedding : (N, 2), the points, unitless.
    P : (N, N) sparse similarities (CSR) that sum up to 1, or to the exaggeration.
    dof : degrees of freedom of the kernel; 1 alone is offered.
    should_eval_error : without it the divergence is not computed and is 0.
    reference_embedding : None alone is offered: the points among themselves.

    Returns
    -------
    float, (N, 2) : the divergence, and the gradient without its constant factor 4.

    Notes
    -----
    Van der Maaten and Hinton 2008, "Visualizing Data using t-SNE", JMLR, equation 5. Repulsion is
    summed up in float32 point by point, its normalisation and attraction in float64, on one thread:
    the same input gives the same bits.
    """
    if dof != 1 or reference_embedding is not None:
        raise ValueError("one degree of freedom and no reference embedding alone are offered")
    repel, attract = _compiled()
    points = np.asarray(embedding, dtype=np.float64)
    x, y = (np.ascontiguousarray(points[:, axis], dtype=np.float32) for axis in (0, 1))
    gradient = np.empty_like(points, order="C")
    normalisation = repel(x, y, gradient)
    gradient /= -normalisation
    divergence = attract(P.indices, P.indptr, P.data, points, gradient, should_eval_error)
    if should_eval_error:
        divergence += P.sum() * np.log(normalisation)
    return divergence, gradient


@functools.cache
def _compiled() -> tuple[Any, Any]:
    from numba import njit

    # fastmath lets sums be taken in several lanes, whose order is fixed when they are compiled; a
    # division that had to look for zeros would keep them apart (eight times as slow).
    return njit(fastmath=True, error_model="numpy")(_repel), njit(_attract)


def _repel(x: NDArray[np.float32], y: NDArray[np.float32], force: Floats64) -> float:
    """Write each point's sum of w² (y_i - y_j) to ``force``; the sum of w over all pairs i ≠ j."""
    one = np.float32(1)
    total = 0.0
    for i in range(len(x)):
        xi, yi = x[i], y[i]
        across, up, weights = np.float32(0), np.float32(0), np.float32(0)
        for j in range(len(x)):
            dx, dy = xi - x[j], yi - y[j]
            w = one / (one + dx * dx + dy * dy)
            weights += w
            across += w * w * dx
            up += w * w * dy
        force[i, 0], force[i, 1] = across, up
        total += float(weights - one)  # without the point itself
    return total


def _attract(
    indices: NDArray[np.int32],
    starts: NDArray[np.int32],
    similarity: Floats64,
    points: Floats64,
    gradient: Floats64,
    error: bool,
) -> float:
    """Add each point's sum of p w (y_i - y_j); the sum of p log(p / w) where it is wanted."""
    divergence = 0.0
    for i in range(len(points)):
        across, up = 0.0, 0.0
        for n in range(starts[i], starts[i + 1]):
            j, p = indices[n], similarity[n]
            dx, dy = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1]
            w = 1.0 / (1.0 + dx * dx + dy * dy)
            across += p * w * dx
            up += p * w * dy
            if error and p > 0:
                divergence += p * np.log(p / w)
        gradient[i, 0] += across
        gradient[i, 1] += up
    return divergence
