"""Describes a pool by its embeddings alone, and advises a first strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coldal_tui.selection.clustering import Labels
from coldal_tui.selection.pool import Floats
from coldal_tui.selection.projection import distinct_rows, normalise
from coldal_tui.selection.vectors import Rows, choose_row_clusters, distance_tiles, kmeans

Aim = Literal["average", "every-kind"]

MOST_KINDS = 12
MOST_SCANS = 2_000
"""Scans that are looked at; of a larger pool so many, drawn at random."""
APART = 0.15
"""Mean silhouette from which clusters of embeddings are kinds. By the same encoder
(EfficientNet-Lite0) microscopy of four stains has 0.27 and chest X-rays have 0.07."""
STABLE = 0.7
"""Adjusted Rand index between seeds from which clusters are no accident of a start."""
_SEEDS = 5
_MOST_VALUES = 20
_DOMINATES = 0.5


@dataclass(frozen=True)
class PoolLooks:
    """A description of a pool by its embeddings.

    ``kinds`` clusters, the ``shares`` of the scans in each, largest first; ``apart`` their mean
    silhouette; ``stable`` the mean adjusted Rand index of k-means from five seeds. ``copies`` is
    the share of scans with the same embedding as another scan. ``patients``: the mean distance
    between scans of the same patient divided by that between scans of different patients; None when
    no patient has two scans. ``columns``: for each metadata column, the adjusted mutual information
    of kinds and its values (1: identical grouping).
    """

    scans: int
    kinds: int
    shares: tuple[float, ...]
    apart: float
    stable: float
    copies: float
    patients: float | None
    columns: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_kinds(self) -> bool:
        return self.kinds > 1 and self.apart >= APART and self.stable >= STABLE


def drawn_scans(count: int, seed: int) -> NDArray[np.int64]:
    """The indices, ascending, of the scans of a pool of ``count`` that ``look`` is given."""
    if count <= MOST_SCANS:
        return np.arange(count)
    drawn = np.random.default_rng(seed).choice(count, MOST_SCANS, replace=False)
    return np.sort(drawn)


def look(
    embeddings: Floats,
    patients: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    seed: int = 0,
    *,
    scans: int | None = None,
) -> PoolLooks:
    """Describe (N, d) embeddings of scans with these patients and metadata columns.

    Kinds are k-means clusters of the L2-normalised rows, k by the mean silhouette, up to 12. One
    thread and a seed: the same pool gives the same answer. ``scans``: how many the pool has, of
    which these were drawn (``drawn_scans``); by default all of it. O(N · d) memory.
    """
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    rows = normalise(np.asarray(embeddings))
    found = choose_row_clusters(rows, MOST_KINDS, seed)
    labels: Labels = found.labels
    apart = dict(found.silhouettes).get(found.k, 0.0)
    again = [kmeans(rows, found.k, seed + n)[0] for n in range(_SEEDS)] if found.k > 1 else []
    pairs = [(a, b) for n, a in enumerate(again) for b in again[:n]]
    stable = float(np.mean([adjusted_rand_score(a, b) for a, b in pairs])) if pairs else 1.0
    told = {}
    for name, values in columns.items():
        here = list(values)
        if 1 < len(set(here)) <= _MOST_VALUES and found.k > 1:
            told[name] = float(adjusted_mutual_info_score(here, labels))
    sizes = np.sort(np.bincount(labels, minlength=found.k))[::-1]
    return PoolLooks(
        scans=len(rows) if scans is None else scans,
        kinds=found.k,
        shares=tuple(float(size) / len(rows) for size in sizes),
        apart=float(apart),
        stable=stable,
        copies=1 - len(distinct_rows(rows)[0]) / len(rows),
        patients=_within_patients(rows, patients),
        columns=told,
    )


def _within_patients(rows: Rows, patients: Sequence[str]) -> float | None:
    number: dict[str, int] = {}
    whose = np.array([number.setdefault(name, len(number)) for name in patients])
    inside = outside = 0.0
    pairs = others = 0
    for part, gaps in distance_tiles(rows, rows, double=True):
        same = whose[part, None] == whose[None, :]
        own = np.arange(part.start, part.start + len(gaps))[:, None] == np.arange(len(rows))
        inside += float(gaps[same & ~own].sum())
        pairs += int((same & ~own).sum())
        outside += float(gaps[~same].sum())
        others += int((~same).sum())
    if not pairs or not others or outside == 0:
        return None
    return (inside / pairs) / (outside / others)


@dataclass(frozen=True)
class Advice:
    """A first strategy, the reasons and the evidence; ``one_per_patient`` as in the config."""

    strategy: str
    because: tuple[str, ...]
    measured: str
    one_per_patient: bool = False


def advise(looks: PoolLooks, aim: Aim) -> Advice:
    """Advise a first strategy for an aim: Dice over all scans, or over kinds equally.

    It claims no gain that was not measured: ``measured`` names the source of the evidence.
    """
    because = describe(looks)
    # Two similar scans of one patient give little more information than one.
    alone = looks.patients is not None and looks.patients < _DOMINATES
    if not looks.has_kinds:
        return Advice(
            "random",
            (*because, "no stable kinds: what is chosen hardly differs from what is drawn"),
            "On chest X-rays, which look like this, choosing changed Dice by less than 0.008.",
            one_per_patient=alone or looks.patients is not None,
        )
    if aim == "every-kind":
        return Advice(
            "kmeans",
            (*because, "k-means takes scans of small kinds too, which random may miss"),
            "On nuclei of four stains; the table says by how much, and how sure that is.",
            one_per_patient=alone,
        )
    return Advice(
        "herding",
        (*because, "herding takes of each kind by its share of the pool"),
        "On nuclei of four stains; the table says by how much, and how sure that is.",
        one_per_patient=alone,
    )


def describe(looks: PoolLooks) -> tuple[str, ...]:
    """Describe the pool, one sentence per property."""
    shares = ", ".join(f"{share:.0%}" for share in looks.shares)
    found = [
        f"{looks.kinds} clusters of embeddings ({shares} of the scans), silhouette "
        f"{looks.apart:.2f} (kinds from {APART:g}), the same from five starts to "
        f"{looks.stable:.2f} of 1 (stable from {STABLE:g})"
        if looks.kinds > 1
        else "the embeddings form one cluster"
    ]
    if looks.copies:
        found.append(f"{looks.copies:.0%} of the scans have the embedding of another scan")
    if looks.patients is not None:
        word = "dominates: " if looks.patients < _DOMINATES else "does not dominate: "
        found.append(
            f"the patient {word}scans of one are {looks.patients:.2f} times as far apart as "
            "scans of two"
        )
    for name, share in sorted(looks.columns.items(), key=lambda one: -one[1]):
        if share >= _DOMINATES:
            found.append(f"clusters go with {name!r} (mutual information {share:.2f} of 1)")
    return tuple(found)
