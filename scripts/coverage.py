"""What the labels of a simulation's first queues cover, and whether Dice goes with it.

    python scripts/coverage.py PROJECT

Reads the finished cells of the project's newest simulation. For each strategy and label count: the
mean and the largest distance from a scan of the pool to its nearest training label, between unit
embeddings and on the map, averaged over seeds. Then, for each label count, Spearman's correlation
of these with Dice over the cells of all strategies and seeds, each seed's mean taken off. Last, how
well the map keeps the order of distances: Spearman's correlation over all pairs of mapped scans.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr

from coldal_compute.map_step import read_vectors
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.spec import SimulateSpec
from coldal_tui.maps import load_map
from coldal_tui.simulation.cells import Cell, read_cell, read_split, seed_folder

MEASURES = "mean (emb.)", "largest (emb.)", "mean (map)", "largest (map)"


def newest(project: Path) -> SimulateSpec:
    for folder in sorted((project / ".coldal" / "jobs").glob("*-simulate"), reverse=True):
        spec = JobFolder(folder).read_spec()
        if isinstance(spec, SimulateSpec):
            return spec
    sys.exit(f"{project}: no simulation was run here")


def dice(cell: Cell) -> float:
    return float(np.mean([one.dice for found in cell.scans.values() for one in found.values()]))


def main(project: Path) -> None:
    spec = newest(project)
    scan_ids, vectors = read_vectors(spec.shards)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    place = {scan_id: n for n, scan_id in enumerate(scan_ids)}
    rows: dict[tuple[int, str], list[tuple[int, float, np.ndarray]]] = defaultdict(list)
    store = Path(spec.store)
    for cell_id in spec.design.all_cells():
        cell, split = read_cell(store, cell_id), read_split(store, cell_id.seed)
        if cell is None or split is None or cell_id.group != "cold":
            continue
        drawn = load_map(seed_folder(store, cell_id.seed) / "map.npz")
        spot = {scan_id: n for n, scan_id in enumerate(drawn.scan_ids)}
        pool, labels = list(split.pool), list(cell.train)
        emb = cdist(unit[[place[s] for s in pool]], unit[[place[s] for s in labels]]).min(1)
        flat = cdist(drawn.xy[[spot[s] for s in pool]], drawn.xy[[spot[s] for s in labels]]).min(1)
        found = np.array([emb.mean(), emb.max(), flat.mean(), flat.max()])
        rows[cell_id.labels, cell_id.strategy].append((cell_id.seed, dice(cell), found))
    kept = []
    for seed in spec.design.seeds:
        if not (seed_folder(store, seed) / "map.npz").exists():
            continue
        drawn = load_map(seed_folder(store, seed) / "map.npz")
        kept.append(spearmanr(pdist(drawn.xy), pdist(unit[[place[s] for s in drawn.scan_ids]]))[0])
    print("labels  strategy                seeds  Dice   " + "  ".join(MEASURES))
    for (labels, name), cells in sorted(rows.items()):
        score, means = np.mean([d for _, d, _ in cells]), np.mean([m for _, _, m in cells], axis=0)
        shown = "  ".join(
            f"{value:{len(title)}.3f}" for value, title in zip(means, MEASURES, strict=True)
        )
        print(f"{labels:6d}  {name:22s}  {len(cells):5d}  {score:.3f}  {shown}")
    for labels in sorted({labels for labels, _ in rows}):
        flat_rows = [
            (seed, [d, *m]) for (n, _), cells in rows.items() if n == labels for seed, d, m in cells
        ]
        table = np.array([values for _, values in flat_rows])
        seeds = np.array([seed for seed, _ in flat_rows])
        for seed in np.unique(seeds):
            table[seeds == seed] -= table[seeds == seed].mean(axis=0)
        said = ", ".join(
            f"{title} {spearmanr(table[:, 0], table[:, n])[0]:+.2f}"
            for n, title in enumerate(MEASURES, start=1)
        )
        print(f"{labels} labels, {len(table)} cells, Spearman's correlation with Dice: {said}")
    print(f"distances on the map against those between embeddings, by seed: {np.round(kept, 2)}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
