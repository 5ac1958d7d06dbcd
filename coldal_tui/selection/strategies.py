"""Strategies by name: functions of a pool that return picks with the terms behind each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.selection.acquisition import entropy_diversity
from coldal_tui.selection.coldstart import cold_start
from coldal_tui.selection.pool import Pick, Pool

Rounds = Literal["cold", "active"]
Need = Literal["entropy", "embeddings"]


class Selector(Protocol):
    """The one signature: up to ``batch`` picks from the pool, in rank order.

    ``seed`` decides everything random. ``alpha`` weighs entropy against diversity; strategies
    that do neither leave it alone.
    """

    def __call__(self, pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]: ...


@dataclass(frozen=True)
class Strategy:
    """A named rule; ``rounds`` it suits, what it ``needs`` in the pool, one line about it."""

    name: str
    rounds: tuple[Rounds, ...]
    needs: tuple[Need, ...]
    description: str
    select: Selector

    def __call__(self, pool: Pool, batch: int, *, seed: int = 0, alpha: float = 0.5) -> list[Pick]:
        """Pick; ColdalError (``missing-input``) when the pool lacks what the strategy needs."""
        for need in self.needs:
            if getattr(pool, need) is None:
                raise ColdalError(
                    f"strategy {self.name} needs {need}, which the pool does not have",
                    remedy=_REMEDIES[need],
                    code="missing-input",
                )
        return self.select(pool, max(batch, 0), seed=seed, alpha=alpha)


_REMEDIES = {"entropy": "train and score first", "embeddings": "embed the scans first"}
_REGISTRY: dict[str, Strategy] = {}


def register(
    name: str, *, rounds: tuple[Rounds, ...], needs: tuple[Need, ...] = (), description: str
) -> Callable[[Selector], Selector]:
    """Decorator: make a selector known by ``name``. A name can be taken once (ValueError)."""

    def keep(select: Selector) -> Selector:
        if name in _REGISTRY:
            raise ValueError(f"strategy {name} is registered already")
        _REGISTRY[name] = Strategy(name, rounds, needs, description, select)
        return select

    return keep


def strategies(rounds: Rounds | None = None) -> list[Strategy]:
    """All strategies, or those that suit cold or active rounds, by name."""
    found = sorted(_REGISTRY.values(), key=lambda strategy: strategy.name)
    return [strategy for strategy in found if rounds is None or rounds in strategy.rounds]


def strategy(name: str, rounds: Rounds | None = None) -> Strategy:
    """The strategy called ``name``; UsageError when unknown or not for such rounds."""
    names = ", ".join(known.name for known in strategies(rounds))
    if name not in _REGISTRY:
        raise UsageError(
            f"there is no strategy {name!r}", remedy=f"use one of: {names}", code="unknown-strategy"
        )
    found = _REGISTRY[name]
    if rounds is not None and rounds not in found.rounds:
        raise UsageError(
            f"strategy {name} does not suit {_ROUNDS[rounds]}",
            remedy=f"use one of: {names}",
            code="wrong-round",
        )
    return found


_ROUNDS = {"cold": "the first round", "active": "rounds after the first"}


@register(
    "coldstart",
    rounds=("cold",),
    description="medoids and farthest points of the map's clusters",
)
def _coldstart(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return cold_start(pool, batch)


@register(
    "entropy-diversity",
    rounds=("active",),
    description="entropy of the last run plus distance on the map to what is covered",
)
def _entropy_diversity(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    found = entropy_diversity(pool.points, pool.candidate, pool.covered, pool.entropy, batch, alpha)
    return [
        Pick(one.index, "acquired", int(pool.clusters[one.index]), one.terms(alpha))
        for one in found
    ]


@register(
    "entropy",
    rounds=("active",),
    needs=("entropy",),
    description="entropy of the last run alone",
)
def _entropy(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return _entropy_diversity(pool, batch, seed=seed, alpha=1.0)


@register("random", rounds=("cold", "active"), description="uniformly at random, the baseline")
def _random(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    drawn = np.random.default_rng(seed).permutation(pool.candidates())[:batch]
    return [Pick(int(n), "random", int(pool.clusters[n]), {"seed": seed}) for n in drawn]
