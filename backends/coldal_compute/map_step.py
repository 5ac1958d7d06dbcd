"""The map step: reads embeddings and writes 2-D positions as a new map version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.encoders.stored_vectors import read_vectors
from coldal_tui.jobs.spec import MapSpec, Reporter, StepResult
from coldal_tui.maps import load_map, save_map
from coldal_tui.selection.projection import place, project

MAP_FILE = "map.npz"


def make_map(spec: MapSpec, folder: Path, report: Reporter) -> StepResult:
    """Project all vectors, or place the new ones into ``spec.base``."""
    scan_ids, vectors = read_vectors(spec.shards)
    how: dict[str, str | float | int | None]
    if spec.base is None:
        made = project(vectors, spec.seed, progress=report.progress)
        xy, placed = made.xy, 0
        how = {
            "method": made.method,
            "perplexity": made.perplexity,
            "distinct": made.distinct,
            "components": made.components,
        }
    else:
        xy, placed = _place_new(scan_ids, vectors, Path(spec.base))
        how = {"method": "placed", "perplexity": None, "distinct": None, "components": None}
    save_map(folder / MAP_FILE, scan_ids, xy)
    report.log(f"{len(scan_ids)} scans on the map, {how['method']}")
    return StepResult(
        files=(MAP_FILE,),
        result={"file": MAP_FILE, "scans": len(scan_ids), "placed": placed} | how,
    )


def _place_new(
    scan_ids: tuple[str, ...], vectors: NDArray[np.float32], base_path: Path
) -> tuple[NDArray[np.float64], int]:
    """Place new scans by their neighbours; known scans keep their points."""
    base = load_map(base_path)
    known = base.index()
    old = np.array([n for n, name in enumerate(scan_ids) if name in known], dtype=np.int64)
    new = np.array([n for n, name in enumerate(scan_ids) if name not in known], dtype=np.int64)
    xy = np.empty((len(scan_ids), 2))
    xy[old] = base.xy[[known[scan_ids[n]] for n in old]]
    if len(new):
        xy[new] = place(vectors[old], xy[old], vectors[new])
    return xy, len(new)
