"""The Ray backend: whole jobs by Ray's Jobs API; embedding and scoring shared by actors.

Jobs run on a cluster that somebody else started; the project and its images lie where its nodes
see them under the same names.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from coldal_launch.gpu_slots import DEVICE_VARIABLE
from coldal_launch.missing import missing_extra
from coldal_launch.ray_cluster import FOLDER_KEY, Cluster, RayJob, RaySilentError, address_of
from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write
from coldal_tui.jobs.backend import Ask, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobFolder

NOTE_FILE = "ray.json"
SETTINGS_VARIABLE = "COLDAL_RAY"
"""How many actors a worker has and of what size, in JSON: ``{"actors": 4, "cpus": 1}``."""
SHARED = frozenset({"embed", "score", "predict"})
"""Kinds of job whose scans are dealt out to actors."""
CANCEL_LOOK_S = 0.5
KILL_WAIT_S = 30.0


class RayBackend:
    """Runs jobs on Ray clusters; a handle's ``host`` is the address of its cluster's job server."""

    name = "ray"

    def __init__(self, connect: Callable[[str], Cluster] = Cluster) -> None:
        if find_spec("ray") is None:
            raise missing_extra("ray", "ray")
        self._connect = connect
        self._clusters: dict[str, Cluster] = {}

    def room(self, ask: Ask, running: Sequence[Running]) -> Wait | None:
        """Ray has a queue of its own: there is room whenever the cluster answers."""
        cluster = self._cluster(address_of(ask.settings.get("ray", {})))
        cluster.asker.look()
        if cluster.asker.silence is not None:
            return Wait(cluster.asker.silence.what)
        if cluster.asker.answer is None:
            return Wait(f"the Ray cluster at {cluster.address} is slow to answer")
        return None

    def launch(self, folder: Path, ask: Ask, running: Sequence[Running]) -> JobHandle | Wait:
        """Submit the job under a number that is noted before, so that ``find`` knows it."""
        settings: Mapping[str, Any] = ask.settings.get("ray", {})
        cluster = self._cluster(address_of(settings))
        number = f"coldal-{folder.name}-{secrets.token_hex(4)}"
        _note(folder, cluster.address, number)
        gpus = 0 if ask.kind in SHARED else _gpus(ask, cluster)
        # What deals scans out to actors needs next to nothing; the actors have what they need.
        cpus = 0 if ask.kind in SHARED else int(settings.get("cpus", 1))
        cluster.submit(
            number,
            _entrypoint(folder, ask, settings),
            entrypoint_num_cpus=cpus,
            entrypoint_num_gpus=gpus,
            runtime_env={"env_vars": _variables(ask, settings, gpus)},
            metadata={FOLDER_KEY: str(folder)},
        )
        return _handle(cluster.address, number)

    def find(self, folder: Path) -> JobHandle | None:
        """By the number that was noted before the job was submitted; it may not have been."""
        try:
            noted: Any = json.loads((folder / NOTE_FILE).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return _handle(noted["address"], noted["number"])

    def alive(self, handle: JobHandle) -> bool:
        """A job counts as alive while the cluster does not answer: it must not run twice."""
        cluster = self._cluster(handle.host)
        job = cluster.job(handle.native_id)
        if job is not None and job.alive and job.folder and JobFolder(Path(job.folder)).told:
            # It has only to leave: don't wait for the look that would be due.
            cluster.asker.soon(CANCEL_LOOK_S)
            job = cluster.job(handle.native_id)
        if job is None or job.alive:
            return True
        cluster.forget(handle.native_id)
        self._explain(job, handle)
        return False

    def waits(self, handle: JobHandle) -> str | None:
        cluster = self._cluster(handle.host)
        if cluster.asker.silence is not None:
            return cluster.asker.silence.what
        job = cluster.job(handle.native_id)
        if job is None or job.status != "PENDING":
            return None
        return f"in the queue of Ray: {job.message or 'not started yet'}"

    def cancel(self, handle: JobHandle, grace_s: float) -> None:
        """Have Ray stop the job: SIGTERM to its processes and, after Ray's own time, SIGKILL.

        Raises ColdalError when the cluster does not answer or the job does not end.
        """
        cluster = self._cluster(handle.host)
        deadline = time.monotonic() + grace_s + KILL_WAIT_S
        asked = False
        while (job := cluster.status(handle.native_id)).alive:
            if time.monotonic() > deadline:
                raise ColdalError(
                    f"Ray's job {handle.native_id} does not end: it is {job.status.lower()}",
                    remedy=f"ray job stop {handle.native_id}",
                    code="ray",
                )
            if not asked:
                cluster.stop(handle.native_id)
                asked = True
            time.sleep(CANCEL_LOOK_S)
        cluster.forget(handle.native_id)

    def _cluster(self, address: str) -> Cluster:
        if address not in self._clusters:
            self._clusters[address] = self._connect(address)
        return self._clusters[address]

    def _explain(self, job: RayJob, handle: JobHandle) -> None:
        """What Ray says of a job whose worker could not say it goes into the job's log."""
        folder = JobFolder(Path(job.folder))
        if not job.folder or folder.told:
            return
        with contextlib.suppress(OSError):
            words = f"Ray: job {handle.native_id} ended as {job.status}"
            folder.note(f"{words}: {job.message}" if job.message else words)


def _gpus(ask: Ask, cluster: Cluster) -> int:
    """How many GPUs a job asks for: none where it may use the CPU and the cluster has no GPU."""
    if ask.device == "cpu":
        return 0
    try:
        there = cluster.gpus()
    except RaySilentError:
        # Not every cluster tells; one that was asked for is asked for all the same.
        there = 0
    wanted = max(1, ask.gpus)
    return wanted if ask.device.startswith("cuda") or there >= wanted else 0


def _variables(ask: Ask, settings: Mapping[str, Any], gpus: int) -> dict[str, str]:
    found = {"PYTHONUNBUFFERED": "1"}
    if ask.kind in SHARED:
        share = {"actors": settings.get("actors", 0), "cpus": settings.get("cpus", 1)}
        return found | {SETTINGS_VARIABLE: json.dumps(share)}
    return found | {DEVICE_VARIABLE: "cuda" if gpus else "cpu"}


def _entrypoint(folder: Path, ask: Ask, settings: Mapping[str, Any]) -> str:
    """The shell line of the worker, which logs into the job's folder as every worker does."""
    module = "coldal_launch.ray_worker" if ask.kind in SHARED else "coldal_launch.worker"
    # -P: a folder full of outputs is no place to import modules from.
    words = [settings.get("python") or sys.executable, "-P", "-m", module, str(folder)]
    return f"exec {shlex.join(words)} >>{shlex.quote(str(JobFolder(folder).log))} 2>&1"


def _handle(address: str, number: str) -> JobHandle:
    return JobHandle(
        host=address, boot_id="", pid=0, started=round(time.time(), 3), native_id=number
    )


def _note(folder: Path, address: str, number: str) -> None:
    content = json.dumps({"address": address, "number": number}).encode()
    atomic_write(folder / NOTE_FILE, lambda stream: stream.write(content))
