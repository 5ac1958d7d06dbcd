"""Chooses where a local job runs: the CPU, a GPU, or nowhere yet and why."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from coldal_launch.nvml import Gpu
from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error, try_lock
from coldal_tui.jobs.backend import ALL_GPUS, Ask, Running, Wait

DEVICE_VARIABLE = "COLDAL_DEVICE"
GPUS_VARIABLE = "COLDAL_GPUS"
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
NICE_VARIABLE = "COLDAL_NICE"
"""How far a worker steps back for other processes, 0 to 19 (`[backend] nice`)."""
PARENT_VARIABLE = "COLDAL_PART_OF"
"""For the worker of a part: the process that started it, and that it must not outlive."""
GB = 2**30
SMALL_SHARE = 0.8
"""Of a GPU smaller than what has to be free, this share has to be free."""


@dataclass
class Place:
    """Where a job may start now. It holds the slots of ``locks`` while these files are open."""

    gpus: tuple[Gpu, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    locks: tuple[IO[bytes], ...] = ()

    def close(self) -> None:
        for lock in self.locks:
            lock.close()


def find_place(
    ask: Ask,
    running: Sequence[Running],
    gpus: Sequence[Gpu] | None,
    slots: Callable[[], Path],
    visible: str | None = None,
) -> Place | Wait:
    """A place for the job, or what it has to wait for.

    Parameters
    ----------
    gpus : what NVML tells; None where there is no NVML, and torch alone knows.
    slots : names the folder of this machine's slot locks; projects share it.
    visible : ``CUDA_VISIBLE_DEVICES`` as the user set it: other GPUs are not ours to use.

    Raises
    ------
    ColdalError : code ``device``: a GPU that this machine has not.
    """
    usable = _visible(gpus or (), visible)
    if ask.device == "cpu" or not usable:
        known = {} if ask.device != "cpu" else {DEVICE_VARIABLE: "cpu", VISIBLE_VARIABLE: ""}
        if ask.device.startswith("cuda") and gpus is not None:
            raise _no_gpu(ask.device, usable)
        wait = _cpu_wait(ask, running)
        return wait or Place(environment=known)
    return _gpu_place(ask, running, _asked(ask.device, usable), slots())


def slots_folder() -> Path:
    """This user's slot locks on this machine: several projects share its GPUs."""
    folder = Path(tempfile.gettempdir()) / f"coldal-tui-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    if folder.stat().st_uid != os.getuid():
        raise ColdalError(
            "this folder belongs to another user",
            where=str(folder),
            remedy="set TMPDIR to a folder of your own on this machine",
            code="disk",
        )
    return folder


def _visible(gpus: Sequence[Gpu], variable: str | None) -> list[Gpu]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` leaves, in its order.

    As CUDA reads it: numbers or beginnings of UUIDs, and the first that names none ends it.
    """
    if variable is None:
        return list(gpus)
    left: list[Gpu] = []
    for word in (part.strip() for part in variable.split(",")):
        named = [g for g in gpus if word and (g.label == word or g.uuid.startswith(word))]
        if not named or named[0] in left:
            break
        left.append(named[0])
    return left


def _asked(device: str, usable: list[Gpu]) -> list[Gpu]:
    _, _, number = device.partition(":")
    if not number:
        return usable
    if int(number) >= len(usable):
        raise _no_gpu(device, usable)
    return [usable[int(number)]]


def _no_gpu(device: str, usable: Sequence[Gpu]) -> ColdalError:
    count = len(usable)
    return ColdalError(
        f"there is no {device} here: "
        + ("no GPU can be used" if not count else f"{count} GPU{'s' * (count > 1)} can be used"),
        where="device",
        remedy='use "auto" or "cpu"; coldal-tui doctor shows the GPUs',
        code="device",
    )


def _cpu_wait(ask: Ask, running: Sequence[Running]) -> Wait | None:
    here = [one.name for one in running if not one.handle.devices]
    if len(here) < int(ask.settings.get("cpu_jobs", 1)):
        return None
    return Wait(f"the CPU runs {_listed(here)}")


def _gpu_place(
    ask: Ask, running: Sequence[Running], candidates: list[Gpu], slots: Path
) -> Place | Wait:
    wanted = len(candidates) if ask.gpus == ALL_GPUS else max(1, ask.gpus)
    if len(candidates) < wanted:
        raise ColdalError(
            f"the job wants {wanted} GPUs, and {len(candidates)} can be used",
            where="gpus",
            remedy="ask for fewer; coldal-tui doctor shows the GPUs",
            code="device",
        )
    most = int(ask.settings.get("jobs_per_gpu", 1))
    reasons: list[str] = []
    with ExitStack() as kept:
        taken: list[tuple[Gpu, IO[bytes]]] = []
        for gpu in sorted(candidates, key=lambda g: (len(_names(g, running)), -(g.free or 0))):
            reason = _reason(gpu, _names(gpu, running), most, ask)
            lock = None if reason else _slot(slots, gpu, most)
            if lock is None:
                reasons.append(reason or f"GPU {gpu.label} runs a job of another project")
                continue
            kept.enter_context(lock)
            taken.append((gpu, lock))
            if len(taken) == wanted:
                kept.pop_all()
                return _place(taken)
    return Wait("; ".join(sorted(reasons)[:4]) + ("; …" if len(reasons) > 4 else ""))


def _place(taken: Sequence[tuple[Gpu, IO[bytes]]]) -> Place:
    uuids = ",".join(gpu.uuid for gpu, _ in taken)
    return Place(
        gpus=tuple(gpu for gpu, _ in taken),
        environment={
            DEVICE_VARIABLE: "cuda",
            GPUS_VARIABLE: uuids,
            VISIBLE_VARIABLE: uuids,
        },
        locks=tuple(lock for _, lock in taken),
    )


def _names(gpu: Gpu, running: Sequence[Running]) -> list[str]:
    return [one.name for one in running if gpu.uuid in one.handle.devices]


def _reason(gpu: Gpu, names: list[str], most: int, ask: Ask) -> str | None:
    """Why no job may start on this GPU now; None when one may."""
    if len(names) >= most:
        return f"GPU {gpu.label} runs {_listed(names)}"
    if gpu.free is None or gpu.total is None:
        return None
    needed = float(ask.settings.get("gpu_free_gb", 6.0)) * GB
    if gpu.free >= min(needed, SMALL_SHARE * gpu.total):
        return None
    beside = f"is held by others and {_listed(names)}" if names else "is held by others"
    return f"GPU {gpu.label} {beside}: {gpu.memory}"


def _slot(slots: Path, gpu: Gpu, most: int) -> IO[bytes] | None:
    """The lock of a free slot of this GPU; None when other projects' jobs hold them all.

    The worker inherits it, so that it is free again only when all its processes have ended.
    """
    for number in range(most):
        stream = (slots / f"{gpu.uuid.replace('/', '-')}.{number}").open("ab")
        if try_lock(stream):
            return stream
        stream.close()
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
