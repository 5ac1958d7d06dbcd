"""Labels, runs and predictions put into a small project by hand, as imports and jobs leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coldal_tui.imaging.entropyfile import write_entropy
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project

Map = NDArray[np.uint8]


def add_masks(project: Project, folder: Path, masks: Mapping[str, Map]) -> None:
    """Import masks of scans as a labeler would send them."""
    folder.mkdir(exist_ok=True)
    for scan_id, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{scan_id}.png")
    import_masks(project, folder)


def add_run(
    project: Project,
    run_id: str,
    predictions: Mapping[str, Map],
    *,
    trained: Sequence[str] = (),
    entropy: Mapping[str, Map] | None = None,
    scores: Mapping[str, float] | None = None,
    at: str = "2026-01-02T00:00:00+00:00",
) -> None:
    """A run with its predictions and entropy maps."""
    values: dict[str, Any] = {"summary": {}, "validation_scans": []}
    project.store.insert(
        "runs", run_id=run_id, round=0, seed=0, train_scans=list(trained), created_at=at, **values
    )
    folder = project.layout.runs / run_id / "predictions"
    (folder / "entropy").mkdir(parents=True)
    for scan_id, predicted in predictions.items():
        affine = project.scan(scan_id).affine
        suffix = ".png" if predicted.ndim == 2 else ".nii.gz"
        write_label(folder / f"{scan_id}{suffix}", predicted, affine)
    for scan_id, values_ in (entropy or {}).items():
        suffix = ".png" if values_.ndim == 2 else ".nii.gz"
        write_entropy(folder / "entropy" / f"{scan_id}{suffix}", values_, None)
    for scan_id, score in (scores or {}).items():
        project.store.insert("scores", run_id=run_id, scan_id=scan_id, entropy=score)


def square(*, rows: tuple[int, int], columns: tuple[int, int], value: int = 1) -> Map:
    """An 8 × 8 label map with one rectangle; ends are left out."""
    made = np.zeros((8, 8), np.uint8)
    made[slice(*rows), slice(*columns)] = value
    return made
