"""Parameters of a job: from its request first, then from coldal.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from coldal_tui.errors import UsageError
from coldal_tui.jobs.backend import ALL_GPUS, Ask
from coldal_tui.jobs.spec import InputCache, TrainOptions
from coldal_tui.project.project import Project
from coldal_tui.selection.needs import NEEDS

Request = Mapping[str, Any]


ON_A_DEVICE = frozenset({"embed", "train", "score", "predict", "evaluate", "crossfit", "simulate"})
"""Kinds of job that use a GPU where there is one; the others need none."""

_SHARED = frozenset({"embed", "score", "crossfit", "simulate"})
"""Kinds whose work several GPUs of this machine can share, each with a worker of its own."""
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def seed_of(project: Project, request: Request) -> int:
    seed = request.get("seed")
    return project.config.selection.seed if seed is None else int(seed)


def device_of(project: Project, request: Request) -> str:
    return request.get("device") or project.config.backend.device


def train_options(project: Project, request: Request) -> TrainOptions:
    """Training options: steps and device from the request, the rest from ``[train]``."""
    section = project.config.train
    return TrainOptions(
        steps=request.get("steps") or section.steps,
        batch_size=section.batch_size,
        patch=section.patch,
        learning_rate=section.learning_rate,
        device=device_of(project, request),
        threads=project.config.backend.threads,
        workers=section.workers,
        amp=section.amp,
        intensity=project.intensity,
        image_size=request.get("image_size"),
    )


def input_cache(project: Project) -> InputCache:
    """Where jobs keep resized scans, and how much of the disk these may take."""
    most = int(project.config.backend.cache_gb * 1e9)
    return InputCache(str(project.layout.inputs), most)


def needs_of(strategy: str) -> tuple[str, ...]:
    """The fields of the pool that a strategy needs. Raises UsageError for an unknown strategy."""
    if strategy in NEEDS:
        return NEEDS[strategy]
    # Only here, for it loads numpy, which would make a supervisor half as large again.
    from coldal_tui.selection.strategies import strategy as named

    return named(strategy).needs


def needs_ensemble(strategy: str) -> bool:
    """Whether a strategy needs an ensemble of networks. Raises as ``needs_of``."""
    return "bald" in needs_of(strategy)


def check_device(request: Request) -> None:
    """Raise UsageError when the request names an invalid device."""
    device = request.get("device")
    if device is not None and not _DEVICE.fullmatch(str(device)):
        raise UsageError(
            f"{device!r} is no device",
            where="device",
            remedy="auto, cpu, cuda, or cuda:N for the N-th GPU (the first is cuda:0)",
        )


def _gpus_of(project: Project, kind: str, request: Request) -> int:
    backend = project.config.backend
    usual: int | str = 1
    if kind == "train":
        usual = project.config.train.devices
    elif kind in _SHARED and backend.name == "local":
        usual = backend.gpus
    wanted = request.get("gpus") or usual
    return ALL_GPUS if wanted == "auto" else int(wanted)


def ask_of(project: Project, kind: str, request: Request) -> Ask:
    """The resources that a job of this kind asks its backend for."""
    check_device(request)
    return Ask(
        kind=kind,
        device=device_of(project, request) if kind in ON_A_DEVICE else "cpu",
        gpus=_gpus_of(project, kind, request),
        settings=msgspec.to_builtins(project.config.backend),
    )
