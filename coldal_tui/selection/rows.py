"""One scan's state as selection sees it: light enough for a supervisor, which has no numpy."""

from __future__ import annotations

import msgspec


class PoolRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One scan's state as selection sees it, in scan_id order.

    ``candidate``: may be picked. ``covered``: labelled, queued or exported (diversity measures
    distance to these). ``labelled``: has an accepted label. Scans that are only measured, those of
    validation patients, are neither. ``entropy``: of the last run.
    ``class_entropy`` (p_c · H of each class but the background), ``bald`` (the disagreement of an
    ensemble), ``foreground_entropy`` and ``boundary_entropy`` (weighted means) and the model's
    ``features`` (numbers, or little-endian float16): None when not measured. ``minutes``: what
    labelling it is expected to take, where scans are chosen by that.
    """

    scan_id: str
    patient_id: str
    candidate: bool
    covered: bool
    labelled: bool
    entropy: float | None = None
    class_entropy: tuple[float, ...] | None = None
    bald: float | None = None
    foreground_entropy: float | None = None
    boundary_entropy: float | None = None
    features: tuple[float, ...] | bytes | None = None
    minutes: float | None = None
