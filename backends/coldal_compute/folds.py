"""The files of a cross-fitting: a folder per fold, finished once its measures are written.

Importing this module imports no torch: it is also what joins the parts of a cross-fitting.
"""

from __future__ import annotations

from pathlib import Path

MEASURED_FILE = "measured.json"


def fold_folder(folder: Path, number: int) -> Path:
    return folder / f"fold-{number}"


def finished(folder: Path) -> frozenset[int]:
    """The folds of a folder that are predicted and measured."""
    found = folder.glob(f"fold-*/{MEASURED_FILE}")
    return frozenset(int(path.parent.name.rpartition("-")[2]) for path in found)


def adopt(folder: Path, other: Path) -> None:
    """Take over the folds of another folder of the same work, also those half done.

    A fold that is finished here is kept.
    """
    for source in sorted(other.glob("fold-*")):
        target = folder / source.name
        if not target.exists():
            source.rename(target)
        elif (source / MEASURED_FILE).exists() and not (target / MEASURED_FILE).exists():
            target.rename(other / f"before-{source.name}")
            source.rename(target)
