"""Reading maps and cluster assignments: small numpy archives that no one changes."""

from __future__ import annotations

import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError

_BLOCK = 4_096
_reading = Lock()


class ScanIds(Sequence[str]):
    """N different scan ids in ascending order, as one array.

    As a tuple with a dictionary of places, a million ids take 150 MB and a second to make.
    """

    def __init__(self, names: Sequence[str] | NDArray[np.str_]) -> None:
        self.array = np.asarray(names, dtype=np.str_)
        """(N,) the ids."""
        if not bool(np.all(self.array[:-1] < self.array[1:])):
            raise ValueError("scan ids are not in ascending order")

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...
    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if isinstance(at, slice):
            return tuple(self.array[at].tolist())
        return str(self.array[at])

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self.array[start : start + _BLOCK].tolist()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ScanIds):
            return np.array_equal(self.array, other.array)
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def places(self) -> Places:
        """Scan id → its place, one at a time."""
        return Places(self)

    def rows(self, scan_ids: Sequence[str]) -> NDArray[np.int64]:
        """(M,) the place of each of M scan ids, -1 for those that are not among these."""
        return _places(self.array, np.array(scan_ids, dtype=np.str_))

    def known_rows(self, scan_ids: Iterable[str]) -> NDArray[np.int64]:
        """The places of those scan ids that are among these, in the order given."""
        found = self.rows(list(scan_ids))
        return found[found >= 0]

    def put(self, into: NDArray[Any], scan_ids: Sequence[str], values: Sequence[Any]) -> None:
        """Write ``values`` of M scan ids to ``into`` (N,), without those of ids not among these."""
        at = self.rows(scan_ids)
        into[at[at >= 0]] = np.array(values, into.dtype)[at >= 0]

    def numbers(self, pages: Iterable[Sequence[tuple[str, float | None]]]) -> NDArray[np.float64]:
        """(N,) a number of each scan, NaN where ``pages`` have none; of several, the last.

        ``pages`` are pairs of a scan id, also of others than these, and its number.
        """
        found = np.full(len(self), np.nan)
        for page in pages:
            known = [(scan_id, value) for scan_id, value in page if value is not None]
            self.put(found, [scan_id for scan_id, _ in known], [value for _, value in known])
        return found


class Places(Mapping[str, int]):
    """The place of each scan id, found by halving: it takes no memory."""

    def __init__(self, scan_ids: ScanIds) -> None:
        self._ids = scan_ids

    def __getitem__(self, scan_id: str) -> int:
        place = bisect_left(self._ids, scan_id)
        if place == len(self._ids) or self._ids[place] != scan_id:
            raise KeyError(scan_id)
        return place

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


@dataclass(frozen=True)
class Map:
    """2-D positions: ``xy[n]`` (float64) belongs to ``scan_ids[n]``; in scan_id order."""

    scan_ids: ScanIds
    xy: NDArray[np.float64]

    def index(self) -> dict[str, int]:
        return {scan_id: n for n, scan_id in enumerate(self.scan_ids)}


@dataclass(frozen=True)
class Clusters:
    """``of[scan_id]`` is the cluster, 0 the largest when they were made."""

    k: int
    of: dict[str, int]


def load_map(path: Path) -> Map:
    """Read a map; ColdalError (code ``map``) when the file is missing or damaged.

    Screens ask for the newest one from several places: the last that was read is kept.
    """
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    with _reading:  # threads that ask at once share one
        return _read_map(path, stamp)


@lru_cache(maxsize=1)
def _read_map(path: Path, _stamp: int) -> Map:
    data = _load(path, "scan_ids", "xy")
    xy = data["xy"]
    xy.setflags(write=False)
    try:
        return Map(ScanIds(data["scan_ids"]), xy)
    except ValueError as error:
        raise _unreadable(path, error) from error


def save_map(path: Path, scan_ids: tuple[str, ...], xy: NDArray[np.float64]) -> None:
    """Write a map: ``xy`` is (N, 2), row by row of ``scan_ids``."""
    _save(path, scan_ids=np.array(scan_ids, dtype=np.str_), xy=xy.astype(np.float64))


def load_clusters(path: Path) -> Clusters:
    """Read clusters; ColdalError (code ``map``) when the file is missing or damaged."""
    data = _load(path, "scan_ids", "labels", "k")
    names = (str(name) for name in data["scan_ids"])
    return Clusters(int(data["k"]), dict(zip(names, (int(n) for n in data["labels"]), strict=True)))


def load_cluster_array(path: Path, scan_ids: Sequence[str]) -> NDArray[np.int16]:
    """The cluster of each of N scans, -1 where it has none: ``(N,)``. Raises as ``load_clusters``.

    For very many scans: no dictionary is made.
    """
    data = _load(path, "scan_ids", "labels")
    known, labels = data["scan_ids"], data["labels"].astype(np.int16)
    wanted = scan_ids.array if isinstance(scan_ids, ScanIds) else np.array(scan_ids, dtype=np.str_)
    if np.array_equal(known, wanted) or not len(known):
        return labels if len(known) else np.full(len(wanted), -1, np.int16)
    in_order = bool(np.all(known[:-1] <= known[1:]))
    order = np.arange(len(known)) if in_order else np.argsort(known)
    place = _places(known[order], wanted)
    return np.where(place >= 0, labels[order][place], np.int16(-1))


def _places(known: NDArray[np.str_], wanted: NDArray[np.str_]) -> NDArray[np.int64]:
    """(M,) the place of each of M ``wanted`` in ``known``, which is in order; -1 if it has none."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[found] == wanted, found, -1)


def load_cluster_sizes(path: Path) -> tuple[int, ...]:
    """How many scans each cluster has, by its number. Raises as ``load_clusters``."""
    data = _load(path, "labels", "k")
    return tuple(np.bincount(data["labels"], minlength=int(data["k"])).tolist())


def save_clusters(path: Path, scan_ids: tuple[str, ...], labels: NDArray[np.int64], k: int) -> None:
    """Write cluster numbers: ``labels`` is of shape (N,), ``k`` how many there are."""
    _save(
        path,
        scan_ids=np.array(scan_ids, dtype=np.str_),
        labels=labels.astype(np.int32),
        k=np.int32(k),
    )


def _load(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ColdalError:
    return ColdalError(
        f"this part of the map can't be read: {error}",
        where=str(path),
        remedy="put the file back, or undo the rounds that stand on it and select anew",
        code="map",
    )


def _save(path: Path, **arrays: object) -> None:
    from coldal_tui.files import atomic_write

    atomic_write(path, lambda stream: np.savez(stream, **arrays))  # type: ignore[arg-type]
