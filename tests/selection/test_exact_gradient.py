"""The compiled gradient of t-SNE against the formula written down with all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from coldal_tui.selection.shortcuts.exact_gradient import tsne_gradient


def similarities(count: int, rng: np.random.Generator) -> csr_matrix:
    """A symmetric sparse matrix with an empty diagonal that sums up to 1."""
    values = rng.random((count, count)) * (rng.random((count, count)) < 0.1)
    values = values + values.T
    np.fill_diagonal(values, 0.0)
    return csr_matrix(values / values.sum())


@pytest.mark.parametrize("width", [0.001, 1.0, 60.0])
def test_gradient_and_divergence_are_those_of_the_formula(width: float) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(203, 2)) * width
    points[7] = points[11]
    p = similarities(len(points), rng)
    gap = points[:, None] - points[None]
    w = 1 / (1 + (gap**2).sum(axis=2))
    np.fill_diagonal(w, 0.0)
    dense, q = p.toarray(), w / w.sum()
    wanted = ((dense - q)[:, :, None] * w[:, :, None] * gap).sum(axis=1)
    known = dense > 0
    divergence = (dense[known] * np.log(dense[known] / q[known])).sum()

    found, gradient = tsne_gradient(points, p, 1, should_eval_error=True)
    assert gradient == pytest.approx(wanted, rel=1e-5, abs=1e-5 * np.abs(wanted).max())
    assert found == pytest.approx(divergence, rel=1e-6)
    assert tsne_gradient(points, p, 1)[0] == 0


def test_exaggerated_similarities_pull_as_much_more() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(40, 2))
    p = similarities(40, rng)
    plain, pulled = (tsne_gradient(points, p * factor, 1)[1] for factor in (1, 12))
    none = tsne_gradient(points, p * 0, 1)[1]
    assert pulled - none == pytest.approx(12 * (plain - none))


@pytest.mark.parametrize("options", [{"dof": 2}, {"dof": 1, "reference_embedding": np.eye(2)}])
def test_what_it_does_not_compute_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="alone are offered"):
        tsne_gradient(np.eye(2), csr_matrix((2, 2)), **options)
