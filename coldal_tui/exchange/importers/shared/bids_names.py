"""Reads BIDS look-up tables: class names of the values in a ``_dseg`` file (BIDS derivatives)."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from coldal_tui.exchange.importers.shared.volume_masks import Names
from coldal_tui.exchange.names import file_stem

_SUFFIX = "_dseg"
_LEVELS = 5
"""Levels from ``sub-01/ses-02/anat`` up to the data set's own folder."""

_MOST_BYTES = 1 << 20


def may_have(path: Path) -> bool:
    """Whether a look-up table may apply to a file of this name."""
    return file_stem(path.name).endswith(_SUFFIX)


def names_for(path: Path) -> Names | None:
    """Class names for a ``…_dseg`` file, from the nearest table that applies to it.

    BIDS inheritance principle: a table is in the file's folder or above, and all its entities are
    among the file's own.
    """
    if not may_have(path):
        return None
    entities = set(file_stem(path.name).split("_"))
    for folder in (path.parent, *path.parent.parents[: _LEVELS - 1]):
        try:
            tables = [t for t in folder.glob("*dseg.tsv") if set(t.stem.split("_")) <= entities]
        except OSError:
            return None
        for table in sorted(tables, key=lambda t: (-len(t.stem.split("_")), t.name)):
            names = _read(table)
            if names:
                return Names(names, table)
        if (folder / "dataset_description.json").is_file():
            return None
    return None


def _read(path: Path) -> dict[int, str] | None:
    try:
        status = path.stat()
        return None if status.st_size > _MOST_BYTES else _parsed(path, status.st_mtime_ns)
    except (OSError, ValueError, csv.Error):
        return None


@lru_cache(maxsize=256)
def _parsed(path: Path, mtime_ns: int) -> dict[int, str] | None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        if not {"index", "name"} <= set(reader.fieldnames or ()):
            return None
        return {int(row["index"]): str(row["name"]).strip() for row in reader}
