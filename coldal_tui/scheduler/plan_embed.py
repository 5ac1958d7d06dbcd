"""Planning of embed and map jobs: which scans lack a vector, which vectors make the map."""

from __future__ import annotations

import json
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import (
    EmbedSpec,
    MapSpec,
    ShardRows,
)
from coldal_tui.project.project import Project
from coldal_tui.project.records import USABLE
from coldal_tui.scheduler.request import Request, device_of, seed_of

SMALLEST_SHARD = 8
LARGEST_SHARD = 512
_EMBEDDED = (
    "SELECT e.scan_id, e.shard_id, e.shard_row FROM embeddings e JOIN scans "
    "ON scans.scan_id = e.scan_id AND scans.quick_hash = e.quick_hash WHERE e.encoder_hash = ?"
)


def plan_embed(project: Project, request: Request) -> EmbedSpec | None:
    """All usable scans whose bytes have no vector yet by the configured encoder."""
    known = project.current_encoder_hash()
    if known and not request.get("again") and _all_embedded(project, known):
        return None
    scans = project.require_scans()
    done = _whole_vectors(project, known, verify=bool(request.get("again"))) if known else set()
    hopeless = _failed_before(project, known) if known and not request.get("again") else set()
    scans = [scan for scan in scans if scan.scan_id not in hopeless]
    if known and all(scan.scan_id in done for scan in scans) and not request.get("again"):
        return None
    return EmbedSpec(
        scans=tuple(scan.input(project.images) for scan in scans),
        encoder=project.encoder,
        embedded=tuple(sorted(done)),
        expected_hash=known,
        batch_size=project.config.encoder.batch_size,
        shard_size=shard_size(len(scans) - len(done)),
        device=device_of(project, request),
        threads=project.config.backend.threads,
    )


def _all_embedded(project: Project, encoder_hash: str) -> bool:
    """Whether there are usable scans, and each has a vector in a shard that is there, or failed."""
    store = project.store
    gone = [
        shard
        for shard, file in store.tuples("SELECT shard_id, file FROM shards")
        if not project.file_of(file).is_file()
    ]
    if gone or not store.value(f"SELECT 1 FROM scans WHERE {USABLE} LIMIT 1"):
        return False
    same = "scan_id = scans.scan_id AND quick_hash = scans.quick_hash AND encoder_hash = :encoder"
    return not store.value(
        f"SELECT 1 FROM scans WHERE {USABLE} "
        f"AND NOT EXISTS (SELECT 1 FROM embeddings WHERE {same}) "
        f"AND NOT EXISTS (SELECT 1 FROM embed_failures WHERE {same}) LIMIT 1",
        {"encoder": encoder_hash},
    )


def shard_size(scans: int) -> int:
    """Rows of a shard, the most that a kill can lose: a sixty-fourth of the work, within bounds."""
    return min(LARGEST_SHARD, max(SMALLEST_SHARD, scans // 64))


def _whole_vectors(project: Project, encoder_hash: str, *, verify: bool) -> set[str]:
    """Scans with a usable vector: its shard exists and, with ``verify``, has its recorded hash."""
    vectors = embedded_scans(project, encoder_hash)
    whole = {
        row["shard_id"]
        for row in project.store.rows("SELECT shard_id, file, sha256 FROM shards")
        if (path := project.file_of(row["file"])).is_file()
        and (not verify or sha256_file(path) == row["sha256"])
    }
    return {scan_id for scan_id, (shard_id, _) in vectors.items() if shard_id in whole}


def _failed_before(project: Project, encoder_hash: str) -> set[str]:
    """Scans whose current bytes could not be embedded before."""
    rows = project.store.rows(
        "SELECT f.scan_id FROM embed_failures f JOIN scans s ON s.scan_id = f.scan_id "
        "AND s.quick_hash = f.quick_hash WHERE f.encoder_hash = ?",
        (encoder_hash,),
    )
    return {row["scan_id"] for row in rows}


def embedded_scans(project: Project, encoder_hash: str) -> dict[str, tuple[int, int]]:
    """``scan_id → (shard, row)`` of vectors made from the bytes that the scan has now."""
    rows = project.store.tuples(f"{_EMBEDDED} ORDER BY e.scan_id", (encoder_hash,))
    return {scan_id: (shard_id, row) for scan_id, shard_id, row in rows}


def usable_vectors(project: Project) -> tuple[str, dict[str, tuple[int, int]]]:
    known = project.current_encoder_hash()
    if known is None:
        raise ColdalError(
            "no scan has been embedded yet", where=project.name, remedy="coldal-tui embed"
        )
    # Without the records of all scans, which are a gigabyte of 650,000.
    rows = project.store.tuples(f"{_EMBEDDED} AND {USABLE} ORDER BY e.scan_id", (known,))
    vectors = {scan_id: (shard_id, row) for scan_id, shard_id, row in rows}
    if not vectors:
        project.require_scans()
        raise ColdalError(
            "no scan has an embedding by the configured encoder",
            where=project.config.encoder.name,
            remedy="coldal-tui embed",
        )
    return known, vectors


def shard_rows(project: Project, vectors: dict[str, tuple[int, int]]) -> tuple[ShardRows, ...]:
    by_shard: dict[int, list[tuple[str, int]]] = {}
    for scan_id in sorted(vectors):
        shard, row = vectors[scan_id]
        by_shard.setdefault(shard, []).append((scan_id, row))
    files = {row["shard_id"]: row for row in project.store.rows("SELECT * FROM shards")}
    return tuple(
        ShardRows(
            file=str(project.file_of(files[shard]["file"])),
            sha256=files[shard]["sha256"],
            scan_ids=tuple(scan_id for scan_id, _ in members),
            rows=tuple(row for _, row in members),
        )
        for shard, members in sorted(by_shard.items())
    )


def latest_map(project: Project, encoder_hash: str) -> dict[str, Any] | None:
    return project.store.row(
        "SELECT * FROM maps WHERE encoder_hash = ? ORDER BY map_id DESC LIMIT 1", (encoder_hash,)
    )


def plan_map(project: Project, request: Request) -> MapSpec | None:
    """A new map version, unless the newest one was made from exactly these vectors.

    Once a round stands on a map, new scans are placed into it; ``rebuild`` starts afresh.
    """
    encoder_hash, vectors = usable_vectors(project)
    seed = seed_of(project, request)
    newest = latest_map(project, encoder_hash)
    rebuild = bool(request.get("rebuild"))
    fingerprint = _fingerprint(vectors)
    base: str | None = None
    if newest is not None and not rebuild:
        used = bool(project.store.value("SELECT count(*) FROM rounds"))
        shown = json.loads(newest["params"]).get("vectors")
        if shown == fingerprint and (newest["seed"] == seed or used):
            return None
        if used:
            seed, base = newest["seed"], str(project.file_of(newest["file"]))
    return MapSpec(
        shards=shard_rows(project, vectors),
        encoder_hash=encoder_hash,
        seed=seed,
        base=base,
        fingerprint=fingerprint,
    )


def _fingerprint(vectors: dict[str, tuple[int, int]]) -> str:
    import hashlib

    parts = [
        f"{scan_id}:{vectors[scan_id][0]}:{vectors[scan_id][1]}" for scan_id in sorted(vectors)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
