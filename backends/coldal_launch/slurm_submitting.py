"""Submitting to Slurm through submitit: settings of coldal.toml as parameters of sbatch."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coldal_launch.slurm_queue import first_line, no_slurm
from coldal_launch.slurm_task import SlurmTask
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.backend import Ask
from coldal_tui.jobs.folder import JobFolder

SLURM_FOLDER = "slurm"
_OF_A_JOB = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
_OF_THE_CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS")


def submit(
    tasks: Sequence[SlurmTask], folder: Path, name: str, ask: Ask, after: str | None = None
) -> str:
    """Submit tasks, several as one array; the number of the cluster's job.

    ``folder`` is the job's; the tasks of an array log into its parts. ``after``: a job that has
    to have ended before, in whatever way.

    Raises
    ------
    ColdalError : Slurm refuses, or there is none.
    """
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    settings: Mapping[str, Any] = ask.settings.get("slurm", {})
    try:
        with _outside_of_jobs(), _quiet():
            executor = SlurmExecutor(
                folder=folder / SLURM_FOLDER,
                max_num_timeout=int(settings.get("timeouts", 20)),
                # -P: a folder full of outputs is no place to import modules from.
                python=f"{shlex.quote(settings.get('python') or sys.executable)} -P",
            )
            log = _log_pattern(JobFolder(folder), several=len(tasks) > 1)
            executor.update_parameters(**parameters(settings, ask, folder, log, name, after))
            jobs = executor.submit_array(list(tasks))
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        raise refusal(str(error)) from error
    except RuntimeError as error:
        # submitit, of a machine without srun.
        raise no_slurm("srun") from error
    return str(jobs[0].job_id).partition("_")[0]


def parameters(
    settings: Mapping[str, Any],
    ask: Ask,
    folder: Path,
    log: str,
    name: str,
    after: str | None = None,
) -> dict[str, Any]:
    """submitit's parameters for a job of ``folder`` that logs into ``log`` (sbatch's pattern)."""
    gpu = ask.device != "cpu"
    partition = settings.get("partition")
    found: dict[str, Any] = {
        "job_name": name,
        "partition": partition if gpu else settings.get("cpu_partition") or partition,
        "gres": _gres(settings.get("gres"), ask.gpus) if gpu else None,
        "time": minutes(settings.get("time", 1440)),
        "account": settings.get("account"),
        "qos": settings.get("qos"),
        "cpus_per_task": settings.get("cpus"),
        "mem": _memory(settings.get("mem_gb")),
        "signal_delay_s": settings.get("signal_s", 90),
        "setup": list(settings.get("setup", ())) or None,
        "dependency": f"afterany:{after}" if after else None,
    }
    asked = {key: value for key, value in found.items() if value is not None}
    extra = {"output": log, "error": log, "chdir": folder, "requeue": True}
    extra |= dict(settings.get("extra", {}))
    extra = {key: value for key, value in extra.items() if value is not False}
    # Since 22.05 srun asks for itself how many processors of the job are the worker's.
    cpus = [f"--cpus-per-task={asked['cpus_per_task']}"] if "cpus_per_task" in asked else []
    # submitit's own key for accounts is refused where a cluster checks such keys.
    return asked | {
        "wckey": None,
        "stderr_to_stdout": True,
        "srun_args": [f"--output={log}", "--open-mode=append", *cpus],
        "additional_parameters": extra,
    }


def minutes(time: int | str) -> int:
    """Whole minutes, rounded up, of a time as sbatch takes it: ``90``, ``1:30:00``, ``2-12``."""
    text = str(time)
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    # "90" and "1:30" are minutes; "2-12" are days and hours.
    if not dash and len(parts) < 3:
        parts = [0, *parts]
    hours, mins, seconds = [*parts, 0, 0][:3]
    return max(1, math.ceil(int(days or 0) * 1440 + hours * 60 + mins + seconds / 60))


def refusal(text: str) -> ColdalError:
    """The message of sbatch, taken from submitit's error text."""
    said = [line for line in text.splitlines() if re.match(r"\s*sbatch: ", line)]
    reason = first_line(said[0].replace("Batch job submission failed: ", "")) if said else text
    return ColdalError(
        f"Slurm refuses the job: {reason.strip()}",
        where="coldal.toml, [backend.slurm]",
        remedy="mend partition, gres, time, account or qos there; sinfo shows the partitions",
        code="slurm",
    )


def _log_pattern(job: JobFolder, *, several: bool) -> str:
    """The job's log, or each part's own, as sbatch and srun take the name of a file."""
    folder = str(job.parts if several else job.path).replace("%", "%%")
    return f"{folder}/%a/{job.log.name}" if several else f"{folder}/{job.log.name}"


def _gres(gres: str | None, gpus: int) -> str | None:
    """``gpu:a100:1`` for as many GPUs as the job asks for."""
    if gres is None or gpus < 2:
        return gres
    return re.sub(r"(:\d+)?$", f":{gpus}", gres, count=1)


def _memory(gigabytes: float | None) -> str | None:
    return None if gigabytes is None else f"{math.ceil(gigabytes * 1024)}M"


@contextlib.contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """Hide the variables of the Slurm job that this process may itself run in.

    sbatch and srun would take them as settings of the new job. What names the cluster stays.
    """
    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(_OF_A_JOB) and name not in _OF_THE_CLUSTER
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("submitit")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
