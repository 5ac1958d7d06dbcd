"""Embeddings on disk: immutable shards, each a numpy array with one row for each scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import ShardRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_vectors(shards: tuple[ShardRows, ...]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The vectors of all shards in ``scan_id`` order: ids and an (N, d) float32 array.

    Raises ColdalError (code ``shard``) when a shard is missing or was changed.
    """
    import numpy as np

    ids: list[str] = []
    parts: list[NDArray[np.float32]] = []
    for shard in shards:
        path = Path(shard.file)
        if not path.is_file() or sha256_file(path) != shard.sha256:
            raise ColdalError(
                "this shard of embeddings is missing or was changed",
                where=shard.file,
                remedy="put it back, or embed again: coldal-tui embed --again",
                code="shard",
            )
        ids += shard.scan_ids
        parts.append(np.load(path, allow_pickle=False)[list(shard.rows)])
    order = np.argsort(np.array(ids), kind="stable")
    return tuple(ids[n] for n in order), np.concatenate(parts)[order]
