"""Runs one job on several GPUs of this machine: a worker on each, for a part of its work.

For embedding, scoring and simulation; a training uses DDP instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from coldal_launch.gpu_slots import (
    DEVICE_VARIABLE,
    GPUS_VARIABLE,
    PARENT_VARIABLE,
    VISIBLE_VARIABLE,
)
from coldal_launch.job_parts import gather, split
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.spec import Reporter

_LOOK_S = 0.2
_GRACE_S = 5.0


def run_parts(job: JobFolder, uuids: Sequence[str], report: Reporter) -> None:
    """Run the parts on these GPUs; what they have not done is left for the caller.

    Returns when every part has ended, well or not, and what it did is taken in. Whatever ends this
    process ends the parts.
    """
    parts = split(job, len(uuids))
    if not parts:
        return
    report.log(f"shared by {len(parts)} GPUs")
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for part, uuid in zip(parts, uuids, strict=False):
            workers.append(_start(part, uuid))
        while any(worker.poll() is None for worker in workers):
            _tell(parts, report)
            time.sleep(_LOOK_S)
        for number, part in enumerate(parts, start=1):
            error = part.error()
            if error is not None:
                report.log(f"part {number} of {len(parts)}: {error.what}")
    finally:
        _end(workers)
        gather(job)


def _start(part: JobFolder, uuid: str) -> subprocess.Popen[bytes]:
    own = {
        DEVICE_VARIABLE: "cuda",
        GPUS_VARIABLE: uuid,
        VISIBLE_VARIABLE: uuid,
        PARENT_VARIABLE: str(os.getpid()),
    }
    with part.log.open("ab") as log:
        # In this very process group: by it the job's processes are found and ended.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "coldal_launch.worker", str(part.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=part.path,
            env=os.environ | own,
        )


def _tell(parts: Sequence[JobFolder], report: Reporter) -> None:
    known = [one for one in (part.progress() for part in parts) if one is not None]
    if known:
        share = sum(one.fraction for one in known) / len(parts)
        report.progress(share, 1.0, f"{known[0].message} on {len(parts)} GPUs".strip())


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    deadline = time.monotonic() + _GRACE_S
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
