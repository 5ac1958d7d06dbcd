"""Makes numerical libraries give identical results with any number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_thread() -> Iterator[None]:
    """Limit BLAS and OpenMP code in this context to one thread.

    Sums over threads round differently with the number of threads: scikit-learn's Barnes-Hut
    t-SNE and k-means add up over OpenMP threads, PCA and silhouettes over BLAS threads. Only
    libraries that are loaded already can be limited, so import them before entering.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def seed32(seed: int) -> int:
    """A seed of any size as the 32-bit seed that scikit-learn and openTSNE need."""
    return seed % 2**32
