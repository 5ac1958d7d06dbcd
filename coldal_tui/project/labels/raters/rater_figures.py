"""Figures of people: how much they drew, how long, how alike, and how they err."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.raters.comparing import Comparer, Comparison, pairs_of
from coldal_tui.project.labels.raters.drawing_times import DrawingTime, read_drawing_times
from coldal_tui.project.labels.raters.drawings import (
    ACTIVE,
    HONEYPOT,
    REPEAT,
    newest_by_person,
    read_standings,
)
from coldal_tui.project.project import Project


@dataclass(frozen=True)
class Alike:
    """Means over ``scans``: Dice and HD95 (in ``unit``; ``mixed`` where scans differ) by class."""

    scans: int
    classes: dict[str, tuple[float, float]]
    unit: str

    @property
    def dice(self) -> float:
        return fmean(dice for dice, _ in self.classes.values())


@dataclass(frozen=True)
class Bias:
    """How a person's volume of one class compares with other people's of the same scans.

    ``ratio`` is the median over ``scans`` of this person's pixels by the others' mean: above 1,
    this person draws more. ``over`` and ``under`` count the scans on which it is above and below 1;
    ``missed`` those on which only the others drew the class, ``alone`` those on which nobody else
    did. None without a scan that both drew. ``gaps``: slices of volumes that another person drew
    and this one left empty, on ``gap_scans`` scans. ``swaps``: on how many scans most of what this
    person drew is another class to another person, by that class.
    """

    ratio: float | None
    scans: int
    over: int
    under: int
    missed: int
    alone: int
    gaps: int = 0
    gap_scans: int = 0
    swaps: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """The figures of one person.

    ``scans``: drawn by this person, ``shared`` of these also by others. ``minutes`` of ``timed``
    drawings, ``estimated`` of these by the pace of returns. ``repeats`` compares with the person's
    own first drawing, ``honeypots`` with the known label.
    """

    name: str
    scans: int
    shared: int
    timed: int
    minutes: float | None
    minutes_each: float | None
    agreement: Alike | None
    bias: dict[str, Bias] = field(default_factory=dict)
    repeats: Alike | None = None
    honeypots: Alike | None = None
    estimated: int = 0


@dataclass(frozen=True)
class Pair:
    """Two people's agreement on the scans that both drew."""

    first: str
    second: str
    alike: Alike


@dataclass(frozen=True)
class Figures:
    """All people by name, every two of them that share a scan, and how many scans are open."""

    people: tuple[Person, ...]
    pairs: tuple[Pair, ...]
    disputed: int = 0
    waiting: int = 0

    def json(self) -> dict[str, Any]:
        return asdict(self)


def read_figures(project: Project, *, keep: bool = True) -> Figures:
    """The figures of everybody of whom a drawing is stored.

    Comparisons are cached in ``.coldal/cache``; new ones are written there only with ``keep``.
    """
    by_scan: dict[str, list[Row]] = {}
    for row in project.store.rows(
        "SELECT label_id, scan_id, version, file, sha256, state, author, purpose, decided, "
        "voxels, created_at FROM labels ORDER BY scan_id, version"
    ):
        by_scan.setdefault(row["scan_id"], []).append(row)
    comparer = Comparer(project)
    drawings = {scan: newest_by_person(rows) for scan, rows in by_scan.items()}
    names = {key: row["author"] for rows in drawings.values() for key, row in rows.items()}
    checks = [row for rows in by_scan.values() for row in rows if row["purpose"] and row["author"]]
    names |= {person_key(row["author"]): row["author"] for row in checks} | names
    shared: dict[tuple[str, str], list[Comparison]] = {}
    for rows in drawings.values():
        for first, second in pairs_of(list(rows.values())):
            made = comparer.compare(first, second)
            if made is not None:
                pair = sorted((person_key(first["author"]), person_key(second["author"])))
                shared.setdefault((pair[0], pair[1]), []).append(made)
    times = read_drawing_times(project.store)
    people = tuple(
        _person(key, names[key], drawings, by_scan, shared, times, comparer)
        for key in sorted(names)
    )
    if keep:
        comparer.save()
    standings = read_standings(project.store).values()
    return Figures(
        people,
        tuple(
            Pair(names[a], names[b], alike)
            for (a, b), found in sorted(shared.items())
            if (alike := _alike(found)) is not None
        ),
        sum(one.disputed for one in standings),
        sum(one.waits for one in standings),
    )


def _person(
    key: str,
    name: str,
    drawings: Mapping[str, Mapping[str, Row]],
    by_scan: Mapping[str, list[Row]],
    shared: Mapping[tuple[str, str], list[Comparison]],
    times: Iterable[DrawingTime],
    comparer: Comparer,
) -> Person:
    own = [rows[key] for rows in drawings.values() if key in rows]
    every = [one for one in times if one.author and person_key(one.author) == key]
    took = [one.minutes for one in every if one.minutes is not None]
    return Person(
        name,
        len(own),
        sum(len(rows) > 1 for rows in drawings.values() if key in rows),
        len(took),
        sum(took) if took else None,
        fmean(took) if took else None,
        _alike([one for pair, found in shared.items() if key in pair for one in found]),
        _biases(key, drawings, comparer),
        _checked(key, REPEAT, drawings, by_scan, comparer),
        _checked(key, HONEYPOT, drawings, by_scan, comparer),
        sum(one.estimated for one in every),
    )


def _checked(
    key: str,
    kind: str,
    drawings: Mapping[str, Mapping[str, Row]],
    by_scan: Mapping[str, list[Row]],
    comparer: Comparer,
) -> Alike | None:
    """This person's repeats against the first drawings, or honeypots against the labels."""
    found: list[Comparison | None] = []
    for scan_id, rows in by_scan.items():
        mine = [
            row
            for row in rows
            if row["purpose"] == kind and row["author"] and person_key(row["author"]) == key
        ]
        if kind == REPEAT:
            known = drawings[scan_id].get(key)
        else:
            known = next((row for row in rows if row["state"] == ACTIVE), None)
        if known is not None:
            found += [comparer.compare(row, known) for row in mine]
    return _alike([one for one in found if one is not None])


def _biases(
    key: str, drawings: Mapping[str, Mapping[str, Row]], comparer: Comparer
) -> dict[str, Bias]:
    """The person's pixels of each class beside the mean of the others', scan by scan."""
    counts: dict[str, list[tuple[float, float]]] = {}
    gaps: dict[str, list[int]] = {}
    swaps: dict[str, dict[str, int]] = {}
    for rows in drawings.values():
        if key not in rows or len(rows) < 2:
            continue
        own = json.loads(rows[key]["voxels"])
        others = [json.loads(row["voxels"]) for other, row in rows.items() if other != key]
        for name in own:
            if name != "ignore":
                mean = fmean(float(one.get(name, 0)) for one in others)
                counts.setdefault(name, []).append((float(own[name]), mean))
        made = [comparer.compare(rows[key], row) for other, row in rows.items() if other != key]
        compared = [one for one in made if one is not None]
        for name in counts:
            most = max((one.gaps.get(name, (0, 0))[0] for one in compared), default=0)
            gaps.setdefault(name, []).append(most)
        for name, other in {pair for one in compared for pair in one.swaps}:
            told = swaps.setdefault(name, {})
            told[other] = told.get(other, 0) + 1
    return {
        name: _bias(pairs, gaps.get(name, []), swaps.get(name, {}))
        for name, pairs in counts.items()
    }


def _bias(pairs: list[tuple[float, float]], gaps: list[int], swaps: dict[str, int]) -> Bias:
    ratios = [mine / theirs for mine, theirs in pairs if mine and theirs]
    return Bias(
        median(ratios) if ratios else None,
        len(ratios),
        sum(mine > theirs for mine, theirs in pairs),
        sum(mine < theirs for mine, theirs in pairs),
        sum(not mine and theirs > 0 for mine, theirs in pairs),
        sum(mine > 0 and not theirs for mine, theirs in pairs),
        sum(gaps),
        sum(gap > 0 for gap in gaps),
        swaps,
    )


def _alike(found: Iterable[Comparison]) -> Alike | None:
    made = list(found)
    if not made:
        return None
    units = {one.unit for one in made}
    return Alike(
        len(made),
        {
            name: (
                fmean(one.classes[name][0] for one in made),
                fmean(one.classes[name][1] for one in made),
            )
            for name in made[0].classes
        },
        units.pop() if len(units) == 1 else "mixed",
    )
