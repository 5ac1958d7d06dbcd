"""The checks of gpu_check that run jobs in worker processes of their own.

    python benchmarks/gpu_jobs.py FOLDER [--limit-gb GB] [--most N]

is such a worker: with ``--limit-gb`` its tensors get so much of the GPU's memory, with ``--most``
(for the fake layer) larger batches are told to have run out of memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from gpu_layers import GB, Layer, Sizes

from coldal_launch import worker
from coldal_launch.gpu_slots import Place, find_place
from coldal_tui.jobs.backend import Ask, JobHandle, Running, Wait
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.retry_smaller import OUT_OF_MEMORY, smaller
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    JobSpec,
    LabelledScan,
    Reporter,
    StepResult,
    TrainOptions,
    TrainSpec,
)

ATTEMPTS = 8
LIMITS_GB = {"training": 6.0, "embedding": 2.0}
"""At these the first batch does not fit: one layer's output of 512 pictures is 2.5 GB."""


def out_of_memory(
    layer: Layer, sizes: Sizes, scans: tuple[LabelledScan, ...], root: Path
) -> list[dict[str, Any]]:
    """Jobs whose batches don't fit end all the same, with what was made smaller in the receipt."""
    # A batch is never larger than what there is to embed.
    batch = 2 * sizes.job_batch if layer.real else 4
    inputs = tuple(one.scan for one in scans[: batch if layer.real else 1])
    most = max(1, sizes.job_batch // 2)
    asked: dict[str, JobSpec] = {
        "training": training(layer, sizes, scans[:64], sizes.job_batch),
        "embedding": EmbedSpec(inputs, EncoderChoice("efficientnet-lite0"), batch_size=batch),
    }
    return [_recovered(layer, name, spec, root / name, most) for name, spec in asked.items()]


def _recovered(layer: Layer, name: str, spec: JobSpec, path: Path, most: int) -> dict[str, Any]:
    folder = JobFolder(path)
    folder.prepare(spec)
    limit = ["--limit-gb", str(LIMITS_GB[name])] if layer.real else ["--most", str(most)]
    began = time.perf_counter()
    attempts = 0
    while attempts < ATTEMPTS:
        attempts += 1
        folder.error_file.unlink(missing_ok=True)
        _start(folder, {"COLDAL_DEVICE": str(layer.device.type)}, *limit).wait()
        told = folder.error()
        if told is None or told.code != OUT_OF_MEMORY:
            break
        fit = smaller(folder.read_spec(), folder.fit(), folder.path)
        if fit is None:
            break
        folder.write_fit(fit)
    receipt, error = folder.receipt(), folder.error()
    changes = receipt.result.get("adjustments", []) if receipt else []
    return {
        "what": f"out of memory, {name}: ends after smaller batches",
        "ours": round(time.perf_counter() - began, 1),
        "unit": "s",
        "ok": receipt is not None and bool(changes),
        "note": f"{attempts} attempts; {'; '.join(changes) or (error.what if error else 'none')}",
    }


def side_by_side(
    layer: Layer, sizes: Sizes, scans: tuple[LabelledScan, ...], root: Path
) -> list[dict[str, Any]]:
    """Two trainings on one GPU at once, against one alone; a third is told what it waits for."""
    slots = root / "slots"
    slots.mkdir()
    ask = Ask("train", "auto", settings={"jobs_per_gpu": 2, "gpu_free_gb": 1.0})
    gpus = layer.gpus()
    first = (gpus or ())[:1]
    uuids = tuple(gpu.uuid for gpu in first)
    spec = training(layer, sizes, scans, max(2, sizes.job_batch // 8))

    def place(count: int) -> Place | Wait:
        taken = [
            Running(f"job {n}", JobHandle("here", "", 1, 0.0, devices=uuids)) for n in range(count)
        ]
        return find_place(ask, taken, first or None, lambda: slots)

    def run(count: int, name: str) -> float:
        began, running, places = time.perf_counter(), [], []
        for number in range(count):
            there = place(number)
            if isinstance(there, Wait):
                raise RuntimeError(f"job {number + 1} of {count} got no place: {there.reason}")
            places.append(there)
            folder = JobFolder(root / f"{name}-{number}")
            folder.prepare(spec)
            running.append((folder, _start(folder, there.environment | layer.environment)))
        for _, process in running:
            process.wait()
        for there in places:
            there.close()
        ended.extend(folder.receipt() is not None for folder, _ in running)
        return time.perf_counter() - began

    ended: list[bool] = []
    alone, both = run(1, "alone"), run(2, "both")
    third = place(2)
    waits = third.reason if isinstance(third, Wait) else "it would start"
    return [
        {
            "what": "two trainings on one GPU, against two in turn",
            "ours": round(both, 1),
            "peer": round(2 * alone, 1),
            "ratio": both / (2 * alone),
            "unit": "s",
            "ok": all(ended),
            "note": "both ended with a receipt" if all(ended) else "one did not end",
        },
        {
            "what": "a third waits and says why",
            "ok": isinstance(third, Wait) or not first,
            "note": waits if first else "NVML tells of no GPU here",
        },
    ]


def training(layer: Layer, sizes: Sizes, scans: tuple[LabelledScan, ...], batch: int) -> TrainSpec:
    """A short training of a job of its own."""
    options = TrainOptions(
        steps=sizes.job_steps, batch_size=batch, image_size=sizes.side,
        threads=0 if layer.real else 1,
    )  # fmt: skip
    return TrainSpec("run", ("disc",), scans, (), options, 0)


def _start(folder: JobFolder, environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(folder.path), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | environment,
        )


def work(arguments: list[str]) -> int:
    """One worker; see the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--limit-gb", type=float)
    parser.add_argument("--most", type=int)
    options = parser.parse_args(arguments)
    if options.limit_gb is not None:
        whole = torch.cuda.get_device_properties(0).total_memory / GB
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.limit_gb / whole))
    if options.most is None:
        return worker.main([options.folder])

    def step(spec: JobSpec, folder: Path, report: Reporter) -> StepResult:
        from coldal_compute.steps import run_step

        batch = spec.batch_size if isinstance(spec, EmbedSpec) else spec.options.batch_size
        if batch > options.most:
            raise torch.OutOfMemoryError(f"the fake GPU holds batches of {options.most}")
        return run_step(spec, folder, report)

    return worker.main([options.folder], step)


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:]))
