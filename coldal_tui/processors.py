"""How many processors this process may use, and how numerical libraries share them with others.

Standard library alone: it must run before numpy, torch or numba are loaded, since OpenMP and BLAS
read their settings once, when they are loaded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
WAITING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0", "OPENBLAS_THREAD_TIMEOUT": "10"}
"""How threads wait for each other: they sleep almost at once.

By default a thread that is done with its share spins for milliseconds. Where other processes use
the same processors, the threads that it waits for don't run meanwhile, and a training becomes
several times slower (benchmarks/neighbours.py). GNU OpenMP (torch, scikit-learn), LLVM OpenMP,
OpenBLAS (2^10 turns).
"""

_Quota = Callable[[Path], float | None]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_processors() -> int:
    """Processors that this process may use: its affinity, and its control groups' quota.

    In a container or under Slurm these are fewer than the machine has. At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cgroup_quota()
    return count if quota is None else max(1, min(count, int(quota)))


def cgroup_quota(groups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> float | None:
    """The smallest processor quota of this process's control groups, in processors.

    None where there is no limit. Reads cgroup v2 (``cpu.max``) and v1 (``cpu.cfs_quota_us``), of
    the group and of all groups above it.
    """
    try:
        lines = own.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    found: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if not controllers:
            found += _quotas(groups, name, _quota_v2)
        elif "cpu" in controllers.split(","):
            # In a container the group's own path is often not mounted; its root is.
            for mount in (groups / controllers, groups / "cpu"):
                found += _quotas(mount, name, _quota_v1)
    return min(found, default=None)


def _quotas(root: Path, name: str, quota: _Quota) -> Iterator[float]:
    folder = root / name.lstrip("/")
    for group in (folder, *folder.parents):
        with contextlib.suppress(OSError, ValueError):
            value = quota(group)
            if value is not None:
                yield value
        if group == root:
            return


def _quota_v2(group: Path) -> float | None:
    limit, period = (group / "cpu.max").read_text("utf-8").split()
    return None if limit == "max" else int(limit) / int(period)


def _quota_v1(group: Path) -> float | None:
    limit = int((group / "cpu.cfs_quota_us").read_text("utf-8"))
    period = int((group / "cpu.cfs_period_us").read_text("utf-8"))
    return None if limit <= 0 else limit / period


def share_processors(
    environment: MutableMapping[str, str], threads: int = 0, nice: int = 0
) -> None:
    """Prepare this process and those that it starts, before a numerical library is loaded.

    Parameters
    ----------
    environment : usually ``os.environ``. What a person has set there stays as it is.
    threads : threads of each library; 0 takes all usable processors.
    nice : how far this process steps back for others, 0 to 19; never undone.
    """
    count = str(threads or usable_processors())
    for name in THREAD_VARIABLES:
        environment.setdefault(name, count)
    if "OMP_WAIT_POLICY" not in environment:
        for name, value in WAITING.items():
            environment.setdefault(name, value)
    if nice > 0:
        with contextlib.suppress(OSError):
            os.nice(nice)
