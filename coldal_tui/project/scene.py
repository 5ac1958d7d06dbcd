"""The map as arrays: every scan's place, cluster and status, for screens that draw all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coldal_tui.maps import load_clusters, load_map
from coldal_tui.project.pool import latest_run
from coldal_tui.project.project import Project

STATUSES = ("candidate", "queued", "exported", "labelled", "skipped", "excluded")
"""Names of the codes in ``Scene.status``; ``excluded``: never a candidate (frozen patients too)."""


@dataclass(frozen=True, eq=False)
class Scene:
    """N scans of one map version, in ``scan_id`` order.

    ``xy`` (N, 2) float32; ``cluster`` (N,) int16, -1 for none; ``status`` (N,) uint8, an index
    into ``STATUSES``; ``entropy`` (N,) float32 of the newest run, NaN where unknown;
    ``medoids`` indices of scans that were queued as medoids.
    """

    map_id: int
    scan_ids: tuple[str, ...]
    xy: NDArray[np.float32]
    cluster: NDArray[np.int16]
    status: NDArray[np.uint8]
    entropy: NDArray[np.float32]
    medoids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scan_ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each scan."""
        return {scan_id: n for n, scan_id in enumerate(self.scan_ids)}


def read_scene(project: Project) -> Scene | None:
    """The map of the newest round, else the newest map; None before there is any."""
    store = project.store
    row = store.row(
        "SELECT m.map_id, m.file, r.clusters FROM rounds r JOIN maps m ON m.map_id = r.map_id "
        "ORDER BY r.round DESC LIMIT 1"
    ) or store.row("SELECT map_id, file, NULL AS clusters FROM maps ORDER BY map_id DESC LIMIT 1")
    if row is None:
        return None
    placed = load_map(project.file_of(row["file"]))
    index = {scan_id: n for n, scan_id in enumerate(placed.scan_ids)}
    count = len(index)
    cluster = np.full(count, -1, np.int16)
    if row["clusters"]:
        of = load_clusters(project.file_of(row["clusters"])).of
        cluster[:] = [of.get(scan_id, -1) for scan_id in placed.scan_ids]
    entropy = np.full(count, np.nan, np.float32)
    run = latest_run(project)
    for found in store.rows("SELECT scan_id, entropy FROM scores WHERE run_id = ?", (run,)):
        if found["scan_id"] in index:
            entropy[index[found["scan_id"]]] = found["entropy"]
    medoids = store.rows("SELECT scan_id FROM queue WHERE role = 'medoid' ORDER BY round, rank")
    scene = Scene(
        map_id=row["map_id"],
        scan_ids=placed.scan_ids,
        xy=placed.xy.astype(np.float32),
        cluster=cluster,
        status=_statuses(project, index),
        entropy=entropy,
        medoids=np.array(
            [index[m["scan_id"]] for m in medoids if m["scan_id"] in index], dtype=np.int64
        ),
    )
    scene.__dict__["index"] = index
    return scene


def _statuses(project: Project, index: dict[str, int]) -> NDArray[np.uint8]:
    """Later rules overrule earlier ones: a label is what counts most."""
    status = np.zeros(len(index), np.uint8)
    out = STATUSES.index("excluded")
    sources = (
        (
            "SELECT scan_id, 'excluded' AS status FROM scans WHERE state != 'present' OR "
            "excluded IS NOT NULL OR duplicate_of IS NOT NULL OR patient_id IN "
            "(SELECT patient_id FROM validation)"
        ),
        "SELECT scan_id, status FROM queue",
        "SELECT scan_id, 'labelled' AS status FROM labels WHERE state = 'active'",
    )
    codes = {name: code for code, name in enumerate(STATUSES)}
    for sql in sources:
        for row in project.store.rows(sql):
            if row["scan_id"] in index:
                status[index[row["scan_id"]]] = codes.get(row["status"], out)
    return status
