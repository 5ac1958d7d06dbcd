"""The map as arrays: position, cluster and status of every scan, for drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.maps import Places, ScanIds, load_cluster_array, load_map
from coldal_tui.project.project import Project
from coldal_tui.project.queue.candidates import other_scans
from coldal_tui.project.runs import entropy_pages, latest_run

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
    ``exact-tsne``, ``opentsne``, ``placed``, ``none``), ``encoder`` whose embeddings it shows.
    """

    map_id: int
    scan_ids: ScanIds
    xy: NDArray[np.float32]
    cluster: NDArray[np.int16]
    status: NDArray[np.uint8]
    entropy: NDArray[np.float32]
    medoids: NDArray[np.int64]
    method: str = ""
    encoder: str = ""

    def __len__(self) -> int:
        return len(self.scan_ids)

    @property
    def index(self) -> Places:
        """Row of each scan."""
        return self.scan_ids.places


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
    ids = placed.scan_ids
    cluster = np.full(len(ids), -1, np.int16)
    if row["clusters"]:
        cluster = load_cluster_array(project.file_of(row["clusters"]), ids)
    encoder = store.value(
        "SELECT name FROM encoders WHERE encoder_hash = ?", (row["encoder_hash"],)
    )
    medoids = store.tuples("SELECT scan_id FROM queue WHERE role = 'medoid' ORDER BY round, rank")
    return MapView(
        map_id=row["map_id"],
        scan_ids=ids,
        xy=placed.xy.astype(np.float32),
        cluster=cluster,
        status=_statuses(project, ids),
        entropy=ids.numbers(entropy_pages(project, latest_run(project))).astype(np.float32),
        medoids=ids.known_rows(name for (name,) in medoids),
        method=str(json.loads(row["params"]).get("method", "")),
        encoder=str(encoder or ""),
    )


def _statuses(project: Project, ids: ScanIds) -> NDArray[np.uint8]:
    """(N,) codes; reasons that have no status of their own become excluded."""
    codes = {name: code for code, name in enumerate(STATUSES)}
    status = np.zeros(len(ids), np.uint8)
    for some in other_scans(project):
        known = [codes.get(name, codes["excluded"]) for name in some.statuses]
        ids.put(status, some.scan_ids, known)
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
    store, ids = project.store, map_view.scan_ids
    if name == DICE:
        return Column(name, (), None, ids.numbers([_dices(project)]).astype(np.float32))
    if name == PATIENT:
        # A scan without a known patient is a patient of its own, named after itself.
        query = "SELECT scan_id, patient_id FROM scans WHERE patient_id != 'scan:' || scan_id"
        return _named(name, store.pages(query), ids)
    query = "SELECT s.scan_id, m.value FROM scans s, json_each(s.meta) m WHERE m.key = ?"
    column = _named(name, store.pages(query, (name.removeprefix(META),)), ids)
    numbers = [_number(one) for one in column.names]
    if len(numbers) > FEW and column.codes is not None and None not in numbers:
        values = np.array([*numbers, np.nan], np.float32)[column.codes]
        return Column(name, (), None, values)
    return column


def _named(name: str, pages: Iterable[Sequence[tuple[Any, ...]]], ids: ScanIds) -> Column:
    """Names as codes, ordered by frequency on the map, then by name; scans without one have -1."""
    number: dict[str, int] = {}
    codes = np.full(len(ids), -1, np.int32)
    for page in pages:
        known = [(scan_id, str(value)) for scan_id, value in page if value not in (None, "")]
        kept = [number.setdefault(value, len(number)) for _, value in known]
        ids.put(codes, [scan_id for scan_id, _ in known], kept)
    counts = np.bincount(codes[codes >= 0], minlength=len(number)).tolist()
    names = sorted(
        (value for value, n in number.items() if counts[n]),
        key=lambda value: (-counts[number[value]], value),
    )
    place = np.full(len(number) + 1, -1, np.int32)  # its last one is for -1
    place[[number[value] for value in names]] = np.arange(len(names), dtype=np.int32)
    return Column(name, tuple(names), place[codes], None)


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
