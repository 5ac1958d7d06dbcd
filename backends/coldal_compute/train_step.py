"""The ``train`` job: trains a run on labelled scans and measures it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import torch

from coldal_compute.evaluate_step import Measured, measure, measure_returned, summary
from coldal_compute.segmentation.data import (
    Readers,
    Sample,
    file_readers,
    load_samples,
    measure_thickness,
)
from coldal_compute.segmentation.inference import Model, network_folder
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.network import (
    MODEL_FILE,
    device_limits,
    pick_device,
    save_weights,
)
from coldal_compute.segmentation.plan import PLAN_FILE, Plan, load_plan, make_plan, save_plan
from coldal_compute.segmentation.ranks import Rank, most_ranks, together
from coldal_compute.segmentation.storage import write_json
from coldal_compute.segmentation.training import (
    BEST_FILE,
    HISTORY_FILE,
    LAST_FILE,
    Trained,
    fit,
    seed_of_network,
)
from coldal_compute.share import Share
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import FailedScan, Reporter, Silent, StepResult, TrainSpec

METRICS_FILE = "metrics.json"


def train(
    spec: TrainSpec, folder: Path, report: Reporter, readers: Readers | None = None
) -> StepResult:
    """Train a run into ``folder``, continuing from ``last.ckpt`` if there is one.

    Files: ``plan.json``, ``model.safetensors`` (what inference reads), ``last.ckpt``, and with
    validation scans ``best.ckpt``; ``history.jsonl``, ``metrics.json`` (validation scans at
    native resolution). Of further networks, ``network-2/model.safetensors`` and so on.

    Raises
    ------
    ColdalError : nothing to train on, a device that is not there, a diverging loss, no memory.
    """
    readers = readers or file_readers()
    device = pick_device(spec.options.device, spec.options.threads)
    plan = _plan(spec, folder, report, readers)
    wanted = len(spec.train) + len(spec.validation)
    threads = spec.options.threads

    def told(offset: int) -> Any:
        return lambda done: report.progress(offset + done, wanted, "reading scans")

    with closing(NetworkInputs(plan, readers.scan, spec.inputs, report.log)) as inputs:
        samples, failed = load_samples(spec.train, inputs, readers, told(0), threads)
        offset = len(spec.train)
        watched, bad = load_samples(spec.validation, inputs, readers, told(offset), threads)
    failed += bad
    _check(samples, plan, failed, report)
    count = rank_count(spec, plan)
    if count > 1:
        report.log(f"{count} GPUs share each batch of {plan.batch_size}")
    if spec.networks > 1:
        report.log(f"{spec.networks} networks are trained, one after the other")

    def fitted(number: int, own: Path) -> Trained:
        one = msgspec.structs.replace(spec, seed=seed_of_network(spec.seed, number))
        share = Share(report, number - 1, spec.networks, "network" if spec.networks > 1 else "")
        with together(one, own, count) as rank:
            return fit(plan, samples, watched, one.options, device, one.seed, own, share, rank)

    trained = fitted(1, folder)
    save_weights(trained.net, folder)
    others = [_train_other(number, folder, plan, fitted) for number in range(2, spec.networks + 1)]
    model = Model(plan, trained.net.to(device), device, spec.options.amp, cleanup=spec.cleanup)
    kept = {sample.scan_id for sample in watched}
    scans = [labelled for labelled in spec.validation if labelled.scan.scan_id in kept]
    with closing(NetworkInputs(plan, readers.scan, spec.inputs)) as inputs:
        measured = measure(model, scans, inputs, readers, report)
    result = _result(plan, trained.final_loss, trained.history, measured)
    result["networks"] = spec.networks
    result["returned"] = measure_returned(spec.returned, spec.classes, readers, report)
    write_json(folder / METRICS_FILE, result["validation"])
    files = [PLAN_FILE, MODEL_FILE, LAST_FILE, HISTORY_FILE, METRICS_FILE, *others]
    if watched:
        files.append(BEST_FILE)
    return StepResult(tuple(files), result, (*failed, *measured.failed))


def _train_other(
    number: int, folder: Path, plan: Plan, fitted: Callable[[int, Path], Trained]
) -> str:
    """Train another network on the same labels; returns its weights file within ``folder``."""
    own = network_folder(folder, number)
    weights = own / MODEL_FILE
    if not weights.exists():
        own.mkdir(exist_ok=True)
        # Processes that train along look for it beside what is trained.
        save_plan(plan, own)
        save_weights(fitted(number, own).net, own)
    for file in own.iterdir():
        if file != weights:
            file.unlink()
    return str(weights.relative_to(folder))


def train_along(spec: TrainSpec, folder: Path, rank: Rank, ready: Callable[[], None]) -> None:
    """Train as one of several processes, with the plan of the first; writes nothing.

    ``ready`` is called when the scans are read and the first process may begin.
    """
    readers = file_readers()
    device = pick_device(spec.options.device, spec.options.threads)
    if device.type == "cuda":
        device = torch.device("cuda", rank.number)
    plan = load_plan(folder)
    with closing(NetworkInputs(plan, readers.scan, spec.inputs)) as inputs:
        threads = spec.options.threads
        samples, _ = load_samples(spec.train, inputs, readers, threads=threads)
        watched, _ = load_samples(spec.validation, inputs, readers, threads=threads)
    ready()
    fit(plan, samples, watched, spec.options, device, spec.seed, folder, Silent(), rank)


def rank_count(spec: TrainSpec, plan: Plan) -> int:
    """The number of training processes: one for each GPU of the job.

    ``cuda`` is all the GPUs that this process sees, ``cuda:N`` the one, ``auto`` the first.
    """
    if spec.options.device != "cuda":
        return 1
    return most_ranks(plan.batch_size, torch.cuda.device_count())


def _plan(spec: TrainSpec, folder: Path, report: Reporter, readers: Readers) -> Plan:
    if (folder / LAST_FILE).exists() and (folder / PLAN_FILE).exists():
        # The plan depends on the device's free memory: a resumed run keeps its own.
        return load_plan(folder)
    device = pick_device(spec.options.device)
    classes = spec.classes
    thickness = measure_thickness(spec.train, len(classes), readers)
    scans = [labelled.scan for labelled in spec.train]
    plan = make_plan(scans, classes, spec.options, device_limits(device), thickness)
    save_plan(plan, folder)
    for reason in plan.reasons:
        report.log(reason)
    return plan


def _check(
    samples: Sequence[Sample], plan: Plan, failed: Sequence[FailedScan], report: Reporter
) -> None:
    for scan in failed:
        report.log(f"left out {scan.scan_id}: {scan.message}")
    if not samples:
        raise ColdalError(
            "none of the labelled scans can be read",
            where=failed[0].file if failed else None,
            remedy=f"the first reason: {failed[0].message}" if failed else None,
            code="no-labels",
        )
    for value, name in enumerate(plan.classes, start=1):
        if not any((sample.label == value).any() for sample in samples):
            report.log(f"no training label holds the class “{name}”: it can't be learned yet")


def _result(
    plan: Plan, final_loss: float, history: Sequence[dict[str, Any]], measured: Measured
) -> dict[str, Any]:
    return {
        "plan": msgspec.to_builtins(plan),
        "steps": plan.steps,
        "final_loss": final_loss,
        "validation": summary(measured, plan.classes),
        "history": list(history),
        "checkpoint": BEST_FILE if measured.scans else LAST_FILE,
    }
