"""What submitit runs on a node: the worker as a child process, ended with its checkpoint in time.

submitit pickles an object of this module by its name and a few strings; the work itself is in the
job's folder. ``checkpoint`` is submitit's word for: get ready to be queued again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from coldal_launch.gpu_slots import DEVICE_VARIABLE, GPUS_VARIABLE
from coldal_launch.job_parts import gather
from coldal_launch.worker import SCHEDULED_VARIABLE
from coldal_tui.jobs.folder import JobError, JobFolder

LOOK_S = 0.2
LEAST_S = 3.0


@dataclass
class SlurmTask:
    """Runs the job in ``folder``.

    ``device`` is the worker's, None for what its specification says. ``gather``: first take in
    what the parts of the job have done. ``signal_s``: how long before its end a job is told.
    ``timeouts``: how often it may run out of time.
    """

    folder: str
    device: str | None = None
    gather: bool = False
    signal_s: int = 90
    timeouts: int = 0
    _pid: int = 0

    def __call__(self) -> None:
        """Run the worker to its end; its exit status is this process's, so that Slurm knows."""
        from submitit.core.utils import UncompletedJobError

        # Slurm tells every process of the job; this one stays to see the worker's end.
        signal.signal(signal.SIGTERM, _stay)
        job = JobFolder(Path(self.folder))
        if self.gather:
            gather(job)
        try:
            status = self._run(job)
        except UncompletedJobError:
            # submitit raises it where checkpoint() was called, and no more time is granted.
            job.write_error(self._out_of_time())
            raise
        if status:
            sys.exit(status if status > 0 else 128 - status)

    def checkpoint(self) -> Any:
        """End the worker, which keeps what it has, before Slurm queues this job again."""
        from submitit.helpers import DelayedSubmission

        deadline = time.monotonic() + max(LEAST_S, self.signal_s / 2)
        with contextlib.suppress(ProcessLookupError):
            if self._pid:
                os.kill(self._pid, signal.SIGTERM)
        while self._pid and not _ended(self._pid) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        again = SlurmTask(self.folder, self.device, self.gather, self.signal_s, self.timeouts)
        return DelayedSubmission(again)

    def _run(self, job: JobFolder) -> int:
        # In this very process group: by it Slurm ends what is left of a job.
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "coldal_launch.worker", self.folder],
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env=self._environment(),
        )
        self._pid = worker.pid
        while not _ended(worker.pid):
            time.sleep(LOOK_S)
        return worker.wait()

    def _environment(self) -> dict[str, str]:
        ours = (DEVICE_VARIABLE, GPUS_VARIABLE)
        inherited = {name: value for name, value in os.environ.items() if name not in ours}
        device = {DEVICE_VARIABLE: self.device} if self.device else {}
        return inherited | device | {SCHEDULED_VARIABLE: "slurm", "PYTHONUNBUFFERED": "1"}

    def _out_of_time(self) -> JobError:
        return JobError(
            f"the job ran out of its time on Slurm {_times(self.timeouts + 1)}",
            self.folder,
            "raise [backend.slurm] time or timeouts in coldal.toml; "
            "coldal-tui jobs retry then goes on from where it was",
            "out-of-time",
        )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _stay(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM: Slurm wants the job to end, or to be queued again; the worker has heard it too."""


def _ended(pid: int) -> bool:
    """Whether a child has ended; it stays to be waited for.

    Not by Popen: this is asked inside a signal handler too, where Popen's lock may be held.
    """
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True
