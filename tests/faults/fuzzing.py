"""What is fuzzed: functions of bytes that may refuse, but never break; and good inputs of each.

``scripts/soak_fuzz.py`` drives them by coverage (atheris), ``test_fuzzing.py`` for a moment
without.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import tifffile
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.importers import HEAD_BYTES, load_registry
from coldal_tui.exchange.incoming.names.match_template import Template
from coldal_tui.exchange.manifest import read_manifest
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.reading import read_header, read_scan
from coldal_tui.imaging.recognise import recognise
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.project.settings.config import parse_config
from coldal_tui.project.settings.config_template import TEMPLATE
from coldal_tui.project.views.queue_table import ScanTable, Words
from coldal_tui.tui.queue.filter import matching

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
MOST_VOXELS = 1 << 22
"""Headers that claim more are read no further: their limits have tests of their own."""
Target = Callable[[bytes], None]


@cache
def _folder() -> Path:
    memory = Path("/dev/shm")
    made = tempfile.mkdtemp(prefix="coldal-fuzz-", dir=memory if memory.is_dir() else None)
    return Path(made)


@contextlib.contextmanager
def file(name: str, data: bytes) -> Iterator[Path]:
    """A file of these bytes in a folder of its own."""
    path = _folder() / name
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink()


def image(ending: str) -> Target:
    """Read a scan of this name: its kind by its bytes, its header, its pixels."""

    def target(data: bytes) -> None:
        with file(f"x{ending}", data) as path:
            found = recognise(path, data[:HEAD_BYTES])
            if found.kind is None:
                return
            ref = ScanRef(found.kind, (str(path),))
            header = read_header(ref)
            if np.prod(header.shape, dtype=float) * header.channels <= MOST_VOXELS:
                read = read_scan(ref)
                assert read.array.shape == (*header.shape, header.channels)

    return target


def masks(name: str) -> Target:
    """Let every importer that knows the file list and decode its masks."""

    def target(data: bytes) -> None:
        with file(name, data) as path:
            for importer in _importers():
                forget = getattr(importer, "forget", None)
                if forget is not None:
                    forget()
                if importer.recognise(path, data[:HEAD_BYTES]) is None:
                    continue
                importer.belongings(path)
                with contextlib.suppress(ColdalError):
                    for found in importer.candidates(path):
                        if isinstance(found, Candidate) and found.load_onto is None:
                            with contextlib.suppress(ColdalError):
                                found.load()

    return target


@cache
def _importers() -> tuple:
    return load_registry().importers


def config(data: bytes) -> None:
    """A coldal.toml."""
    parse_config(data.decode("utf-8", "replace"), "coldal.toml")


def receipt(data: bytes) -> None:
    """What a worker leaves, and what it is given."""
    for name in ("receipt.json", "spec.json", "error.json"):
        with file(name, data) as path:
            folder = JobFolder(path.parent)
            for read in (folder.receipt, folder.read_spec, folder.error):
                with contextlib.suppress(ColdalError, FileNotFoundError):
                    read()


def manifest(data: bytes) -> None:
    """The manifest of an export, as JSON and as CSV."""
    for name in ("manifest.json", "manifest.csv"):
        with file(name, data) as path:
            read_manifest(path.parent)


def filter_words(data: bytes) -> None:
    """A filter, while it is typed and when it is entered."""
    text = data.decode("utf-8", "replace")
    for typing in (True, False):
        with contextlib.suppress(ColdalError):
            assert matching(_table(), text, typing=typing).shape == (3,)


@cache
def _table() -> ScanTable:
    whole, real = np.arange(3, dtype=np.int32), np.array([0.0, 0.5, np.nan])
    words = Words.of(["a", "b c", None])
    return ScanTable(
        scope="all",
        version=1,
        scan_id=["s0", "s 1", "ß2"],
        path=["s0.png", "d/s 1.png", "ß2.png"],
        round=whole,
        rank=whole,
        cluster=whole - 1,
        pinned=np.array([True, False, False]),
        role=words,
        status=words,
        assignee=words,
        reason=words,
        patient=words,
        entropy=real,
        diversity=real,
        score=real,
        meta={"Age": Words.of(["41", "x", ""])},
    )


def template(data: bytes) -> None:
    """A pattern of ``--match``, and a name that it is asked about."""
    text, _, name = data.decode("utf-8", "replace").partition("\n")
    Template.parse(text).apply(name or "a/b_1.png")


@dataclass(frozen=True)
class Fuzzed:
    """One target: what is called, and good inputs to begin with."""

    call: Target
    seeds: Callable[[], list[bytes]]


def _picture(ending: str) -> list[bytes]:
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    found = []
    for array in (pixels % 3, pixels):
        picture, stream = Image.fromarray(array), io.BytesIO()
        if array is not pixels and ending == "PNG":
            picture.putpalette(bytes(range(256)) * 3)
        picture.save(stream, ending)
        found.append(stream.getvalue())
    return found


def _tiff() -> list[bytes]:
    found = []
    for pixels in (np.arange(48, dtype=np.uint16).reshape(6, 8), np.ones((3, 4, 5), np.uint8)):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, compression="zlib")
        found.append(stream.getvalue())
    return found


def _nifti() -> list[bytes]:
    return [
        nib.Nifti1Image(np.ones((3, 4, 5), dtype), np.diag([1, 2, 3, 1.0])).to_bytes()
        for dtype in (np.uint8, np.float32)
    ]


def _nrrd(more: str = "") -> list[bytes]:
    head = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
        "space directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (0,0,0)\nencoding: raw\n"
    )
    return [f"{head}{more}\n".encode() + bytes(24)]


_SEGMENT = "Segment0_Name:=liver\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n"


def _metaimage() -> list[bytes]:
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 2 3\n"
        "DimSize = 2 3 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    return [head.encode() + bytes(24)]


def _dicom() -> list[bytes]:
    from tests.support.dicom_files import on_slice, save, segmentation, structure_set, write_series

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        series = write_series(folder)
        found = [(folder / "1.dcm").read_bytes()]
        drawn = np.zeros(series.slices[0].pixel_array.shape, np.uint8)
        drawn[1:3, 2:5] = 1
        square = np.array([[0.0, 0, 0], [3, 0, 0], [3, 3, 0]])
        for ds in (segmentation([on_slice(1, drawn)]), structure_set({"organ": [square]})):
            found.append(save(ds, folder / "made.dcm").read_bytes())
    return found


def _documents(*names: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from tests.project.labels.test_hostile import good_files

        files = good_files(np.random.default_rng(0))
        return [files[name] for name in names]

    return seeds


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


_RECEIPT = {
    "job_id": "9",
    "kind": "train",
    "outputs": [{"path": "a.npz", "sha256": "ab" * 32, "bytes": 3}],
    "result": {"mean": None, "classes": {"a": {"dice": 0.5}}},
}
_SPEC = {"kind": "map", "encoder_hash": "ab", "shards": [], "options": {}, "seed": 0}
_MANIFEST = {"version": 1, "classes": ["a"], "scans": [{"scan_id": "s0", "file": "s0.png"}]}

TARGETS: dict[str, Fuzzed] = {
    "read-png": Fuzzed(image(".png"), lambda: [*_picture("PNG"), *_picture("BMP")]),
    "read-jpeg": Fuzzed(image(".jpg"), lambda: _picture("JPEG")),
    "read-tiff": Fuzzed(image(".tif"), _tiff),
    "read-nifti": Fuzzed(image(".nii"), _nifti),
    "read-nrrd": Fuzzed(image(".nrrd"), _nrrd),
    "read-metaimage": Fuzzed(image(".mha"), _metaimage),
    "read-dicom": Fuzzed(image(".dcm"), lambda: _dicom()[:1]),
    "import-dicom": Fuzzed(masks("x.dcm"), lambda: _dicom()[1:]),
    "import-json": Fuzzed(
        masks("x.json"), _documents("coco.json", "tasks.json", "s0.json", "s0.png.json")
    ),
    "import-xml": Fuzzed(masks("annotations.xml"), _documents("annotations.xml")),
    "import-nrrd": Fuzzed(masks("x.seg.nrrd"), lambda: _nrrd(_SEGMENT)),
    "import-nifti": Fuzzed(masks("x.nii"), _nifti),
    "import-picture": Fuzzed(masks("x.png"), lambda: _picture("PNG")),
    "config": Fuzzed(
        config,
        lambda: [
            TEMPLATE.format(name='"x"', id="", images='"images"').encode(),
            b'[images]\ndir = "i"\n[budget]\ntotal = 3\n[hooks]\njob_done = "x"\n',
        ],
    ),
    "filter": Fuzzed(
        filter_words, _texts('cluster:1,2 -to:"b c" entropy>=0.5 is:pinned', "age<50 s0 rank:1 x")
    ),
    "template": Fuzzed(template, _texts("{annotator}/{stem}\nana/s0.png", "*_{stem}.png")),
    "receipt": Fuzzed(receipt, _texts(*map(json.dumps, (_RECEIPT, _SPEC)))),
    "manifest": Fuzzed(manifest, _texts(json.dumps(_MANIFEST), "scan_id,file\ns0,s0.png\n")),
}


def call(name: str, data: bytes) -> None:
    """Call a target; what it may do is return or raise ColdalError."""
    with warnings.catch_warnings(), contextlib.suppress(ColdalError):
        warnings.simplefilter("ignore")
        TARGETS[name].call(data)


def inputs(name: str) -> list[bytes]:
    """The seeds of a target, and what the corpus keeps of it."""
    return [*TARGETS[name].seeds(), *read_corpus(CORPUS, name)]


def read_corpus(folder: Path, name: str) -> list[bytes]:
    """What reached new branches once: a line of base64 each."""
    file = folder / f"{name}.txt"
    return list(map(base64.b64decode, file.read_text("ascii").split())) if file.exists() else []


def write_corpus(folder: Path, name: str, found: list[bytes]) -> None:
    """The inverse of :func:`read_corpus`, smallest first."""
    folder.mkdir(exist_ok=True)
    lines = [
        base64.b64encode(one).decode() for one in sorted(set(found), key=lambda d: (len(d), d))
    ]
    (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A few changes of bytes: flips, runs removed or doubled, numbers, pieces of other inputs."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(made))
        end = min(len(made), at + rng.choice((1, 1, 2, 4, 8, 40)))
        what = rng.randrange(6)
        if what == 0 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            del made[at:end]
        elif what == 2:
            made[at:at] = made[at:end] * rng.choice((1, 2, 50))
        elif what == 3:
            made[at:end] = rng.choice(
                (b"\0", b"\xff", b"-1", b"1e999", b"nan", b"\x80\0\0\0", b'"')
            )
        elif what == 4:
            other = rng.choice(others)
            start = rng.randint(0, len(other))
            made[at:end] = other[start : start + rng.choice((1, 4, 16, 64))]
        else:
            made[at:end] = rng.randbytes(end - at)
    return bytes(made[: 1 << 16])
