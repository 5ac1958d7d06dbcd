"""Reads job states from Slurm's commands, and puts its reasons in plain words."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError

ANSWER_S = 15.0
"""A controller that is busy answers after some seconds; one that is gone, never."""

_HELD = {"REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_QUEUED = _HELD | {"PENDING", "CONFIGURING", "SUSPENDED", "STOPPED", "REQUEUED", "POWER_UP_NODE"}
ALIVE = _QUEUED | {"RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "UPDATE_DB", "RESIZING"}
"""The states (squeue(1), JOB STATE CODES) of a job that runs, or will run (again)."""
_FORMAT = "%i|%T|%j|%r|%Z"
_REASONS = {
    "None": "it has not been looked at yet",
    "Priority": "jobs of higher priority are before it",
    "Resources": "no node is free",
    "Dependency": "its parts are not done yet",
    "BeginTime": "it was queued again and starts soon",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is not active",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    "PartitionNodeLimit": "it asks for more than the partition has",
    "ReqNodeNotAvail": "its nodes are down or reserved",
    "JobHeldUser": "it is held: scontrol release",
    "JobHeldAdmin": "an administrator holds it",
    "launch_failed_requeued_held": "its node could not start it; it is held: scontrol release",
    "Licenses": "no licence is free",
}


class SlurmSilentError(ColdalError):
    """Slurm does not answer now: nothing is known of its jobs."""


@dataclass(frozen=True)
class Row:
    """One job, or one task of an array, as squeue shows it.

    ``number`` is ``12``, or ``12_3`` for a task; ``folder`` its working directory.
    """

    number: str
    state: str
    name: str
    reason: str
    folder: Path

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    @property
    def waits(self) -> str | None:
        """What it waits for; None when it runs or has ended."""
        if self.state not in _QUEUED:
            return None
        if self.state == "SUSPENDED":
            return f"Slurm has suspended job {self.number}"
        if self.state == "CONFIGURING":
            return f"Slurm prepares a node for job {self.number}"
        return f"in Slurm's queue as job {self.number}: {in_words(self.reason)}"


def in_words(reason: str) -> str:
    """Slurm's reason for a pending job in plain words, or its own word when unknown."""
    said = reason.strip("()")
    return _REASONS.get(said, said)


def rows(user: str | None = None) -> dict[str, tuple[Row, ...]]:
    """All jobs of this user that Slurm's controller still knows, by name: several of one name
    are the tasks of an array. Raises SlurmSilentError."""
    who = user or getpass.getuser()
    told = command(
        "squeue", f"--user={who}", "--states=all", "--array", "-h", f"--format={_FORMAT}"
    )
    return _by_name(parse(told))


def parse(text: str) -> list[Row]:
    """The rows of ``squeue --format=%i|%T|%j|%r|%Z``, or of sacct with the same fields."""
    found = []
    for line in text.splitlines():
        parts = line.split("|", 4)
        if len(parts) == 5:
            number, state, name, reason, folder = parts
            found.append(Row(number, state, name, reason, Path(folder)))
    return found


def _by_name(found: Sequence[Row]) -> dict[str, tuple[Row, ...]]:
    named: dict[str, tuple[Row, ...]] = {}
    for row in found:
        named[row.name] = (*named.get(row.name, ()), row)
    return named


def accounted(number: str, name: str) -> Row | None:
    """A job that the controller has forgotten, from the accounting database if there is one."""
    if shutil.which("sacct") is None or not number.isdigit():
        return None
    fields = "--format=JobID,State,JobName,Reason,WorkDir"
    try:
        told = command("sacct", "-j", number, "-X", "--noheader", "--parsable2", fields)
    except SlurmSilentError:
        # "Slurm accounting storage is disabled": then nobody knows.
        return None
    found = [row for row in parse(told) if row.name == name]
    return found[-1] if found else None


def scancel(name: str) -> None:
    """End every job of that name; those that have ended are no error. Raises SlurmSilentError."""
    command("scancel", f"--user={getpass.getuser()}", f"--name={name}")


def command(*words: str) -> str:
    """What one of Slurm's commands prints.

    Raises
    ------
    ColdalError : the command is not there (code ``no-slurm``).
    SlurmSilentError : no answer in time, or an error.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=ANSWER_S, check=False
        )
    except FileNotFoundError as error:
        raise no_slurm(words[0]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _silence(words[0], f"silent for {ANSWER_S:g} s") from error
    if done.returncode != 0:
        raise _silence(words[0], first_line(done.stderr) or f"exit status {done.returncode}")
    return done.stdout


def no_slurm(program: str) -> ColdalError:
    return ColdalError(
        f"there is no Slurm here (no {program})",
        where="coldal.toml, backend.name",
        remedy='run coldal-tui where jobs can be submitted, or set backend.name = "local"',
        code="no-slurm",
    )


def first_line(text: str) -> str:
    """The first line that says something, without the program's own name before it."""
    said = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return re.sub(r"^(sbatch|squeue|scancel|sacct|scontrol): (error: )?", "", said)


def _silence(program: str, why: str) -> SlurmSilentError:
    return SlurmSilentError(
        f"Slurm does not answer ({program}: {why})",
        remedy="is slurmctld running? sinfo answers that",
        code="slurm",
    )
