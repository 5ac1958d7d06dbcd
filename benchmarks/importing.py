"""Importing masks against merely decoding them, in turn: pictures, or NIfTI volumes.

    python benchmarks/importing.py [--kind png|nifti] [--masks 2000] [--pairs 3] [--min-ratio 0.7]

An import decodes every mask, and besides hashes it, finds its scan, checks and maps its values,
writes the label to the disk (fsync), and commits it. Pairs are timed in turn; the ratio of each
pair counts, not the seconds: 1 would be as fast as reading alone, by Pillow (decoding alone), or by
nibabel and hashing the file. Both run in processes of their own (an import tunes how its process
frees memory, which speeds up Pillow, too); --one-core keeps both on one processor.
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
from hashlib import sha256
from pathlib import Path

import numpy as np
from measuring import figures
from PIL import Image, ImageDraw

from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project

SIZE = 512
VOLUME = (96, 96, 48)
AFFINE = ((-0.8, 0.0, 0.0, 40.0), (0.0, -0.8, 0.0, 30.0), (0.0, 0.0, 2.5, -60.0), (0, 0, 0, 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("png", "nifti"), default="png")
    parser.add_argument("--masks", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--one-core", action="store_true", help="both on one processor")
    parser.add_argument("--min-ratio", type=float, help="exit 1 below this median of the ratios")
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    spawn = multiprocessing.get_context("spawn")
    alone, ours = (ProcessPoolExecutor(1, mp_context=spawn) for _ in range(2))
    with tempfile.TemporaryDirectory() as name, alone, ours:
        folder = Path(name)
        (draw_masks if options.kind == "png" else draw_volumes)(folder / "masks", options.masks)
        read = decode if options.kind == "png" else read_volumes
        alone.submit(read, folder / "masks").result()
        ours.submit(warm_up).result()
        pairs = [
            (
                alone.submit(read, folder / "masks").result(),
                ours.submit(take_in, folder, number).result(),
            )
            for number in range(options.pairs)
        ]
    ratios = [plain / ours for plain, ours in pairs]
    each = statistics.median(ours for _, ours in pairs) / options.masks * 1000
    size, reading = (
        (f"{SIZE} × {SIZE}", "decoding")
        if options.kind == "png"
        else (" × ".join(map(str, VOLUME)), "reading with nibabel and hashing")
    )
    cores = len(os.sched_getaffinity(0))
    print(f"{options.masks} masks of {size}, {cores} cores, {len(pairs)} pairs")
    print(f"an import goes at {statistics.median(ratios):.2f} of the speed of {reading}")
    print(f"(from {min(ratios):.2f} to {max(ratios):.2f}; {each:.2f} ms each)")
    row = {
        "what": f"import of {options.masks} masks, {options.kind}",
        "ours": each,
        "unit": "ms a mask",
        "peer": reading,
        "ratio": statistics.median(1 / ratio for ratio in ratios),
        "ratios": [1 / ratio for ratio in ratios],
    }
    figures("importing", [row], options.json)
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


def draw_volumes(folder: Path, count: int) -> None:
    """Two ellipsoids each, as organs are drawn, in compressed NIfTI."""
    import nibabel as nib

    folder.mkdir()
    rng = np.random.default_rng(0)
    places = np.indices(VOLUME).reshape(3, -1)
    for number in range(count):
        label = np.zeros(VOLUME, np.uint8)
        for _ in range(2):
            centre = rng.uniform(0.3, 0.7, 3)[:, None] * np.array(VOLUME)[:, None]
            reach = rng.uniform(0.1, 0.25, 3)[:, None] * np.array(VOLUME)[:, None]
            inside = (((places - centre) / reach) ** 2).sum(axis=0) <= 1
            label[inside.reshape(VOLUME)] = 1
        nib.save(nib.Nifti1Image(label, np.array(AFFINE)), folder / f"s{number:05d}.nii.gz")


def read_volumes(masks: Path) -> float:
    """Seconds to read every volume with nibabel and to hash its file."""
    import nibabel as nib

    began = time.perf_counter()
    for path in sorted(masks.iterdir()):
        np.asarray(nib.load(path).dataobj)
        sha256(path.read_bytes()).hexdigest()
    return time.perf_counter() - began


def warm_up() -> None:
    """Load what an import loads, which is no part of its speed."""
    from coldal_tui.exchange.importers import load_registry

    load_registry()


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
    name = path.name.partition(".")[0]
    volume = path.name.endswith(".nii.gz")
    space = {"affine": AFFINE, "spacing": [0.8, 0.8, 2.5]} if volume else {}
    return {
        "scan_id": name,
        "rel_path": path.name,
        "kind": "nifti" if volume else "raster",
        "files": [path.name],
        "shape": VOLUME if volume else [SIZE, SIZE],
        **space,
        "channels": 1,
        "dtype": "uint8",
        "patient_id": name,
        "meta": {},
        "quick_hash": name,
        "size": 1,
        "added_at": project.store.now(),
    }


if __name__ == "__main__":
    sys.exit(main())
