"""Importing masks against merely reading and hashing them, in turn: pictures, or NIfTI volumes.

    python benchmarks/importing.py [--kind png|nifti] [--masks 500] [--pairs 5] [--min-ratio 0.7]

An import reads and hashes every mask, and besides finds its scan, checks and maps its values,
writes the label to the disk (fsync), and commits it. The plain loop reads each file, hashes it, and
decodes it with Pillow or nibabel. Each measurement is a process of its own on one processor, which
has first done the same with a few masks, so that nothing is loaded while it is timed. Both keep
freed memory for reuse: an import sees to that by itself, and a plain loop would else give every
array back to the system and take up to twice as long. Pairs are timed in turn; the ratio of each
pair counts, not the seconds: 1 would be as fast as reading alone. The ratio of processor time (user
and system) depends less on other work on the machine; that of wall time contains the waiting for
the disk. --min-ratio judges the former. TMPDIR chooses the file system: it makes a difference.
Leave some minutes between two runs on ext4: it goes round the inodes of files deleted just now,
and a run deletes what it wrote.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
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
SPACING = (0.8, 0.8, 2.5)
WARM = 8

_REUSED = 16 << 20
"""Bytes of one block that is freed: from then on the C library keeps freed blocks up to that."""

Times = tuple[float, float]
"""Seconds of processor time, and of wall time."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("png", "nifti"), default="png")
    parser.add_argument("--masks", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--all-cores", action="store_true", help="not on one processor")
    parser.add_argument("--min-ratio", type=float, help="exit 1 below this median of the ratios")
    parser.add_argument("--json")
    options = parser.parse_args()
    if not options.all_cores:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw = draw_pictures if options.kind == "png" else draw_volumes
        draw(folder / "few", WARM)
        draw(folder / "masks", options.masks)
        pairs = [
            (alone(read_plainly, folder, number), alone(take_in, folder, number))
            for number in range(options.pairs)
        ]
    size = f"{SIZE} × {SIZE}" if options.kind == "png" else " × ".join(map(str, VOLUME))
    library = "Pillow" if options.kind == "png" else "nibabel"
    cores = len(os.sched_getaffinity(0))
    print(f"{options.masks} masks of {size}, processors: {cores}, pairs: {len(pairs)}")
    medians, rows = [], []
    for index, kind in enumerate(("processor", "wall")):
        ratios = [plain[index] / ours[index] for plain, ours in pairs]
        each = statistics.median(ours[index] for _, ours in pairs) / options.masks * 1000
        medians.append(statistics.median(ratios))
        print(
            f"{kind} time: an import goes at {medians[-1]:.2f} of the speed of reading with "
            f"{library} and hashing (from {min(ratios):.2f} to {max(ratios):.2f}; {each:.2f} ms "
            "a mask)"
        )
        rows.append(
            {
                "what": f"import of {options.masks} masks, {options.kind}, {kind} time",
                "ours": each,
                "unit": "ms a mask",
                "peer": f"reading with {library} and hashing",
                "ratio": statistics.median(1 / ratio for ratio in ratios),
                "ratios": [1 / ratio for ratio in ratios],
            }
        )
    figures("importing", rows, options.json)
    if options.min_ratio is not None and medians[0] < options.min_ratio:
        print(f"below the limit of {options.min_ratio:.2f}", file=sys.stderr)
        return 1
    return 0


def alone(work: Callable[[Path, Path], Times], folder: Path, number: int) -> Times:
    """Run ``work`` in a fresh process: with a few masks first, then timed with all."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        process.submit(work, folder / "few", folder / f"few{number}").result()
        return process.submit(work, folder / "masks", folder / f"project{number}").result()


def draw_pictures(folder: Path, count: int) -> None:
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
    """Two ellipsoids each, as organs are drawn, in compressed NIfTI; every scan lies elsewhere.

    Every second one lies obliquely, too, as scans of magnetic resonance do.
    """
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
        tilt = rng.uniform(-0.3, 0.3) if number % 2 else 0.0
        turned = np.array(
            [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
        )
        affine = np.eye(4)
        affine[:3, :3] = np.diag((-1.0, -1.0, 1.0)) @ turned @ np.diag(SPACING)
        affine[:3, 3] = rng.uniform(-100, 100, 3)
        nib.save(nib.Nifti1Image(label, affine), folder / f"s{number:05d}.nii.gz")


def read_plainly(masks: Path, _project: Path) -> Times:
    """Read, hash and decode every mask, one after the other."""
    import nibabel as nib

    np.empty(_REUSED, dtype=np.uint8)
    began = time.process_time(), time.perf_counter()
    for path in sorted(masks.iterdir()):
        if path.suffix == ".png":
            data = path.read_bytes()
            sha256(data).hexdigest()
            with Image.open(io.BytesIO(data)) as image:
                np.asarray(image)
        else:
            np.asarray(nib.load(path).dataobj)
            sha256(path.read_bytes()).hexdigest()
    return time.process_time() - began[0], time.perf_counter() - began[1]


def take_in(masks: Path, root: Path) -> Times:
    """Import every mask into a fresh project, whose scans were indexed before."""
    images = root.with_name("images")
    images.mkdir(exist_ok=True)
    files = sorted(masks.iterdir())
    with Project.create(root, images) as project:
        with project.store.transaction():
            for path in files:
                project.store.insert("scans", **scan_row(path, project))
        began = time.process_time(), time.perf_counter()
        report = import_masks(project, masks)
        took = time.process_time() - began[0], time.perf_counter() - began[1]
    if len(report.accepted) != len(files):
        raise RuntimeError(f"only {len(report.accepted)} of {len(files)} masks were accepted")
    return took


def scan_row(path: Path, project: Project) -> dict[str, object]:
    """The row of a mask's scan: its header is the one that the mask has, as tools copy it."""
    import nibabel as nib

    name = path.name.partition(".")[0]
    volume = path.name.endswith(".nii.gz")
    space = {}
    if volume:
        space = {"affine": nib.load(path).affine.tolist(), "spacing": list(SPACING)}
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
