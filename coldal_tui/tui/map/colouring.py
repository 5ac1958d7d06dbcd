"""The colours of the map: the kind of each scan, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coldal_tui.project.views.map_view import DICE, META, PATIENT, STATUSES, Column, MapView
from coldal_tui.tui.drawing.glyphs import OKABE_ITO, Look
from coldal_tui.tui.drawing.scatter import steps_of

CLUSTER, STATUS, ENTROPY = "cluster", "status", "entropy"
STEPS = 10
"""Steps of a scale: few enough that each is one digit without colours."""
GREY = OKABE_ITO[7]
MOST = 7
"""Names with a colour of their own; the rarer ones share one."""
STATUS_COLOURS = dict(
    zip(
        STATUSES,
        (GREY, OKABE_ITO[1], OKABE_ITO[0], OKABE_ITO[2], OKABE_ITO[5], OKABE_ITO[3]),
        strict=True,
    )
)


@dataclass(frozen=True)
class Kind:
    """One colour of the map; an empty ``colour`` takes that of the scale."""

    glyph: str
    word: str
    count: int
    colour: str


@dataclass(frozen=True, eq=False)
class Colouring:
    """What N scans are coloured by.

    ``of`` (N,) uint8 is the kind of each, an index into ``kinds``. ``ends`` are the two ends of
    a scale of ``STEPS`` kinds, with one more for unknown; None for names. ``codes`` (N,) tells
    apart more names than there are colours, those that share the kind ``rest``; None where the
    kinds tell all.
    """

    name: str
    of: NDArray[np.uint8]
    kinds: tuple[Kind, ...]
    ends: tuple[float, float] | None = None
    codes: NDArray[np.int32] | None = None
    rest: int = -1


def colour_by(name: str, map_view: MapView, look: Look, column: Column | None) -> Colouring:
    """The colouring with this name; by cluster while a needed ``column`` is not loaded."""
    if name == STATUS:
        return by_status(map_view, look)
    if name == ENTROPY:
        return by_number(name, map_view.entropy, look)
    if column is not None and column.name == name:
        if column.values is not None:
            return by_number(name, column.values, look)
        if column.codes is not None:
            return by_name(name, column.names, column.codes, look)
    return by_cluster(map_view, look)


def by_cluster(map_view: MapView, look: Look) -> Colouring:
    """One kind per cluster, and one for scans in no cluster."""
    number = int(map_view.cluster.max(initial=-1)) + 1
    counts = np.bincount(map_view.cluster.astype(np.int64) + 1, minlength=number + 1).tolist()
    kinds = [
        Kind(look.cluster_glyph(n), f"C{n + 1}", counts[n + 1], look.cluster_colour(n))
        for n in range(number)
    ]
    none = Kind(look.dot, "in no cluster", counts[0], GREY)
    of = np.where(map_view.cluster < 0, number, map_view.cluster).astype(np.uint8)
    return Colouring(CLUSTER, of, (*kinds, none))


def by_status(map_view: MapView, look: Look) -> Colouring:
    counts = np.bincount(map_view.status, minlength=len(STATUSES)).tolist()
    kinds = [
        Kind(look.state(name), name, count, STATUS_COLOURS[name])
        for name, count in zip(STATUSES, counts, strict=True)
    ]
    return Colouring(STATUS, map_view.status, tuple(kinds))


def by_number(name: str, values: NDArray[np.float32], look: Look) -> Colouring:
    of, ends = steps_of(values, STEPS)
    counts = np.bincount(of, minlength=STEPS + 1).tolist()
    steps = [Kind(str(n), "", counts[n], "") for n in range(STEPS)]
    return Colouring(name, of, (*steps, Kind(look.dot, "unknown", counts[STEPS], GREY)), ends)


def by_name(name: str, names: Sequence[str], codes: NDArray[np.int32], look: Look) -> Colouring:
    """The most frequent names get a colour each, the others share one, unknown has its own.

    ``codes`` is of shape (N,).
    """
    own = len(names) if len(names) <= MOST else MOST - 1
    of = np.where(codes < 0, own + 1, np.minimum(codes, own)).astype(np.uint8)
    counts = np.bincount(of, minlength=own + 2).tolist()
    kinds = [Kind(look.cluster_glyph(n), names[n], counts[n], OKABE_ITO[n]) for n in range(own)]
    rest = Kind(look.dot, f"{len(names) - own:,} others", counts[own], GREY)
    unknown = Kind(look.state("missing"), "unknown", counts[own + 1], GREY)
    many = codes if len(names) > own else None
    return Colouring(name, of, (*kinds, rest, unknown), codes=many, rest=own)


def colouring_names(map_view: MapView, columns: Sequence[str]) -> tuple[str, ...]:
    """The available colourings: cluster and status always, then those with data."""
    known = (ENTROPY,) if bool(np.isfinite(map_view.entropy).any()) else ()
    return (CLUSTER, STATUS, *known, *columns)


def title_of(name: str) -> str:
    """The title of a colouring on the screen."""
    return {DICE: "Dice", PATIENT: "patient"}.get(name, name.removeprefix(META))
