"""Trains in several processes of one machine, one GPU each: Lightning's DDP strategy.

The job's worker is the first of them and starts the others, which end with it whatever it dies
of. They see the same batches as one process would, each its share; the first alone writes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import distributed

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import TrainSpec

_END_S = 10.0
_LOOK_S = 1.0
READY = b"ready\n"
"""What a helper says when it has read its scans."""


@dataclass(frozen=True)
class Rank:
    """This process's number among ``count``; ``port`` is where they connect."""

    number: int = 0
    count: int = 1
    port: int = 0

    @property
    def writes(self) -> bool:
        return self.number == 0

    def share(self, first: int, count: int, batch: int) -> list[int]:
        """This process's items from ``first`` on: its part of each batch, in order.

        ``count`` is a multiple of ``batch``, and that of the number of processes.
        """
        part = batch // self.count
        starts = range(first + self.number * part, first + count, batch)
        return [start + n for start in starts for n in range(part)]


ALONE = Rank()


class Environment(LightningEnvironment):
    """Tells Lightning which process this is, and that it need not start others."""

    def __init__(self, rank: Rank) -> None:
        super().__init__()
        self._rank = rank

    @property
    def creates_processes_externally(self) -> bool:
        return self._rank.count > 1

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._rank.port or super().main_port

    def local_rank(self) -> int:
        return self._rank.number

    def node_rank(self) -> int:
        return 0


class Helper(msgspec.Struct, frozen=True):
    """The input of a helper process of a training."""

    spec: TrainSpec
    folder: str
    number: int
    count: int
    port: int
    parent: int


class Failure(msgspec.Struct, frozen=True):
    what: str
    where: str | None
    remedy: str | None
    code: str


def most_ranks(batch: int, devices: int) -> int:
    """The most processes that share a batch evenly, at most one per device."""
    return max(n for n in range(1, max(1, devices) + 1) if batch % n == 0)


@contextlib.contextmanager
def together(spec: TrainSpec, folder: Path, count: int, grace_s: float = 60.0) -> Iterator[Rank]:
    """Start the other processes of a training (this is the first), and end them afterwards.

    When another one dies, this one fails in their next joint operation; if it waits there longer
    than ``grace_s``, it is ended, since nothing else can interrupt that wait.

    Raises
    ------
    ColdalError : the error of another process, where that is why this one failed.
    """
    if count == 1:
        yield ALONE
        return
    rank = Rank(0, count, _free_port())
    helpers: list[subprocess.Popen[bytes]] = []
    over = threading.Event()
    try:
        for number in range(1, count):
            helpers.append(_start(spec, folder, number, rank))
        for helper in helpers:
            _await_ready(helper)
        guard = threading.Thread(target=_guard, args=(helpers, over, grace_s), daemon=True)
        guard.start()
        yield rank
    except Exception as error:
        raise _cause(folder, count) or error from error
    finally:
        over.set()
        for helper in helpers:
            helper.kill()
        for helper in helpers:
            helper.wait(_END_S)
        for number in range(1, count):
            failure_file(folder, number).unlink(missing_ok=True)
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _await_ready(helper: subprocess.Popen[bytes]) -> None:
    """Wait until a helper has read its scans, without a time limit; raise if it ended."""
    assert helper.stdout is not None
    if helper.stdout.readline() != READY:
        status = helper.wait()
        raise ColdalError(
            f"a process that was to train along ended ({_ending(status)})",
            remedy="the job's log holds the details; is the memory large enough for all of them?",
            code="crash",
        )


def _guard(helpers: list[subprocess.Popen[bytes]], over: threading.Event, grace_s: float) -> None:
    while not over.wait(_LOOK_S):
        ended = [helper.poll() for helper in helpers]
        if any(status not in (None, 0) for status in ended) and not over.wait(grace_s):
            sys.stderr.write(f"a process that trained along ended: {ended}; so does this one\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def means_of_all(values: torch.Tensor, rank: Rank) -> list[float]:
    """The mean of all processes' values, one by one; every process must call it."""
    shared = values.double()
    if rank.count > 1:
        distributed.all_reduce(shared)
        shared /= rank.count
    return [float(value) for value in shared.tolist()]


def _start(spec: TrainSpec, folder: Path, number: int, rank: Rank) -> subprocess.Popen[bytes]:
    failure_file(folder, number).unlink(missing_ok=True)
    helper = subprocess.Popen(
        # -P: a folder full of outputs is no place to import modules from.
        [sys.executable, "-P", "-m", "coldal_compute.train_helper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    told = Helper(spec, str(folder), number, rank.count, rank.port, os.getpid())
    assert helper.stdin is not None
    with helper.stdin as stream:
        stream.write(msgspec.json.encode(told))
    return helper


def _cause(folder: Path, count: int) -> ColdalError | None:
    """The error of another process, if that is why this one failed."""
    for number in range(1, count):
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
            told = msgspec.json.decode(failure_file(folder, number).read_bytes(), type=Failure)
            return ColdalError(told.what, where=told.where, remedy=told.remedy, code=told.code)
    return None


def failure_file(folder: Path, number: int) -> Path:
    """The file in which a helper writes its error."""
    return folder / f"rank-{number}.json"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
