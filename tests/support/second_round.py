"""A project whose second round was picked by the real selection, with its rows put in by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coldal_compute.select_step import select
from coldal_tui.jobs.spec import SelectSpec, Silent
from coldal_tui.maps import save_clusters, save_map
from coldal_tui.project.project import Project
from coldal_tui.project.queue.candidates import pool_rows
from coldal_tui.project.scans.indexing import reindex

RUN = "run-001"
FIRST = ("s00", "s05", "s10")
"""The first round: two are labelled, ``s10`` is still out."""


def second_round(
    folder: Path, *, scans: int = 30, batch: int = 5, alpha: float = 0.5, seed: int = 3
) -> Path:
    """``folder/project`` with scans s00, s01, … strewn on a map in two clusters, and two rounds."""
    names = tuple(f"s{n:02d}" for n in range(scans))
    strewn = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    for n, name in enumerate(names):
        pixels = strewn.integers(0, 256, (4, 5), dtype=np.uint8)
        pixels[0, 0] = n
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    with Project.create(folder / "project", folder / "images") as project:
        reindex(project)
        xy = strewn.normal(size=(scans, 2)) * 4
        labels = (xy[:, 0] > 0).astype(np.int64)
        placed = project.layout.maps / "map.npz"
        clusters = project.layout.maps / "clusters.npz"
        save_map(placed, names, xy)
        save_clusters(clusters, names, labels, 2)
        relative = project.layout.relative(clusters)
        store = project.store
        store.insert(
            "maps",
            map_id=1,
            encoder_hash="e",
            file=project.layout.relative(placed),
            sha256="",
            seed=0,
            scans=scans,
            params={"method": "tsne"},
            created_at=store.now(),
        )
        add_round(project, 0, relative, alpha=None, strategy="coldstart", run_id=None)
        for rank, name in enumerate(FIRST, 1):
            terms = {"cluster_size": 15, "summed_distance": 42.0}
            cluster = int(labels[names.index(name)])
            status = "exported" if name == "s10" else "labelled"
            add_item(project, 0, name, rank, "medoid", cluster, status=status, terms=terms)
        for name in FIRST[:2]:
            add_label(project, name)
        add_scores(project, dict(zip(names, strewn.random(scans).tolist(), strict=True)))
        spec = SelectSpec(
            round=1,
            strategy="entropy-diversity",
            budget=batch,
            validation=0,
            seed=1,
            map=str(placed),
            pool=pool_rows(project, RUN),
            alpha=alpha,
            clusters=str(clusters),
            map_id=1,
            run_id=RUN,
        )
        (folder / "job").mkdir()
        found = select(spec, folder / "job", Silent()).result
        add_round(project, 1, relative, alpha=alpha, strategy="entropy-diversity", run_id=RUN)
        for pick in found["picks"]:
            store.insert("queue", round=1, **pick)
    return folder / "project"


def add_round(project: Project, number: int, clusters: str, **values: Any) -> None:
    project.store.insert(
        "rounds",
        round=number,
        seed=1,
        budget=5,
        map_id=1,
        clusters=clusters,
        k=2,
        silhouettes=[[2, 0.5]],
        params={"notes": []},
        created_at=project.store.now(),
        **values,
    )


def add_item(
    project: Project, round_: int, name: str, rank: int, role: str, cluster: int, **values: Any
) -> None:
    project.store.insert(
        "queue", scan_id=name, round=round_, rank=rank, role=role, cluster=cluster, **values
    )


def add_label(project: Project, name: str) -> None:
    keys = ("file", "sha256", "source", "source_sha256", "format", "geometry", "notes", "voxels")
    project.store.insert(
        "labels",
        scan_id=name,
        version=1,
        state="active",
        role="train",
        created_at=project.store.now(),
        **dict.fromkeys(keys, ""),
    )


def add_scores(project: Project, entropies: dict[str, float], run_id: str = RUN) -> None:
    project.store.insert(
        "runs",
        run_id=run_id,
        round=0,
        seed=0,
        train_scans=[],
        validation_scans=[],
        summary={},
        created_at=project.store.now(),
    )
    for name, entropy in entropies.items():
        if name not in FIRST:
            project.store.insert("scores", run_id=run_id, scan_id=name, entropy=entropy)


def queue(project: Project, round_: int = 1) -> list[str]:
    """Scans of a round in rank order."""
    rows = project.store.rows(
        "SELECT scan_id FROM queue WHERE round = ? ORDER BY rank, scan_id", (round_,)
    )
    return [row["scan_id"] for row in rows]
