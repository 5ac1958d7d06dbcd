"""What the benchmarks share: costs of a piece of work, pairs taken in turn, tables and JSON.

Every piece of work runs in a child process of its own, so that its peak memory is its own and no
run warms up the next. The ratio of processor seconds of the two sides of a pair counts: it says
nearly the same on a busy machine as on a quiet one, which seconds by the clock do not.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Work = Callable[[], object]
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "monai", "openTSNE", "fpsample", "apsw")


@dataclass(frozen=True)
class Cost:
    """Processor seconds of all threads, seconds by the clock, peak memory above the start, MB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Result:
    """One line of the table. ``ratio`` is ours over the peer's processor seconds (a median)."""

    what: str
    size: int
    ours: Cost
    peer: str
    theirs: Cost | None
    ratio: float | None
    ratios: tuple[float, ...] = ()
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def cost_of(work: Work) -> Cost:
    """Run ``work`` in a fork of this process and tell what it cost.

    Raises
    ------
    RuntimeError : the work failed; its traceback is on stderr.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(work, there))
    child.start()
    there.close()
    try:
        cost: Cost = here.recv()
    except EOFError:
        raise RuntimeError("a piece of work failed; see above") from None
    finally:
        child.join()
    return cost


def _run(work: Work, out: Connection) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    cost = Cost(
        time.process_time() - cpu,
        time.perf_counter() - wall,
        (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    )
    out.send(cost)


def compare(
    what: str,
    size: int,
    ours: Work,
    peer: str = "",
    theirs: Work | None = None,
    *,
    pairs: int = 3,
    note: str = "",
) -> Result:
    """Run both sides in turn, ``pairs`` times; medians of the costs, and every pair's ratio."""
    own: list[Cost] = []
    other: list[Cost] = []
    for _ in range(pairs):
        own.append(cost_of(ours))
        if theirs is not None:
            other.append(cost_of(theirs))
    ratios = tuple(a.cpu_s / b.cpu_s for a, b in zip(own, other, strict=False))
    return Result(
        what,
        size,
        _median(own),
        peer,
        _median(other) if other else None,
        statistics.median(ratios) if ratios else None,
        ratios,
        note,
    )


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(one.cpu_s for one in costs),
        statistics.median(one.wall_s for one in costs),
        max(one.peak_mb for one in costs),
    )


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The power of the size by which the seconds grow: the slope of a line through their logs."""
    x, y = [math.log(size) for size in sizes], [math.log(max(s, 1e-6)) for s in seconds]
    return statistics.linear_regression(x, y).slope


def machine() -> dict[str, Any]:
    """Where this is measured: processors, load, versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "at": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def show(results: Sequence[Result]) -> None:
    """The table, and how each row grows where there are at least three sizes."""
    print(f"{'what':44} {'size':>8} {'ours':>9} {'peer':>9} {'ratio':>6} {'peak':>8}  peer is")
    for one in results:
        theirs = f"{one.theirs.cpu_s:8.3f}s" if one.theirs else "-"
        ratio = f"{one.ratio:6.3f}" if one.ratio is not None else "     -"
        print(
            f"{one.what:44} {one.size:8} {one.ours.cpu_s:8.3f}s {theirs:>9} {ratio} "
            f"{one.ours.peak_mb:6.0f}MB  {one.peer} {one.note}".rstrip()
        )
    for what in dict.fromkeys(one.what for one in results):
        rows = [one for one in results if one.what == what]
        if len(rows) >= 3:
            power = growth([one.size for one in rows], [one.ours.cpu_s for one in rows])
            print(f"{what}: grows with the size to the power of {power:.2f}")


def figures(name: str, rows: Sequence[Mapping[str, Any]], out: str | None) -> None:
    """Write figures that are no pairs of ``compare`` as JSON, where ``out`` names a file.

    A row has ``what``, ``ours``, ``unit`` and, with a peer, ``peer``, ``theirs``, ``ratio``.
    """
    if out is not None:
        found = {"benchmark": name, **machine(), "results": list(rows)}
        Path(out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def finish(name: str, results: Sequence[Result], out: str | None, more: Mapping[str, Any]) -> None:
    """Show the results and write them as JSON where ``out`` names a file."""
    show(results)
    if out is not None:
        found = {"benchmark": name, **more, "results": [asdict(one) for one in results]}
        Path(out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.flush()
