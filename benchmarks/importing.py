"""Importing masks against merely decoding them: pictures of 512 × 512 pixels, in turn.

    python benchmarks/importing.py [--masks 2000] [--pairs 3] [--min-ratio 0.7]

An import decodes every mask, and besides hashes it, finds its scan, checks and maps its values,
writes the label to the disk (fsync), and commits it. Pairs are timed in turn; the ratio of each
pair counts, not the seconds: 1 would be as fast as decoding alone, by one thread with Pillow in a
process of its own (an import tunes how its process frees memory, which speeds up Pillow, too).
Leave some minutes between two runs on ext4: it goes round the inodes of files deleted just now,
and a run deletes what it wrote.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project

SIZE = 512


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--min-ratio", type=float, help="exit 1 below this median of the ratios")
    options = parser.parse_args()
    alone = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with tempfile.TemporaryDirectory() as name, alone:
        folder = Path(name)
        draw_masks(folder / "masks", options.masks)
        alone.submit(decode, folder / "masks").result()
        pairs = [
            (alone.submit(decode, folder / "masks").result(), take_in(folder, number))
            for number in range(options.pairs)
        ]
    ratios = [plain / ours for plain, ours in pairs]
    each = statistics.median(ours for _, ours in pairs) / options.masks * 1000
    print(f"{options.masks} masks of {SIZE} × {SIZE}, {os.cpu_count()} cores, {len(pairs)} pairs")
    print(f"an import goes at {statistics.median(ratios):.2f} of the speed of decoding")
    print(f"(from {min(ratios):.2f} to {max(ratios):.2f}; {each:.2f} ms each)")
    if options.min_ratio is not None and statistics.median(ratios) < options.min_ratio:
        print(f"below the limit of {options.min_ratio:.2f}", file=sys.stderr)
        return 1
    return 0


def draw_masks(folder: Path, count: int) -> None:
    """Two wavy blobs each, 0 and 255, as most tools write one class."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for number in range(count):
        image = Image.new("L", (SIZE, SIZE))
        for _ in range(2):
            (x, y), radius, waves = (
                rng.integers(100, 400, 2),
                rng.uniform(40, 90),
                rng.integers(2, 6),
            )
            reach = radius * (1 + 0.2 * np.sin(turn * waves))
            points = zip(x + reach * np.cos(turn), y + reach * np.sin(turn), strict=True)
            ImageDraw.Draw(image).polygon([(float(a), float(b)) for a, b in points], fill=255)
        image.save(folder / f"s{number:05d}.png")


def decode(masks: Path) -> float:
    """Seconds to decode every mask, one after the other."""
    began = time.perf_counter()
    for path in sorted(masks.iterdir()):
        with Image.open(path) as image:
            np.asarray(image)
    return time.perf_counter() - began


def take_in(folder: Path, number: int) -> float:
    """Seconds to import every mask into a fresh project, whose scans were indexed before."""
    images = folder / "images"
    images.mkdir(exist_ok=True)
    with Project.create(folder / f"project{number}", images) as project:
        with project.store.transaction():
            for path in sorted((folder / "masks").iterdir()):
                project.store.insert("scans", **scan_row(path, project))
        began = time.perf_counter()
        report = import_masks(project, folder / "masks")
        took = time.perf_counter() - began
    if len(report.accepted) != len(list((folder / "masks").iterdir())):
        raise RuntimeError(f"only {len(report.accepted)} masks were accepted")
    return took


def scan_row(path: Path, project: Project) -> dict[str, object]:
    return {
        "scan_id": path.stem,
        "rel_path": path.name,
        "kind": "raster",
        "files": [path.name],
        "shape": [SIZE, SIZE],
        "channels": 1,
        "dtype": "uint8",
        "patient_id": path.stem,
        "meta": {},
        "quick_hash": path.stem,
        "size": 1,
        "added_at": project.store.now(),
    }


if __name__ == "__main__":
    sys.exit(main())
