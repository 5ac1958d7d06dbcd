"""A training step beside other work: how threads wait for each other decides how long it takes.

    python benchmarks/neighbours.py [--load 4] [--steps 12] [--pairs 3] [--json FILE]

Every way of waiting trains the same small U-Net in a process of its own, in turn, once with the
cores left alone and once with ``--load`` processes that never rest. Seconds by the clock count
here, since waiting is what is measured; ratios are of the ways within one turn. ``others`` is the
share of all processors that other processes took meanwhile, the planned load included: at load 0
it tells how quiet the cores were.
The result decides ``coldal_tui.processors.WAITING``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring import machine

from coldal_tui.processors import WAITING, usable_processors

OURS = "as workers are started"
WAYS: dict[str, dict[str, str]] = {
    OURS: WAITING,
    "OpenMP's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=10000": WAITING | {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
_UNSET = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", *WAITING)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", type=int, default=4, help="busy processes beside it (default 4)")
    parser.add_argument("--steps", type=int, default=12, help="training steps of a run")
    parser.add_argument("--pairs", type=int, default=3, help="turns through all ways")
    parser.add_argument("--json")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(train(options.train)))
        return 0
    where = machine()
    rows = [row for load in {0, options.load} for row in measured(load, options)]
    print(f"{where['processors']} processors, load before {where['load_before']}")
    for row in rows:
        print(
            f"load {row['load']}  {row['way']:26} {row['step_s']:7.3f} s a step, "
            f"{row['cpu_s']:6.3f} s of processors, {row['ratio']:5.2f} of the best, "
            f"others {row['others']:.0%}"
        )
    if options.json:
        found = {"benchmark": "neighbours", **where, "results": rows}
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def measured(load: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every way at one load: medians over the turns, ratios to the best way of the same turn."""
    turns: list[dict[str, dict[str, float]]] = []
    with busy(load):
        for _ in range(options.pairs):
            turns.append({})
            for way in WAYS:
                turns[-1][way] = one_run(way, options.steps)
                print(f"load {load}  {way}: {turns[-1][way]['step_s']:.3f} s", flush=True)
    rows = []
    for way in WAYS:
        ratios = [
            turn[way]["step_s"] / min(one["step_s"] for one in turn.values()) for turn in turns
        ]
        rows.append(
            {"load": load, "way": way, "ratio": statistics.median(ratios), "ratios": ratios}
            | {
                name: statistics.median(turn[way][name] for turn in turns)
                for name in ("step_s", "cpu_s", "others")
            }
        )
    return rows


def one_run(way: str, steps: int) -> dict[str, float]:
    """What a step costs in a fresh process that waits in one way."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNSET}
    environment["OMP_NUM_THREADS"] = str(usable_processors())
    command = [sys.executable, __file__, "--train", str(steps)]
    done = subprocess.run(
        command, env=environment | WAYS[way], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def train(steps: int) -> dict[str, float]:
    """Median seconds and processor seconds of a step, and how busy the machine was meanwhile."""
    import torch
    from monai.networks.nets.unet import UNet

    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    net = UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(32, 64, 128, 256),
        strides=(2, 2, 2),
        num_res_units=2,
        norm=("instance", {"affine": True}),
    ).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), fused=True)
    pictures = torch.randn(8, 1, 128, 128).to(memory_format=torch.channels_last)
    masks = torch.randint(0, 2, (8, 128, 128))

    def step() -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(pictures), masks).backward()
        optimiser.step()

    step()
    idle, at, cpu = _idle(), time.perf_counter(), time.process_time()
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    whole = (time.perf_counter() - at) * (os.cpu_count() or 1)
    used = time.process_time() - cpu
    return {
        "step_s": statistics.median(times),
        "cpu_s": used / steps,
        "others": max(0.0, 1.0 - (_idle() - idle) / whole - used / whole),
    }


def _idle() -> float:
    """Seconds that all processors have been idle."""
    fields = Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy(count: int) -> Iterator[None]:
    """``count`` processes that compute without rest, until the block is left."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # not beyond the end of the benchmark, however it ends
        for _ in range(1_000_000):
            pass


if __name__ == "__main__":
    raise SystemExit(main())
