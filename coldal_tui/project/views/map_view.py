"""The map as arrays: position, cluster and status of every scan, for drawing."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.maps import load_cluster_array, load_map
from coldal_tui.project.project import Project
from coldal_tui.project.queue.candidates import scan_statuses
from coldal_tui.project.runs import latest_run, run_entropies
from coldal_tui.selection.assembly import align

STATUSES = ("candidate", "queued", "exported", "labelled", "skipped", "excluded")
"""Names of the codes in ``MapView.status``; ``excluded``: never a candidate (held out, too)."""

PATIENT, DICE, META = "patient", "dice", "meta:"
FEW = 8
"""Up to so many different numbers are told apart by name."""


@dataclass(frozen=True, eq=False)
class MapView:
    """N scans of one map version, in ``scan_id`` order.

    ``xy`` (N, 2) float32; ``cluster`` (N,) int16, -1 for none; ``status`` (N,) uint8, an index into
    ``STATUSES``; ``entropy`` (N,) float32 of the newest run, NaN where unknown; ``medoids`` indices
    of scans that were queued as medoids; ``method`` how the map was made (``sklearn-tsne``,
    ``opentsne``, ``placed``, ``none``), ``encoder`` whose embeddings it shows.
    """

    map_id: int
    scan_ids: tuple[str, ...]
    xy: NDArray[np.float32]
    cluster: NDArray[np.int16]
    status: NDArray[np.uint8]
    entropy: NDArray[np.float32]
    medoids: NDArray[np.int64]
    method: str = ""
    encoder: str = ""

    def __len__(self) -> int:
        return len(self.scan_ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each scan."""
        return {scan_id: n for n, scan_id in enumerate(self.scan_ids)}


def read_map_view(project: Project) -> MapView | None:
    """The map of the newest round, else the newest map; None when there is none."""
    store = project.store
    row = store.row(
        "SELECT m.*, r.clusters FROM rounds r JOIN maps m ON m.map_id = r.map_id "
        "ORDER BY r.round DESC LIMIT 1"
    ) or store.row("SELECT *, NULL AS clusters FROM maps ORDER BY map_id DESC LIMIT 1")
    if row is None:
        return None
    placed = load_map(project.file_of(row["file"]))
    index = {scan_id: n for n, scan_id in enumerate(placed.scan_ids)}
    cluster = np.full(len(index), -1, np.int16)
    if row["clusters"]:
        cluster = load_cluster_array(project.file_of(row["clusters"]), placed.scan_ids)
    encoder = store.value(
        "SELECT name FROM encoders WHERE encoder_hash = ?", (row["encoder_hash"],)
    )
    medoids = store.tuples("SELECT scan_id FROM queue WHERE role = 'medoid' ORDER BY round, rank")
    map_view = MapView(
        map_id=row["map_id"],
        scan_ids=placed.scan_ids,
        xy=placed.xy.astype(np.float32),
        cluster=cluster,
        status=_statuses(project, index),
        entropy=align(run_entropies(project, latest_run(project)), index).astype(np.float32),
        medoids=np.array([index[name] for (name,) in medoids if name in index], dtype=np.int64),
        method=str(json.loads(row["params"]).get("method", "")),
        encoder=str(encoder or ""),
    )
    map_view.__dict__["index"] = index
    return map_view


def _statuses(project: Project, index: dict[str, int]) -> NDArray[np.uint8]:
    """(N,) codes; reasons that have no status of their own become excluded."""
    codes = {name: code for code, name in enumerate(STATUSES)}
    status = np.zeros(len(index), np.uint8)
    for scan_id, name in scan_statuses(project).items():
        if scan_id in index:
            status[index[scan_id]] = codes.get(name, codes["excluded"])
    return status


@dataclass(frozen=True, eq=False)
class Column:
    """One fact about N scans of a map: a name for each, or a number for each.

    Names: ``codes`` (N,) int32 into ``names``, -1 for unknown. Numbers: ``values`` (N,) float32,
    NaN for unknown, and no names.
    """

    name: str
    names: tuple[str, ...]
    codes: NDArray[np.int32] | None
    values: NDArray[np.float32] | None

    def __len__(self) -> int:
        known = self.codes if self.values is None else self.values
        return 0 if known is None else len(known)

    @property
    def known(self) -> bool:
        """Whether any scan has a value."""
        if self.values is not None:
            return bool(np.isfinite(self.values).any())
        return bool(self.names)

    def text(self, row: int) -> str | None:
        """The value of one scan as text."""
        if self.values is not None:
            value = float(self.values[row])
            return (
                None if math.isnan(value) else f"{value:.2f}" if self.name == DICE else f"{value:g}"
            )
        code = -1 if self.codes is None else int(self.codes[row])
        return None if code < 0 else self.names[code]

    def same(self, other: Column | None) -> bool:
        """Whether both have the same value for every scan."""
        return (
            other is not None
            and (self.name, self.names) == (other.name, other.names)
            and _equal(self.codes, other.codes)
            and _equal(self.values, other.values)
        )


def _equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def column_names(project: Project) -> tuple[str, ...]:
    """The columns that ``read_column`` offers: those that differ between scans."""
    store = project.store
    names = []
    if store.value("SELECT 1 FROM metrics LIMIT 1"):
        names.append(DICE)
    if store.value("SELECT 1 FROM scans GROUP BY patient_id HAVING count(*) > 1 LIMIT 1"):
        names.append(PATIENT)
    keys = store.tuples(
        "SELECT m.key FROM scans s, json_each(s.meta) m GROUP BY m.key "
        "HAVING count(DISTINCT m.value) > 1 OR count(*) < (SELECT count(*) FROM scans) "
        "ORDER BY m.key"
    )
    return (*names, *(f"{META}{key}" for (key,) in keys))


def read_column(project: Project, map_view: MapView, name: str) -> Column:
    """``dice`` of the newest measured run, ``patient``, or ``meta:KEY`` of the scans' metadata.

    Dice is the mean over a scan's classes; a later evaluation takes precedence over an earlier one
    and over validation. Metadata with more than ``FEW`` values, all of them numbers, are read as
    numbers.
    """
    if name == DICE:
        return Column(name, (), None, _small(_dices(project), map_view.index))
    if name == PATIENT:
        # A scan without a known patient is a patient of its own, named after itself.
        found = project.store.tuples(
            "SELECT scan_id, patient_id FROM scans WHERE patient_id != 'scan:' || scan_id"
        )
        return _named(name, found, map_view)
    found = project.store.tuples(
        "SELECT s.scan_id, m.value FROM scans s, json_each(s.meta) m WHERE m.key = ?",
        (name.removeprefix(META),),
    )
    kept = [(scan_id, str(value)) for scan_id, value in found if value not in (None, "")]
    distinct = {value for _, value in kept}
    numbers = {value: _number(value) for value in distinct}
    if len(distinct) > FEW and all(number is not None for number in numbers.values()):
        pairs = [(scan_id, numbers[value]) for scan_id, value in kept]
        return Column(name, (), None, _small(pairs, map_view.index))
    return _named(name, kept, map_view)


def _small(found: list[tuple[Any, ...]], index: dict[str, int]) -> NDArray[np.float32]:
    return align(found, index).astype(np.float32)


def _named(name: str, found: list[tuple[Any, ...]], map_view: MapView) -> Column:
    """Names as codes, ordered by frequency on the map, then by name."""
    seen = [
        (map_view.index[scan_id], value) for scan_id, value in found if scan_id in map_view.index
    ]
    counts = Counter(value for _, value in seen)
    names = tuple(sorted(counts, key=lambda value: (-counts[value], value)))
    code = {value: n for n, value in enumerate(names)}
    codes = np.full(len(map_view), -1, np.int32)
    codes[[row for row, _ in seen]] = [code[value] for _, value in seen]
    return Column(name, names, codes, None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _dices(project: Project) -> list[tuple[Any, ...]]:
    run = project.store.value(
        "SELECT r.run_id FROM runs r WHERE EXISTS (SELECT 1 FROM metrics m WHERE m.run_id = "
        "r.run_id) ORDER BY r.created_at DESC, r.run_id DESC LIMIT 1"
    )
    return project.store.tuples(
        "SELECT scan_id, avg(dice) FROM metrics WHERE run_id = ? GROUP BY split, scan_id "
        "ORDER BY split LIKE 'evaluation-%', split = 'cross-fitted', "
        "CAST(substr(split, instr(split, '-') + 1) AS INTEGER)",
        (run,),
    )
