"""Adapts a specification to the machine: its device, and less memory after it ran out.

The specification on disk stays as it was planned: by it an attempt knows the work of another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.jobs.spec import (
    CrossFitSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    ScoreSpec,
    SimulateSpec,
    TrainSpec,
)

OUT_OF_MEMORY = "out-of-memory"
PLAN_FILE = "plan.json"
"""Where a training writes what it has decided from the data, batch and patch among it."""
_PATCH_SHARE = 0.7
_PATCH_UNIT = 16
"""Networks halve their image up to four times, so a patch is a multiple of this."""
_SMALLEST = 16


class Fit(msgspec.Struct, frozen=True):
    """What was reduced after memory ran out; ``reasons`` says so in words, oldest first."""

    batch_size: int | None = None
    patch: tuple[int, ...] | None = None
    windows: int | None = None
    reasons: tuple[str, ...] = ()


def on_device(spec: JobSpec, device: str | None) -> JobSpec:
    """The specification with the device that the backend assigned; None leaves it as requested.

    A worker that was given one GPU of several sees it as the first and only one.
    """
    if device is None:
        return spec
    if isinstance(spec, (TrainSpec, CrossFitSpec, SimulateSpec)):
        options = msgspec.structs.replace(spec.options, device=device)
        return msgspec.structs.replace(spec, options=options)
    if isinstance(spec, (EmbedSpec, ScoreSpec, EvaluateSpec)):
        return msgspec.structs.replace(spec, device=device)
    return spec


def fitted(spec: JobSpec, fit: Fit) -> JobSpec:
    """The specification with the reductions of ``fit``."""
    if isinstance(spec, TrainSpec):
        options = msgspec.structs.replace(
            spec.options,
            batch_size=fit.batch_size or spec.options.batch_size,
            patch=fit.patch or spec.options.patch,
        )
        return msgspec.structs.replace(spec, options=options)
    if isinstance(spec, CrossFitSpec):
        options = msgspec.structs.replace(
            spec.options, batch_size=fit.batch_size or spec.options.batch_size
        )
        return msgspec.structs.replace(spec, options=options, windows=fit.windows or spec.windows)
    if isinstance(spec, EmbedSpec):
        return msgspec.structs.replace(spec, batch_size=fit.batch_size or spec.batch_size)
    if isinstance(spec, (ScoreSpec, EvaluateSpec)):
        return msgspec.structs.replace(spec, windows=fit.windows or spec.windows)
    return spec


def smaller(spec: JobSpec, fit: Fit, folder: Path) -> Fit | None:
    """The next reduction: half the batch, then a smaller patch; None when nothing is left.

    ``folder`` is where a training that decided its batch and patch by itself has written them.
    """
    now = fitted(spec, fit)
    if isinstance(now, TrainSpec):
        plan = _plan(folder)
        batch = now.options.batch_size or plan.get("batch_size") or 1
        if batch > 1:
            return _half_batch(fit, int(batch))
        return _smaller_patch(fit, tuple(now.options.patch or plan.get("patch") or ()))
    if isinstance(now, CrossFitSpec):
        # Its plan is the run's; a smaller patch would make it another network.
        batch = now.options.batch_size or _plan(Path(now.run)).get("batch_size") or 1
        return _half_batch(fit, int(batch)) if batch > 1 else None
    if isinstance(now, EmbedSpec):
        return _half_batch(fit, now.batch_size) if now.batch_size > 1 else None
    if isinstance(now, (ScoreSpec, EvaluateSpec)) and now.windows > 1:
        half = now.windows // 2
        return _with(fit, f"{half} of {now.windows} windows at once", windows=half)
    return None


def _half_batch(fit: Fit, batch: int) -> Fit:
    return _with(fit, f"batches of {batch // 2} instead of {batch}", batch_size=batch // 2)


def _smaller_patch(fit: Fit, patch: tuple[int, ...]) -> Fit | None:
    new = tuple(_less(side) for side in patch)
    if new == patch:
        return None
    words = ["×".join(str(side) for side in sides) for sides in (new, patch)]
    return _with(fit, f"patches of {words[0]} instead of {words[1]}", patch=new)


def _less(side: int) -> int:
    if side <= _SMALLEST:
        return side
    return max(_SMALLEST, int(side * _PATCH_SHARE) // _PATCH_UNIT * _PATCH_UNIT)


def _with(fit: Fit, what: str, **changes: Any) -> Fit:
    reasons = (*fit.reasons, f"the memory ran out: {what}")
    return msgspec.structs.replace(fit, reasons=reasons, **changes)


def _plan(folder: Path) -> dict[str, Any]:
    try:
        plan = json.loads((folder / PLAN_FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}
