"""Explains the terms of picks by strategies other than the default ones, as sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coldal_tui.visible import counted

Terms = Mapping[str, Any]


def strategy_words(role: str, terms: Terms) -> list[str] | None:
    """The reasons, most important first; None for terms of other strategies."""
    for telling, say in _WORDS:
        if all(name in terms for name in telling):
            return say(terms)
    if role == "farthest-point" and "step" in terms and terms.get("nearest"):
        return [f"of all scans the farthest from what was picked before ({_from(terms)})"]
    return None


def _typical(terms: Terms) -> list[str]:
    if not terms["neighbours"]:
        return ["the only scan left of its group", _group(terms)]
    return [
        f"the most typical of its group: its {terms['neighbours']} nearest scans are "
        f"{terms['mean_distance']:.2f} away on average",
        _group(terms),
    ]


def _central(terms: Terms) -> list[str]:
    return [f"the nearest to the middle of its group ({terms['distance']:.2f} away)", _group(terms)]


def _group(terms: Terms) -> str:
    size, before = terms["group_size"], terms["group_covered"]
    of = counted(size, "scan")
    return f"a group of {of}, of which {before or 'none'} had been picked before"


def _covering(terms: Terms) -> list[str]:
    if not terms["covers"]:
        gap = f" ({_from(terms)})" if terms.get("nearest") else ""
        return [f"every scan is covered; this one is farthest from what was picked{gap}"]
    return [
        f"stands for {terms['covers']:,} scans that nothing picked before stands for "
        f"(within {terms['radius']:.2f})",
        f"with it, {terms['covered_share']:.0%} of all scans are covered",
    ]


def _alike(terms: Terms) -> list[str]:
    return [
        "of all scans the one that brings the others nearest to something picked "
        f"(gain {terms['gain']:.2f})",
        f"with it, their mean similarity to the nearest picked scan is {terms['similarity']:.2f}",
    ]


def _herded(terms: Terms) -> list[str]:
    return [
        "with it, the picked scans come closest to what the pool is like on average",
        f"typical of the pool {terms['typical']:.2f}, less {terms['crowded']:.2f} for the likeness "
        "to what was picked before",
    ]


def _near_all(terms: Terms) -> list[str]:
    weighed = (
        [f"each scan counts by its entropy (this one {terms['weight']:.2f})"]
        if "weight" in terms
        else []
    )
    return [
        "of all scans the one that brings most others near to something picked "
        f"(gain {terms['gain']:.3f}; coverage with it {terms['coverage']:.2f})",
        *weighed,
    ]


def _middle(terms: Terms) -> list[str]:
    return [f"the nearest to the middle of all scans ({terms['distance_to_mean']:.2f} away)"]


def _of_class(terms: Terms) -> list[str]:
    return [
        f"uncertain about class {terms['by_class']} ({terms['class_entropy']:.3f})",
        *_lot(terms),
    ]


def _noisy(terms: Terms) -> list[str]:
    if "bald" in terms:
        return [f"predictions disagree about it ({terms['bald']:.3f})", *_lot(terms)]
    return [f"uncertain (H {terms['entropy']:.2f})", *_lot(terms)]


def _lot(terms: Terms) -> list[str]:
    return [
        f"drawn by lot in proportion to that (β {terms['beta']:g}, noise {terms['noise']:+.2f})"
    ]


def _disputed(terms: Terms) -> list[str]:
    return [f"predictions disagree about it more than about any other left ({terms['bald']:.3f})"]


def _focused(terms: Terms) -> list[str]:
    if "foreground_entropy" in terms:
        return [f"the most uncertain foreground of all left ({terms['foreground_entropy']:.3f})"]
    return [f"the most uncertain outlines of all left ({terms['boundary_entropy']:.3f})"]


def _by_cluster(terms: Terms) -> list[str]:
    return [
        f"drawn at random in its cluster (seed {terms['seed']}), which gets {terms['places']} "
        f"by its size of {terms['cluster_size']:,}"
    ]


def _from(terms: Terms) -> str:
    return f"{terms['distance']:.2f} from {terms['nearest']}"


_WORDS: tuple[tuple[tuple[str, ...], Callable[[Terms], list[str]]], ...] = (
    (("typicality", "neighbours", "mean_distance", "group_size", "group_covered"), _typical),
    (("distance", "group_size", "group_covered"), _central),
    (("covers", "radius", "covered_share"), _covering),
    (("covers", "distance"), _covering),
    (("gain", "similarity"), _alike),
    (("gain", "coverage"), _near_all),
    (("typical", "crowded"), _herded),
    (("distance_to_mean",), _middle),
    (("by_class", "class_entropy", "noise", "beta"), _of_class),
    (("bald", "noise", "beta"), _noisy),
    (("entropy", "noise", "beta"), _noisy),
    (("bald",), _disputed),
    (("foreground_entropy",), _focused),
    (("boundary_entropy",), _focused),
    (("seed", "places", "cluster_size"), _by_cluster),
)
