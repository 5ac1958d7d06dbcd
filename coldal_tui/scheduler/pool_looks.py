"""What a project's pool is like, by the embeddings that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coldal_tui.encoders.stored_vectors import read_vectors
from coldal_tui.project.project import Project
from coldal_tui.scheduler.plan_embed import shard_rows, usable_vectors

if TYPE_CHECKING:
    from coldal_tui.selection.advice import Advice, PoolLooks


def pool_looks(project: Project) -> PoolLooks:
    """Describe the pool; of a large one, the rows of the scans drawn for it alone are read.

    Raises ColdalError when no scan has an embedding by the project's encoder.
    """
    from coldal_tui.selection.advice import drawn_scans, look

    seed = project.config.selection.seed
    _, vectors = usable_vectors(project)
    known = sorted(vectors)
    drawn = {known[n] for n in drawn_scans(len(known), seed).tolist()}
    chosen = {scan_id: place for scan_id, place in vectors.items() if scan_id in drawn}
    scan_ids, rows = read_vectors(shard_rows(project, chosen))
    records = {scan.scan_id: scan for scan in project.scans_named(scan_ids)}
    keys = sorted({key for scan_id in scan_ids for key in records[scan_id].meta})
    columns = {key: [records[one].meta.get(key, "") for one in scan_ids] for key in keys}
    patients = [records[scan_id].patient_id for scan_id in scan_ids]
    return look(rows, patients, columns, seed, scans=len(known))


def pool_advice(project: Project, aim: str | None = None) -> tuple[str, PoolLooks, Advice]:
    """The aim (by default the project's), what the pool is like, and what follows from both."""
    from coldal_tui.selection.advice import advise

    wanted = project.config.selection.aim if aim is None else aim
    looks = pool_looks(project)
    return wanted, looks, advise(looks, "every-kind" if wanted == "every-kind" else "average")
