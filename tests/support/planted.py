"""Data whose right answer is known beforehand, replayed by real embedding and real training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coldal_compute.embedding import embed
from coldal_compute.simulation.step import simulate
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    InputCache,
    ScanInput,
    ShardRows,
    Silent,
    SimulatedScan,
    SimulateSpec,
    TrainOptions,
)
from coldal_tui.simulation.cells import Cell, read_cell
from coldal_tui.simulation.design import CellId, Design, SplitRule

SIDE = 48
Picture = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""A grey picture and what is to be found in it, both (SIDE, SIDE)."""


def common(rng: np.random.Generator) -> Picture:
    """A bright disc on dark ground whose rim fades; where it was drawn is a matter of taste."""
    gap = _distance(rng)
    radius, drawn = rng.uniform(8, 11), rng.uniform(-3, 3)
    bright = 1 / (1 + np.exp((gap - radius) / 2.5))
    return _picture(40 + 110 * bright, rng), gap < radius + drawn


def striped(rng: np.random.Generator) -> Picture:
    """A dark disc on stripes."""
    gap = _distance(rng)
    columns = np.arange(SIDE)[None, :] + rng.uniform(0, 8)
    ground = 150 + 70 * np.sign(np.sin(columns * 2 * np.pi / 8)) + np.zeros((SIDE, 1))
    inside = gap < rng.uniform(8, 11)
    return _picture(np.where(inside, 10, ground), rng), inside


def light(rng: np.random.Generator) -> Picture:
    """A grey square on white ground."""
    rows, columns = _offsets(rng)
    inside = np.maximum(abs(rows), abs(columns)) < rng.uniform(7, 10)
    return _picture(np.where(inside, 165, 230), rng), inside


def chequered(rng: np.random.Generator) -> Picture:
    """A smooth bar on a chequered ground."""
    rows, columns = _offsets(rng)
    inside = (abs(rows) < rng.uniform(5, 6)) & (abs(columns) < rng.uniform(12, 15))
    grid = np.mgrid[:SIDE, :SIDE] // 4
    return _picture(np.where(inside, 90, 30 + 160 * (grid.sum(axis=0) % 2)), rng), inside


RARE = (striped, light, chequered)


def clear(rng: np.random.Generator) -> Picture:
    """A bright disc on a ground as dark and a disc as bright as the scanner was set to.

    What the setting changes the encoder sees, and training, which normalises, does not.
    """
    gap = _distance(rng)
    inside = gap < rng.uniform(8, 11)
    return _set(1.0 * inside, rng), inside


def haloed(rng: np.random.Generator) -> Picture:
    """The same with a dimmer rim, which belongs to it: no clear scan shows that."""
    gap = _distance(rng)
    radius = rng.uniform(8, 11)
    inside = gap < radius + 6
    return _set(0.5 * inside + 0.5 * (gap < radius), rng), inside


def _set(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    height = rng.uniform(60, 140)
    found: NDArray[np.uint8] = _picture(rng.uniform(25, 100) + height * values, rng, height / 15)
    return found


def _offsets(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centre = rng.uniform(18, 30, (2, 1, 1))
    rows, columns = np.mgrid[:SIDE, :SIDE] - centre
    return rows, columns


def _distance(rng: np.random.Generator) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.hypot(*_offsets(rng))
    return found


def _picture(values: NDArray[Any], rng: np.random.Generator, grain: float = 8.0) -> Any:
    return np.clip(values + rng.normal(0, grain, values.shape), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Planted:
    """Scans on disk; ``kind`` of each by its id, ``tested`` those that are never picked."""

    folder: Path
    scans: tuple[SimulatedScan, ...]
    kind: dict[str, str]
    tested: tuple[str, ...]
    shards: tuple[ShardRows, ...]
    encoder_hash: str

    def vectors(self) -> tuple[list[str], NDArray[np.float32]]:
        """Scan ids and their vectors, (N, d)."""
        ids = [scan_id for shard in self.shards for scan_id in shard.scan_ids]
        return ids, np.concatenate([np.load(shard.file) for shard in self.shards])


def plant(
    folder: Path, pool: Mapping[Any, int], tested: Mapping[Any, int], seed: int = 0
) -> Planted:
    """Write so many pictures of each kind, each of a patient of its own, and embed them."""
    rng = np.random.default_rng(seed)
    kinds = [make for make, count in pool.items() for _ in range(count)]
    kinds = [kinds[n] for n in rng.permutation(len(kinds))]
    apart = [make for make, count in tested.items() for _ in range(count)]
    scans, kind = [], {}
    for number, make in enumerate([*kinds, *apart]):
        name = f"scan{number:03d}"
        picture, inside = make(rng)
        image, label = folder / f"{name}.png", folder / f"{name}_mask.png"
        Image.fromarray(picture).save(image)
        write_label(label, inside.astype(np.uint8), None)
        ref = ScanRef("raster", (str(image),))
        scan = ScanInput(name, ref, picture.shape, 1, None, None, name)
        scans.append(SimulatedScan(scan, name, str(label), sha256_file(label)))
        kind[name] = make.__name__
    shards, digest = _embedded(folder, [one.scan for one in scans])
    ids = [one.scan.scan_id for one in scans]
    return Planted(folder, tuple(scans), kind, tuple(ids[len(kinds) :]), shards, digest)


def _embedded(folder: Path, scans: Sequence[ScanInput]) -> tuple[tuple[ShardRows, ...], str]:
    out = folder / "embedded"
    out.mkdir()
    choice = EncoderChoice("efficientnet-lite0")
    done = embed(EmbedSpec(tuple(scans), choice, device="cpu", threads=1), out, Silent())
    shards = []
    for shard in done.result["shards"]:
        ids = tuple(shard["scan_ids"])
        path = out / shard["file"]
        shards.append(ShardRows(str(path), sha256_file(path), ids, tuple(range(len(ids)))))
    return tuple(shards), done.result["encoder_hash"]


def replay(planted: Planted, design: Design, steps: int = 50) -> dict[CellId, Cell]:
    """All cells of a design, tested on the scans apart; nobody is kept for validation."""
    spec = SimulateSpec(
        setup="planted",
        store=str(planted.folder / "store"),
        design=design,
        cells=tuple(design.all_cells()),
        rule=SplitRule(validation=0, test_patients=planted.tested),
        classes=("object",),
        scans=planted.scans,
        shards=planted.shards,
        encoder_hash=planted.encoder_hash,
        options=TrainOptions(steps=steps, batch_size=8, device="cpu", threads=1),
        inputs=InputCache(str(planted.folder / "cache" / "inputs"), 10**9),
    )
    job = planted.folder / "job"
    job.mkdir(exist_ok=True)
    done = simulate(spec, job, Silent()).result
    assert done["failed_cells"] == []
    found = {id: read_cell(Path(spec.store), id) for id in design.all_cells()}
    return {id: msgspec.structs.replace(cell) for id, cell in found.items() if cell is not None}
