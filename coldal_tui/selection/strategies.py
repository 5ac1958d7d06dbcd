"""Strategies by name: functions of a pool that return picks with the terms behind each.

Another package adds one through the entry point group ``coldal_tui.strategies``, whose entries name
objects of the class ``Strategy``. Its picks are always checked before use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any, Literal, Protocol, get_args

import numpy as np

from coldal_tui import plugins
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.selection.acquisition import entropy_diversity
from coldal_tui.selection.clustering import Clustering
from coldal_tui.selection.coldstart import cold_start
from coldal_tui.selection.methods.draws import drawn_at_random, drawn_by_cluster
from coldal_tui.selection.methods.herding import herding, max_herding, uherding
from coldal_tui.selection.methods.noise import class_power, highest, power
from coldal_tui.selection.methods.representative import within_by_herding, within_by_kmeans
from coldal_tui.selection.needs import NEEDS, Need
from coldal_tui.selection.pool import Floats, Pick, Pool, wrong_picks

Rounds = Literal["cold", "active"]
Clusterer = Callable[[Floats, int, int], Clustering]
"""(N, d) embeddings, the most clusters and a seed to the clusters that a strategy works in."""
Explainer = Callable[[Mapping[str, Any]], list[str]]
"""The terms of a pick, scan ids for indices, to one to three plain sentences on why it was made."""


class Selector(Protocol):
    """The one signature: up to ``batch`` picks from the pool, in rank order.

    ``seed`` decides everything random. ``alpha`` weights entropy against diversity; other
    strategies ignore it.
    """

    def __call__(self, pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]: ...


@dataclass(frozen=True)
class Strategy:
    """A named rule: the ``rounds`` it suits, the pool fields it ``needs``, a one-line description.

    ``clusterer``: the strategy uses its own clusters, of the embeddings instead of the map; a pool
    with other clusters is clustered again. ``explain`` puts the terms of a pick into words for
    ``why``, which else shows the plain numbers. ``package`` is the package that provides it, empty
    for coldal-tui.
    """

    name: str
    rounds: tuple[Rounds, ...]
    needs: tuple[Need, ...]
    description: str
    select: Selector
    clusterer: Clusterer | None = None
    explain: Explainer | None = None
    package: str = ""

    def __call__(self, pool: Pool, batch: int, *, seed: int = 0, alpha: float = 0.5) -> list[Pick]:
        """Pick; ColdalError (``missing-input``) when the pool lacks what the strategy needs."""
        for need in self.needs:
            if getattr(pool, need) is None:
                raise ColdalError(
                    f"strategy {self.name} needs {need}, which the pool does not have",
                    remedy=_REMEDIES[need],
                    code="missing-input",
                )
        if self.clusterer is not None and pool.clusters_by != self.name and len(pool):
            assert pool.embeddings is not None, "a strategy with clusters of its own needs them"
            labels = self.clusterer(pool.embeddings, max(1, batch), seed).labels
            pool = replace(pool, clusters=labels, clusters_by=self.name)
        if self.package:
            return self._from_outside(pool, max(batch, 0), seed, alpha)
        return self.select(pool, max(batch, 0), seed=seed, alpha=alpha)

    def _from_outside(self, pool: Pool, batch: int, seed: int, alpha: float) -> list[Pick]:
        try:
            picks = list(self.select(pool, batch, seed=seed, alpha=alpha))
        except ColdalError:
            raise
        except Exception as error:  # third-party code
            raise self._fault(plugins.reason(error)) from error
        problem = wrong_picks(picks, pool, batch)
        if problem:
            raise self._fault(problem)
        return [replace(one, index=int(one.index), cluster=int(one.cluster)) for one in picks]

    def _fault(self, what: str) -> ColdalError:
        return ColdalError(
            f"the strategy {self.name!r} of the package {self.package} failed: {what}",
            remedy="tell its author, and use another --strategy until then",
            code="plug-in",
        )


_REMEDIES = {
    "entropy": "train and score first",
    "embeddings": "embed the scans first",
    "bald": "set networks = 3 under [train] in coldal.toml, then train and score",
    "class_entropy": "train and score first",
    "foreground_entropy": "train and score first",
    "boundary_entropy": "train and score first",
    "features": "train and score first",
}
_REGISTRY: dict[str, Strategy] = {}


def register(
    name: str,
    *,
    rounds: tuple[Rounds, ...],
    needs: tuple[Need, ...] | None = None,
    description: str,
    clusterer: Clusterer | None = None,
) -> Callable[[Selector], Selector]:
    """Decorator: make a selector known by ``name``. A name can be taken once (ValueError).

    ``needs`` by default are those that ``NEEDS`` has under that name.
    """

    def keep(select: Selector) -> Selector:
        if name in _REGISTRY:
            raise ValueError(f"strategy {name} is registered already")
        known = NEEDS.get(name, ()) if needs is None else needs
        _REGISTRY[name] = Strategy(name, rounds, known, description, select, clusterer)
        return select

    return keep


def strategies(rounds: Rounds | None = None) -> list[Strategy]:
    """All strategies, or those for cold or active rounds, by name; plug-ins included."""
    known = {**_outside().working, **_REGISTRY}
    found = sorted(known.values(), key=lambda strategy: strategy.name)
    return [strategy for strategy in found if rounds is None or rounds in strategy.rounds]


def strategy(name: str, rounds: Rounds | None = None) -> Strategy:
    """The strategy called ``name``.

    Raises
    ------
    UsageError : unknown, or not for such rounds.
    ColdalError : the strategy's plug-in can't be loaded (``plug-in``).
    """
    found = _REGISTRY.get(name) or _plugin(name)
    if found is None:
        raise UsageError(
            f"there is no strategy {name!r}",
            remedy=f"use one of: {_names(rounds)}",
            code="unknown-strategy",
        )
    if rounds is not None and rounds not in found.rounds:
        raise UsageError(
            f"strategy {name} does not suit {_ROUNDS[rounds]}",
            remedy=f"use one of: {_names(rounds)}",
            code="wrong-round",
        )
    return found


def weighs_alpha(name: str) -> bool:
    """Whether a strategy weighs entropy against diversity by the α it is given.

    Found by a trial, as ``select`` finds it: its picks say which α made them.
    """
    some = np.array([True, True, True, False])
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    pool = Pool(
        points=points,
        clusters=np.zeros(4, np.int64),
        candidate=some,
        covered=~some,
        labelled=~some,
        entropy=np.array([0.1, 0.4, 0.2, np.nan]),
        embeddings=np.eye(4),
    )
    try:
        picks = strategy(name)(pool, 1, seed=0, alpha=0.375)
    except ColdalError:
        return False
    return bool(picks) and picks[0].terms.get("alpha") == 0.375


def plugin_failures() -> tuple[plugins.PluginFailure, ...]:
    """Installed strategies of other packages that can't be loaded, and why."""
    return _outside().failures


def plugin_words(name: str, terms: Mapping[str, Any]) -> list[str]:
    """A plug-in strategy's own explanation of a pick; empty when it has none.

    Also empty when it fails or is no longer installed: the numbers of the pick are kept.
    """
    try:
        found = _plugin(name)
        said = found.explain(terms) if found is not None and found.explain is not None else []
        return [str(sentence) for sentence in said]
    except Exception:  # third-party code; a screen must not fail because of it
        return []


def as_strategy(loaded: object) -> Strategy:
    """The strategy that a plug-in's entry names; TypeError when it is not a strategy."""
    if not isinstance(loaded, Strategy):
        raise TypeError("it is no coldal_tui.selection.strategies.Strategy")
    wrong = [one for one in loaded.rounds if one not in get_args(Rounds)]
    if wrong or not loaded.rounds:
        raise TypeError(f"its rounds are {loaded.rounds}, not some of {get_args(Rounds)}")
    unknown = [need for need in loaded.needs if need not in get_args(Need)]
    if unknown:
        raise TypeError(f"it needs {', '.join(unknown)}; a pool has {', '.join(get_args(Need))}")
    return loaded


def _names(rounds: Rounds | None) -> str:
    return ", ".join(known.name for known in strategies(rounds))


def _outside() -> plugins.Plugins[Strategy]:
    found = plugins.load_all(plugins.STRATEGY, as_strategy, tuple(_REGISTRY))
    entries = plugins.entries(plugins.STRATEGY)
    named = {name: _of(entries[name], one) for name, one in found.working.items()}
    return plugins.Plugins(named, found.failures)


def _plugin(name: str) -> Strategy | None:
    entry = plugins.entries(plugins.STRATEGY).get(name)
    return None if entry is None else _of(entry, plugins.load(plugins.STRATEGY, entry, as_strategy))


def _of(entry: EntryPoint, found: Strategy) -> Strategy:
    """The strategy renamed to its entry's name, by which users select it."""
    return replace(found, name=entry.name, package=plugins.package_of(entry) or entry.value)


_ROUNDS = {"cold": "the first round", "active": "rounds after the first"}


@register(
    "coldstart",
    rounds=("cold",),
    description="medoids and farthest points of the map's clusters",
)
def _coldstart(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return cold_start(pool, batch)


def _row_clusters(embeddings: Floats, max_k: int, seed: int) -> Clustering:
    from coldal_tui.selection.vectors import choose_row_clusters

    return choose_row_clusters(embeddings, max_k, seed)


@register(
    "coldstart-embeddings",
    rounds=("cold",),
    description="coldstart with clusters and distances of the embeddings, without the map",
    clusterer=_row_clusters,
)
def _coldstart_embeddings(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.vectors import unit_rows

    rows = unit_rows(pool, np.arange(len(pool), dtype=np.int64))
    return cold_start(pool, batch, rows)


@register(
    "kmeans",
    rounds=("cold", "active"),
    description="k-means of the embeddings, a cluster for each pick, the scan nearest its mean",
)
def _kmeans(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.methods.prototypes import kmeans_picks

    return kmeans_picks(pool, batch, seed)


@register(
    "typiclust",
    rounds=("cold", "active"),
    description="the densest scan of the least covered k-means cluster (TypiClust)",
)
def _typiclust(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.methods.prototypes import typiclust

    return typiclust(pool, batch, seed)


@register(
    "k-center",
    rounds=("cold", "active"),
    description="always the scan farthest from everything picked (core-set)",
)
def _k_center(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.methods.covering import k_center

    return k_center(pool, batch)


@register(
    "k-center-model",
    rounds=("active",),
    description="the same on the features of the last run's network",
)
def _k_center_model(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.methods.covering import k_center_of_model

    return k_center_of_model(pool, batch)


@register(
    "probcover",
    rounds=("cold", "active"),
    description="the scan whose neighbourhood holds the most that is not covered (ProbCover)",
)
def _prob_cover(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.methods.covering import prob_cover

    return prob_cover(pool, batch, seed)


@register(
    "facility-location",
    rounds=("cold", "active"),
    description="the scans that together are most similar to all others",
)
def _facility_location(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    from coldal_tui.selection.methods.covering import facility_location

    return facility_location(pool, batch, seed)


@register(
    "entropy-diversity",
    rounds=("active",),
    description="entropy of the last run plus distance on the map to what is covered",
)
def _entropy_diversity(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    found = entropy_diversity(
        pool.points,
        pool.candidate,
        pool.covered,
        pool.entropy,
        batch,
        alpha,
        patients=pool.patients,
        minutes=pool.minutes,
    )
    return [
        Pick(one.index, "acquired", int(pool.clusters[one.index]), one.terms(alpha))
        for one in found
    ]


@register(
    "entropy",
    rounds=("active",),
    description="entropy of the last run alone",
)
def _entropy(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return _entropy_diversity(pool, batch, seed=seed, alpha=1.0)


@register(
    "entropy-foreground",
    rounds=("active",),
    description="entropy where the last run sees something, the background left out",
)
def _entropy_foreground(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    assert pool.foreground_entropy is not None
    return highest(pool, pool.foreground_entropy, "foreground_entropy", batch)


@register(
    "entropy-boundary",
    rounds=("active",),
    description="entropy along the outlines that the last run draws",
)
def _entropy_boundary(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    assert pool.boundary_entropy is not None
    return highest(pool, pool.boundary_entropy, "boundary_entropy", batch)


@register(
    "power-entropy",
    rounds=("active",),
    description="entropy of the last run, drawn in proportion to it",
)
def _power_entropy(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    assert pool.entropy is not None
    return power(pool, pool.entropy, "entropy", batch, seed)


@register(
    "bald",
    rounds=("active",),
    description="what several predictions of a model disagree about (mutual information)",
)
def _bald(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    assert pool.bald is not None
    return highest(pool, pool.bald, "bald", batch)


@register(
    "power-bald",
    rounds=("active",),
    description="the same, drawn in proportion to it",
)
def _power_bald(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    assert pool.bald is not None
    return power(pool, pool.bald, "bald", batch, seed)


@register(
    "clasp-pe",
    rounds=("active",),
    description="entropy class by class, with noise that fades from round to round (ClaSP PE)",
)
def _clasp_pe(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return class_power(pool, batch, seed)


@register("random", rounds=("cold", "active"), description="uniformly at random, the baseline")
def _random(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return drawn_at_random(pool, batch, seed)


@register(
    "random-stratified",
    rounds=("cold", "active"),
    description="at random in each cluster of the map, by its size",
)
def _random_stratified(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
    return drawn_by_cluster(pool, batch, seed)


def _unweighed(select: Callable[[Pool, int, int], list[Pick]]) -> Selector:
    """A selector from a function of pool, batch and seed (without ``alpha``)."""

    def made(pool: Pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
        return select(pool, batch, seed)

    return made


register(
    "herding",
    rounds=("cold", "active"),
    description="the scans whose mean comes closest to that of the pool (kernel herding)",
)(_unweighed(herding))
register(
    "maxherding",
    rounds=("cold", "active"),
    description="the scans that together lie near all others (MaxHerding)",
)(_unweighed(max_herding))
register("uherding", rounds=("active",), description="the same, weighted by entropy (UHerding)")(
    _unweighed(uherding)
)
for _how, _select in (("herding", within_by_herding), ("kmeans", within_by_kmeans)):
    register(
        f"coldstart-{_how}", rounds=("cold",), description=f"coldstart's clusters, {_how} in each"
    )(_unweighed(_select))
