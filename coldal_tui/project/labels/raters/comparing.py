"""Compares people's drawings of the same scan; cached by the contents of both files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.incoming.rater_agreement import Agreement, compare_labels
from coldal_tui.files import atomic_write, read_json_object
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import checked_label
from coldal_tui.project.labels.raters.drawings import drawing_rows, newest_by_person
from coldal_tui.project.project import Project

CACHE_FILE = "raters.json"


@dataclass(frozen=True)
class Comparison:
    """Two drawings of a scan.

    ``classes`` has Dice and HD95 (in ``unit``) by class name; ``differing`` is the number of pixels
    or voxels with different values.
    """

    classes: dict[str, tuple[float, float]]
    unit: str
    differing: int

    @property
    def dice(self) -> float:
        """The mean over the classes."""
        return sum(dice for dice, _ in self.classes.values()) / len(self.classes)


@dataclass
class Comparer:
    """Compares drawings, and remembers what it has compared before; :meth:`save` keeps that."""

    project: Project
    _known: dict[str, Any] = field(default_factory=dict)
    _new: bool = False

    def __post_init__(self) -> None:
        self._known = read_json_object(self.project.layout.cache / CACHE_FILE)

    def compare(self, first: Row, second: Row) -> Comparison | None:
        """Compare two rows of ``labels`` of one scan; None when a file can't be used."""
        names = self.project.config.classes.names
        one, two = sorted((str(first["sha256"]), str(second["sha256"])))
        scan = self.project.scan(first["scan_id"])
        key = f"{one} {two} {json.dumps([*names, scan.spacing])}"
        found = _stored(self._known.get(key), names)
        if found is not None:
            return found
        try:
            a, b = (read_label(checked_label(self.project, row)) for row in (first, second))
        except (ColdalError, OSError):
            return None
        if a.shape != b.shape:
            return None
        agreements = compare_labels(scan.scan_id, [("a", a), ("b", b)], names, scan.spacing)
        made = Comparison(
            {one.name: (one.dice, one.hd95) for one in agreements},
            agreements[0].unit,
            int(np.count_nonzero(a != b)),
        )
        self._known[key] = [made.classes, made.unit, made.differing]
        self._new = True
        return made

    def save(self) -> None:
        """Keep the results; without them the next call is only slower."""
        if self._new:
            data = json.dumps(self._known).encode()
            with contextlib.suppress(ColdalError):
                file = self.project.layout.cache / CACHE_FILE
                atomic_write(file, lambda stream: stream.write(data))


def compare_people(project: Project, scans: Iterable[str | None]) -> tuple[Agreement, ...]:
    """The agreement of every two people on each of these scans that several have drawn."""
    comparer = Comparer(project)
    found = [
        one
        for scan_id in dict.fromkeys(scans)
        if scan_id is not None
        for one in _agreements(
            comparer, scan_id, newest_by_person(drawing_rows(project.store, scan_id))
        )
    ]
    comparer.save()
    return tuple(found)


def _agreements(comparer: Comparer, scan_id: str, rows: Mapping[str, Row]) -> Iterator[Agreement]:
    for first, second in pairs_of(list(rows.values())):
        made = comparer.compare(first, second)
        if made is None:
            continue
        for name, (dice, hd95) in made.classes.items():
            yield Agreement(scan_id, first["author"], second["author"], name, dice, hd95, made.unit)


def pairs_of(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Every two rows once, in order."""
    for index, first in enumerate(rows):
        for second in rows[index + 1 :]:
            yield first, second


def _stored(entry: Any, names: tuple[str, ...]) -> Comparison | None:
    """A comparison from the cache; None when the entry is not usable."""
    try:
        classes, unit, differing = entry
        values = {str(name): (float(pair[0]), float(pair[1])) for name, pair in classes.items()}
        if tuple(values) != names:
            return None
        return Comparison(values, str(unit), int(differing))
    except (TypeError, ValueError, AttributeError, IndexError):
        return None
