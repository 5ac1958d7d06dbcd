"""Finished cells on disk: one JSON file each, written atomically and checked when read."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.files import atomic_write, not_json
from coldal_tui.simulation.design import CellId, Split, SplitRule

CELLS = "cells"
SETUP_FILE = "setup.json"


class Measured(msgspec.Struct, frozen=True):
    """One class on one test scan; distances in ``unit`` (mm, or px when no spacing is known)."""

    dice: float
    hd: float
    hd95: float
    unit: str = ""
    note: str = ""


class SetupScan(msgspec.Struct, frozen=True):
    """A scan whose mask is known; it may be picked only if it is ``embedded``."""

    scan_id: str
    patient_id: str
    embedded: bool = True


class Setup(msgspec.Struct, frozen=True):
    """The setup shared by all cells of one folder; ``setup`` is its hash."""

    setup: str
    project: str
    classes: tuple[str, ...]
    rule: SplitRule
    scans: tuple[SetupScan, ...]
    ndim: int
    encoder: str
    encoder_hash: str
    training: dict[str, Any]
    one_per_patient: bool = False
    entropy: str = "mean"


class ScanScores(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model's uncertainty about a scan, as mean entropies.

    ``entropy`` is over all pixels, ``foreground`` over the foreground, ``boundary`` along the
    outlines, and ``class_entropy`` of each class. ``bald`` is set when an ensemble was trained for
    it, ``features`` of the model when they were requested.
    """

    entropy: float
    class_entropy: tuple[float, ...] = ()
    bald: float | None = None
    foreground: float | None = None
    boundary: float | None = None
    features: tuple[float, ...] | None = None


def as_halves(numbers: Sequence[float]) -> bytes:
    """Little-endian float16, without numpy, to keep the supervisor's memory small.

    Values outside its range become its largest ones.
    """
    most = 65504.0
    # The sum is neither finite where one of them is not.
    fit = math.isfinite(sum(numbers)) and max(numbers, default=0) <= most
    if not fit or min(numbers, default=0) < -most:
        numbers = [max(-most, min(most, number)) for number in numbers]
    return struct.pack(f"<{len(numbers)}e", *numbers)


def from_halves(content: bytes) -> tuple[float, ...]:
    """The numbers that ``as_halves`` packed."""
    return struct.unpack(f"<{len(content) // 2}e", content)


class Cell(msgspec.Struct, frozen=True):
    """The work and the results of one cell.

    ``train`` and ``picks`` (of this round alone) are in the order of picking. ``scans`` is test
    scan → class → measures. ``foreground`` is the share of the pool's foreground that the labels
    hold. ``scores`` are those of the remaining candidates, if further rounds continue from this
    cell. ``seconds``: the time of each part of the work. ``made``: versions and device.
    """

    id: CellId
    setup: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    picks: tuple[dict[str, Any], ...]
    scans: dict[str, dict[str, Measured]]
    foreground: float
    seconds: dict[str, float]
    steps: int
    loss: float
    scores: dict[str, ScanScores] | None = None
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    made: dict[str, str] = {}

    @property
    def labels(self) -> int:
        return len(self.train) + len(self.validation)


class _Sealed(msgspec.Struct, frozen=True):
    """A cell with the SHA-256 of its bytes."""

    sha256: str
    cell: msgspec.Raw


def cell_file(folder: Path, cell: CellId) -> Path:
    return folder / CELLS / f"{cell.name}.json"


def write_cell(folder: Path, cell: Cell) -> None:
    """Write a finished cell to the simulation's folder, atomically."""
    content = msgspec.json.encode(cell)
    sealed = _Sealed(hashlib.sha256(content).hexdigest(), msgspec.Raw(content))
    path = cell_file(folder, cell.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, lambda stream: stream.write(msgspec.json.encode(sealed)))


def read_cell(folder: Path, wanted: CellId) -> Cell | None:
    """A finished cell; None when it is missing, damaged or another cell's."""
    try:
        sealed = msgspec.json.decode(cell_file(folder, wanted).read_bytes(), type=_Sealed)
        if hashlib.sha256(sealed.cell).hexdigest() != sealed.sha256:
            return None
        cell = msgspec.json.decode(sealed.cell, type=Cell)
    except not_json(OSError):
        return None
    return cell if cell.id == wanted else None


def read_setup(folder: Path) -> Setup | None:
    """The setup of a simulation's folder; None when it is missing or damaged."""
    try:
        return msgspec.json.decode((folder / SETUP_FILE).read_bytes(), type=Setup)
    except not_json(OSError):
        return None


def seed_folder(folder: Path, seed: int) -> Path:
    """The folder with the split, the map and the clusters of one seed."""
    return folder / f"seed-{seed:03d}"


def split_file(folder: Path, seed: int) -> Path:
    return seed_folder(folder, seed) / "split.json"


def read_split(folder: Path, seed: int) -> Split | None:
    """The stored split of a seed; None when it is missing or damaged."""
    try:
        return msgspec.json.decode(split_file(folder, seed).read_bytes(), type=Split)
    except not_json(OSError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write JSON types or structs, indented and atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(value), indent=1)
    atomic_write(path, lambda stream: stream.write(content))
