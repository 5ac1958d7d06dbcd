"""The worker of an embedding or scoring job on Ray: it shares the scans among actors.

Run as ``python -m coldal_launch.ray_worker FOLDER`` by Ray's Jobs API: the same folder in, the
same receipt out as every worker's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import ray

from coldal_launch.ray import SETTINGS_VARIABLE
from coldal_launch.ray_actors import Sharing, Worker
from coldal_launch.worker import main
from coldal_tui.errors import ColdalError
from coldal_tui.files import share_all
from coldal_tui.jobs.spec import (
    EmbedSpec,
    FailedScan,
    JobSpec,
    Reporter,
    ScanInput,
    ScoreSpec,
    StepResult,
)

_PIECE = 32
_FEW_PIECES = 4
_DIED = "every actor that worked on it died: is the memory of the nodes too small for it?"


def run(spec: JobSpec, folder: Path, report: Reporter) -> StepResult:
    """Run an embedding or a scoring with actors on the cluster that this process belongs to."""
    if not isinstance(spec, (EmbedSpec, ScoreSpec)):
        raise ColdalError("only embeddings and scorings are shared by actors", code="defect")
    # By RAY_ADDRESS, which Ray sets for its jobs; never a cluster of our own.
    ray.init(address="auto", log_to_driver=False, logging_level="WARNING")
    try:
        settings = json.loads(os.environ.get(SETTINGS_VARIABLE, "{}"))
        if isinstance(spec, EmbedSpec):
            return _embed(spec, folder, report, settings)
        return _score(spec, folder, report, settings)
    finally:
        ray.shutdown()


def _embed(spec: EmbedSpec, folder: Path, report: Reporter, settings: Any) -> StepResult:
    from coldal_compute.embedding import Outcome, embed

    place = _Place(spec.device, settings)
    threads = spec.threads or place.cpus
    share = msgspec.structs.replace(spec, scans=(), device=place.device, threads=threads)

    def lost(scan: ScanInput) -> Outcome:
        return Outcome(scan, None, _DIED)

    piece = max(_PIECE, _FEW_PIECES * spec.batch_size) if place.gpus else _PIECE
    sharing = Sharing(lambda: place.start(share, folder), place.actors, piece, lost, report)
    report.log(f"{place.actors} actors on the Ray cluster, each on {place.words}")
    return embed(spec, folder, report, elsewhere=_VectorMaker(sharing, place.device))


def _score(spec: ScoreSpec, folder: Path, report: Reporter, settings: Any) -> StepResult:
    from coldal_compute.score_step import Scored, score

    place = _Place(spec.device, settings)
    share = msgspec.structs.replace(spec, scans=(), device=place.device)

    def lost(scan: ScanInput) -> Scored:
        return Scored(scan, None, FailedScan(scan.scan_id, scan.ref.files[0], _DIED))

    sharing = Sharing(lambda: place.start(share, folder), place.actors, 4, lost, report)
    report.log(f"{place.actors} actors on the Ray cluster, each on {place.words}")
    return score(spec, folder, report, elsewhere=sharing)


class _VectorMaker:
    def __init__(self, sharing: Sharing[Any], device: str) -> None:
        self.device = device
        self._sharing = sharing

    def __call__(self, scans: Any) -> Any:
        return self._sharing(scans)


class _Place:
    """What an actor is given: a GPU where the job may use one and there is one, and processors."""

    def __init__(self, device: str, settings: Any) -> None:
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) if device != "cpu" else 0
        if device.startswith("cuda") and not gpus:
            raise ColdalError(
                "no node of the Ray cluster has a GPU",
                where="device",
                remedy='use "auto" or "cpu"',
                code="device",
            )
        self.gpus = min(gpus, 1)
        self.device = "cuda" if gpus else "cpu"
        self.cpus = int(settings.get("cpus", 1))
        nodes = sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
        self.actors = int(settings.get("actors", 0)) or max(1, gpus or nodes)

    @property
    def words(self) -> str:
        return "a GPU" if self.gpus else f"{self.cpus} CPU" + "s" * (self.cpus > 1)

    def start(self, spec: JobSpec, folder: Path) -> Any:
        actor = ray.remote(Worker).options(num_cpus=self.cpus, num_gpus=self.gpus)
        return actor.remote(spec, str(folder))


if __name__ == "__main__":
    share_all(Path(sys.argv[1]))
    sys.exit(main(sys.argv[1:], run))
