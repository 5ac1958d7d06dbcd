"""How a specification is fitted to the machine that it runs on: its device, its memory.

The specification on disk stays as it was planned: by it an attempt knows the work of another.
"""

from __future__ import annotations

import msgspec

from coldal_tui.jobs.spec import EmbedSpec, EvaluateSpec, JobSpec, ScoreSpec, TrainSpec


def on_device(spec: JobSpec, device: str | None) -> JobSpec:
    """The specification for the device that the backend gave the job; None: as it was asked.

    A worker that was given one GPU of several sees it as the first and only one.
    """
    if device is None:
        return spec
    if isinstance(spec, TrainSpec):
        options = msgspec.structs.replace(spec.options, device=device)
        return msgspec.structs.replace(spec, options=options)
    if isinstance(spec, (EmbedSpec, ScoreSpec, EvaluateSpec)):
        return msgspec.structs.replace(spec, device=device)
    return spec
