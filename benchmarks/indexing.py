"""Indexing a folder again in which nothing or a few files have changed, against scandir and stat.

    python benchmarks/indexing.py [--largest 100000] [--pairs 3] [--json FILE]

``longest lock`` is the longest time that the database was held for writing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from measuring import Result, compare, finish, machine
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from coldal_tui.project.database.store import Store
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex

A_FOLDER = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    where = machine()
    results: list[Result] = []
    for count in (options.largest // 100, options.largest // 10, options.largest):
        with tempfile.TemporaryDirectory() as name:
            results += measured(Path(name), count, options.pairs)
    finish("indexing", results, options.json, where)
    return 0


def measured(folder: Path, count: int, pairs: int) -> Iterator[Result]:
    """The first index, and further ones: no change, a changed file, files that come and go."""
    images, root = folder / "images", folder / "project"
    write_pictures(images, count)
    Project.create(root, images).close()
    walk = partial(stat_all, images)
    locks = folder / "locks.txt"
    index = partial(index_once, root, locks)
    for what, repeat in (("first index", 1), ("unchanged re-index", pairs)):
        yield _with_lock(compare(what, count, index, "scandir + stat", walk, pairs=repeat), locks)
    (images / "p00000" / "i000000.png").write_bytes(picture(count + 1))
    found = compare("re-index, one file changed", count, index, "scandir + stat", walk, pairs=1)
    yield _with_lock(found, locks)
    (images / "p00001" / "new.png").write_bytes(picture(count + 2))
    (images / "p00002" / "i000200.png").rename(images / "p00003" / "moved.png")
    (images / "p00004" / "i000400.png").unlink()
    what = "re-index, one added, moved and removed"
    yield _with_lock(compare(what, count, index, "scandir + stat", walk, pairs=1), locks)
    write_series(images / "new series")
    (images / "notes.txt").write_text("no picture")
    what = "re-index, a DICOM series and a text added"
    yield _with_lock(compare(what, count, index, "scandir + stat", walk, pairs=1), locks)


def _with_lock(found: Result, locks: Path) -> Result:
    longest = max(float(line) for line in locks.read_text("ascii").split())
    locks.unlink()
    return replace(found, note=f"longest lock {longest:.3f} s", more={"longest_lock_s": longest})


def index_once(root: Path, locks: Path) -> None:
    """Index, and note how long each writing transaction lasted."""
    immediate = Store._immediate

    @contextlib.contextmanager
    def timed(store: Store) -> Iterator[object]:
        with immediate(store) as written:
            began = time.perf_counter()
            yield written
        with locks.open("a", encoding="ascii") as out:
            out.write(f"{time.perf_counter() - began}\n")

    Store._immediate = timed  # type: ignore[method-assign,assignment]
    with Project(root) as project:
        reindex(project)


def stat_all(folder: Path) -> int:
    """Look at every file as one must to know whether it has changed."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                count += stat_all(Path(entry.path))
            else:
                entry.stat()
                count += 1
    return count


def write_pictures(images: Path, count: int) -> None:
    """PNG files of 4 × 4 pixels, all different, a hundred in each folder."""
    for number in range(count):
        folder = images / f"p{number // A_FOLDER:05d}"
        if number % A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"i{number:06d}.png").write_bytes(picture(number))


def write_series(folder: Path) -> None:
    """A CT of twenty slices."""
    folder.mkdir()
    for k in range(20):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.4.{k}"
        ds.SeriesInstanceUID, ds.PatientID, ds.Modality = "1.2.3.4", "p1", "CT"
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2 * k], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SamplesPerPixel, ds.PhotometricInterpretation = [1, 1], 1, "MONOCHROME2"
        ds.Rows = ds.Columns = 4
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation, ds.PixelData = 15, 0, bytes([k, 0] * 16)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(folder / f"{k:02d}.dcm", enforce_file_format=True)


def picture(number: int) -> bytes:
    pixels = number.to_bytes(4, "little") + bytes(12)
    rows = b"".join(b"\0" + pixels[4 * row : 4 * row + 4] for row in range(4))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows, 1)),
            (b"IEND", b""),
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
