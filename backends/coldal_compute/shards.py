"""Embedding shards in a job's folder: written once, reused after an interruption.

A shard is ``shard-00000.npy`` (float32, one row a scan) with ``shard-00000.json`` beside it. The
JSON is written last, so a shard without it never counts.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_tui.files import atomic_write, sha256_file


class Shard(msgspec.Struct, frozen=True):
    """One ``.npy`` file: row n is the vector of ``scan_ids[n]``.

    Its image file had ``quick_hashes[n]`` when it was embedded.
    """

    file: str
    sha256: str
    encoder_hash: str
    scan_ids: tuple[str, ...]
    quick_hashes: tuple[str, ...]

    @property
    def sidecar(self) -> str:
        """The name of the JSON file."""
        return Path(self.file).with_suffix(".json").name


class ShardWriter:
    """Collects rows and writes a shard after every ``size`` rows."""

    def __init__(self, folder: Path, encoder_hash: str, size: int, done: Sequence[Shard]) -> None:
        self._folder = folder
        self._encoder_hash = encoder_hash
        self._size = max(1, size)
        self._shards = list(done)
        self._next = 1 + max((_number(shard.file) for shard in done), default=-1)
        self._rows: list[tuple[str, str, NDArray[np.float32]]] = []

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The finished shards, those of earlier runs included."""
        return tuple(self._shards)

    def add(self, scan_id: str, quick_hash: str, vector: NDArray[np.float32]) -> None:
        """Add one row, ``(dim,) float32``."""
        self._rows.append((scan_id, quick_hash, vector))
        if len(self._rows) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Write the remaining rows as a last shard."""
        if not self._rows:
            return
        ids, hashes, vectors = zip(*self._rows, strict=True)
        content = io.BytesIO()
        np.save(content, np.stack(vectors).astype(np.float32, copy=False), allow_pickle=False)
        data = content.getvalue()
        shard = Shard(
            file=f"shard-{self._next:05d}.npy",
            sha256=hashlib.sha256(data).hexdigest(),
            encoder_hash=self._encoder_hash,
            scan_ids=ids,
            quick_hashes=hashes,
        )
        _write(self._folder / shard.file, data)
        _write(self._folder / shard.sidecar, msgspec.json.encode(shard))
        self._shards.append(shard)
        self._next += 1
        self._rows.clear()


def finished_shards(
    folder: Path, encoder_hash: str, wanted: Mapping[str, str]
) -> tuple[tuple[Shard, ...], tuple[str, ...]]:
    """The shards of an earlier run that are valid, and the names of those that are not.

    A shard is valid when its bytes have the recorded SHA-256, the same encoder made it, and each of
    its scans is in ``wanted`` (scan_id to quick hash), unchanged and in no earlier shard.
    """
    good: list[Shard] = []
    bad: list[str] = []
    seen: set[str] = set()
    for sidecar in sorted(folder.glob("shard-*.json")):
        shard = _read_sidecar(sidecar)
        if shard is None or not _holds(shard, folder, encoder_hash, wanted, seen):
            bad.append(sidecar.stem)
            continue
        seen.update(shard.scan_ids)
        good.append(shard)
    return tuple(good), tuple(bad)


def rows_in(folder: Path) -> frozenset[str]:
    """The scans with a row in the shards of a folder; their bytes are not checked."""
    found = (_read_sidecar(sidecar) for sidecar in folder.glob("shard-*.json"))
    return frozenset(scan_id for shard in found if shard for scan_id in shard.scan_ids)


def adopt(folder: Path, other: Path) -> int:
    """Take over the shards of another folder of the same work, after our own; how many rows.

    Whether they hold is for ``finished_shards`` to say. Shards with a scan of ours are left.
    """
    taken, rows = set(rows_in(folder)), 0
    number = 1 + max((_number(path.name) for path in folder.glob("shard-*.json")), default=-1)
    for sidecar in sorted(other.glob("shard-*.json")):
        shard = _read_sidecar(sidecar)
        if shard is None or not taken.isdisjoint(shard.scan_ids):
            continue
        ours = msgspec.structs.replace(shard, file=f"shard-{number:05d}.npy")
        data = (other / shard.file).read_bytes()
        _write(folder / ours.file, data)
        _write(folder / ours.sidecar, msgspec.json.encode(ours))
        taken.update(shard.scan_ids)
        number, rows = number + 1, rows + len(shard.scan_ids)
    return rows


def discard(folder: Path, names: Iterable[str]) -> None:
    """Remove invalid shards (``names`` without suffix)."""
    for name in names:
        # The sidecar first: without it the array counts for nothing.
        (folder / f"{name}.json").unlink(missing_ok=True)
        (folder / f"{name}.npy").unlink(missing_ok=True)


def summary(shard: Shard) -> dict[str, Any]:
    """The shard's entry in a receipt."""
    return {"file": shard.file, "sha256": shard.sha256, "scan_ids": list(shard.scan_ids)}


def _read_sidecar(path: Path) -> Shard | None:
    try:
        shard = msgspec.json.decode(path.read_bytes(), type=Shard)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return shard if shard.file == f"{path.stem}.npy" else None


def _holds(
    shard: Shard, folder: Path, encoder_hash: str, wanted: Mapping[str, str], seen: set[str]
) -> bool:
    array = folder / shard.file
    return (
        shard.encoder_hash == encoder_hash
        and len(shard.scan_ids) == len(shard.quick_hashes)
        and seen.isdisjoint(shard.scan_ids)
        and all(
            wanted.get(scan_id) == quick
            for scan_id, quick in zip(shard.scan_ids, shard.quick_hashes, strict=True)
        )
        and array.is_file()
        and sha256_file(array) == shard.sha256
    )


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda stream: stream.write(content))


def _number(file: str) -> int:
    return int(Path(file).stem.removeprefix("shard-"))
