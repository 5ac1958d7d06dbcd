"""Steps that take their time and keep checkpoints as the real ones do, without a network.

The environment sets their pace (PRETEND_PAUSE_S per scan, none once the file PRETEND_HURRY is
there), how large a batch the memory
holds (PRETEND_BATCH), and whether they start a child that outlives a kill (PRETEND_CHILD).
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np

from coldal_compute import shards
from coldal_tui.files import atomic_write
from coldal_tui.jobs.spec import EmbedSpec, JobSpec, Reporter, StepResult

PAUSE_S = float(os.environ.get("PRETEND_PAUSE_S", "0"))
HURRY = Path(os.environ.get("PRETEND_HURRY", "/nonexistent/hurry"))
SHARD = 4
DIM = 4096


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


def run_step(spec: JobSpec, folder: Path, report: Reporter) -> StepResult:
    assert isinstance(spec, EmbedSpec)
    if spec.batch_size > int(os.environ.get("PRETEND_BATCH", "1000")):
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    if "PRETEND_CHILD" in os.environ:
        # As a DataLoader does it: a fork that lives on when its parent is killed.
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    wanted = {scan.scan_id: scan.quick_hash for scan in spec.scans}
    done, stale = shards.finished_shards(folder, "e" * 64, wanted)
    shards.discard(folder, stale)
    writer = shards.ShardWriter(folder, "e" * 64, SHARD, done)
    known = {scan_id for shard in done for scan_id in shard.scan_ids}
    for number, scan in enumerate(spec.scans):
        if scan.scan_id in known:
            continue
        time.sleep(0 if HURRY.exists() else PAUSE_S)
        with (folder / "work.txt").open("a") as stream:
            stream.write(f"{os.getpid()} {scan.scan_id}\n")
        writer.add(scan.scan_id, scan.quick_hash, vector(scan.scan_id))
        report.progress(number, len(spec.scans), "pretending")
    writer.flush()
    note = {"batch_size": spec.batch_size, "device": spec.device, "pid": os.getpid()}
    atomic_write(folder / "how.json", lambda stream: stream.write(json.dumps(note).encode()))
    if "PRETEND_CHILD" in os.environ:
        for child in multiprocessing.active_children():
            child.kill()
    return StepResult(
        files=tuple(name for shard in writer.shards for name in (shard.file, shard.sidecar)),
        result={
            "encoder": "tiny",
            "encoder_hash": "e" * 64,
            "dim": DIM,
            "record": {},
            "shards": [shards.summary(shard) for shard in writer.shards],
        },
    )


def vector(scan_id: str) -> np.ndarray:
    """``(DIM,) float32`` that depends on the scan alone: a shard is 64 KB."""
    digest = hashlib.sha256(scan_id.encode()).digest()
    return np.tile(np.frombuffer(digest, np.uint8).astype(np.float32), DIM // len(digest))
