"""Compares people's drawings of the same scan; cached by the contents of both files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    or voxels with different values. ``gaps`` counts, by class, the slices of a volume that only the
    second person drew, and those that only the first did. ``swaps`` are pairs of classes: where
    the first person drew the one, the second drew mostly the other.
    """

    classes: dict[str, tuple[float, float]]
    unit: str
    differing: int
    gaps: dict[str, tuple[int, int]] = field(default_factory=dict)
    swaps: tuple[tuple[str, str], ...] = ()

    @property
    def dice(self) -> float:
        """The mean over the classes."""
        return sum(dice for dice, _ in self.classes.values()) / len(self.classes)


@dataclass
class Comparer:
    """Compares drawings, and remembers what it has compared before; :meth:`save` keeps that.

    ``stored_only``: a comparison that was never made is None, and no mask is opened.
    """

    project: Project
    stored_only: bool = False
    _known: dict[str, Any] = field(default_factory=dict)
    _new: bool = False

    def __post_init__(self) -> None:
        self._known = read_json_object(self.project.layout.cache / CACHE_FILE)

    def compare(self, first: Row, second: Row) -> Comparison | None:
        """Compare two rows of ``labels`` of one scan; None when a file can't be used."""
        names = self.project.config.classes.names
        scan = self.project.scan(first["scan_id"])
        key = f"{first['sha256']} {second['sha256']} {json.dumps([*names, scan.spacing])}"
        found = _stored(self._known.get(key), names)
        if found is not None or self.stored_only:
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
            _gaps(a, b, names, scan.spacing),
            _swaps(a, b, names),
        )
        self._known[key] = [made.classes, made.unit, made.differing, made.gaps, made.swaps]
        self._new = True
        return made

    def save(self) -> None:
        """Keep the results; without them the next call is only slower."""
        if self._new:
            data = json.dumps(self._known).encode()
            with contextlib.suppress(ColdalError):
                file = self.project.layout.cache / CACHE_FILE
                atomic_write(file, lambda stream: stream.write(data))


def _gaps(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    names: tuple[str, ...],
    spacing: Sequence[float] | None,
) -> dict[str, tuple[int, int]]:
    """Slices of a volume that one person alone drew, across the axis of the widest spacing."""
    if a.ndim != 3:
        return {}
    # Of equal spacings the last axis counts: most volumes are drawn across it.
    axis = 2 if spacing is None else 2 - int(np.argmax(np.asarray(spacing)[::-1]))
    rest = tuple(other for other in range(3) if other != axis)
    found = {}
    for value, name in enumerate(names, start=1):
        first, second = (a == value).any(axis=rest), (b == value).any(axis=rest)
        found[name] = int((second & ~first).sum()), int((first & ~second).sum())
    return found


def _swaps(
    a: NDArray[np.uint8], b: NDArray[np.uint8], names: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Pairs of classes: where the first person drew the one, the second drew mostly the other.

    On more than a quarter of those pixels: the second may have drawn less, but not by chance.
    """
    drawn = (a > 0) & (a <= len(names))
    mine, theirs = a[drawn], b[drawn]
    found = []
    for value, name in enumerate(names, start=1):
        counts = np.bincount(theirs[mine == value], minlength=len(names) + 1)
        other = int(counts[1 : len(names) + 1].argmax()) + 1
        if other != value and 4 * counts[other] > counts.sum():
            found.append((name, names[other - 1]))
    return tuple(found)


def compare_people(project: Project, scans: Iterable[str | None]) -> tuple[Agreement, ...]:
    """The agreement of every two people on each of these scans that several have drawn."""
    comparer = Comparer(project)
    drawn = project.store.tuples(
        "SELECT scan_id FROM labels WHERE author IS NOT NULL GROUP BY scan_id "
        "HAVING count(DISTINCT author) > 1"
    )
    several = {scan_id for (scan_id,) in drawn}
    found = [
        one
        for scan_id in dict.fromkeys(scans)
        if scan_id is not None and scan_id in several
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
        classes, unit, differing, gaps, swaps = entry
        values = {str(name): (float(pair[0]), float(pair[1])) for name, pair in classes.items()}
        if tuple(values) != names:
            return None
        return Comparison(
            values,
            str(unit),
            int(differing),
            {str(name): (int(pair[0]), int(pair[1])) for name, pair in gaps.items()},
            tuple((str(pair[0]), str(pair[1])) for pair in swaps),
        )
    except (TypeError, ValueError, AttributeError, IndexError):
        return None
