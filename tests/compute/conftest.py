"""Small labelled scans as real files, for the tests of segmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.indexing import quick_hash
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.imaging.reading import read_header
from coldal_tui.jobs.spec import LabelledScan, ScanInput


@dataclass
class FakeReport:
    """Remembers what a step told; ``stop_at`` cuts it off in the middle of training."""

    stop_at: float | None = None
    logs: list[str] = field(default_factory=list)
    steps: list[tuple[str, float, float, dict[str, float]]] = field(default_factory=list)

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        self.steps.append((message, done, total, metrics))
        if message.startswith("training") and done == self.stop_at:
            raise ConnectionAbortedError("cut off")

    def log(self, message: str) -> None:
        self.logs.append(message)


@pytest.fixture
def report() -> FakeReport:
    return FakeReport()


@pytest.fixture
def new_report() -> Callable[..., FakeReport]:
    return FakeReport


def scan_input(scan_id: str, kind: str, path: Path) -> ScanInput:
    ref = ScanRef(kind, (str(path),))
    header = read_header(ref)
    known = quick_hash(path, path.stat().st_size)
    return ScanInput(
        scan_id, ref, header.shape, header.channels, header.spacing, header.modality, known
    )


@pytest.fixture
def discs(tmp_path: Path) -> Callable[..., tuple[LabelledScan, ...]]:
    """``discs(count, size=48)``: grey images with a bright disc each, and its label."""

    def make(count: int, size: int = 48, first: int = 0) -> tuple[LabelledScan, ...]:
        return tuple(_disc(tmp_path, f"disc{n:02d}", size, n) for n in range(first, first + count))

    return make


def _disc(folder: Path, name: str, size: int, seed: int) -> LabelledScan:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, : size + 8]
    centre = rng.uniform(0.35, 0.65, 2) * size
    inside = np.hypot(rows - centre[0], columns - centre[1]) < size * 0.2
    pixels = np.clip(60 + 110 * inside + rng.normal(0, 12, inside.shape), 0, 255)
    image, label = folder / f"{name}.png", folder / f"{name}_label.png"
    Image.fromarray(pixels.astype(np.uint8)).save(image)
    write_label(label, inside.astype(np.uint8), None)
    return LabelledScan(scan_input(name, "raster", image), str(label))


@pytest.fixture
def balls(tmp_path: Path) -> Callable[..., tuple[LabelledScan, ...]]:
    """``balls(count)``: NIfTI volumes of 20×24×16 voxels of 1×1×2 mm with a bright ball each."""

    def make(count: int) -> tuple[LabelledScan, ...]:
        return tuple(_ball(tmp_path, f"ball{n:02d}", n) for n in range(count))

    return make


def _ball(folder: Path, name: str, seed: int) -> LabelledScan:
    import nibabel as nib

    rng = np.random.default_rng(seed)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    i, j, k = np.mgrid[:20, :24, :16]
    centre = rng.uniform(8, 12, 3)
    inside = np.sqrt((i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (2 * (k - 8)) ** 2) < 6
    pixels = (100 + 300 * inside + rng.normal(0, 30, inside.shape)).astype(np.int16)
    image, label = folder / f"{name}.nii.gz", folder / f"{name}_label.nii.gz"
    nib.save(nib.Nifti1Image(pixels, affine), image)
    write_label(label, inside.astype(np.uint8), affine)
    return LabelledScan(scan_input(name, "nifti", image), str(label))
