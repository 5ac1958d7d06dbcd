"""The worker: one job folder, from ``spec.json`` to ``receipt.json`` or ``error.json``.

It never opens the project's database and writes nowhere but into its own folder (and the cache).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

from coldal_launch.gpu_slots import (
    DEVICE_VARIABLE,
    GPUS_VARIABLE,
    NICE_VARIABLE,
    PARENT_VARIABLE,
)
from coldal_launch.process_identity import handle_of
from coldal_tui.errors import ColdalError
from coldal_tui.files import FULL, disk_error, sha256_file, share_all, try_lock
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.jobs.parents import end_with_parent
from coldal_tui.jobs.retry_smaller import OUT_OF_MEMORY, fitted, on_device
from coldal_tui.jobs.spec import JobSpec, OutputFile, Receipt, Reporter, StepResult
from coldal_tui.processors import share_processors

HEARTBEAT_S = 5.0
SCHEDULED_VARIABLE = "COLDAL_SCHEDULED"
"""Set where a scheduler with a queue of its own runs the worker: told to end, it says nothing,
since that scheduler may run the job again in this very folder, and knows whether it will."""

Step = Callable[[JobSpec, Path, Reporter], StepResult]
REFUSED = 3
"""Exit status of a worker that finds its job run by another."""


class FileReporter:
    """Writes progress to ``progress.jsonl`` at most ten times a second, and log lines to stderr."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._last = 0.0

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        now = time.monotonic()
        if now - self._last >= 0.1 or done >= total:
            self._last = now
            # No job ends because it can't tell how far it is: its outputs may still find room.
            with contextlib.suppress(OSError):
                self._folder.append_progress(done, total, message, metrics)

    def log(self, message: str) -> None:
        _say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")


def _say(text: str) -> None:
    """Write to the log, which lies on a disk that may be full."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


class Cancelled(BaseException):
    """SIGTERM arrived."""


def main(arguments: list[str], step: Step | None = None) -> int:
    """Run the job in the folder ``arguments[0]``; returns the exit status.

    ``arguments[1]``, where there is one, is a descriptor that holds the folder's lock already;
    those after it hold the GPU slots that are the job's until its last process has ended.
    ``step`` does the work; by default in this process.
    """
    folder = JobFolder(Path(arguments[0]).absolute())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _bind_part()
    with _lock(folder, arguments[1:]) as lock:
        if len(arguments) < 2 and not try_lock(lock):
            sys.stderr.write("another worker runs this job already\n")
            return REFUSED
        _keep(arguments[2:])
        return _guarded(folder, step)


def _bind_part() -> None:
    """Make the worker of a part end with its parent; does nothing in any other worker."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return
    end_with_parent()
    if os.getppid() != int(parent):
        sys.exit("the worker that began this part has ended")


def _lock(folder: JobFolder, descriptor: list[str]) -> IO[bytes]:
    if not descriptor:
        return folder.lock.open("ab")
    os.set_inheritable(int(descriptor[0]), False)
    return os.fdopen(int(descriptor[0]), "ab")


def _keep(slots: list[str]) -> None:
    """Hold the slots, in this process and its forks but in nothing that they run."""
    for descriptor in slots:
        os.set_inheritable(int(descriptor), False)


def _say_who(folder: JobFolder) -> None:
    """Write this process's identity, since its launcher may die before recording it."""
    folder.write_handle(handle_of(os.getpid(), _gpus()))


def _parts_were_left(folder: JobFolder) -> bool:
    """Whether an attempt on several GPUs was cut off; a scheduler looks after parts by itself."""
    return SCHEDULED_VARIABLE not in os.environ and folder.parts.is_dir()


def _gpus() -> tuple[str, ...]:
    """The UUIDs of the GPUs that this job holds on this machine."""
    uuids = os.environ.get(GPUS_VARIABLE, "")
    return tuple(uuids.split(",")) if uuids else ()


def _guarded(folder: JobFolder, step: Step | None) -> int:
    """Run the step; any failure is written to ``error.json``."""
    scheduled = SCHEDULED_VARIABLE in os.environ
    try:
        signal.signal(signal.SIGTERM, _on_terminate)
        if scheduled:
            signal.signal(signal.SIGUSR2, _on_terminate)
        folder.reserve()
        _say_who(folder)
        _start_heartbeat(folder)
        return _run(folder, step)
    except Cancelled:
        # Lightning puts the handler back that it found, so it is taken off once more.
        _hear_no_more()
        if scheduled:
            _say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} told to end\n")
        else:
            _tell(folder, JobError("the job was told to end", code="cancelled"))
        return 128 + signal.SIGTERM
    except ColdalError as error:
        _tell(folder, JobError(error.what, error.where, error.remedy, error.code))
        _say(f"{error}\n")
    except Exception as error:
        _tell(folder, _described(error, folder))
        _say("".join(traceback.format_exception(error)))
    return 1


def _tell(folder: JobFolder, error: JobError) -> None:
    folder.free_reserve()
    folder.write_error(error)


def _described(error: Exception, folder: JobFolder) -> JobError:
    """An unexpected error in words for people."""
    log = str(folder.log)
    if isinstance(error, ModuleNotFoundError) and not _ours(error.name):
        return _not_installed(error.name, log)
    if isinstance(error, MemoryError):
        remedy = "close other programs, or lower [train] batch_size or patch in coldal.toml"
        return JobError("the machine ran out of memory", log, remedy, OUT_OF_MEMORY)
    if type(error).__name__ == "OutOfMemoryError":
        # torch's, which this module does not import.
        remedy = "lower [train] batch_size or patch in coldal.toml, or use device = cpu"
        return JobError(f"the GPU ran out of memory: {error}", log, remedy, OUT_OF_MEMORY)
    if isinstance(error, OSError) and error.errno in FULL:
        told = disk_error(error, Path(error.filename or folder.path))
        return JobError(told.what, told.where, told.remedy, told.code)
    return JobError(
        f"{type(error).__name__}: {error}",
        log,
        "the log holds the details; coldal-tui jobs retry runs it again",
        "crash",
    )


def _ours(module: str | None) -> bool:
    return module is None or module.partition(".")[0].startswith("coldal_")


def _not_installed(module: str | None, log: str) -> JobError:
    """A light installation runs no jobs: where they can run instead."""
    what = (
        f"{(module or '').partition('.')[0]} is not installed in {sys.prefix} on "
        f"{socket.gethostname()}, where this job ran"
    )
    remedy = (
        "retry it where coldal-tui is wholly installed (coldal-tui jobs retry there; several "
        "machines may share the project's disk), or set [backend] name to slurm or ray in "
        "coldal.toml, with the python of their nodes; or install it here, in the folder of "
        "coldal-tui's source: make venv"
    )
    return JobError(what, log, remedy, "light-install")


def _run(folder: JobFolder, step: Step | None) -> int:
    began = time.monotonic()
    fit = folder.fit()
    spec = on_device(fitted(folder.read_spec(), fit), os.environ.get(DEVICE_VARIABLE))
    share_processors(
        os.environ, getattr(spec, "threads", 0), int(os.environ.pop(NICE_VARIABLE, "0"))
    )
    if step is None:
        # Imported only now: numerical libraries read their number of threads when loaded.
        from coldal_compute.steps import run_step

        step = run_step
    kind = type(spec).__struct_config__.tag
    reporter = FileReporter(folder)
    reporter.log(f"{kind} starts")
    for reason in fit.reasons:
        reporter.log(reason)
    if len(_gpus()) > 1 or _parts_were_left(folder):
        from coldal_launch.multi_gpu import run_parts

        run_parts(folder, _gpus(), reporter)
    result = step(spec, folder.path, reporter)
    outputs = []
    for name in result.files:
        path = folder.path / name
        outputs.append(OutputFile(name, sha256_file(path), path.stat().st_size))
    seconds = time.monotonic() - began
    folder.free_reserve()
    folder.write_receipt(
        Receipt(
            job_id=folder.path.name,
            kind=str(kind),
            outputs=tuple(outputs),
            result=result.result | ({"adjustments": list(fit.reasons)} if fit.reasons else {}),
            failed=result.failed,
            seconds=round(seconds, 3),
        )
    )
    reporter.log(f"{kind} done in {seconds:.1f} s")
    return 0


def _on_terminate(_number: int, _frame: FrameType | None) -> None:
    _hear_no_more()
    raise Cancelled


def _hear_no_more() -> None:
    """Ignore further signals to end: schedulers send several."""
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _start_heartbeat(folder: JobFolder) -> None:
    def beat() -> None:
        while True:
            folder.heartbeat.touch()
            time.sleep(HEARTBEAT_S)

    threading.Thread(target=beat, daemon=True, name="heartbeat").start()


if __name__ == "__main__":
    share_all(Path(sys.argv[1]))
    sys.exit(main(sys.argv[1:]))
