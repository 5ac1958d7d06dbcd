"""``[images]`` of coldal.toml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Modality = Literal["auto", "ct", "mr", "pt", "us", "xr", "other"]
Window = Literal["soft-tissue", "lung", "bone", "brain", "liver"]


class ImagesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[images]``: the scans' folder, which files are scans, how intensities are read."""

    dir: Annotated[str, Meta(min_length=1)]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    patients_csv: str | None = None
    patients_pattern: str | None = None
    modality: Modality | Annotated[tuple[Modality, ...], Meta(min_length=1, max_length=16)] = "auto"
    window: Window = "soft-tissue"
    keep_masks: bool = False
    channels: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
