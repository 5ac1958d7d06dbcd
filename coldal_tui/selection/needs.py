"""The pool fields that strategies need, by name; light enough for the supervisor.

The only definition; ``strategies`` uses it.
"""

from __future__ import annotations

from typing import Literal

Need = Literal[
    "entropy",
    "embeddings",
    "bald",
    "class_entropy",
    "foreground_entropy",
    "boundary_entropy",
    "features",
]
"""Fields of a ``Pool`` that are there only where they were measured."""

ENSEMBLE = 3
"""How many networks a strategy on their disagreement gets, where nobody says another number."""

NEEDS: dict[str, tuple[Need, ...]] = {
    "coldstart": (),
    "coldstart-embeddings": ("embeddings",),
    "coldstart-herding": ("embeddings",),
    "coldstart-kmeans": ("embeddings",),
    "kmeans": ("embeddings",),
    "typiclust": ("embeddings",),
    "k-center": ("embeddings",),
    "k-center-model": ("features",),
    "probcover": ("embeddings",),
    "facility-location": ("embeddings",),
    "herding": ("embeddings",),
    "maxherding": ("embeddings",),
    "uherding": ("entropy", "embeddings"),
    "entropy-diversity": (),
    "entropy": ("entropy",),
    "entropy-foreground": ("foreground_entropy",),
    "entropy-boundary": ("boundary_entropy",),
    "power-entropy": ("entropy",),
    "bald": ("bald",),
    "power-bald": ("bald",),
    "clasp-pe": ("entropy", "class_entropy"),
    "random": (),
    "random-stratified": (),
}
"""Strategies that are not listed say it where they are registered."""

BY_MINUTES = ("entropy-diversity", "entropy", "entropy-foreground", "entropy-boundary", "bald")
"""Strategies that give each scan a number, from 0 up, which ``cost = "minutes"`` divides by its
expected minutes. The others look at a batch as a whole or draw at random; there it has no say."""
