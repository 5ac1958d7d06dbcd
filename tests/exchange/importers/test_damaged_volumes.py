"""Cut, edited and hostile volume files: a reason each, little memory, nothing accepted."""

from __future__ import annotations

import gzip
import re
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.support import dicom_files as made
from tests.support.import_plan import plan_import

CLASSES = ("anterior", "posterior")
LITTLE = 64 << 20


@pytest.fixture
def looked_at(volume, tmp_path):
    """Imports a file into a project of one scan; checks that it took little memory."""

    def look(path: Path):
        tracemalloc.start()
        plan = plan_import(path, [volume], CLASSES, None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < LITTLE
        return plan

    return look


def reason(plan) -> str:
    (verdict,) = (*plan.accepted, *plan.quarantined, *plan.unmatched)
    assert verdict.status == "quarantined"
    assert verdict.message
    return verdict.code


@pytest.fixture
def written(oblique, save_segments, tmp_path):
    """The oblique mask in any format, as bytes of one file."""

    def write(ending: str, compress: bool = True) -> Path:
        path = tmp_path / f"brain.{ending}"
        if ending == "seg.nrrd":
            return save_segments(oblique, [("anterior", 0, 1), ("posterior", 0, 2)])
        sitk.WriteImage(oblique, str(path), useCompression=compress)
        return path

    return write


ENDINGS = ["nii", "nii.gz", "nrrd", "mha", "seg.nrrd"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_file_is_never_a_label(looked_at, written, ending, share):
    path = written(ending, compress=False)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    reason(looked_at(path))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes_never_stop_an_import(looked_at, written, ending, seed):
    path = written(ending)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, min(len(content), 900), 12):
        content[at] = rng.integers(0, 256)
    path.write_bytes(content)

    plan = looked_at(path)

    told = (*plan.accepted, *plan.quarantined, *plan.unmatched, *plan.ignored)
    assert all(verdict.message or verdict.status == "accepted" for verdict in told)
    assert len(told) == 1


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha", "seg.nrrd"])
@pytest.mark.parametrize("from_end", [1, 3, 6, 12])
def test_a_wrong_checksum_is_noticed(looked_at, written, ending, from_end):
    path = written(ending)
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 0x20
    path.write_bytes(content)

    reason(looked_at(path))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", ["nrrd", "mha", "seg.nrrd"])
def test_text_headers_of_a_hundred_thousand_by_a_hundred_thousand(
    looked_at, written, ending, compress
):
    path = written(ending, compress)
    content = path.read_bytes()
    grown = re.sub(rb"(sizes:|DimSize =) 7 9 5", rb"\1 100000 100000 5", content)
    assert grown != content
    path.write_bytes(grown)

    assert reason(looked_at(path)) in ("truncated", "too-large", "damaged")


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("sizes", [(30000, 30000, 5), (30000, 30000, 30000)])
def test_nifti_headers_of_a_thousand_million_voxels(looked_at, tmp_path, ending, sizes):
    header = nib.Nifti1Header()
    header.set_data_shape(sizes)
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(4) + bytes(4000)
    path = tmp_path / f"brain.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)

    assert reason(looked_at(path)) == "unreadable"


def test_a_nifti_header_of_negative_sizes(looked_at, written):
    path = written("nii")
    content = bytearray(path.read_bytes())
    content[42:44] = (-7).to_bytes(2, "little", signed=True)
    path.write_bytes(content)

    reason(looked_at(path))


@pytest.mark.parametrize("field", ["sizes", "space directions", "encoding", "type"])
def test_a_nrrd_without_a_field(looked_at, written, field):
    path = written("nrrd")
    content = path.read_bytes()
    path.write_bytes(re.sub(rb"\n" + field.encode() + rb":[^\n]*", b"", content))

    reason(looked_at(path))


@pytest.mark.parametrize(
    "line",
    [b"data file: ../../etc/passwd", b"data file: /etc/passwd", b"data file: LIST", b"sizes: x"],
)
def test_a_nrrd_that_points_elsewhere(looked_at, tmp_path, line):
    path = tmp_path / "brain.nhdr"
    path.write_bytes(
        b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 7 9 5\nencoding: raw\n" + line + b"\n"
    )

    reason(looked_at(path))


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "LIST", "s%03d.raw 1 9 1"])
def test_a_metaimage_that_points_elsewhere(looked_at, tmp_path, name):
    path = tmp_path / "brain.mhd"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 7 9 5\nElementType = MET_UCHAR\n"
        f"ElementDataFile = {name}\n"
    )

    reason(looked_at(path))


@pytest.mark.parametrize("wrong", ["nan", "inf", "1e400", "0"])
def test_directions_that_are_no_directions(looked_at, written, wrong):
    path = written("nrrd")
    content = path.read_bytes()
    vectors = f"({wrong},{wrong},{wrong})".encode()
    broken = re.sub(rb"space directions: [^\n]*", b"space directions: " + vectors * 1, content)
    path.write_bytes(broken)

    reason(looked_at(path))


def test_flipped_bytes_of_dicom_objects_never_stop_an_import(tmp_path):
    ct = made.write_series(tmp_path / "ct")
    drawn = np.eye(made.ROWS, made.COLUMNS, dtype=np.uint8)
    corner = np.array([made.position(2, r, c) for r, c in ((0, 0), (0, 5), (4, 5))])
    objects = (
        made.segmentation([made.on_slice(k, drawn) for k in (1, 3)]),
        made.structure_set({"organ": [corner]}),
    )
    rng = np.random.default_rng(2)
    for ds in objects:
        path = made.save(ds, tmp_path / "masks" / "one.dcm")
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            for at in rng.integers(132, len(content), 4):
                content[at] = rng.integers(0, 256)
            path.write_bytes(content)

            plan = plan_import(path, [ct.target], ("organ",), None)

            told = (*plan.accepted, *plan.quarantined, *plan.unmatched, *plan.ignored)
            assert len(told) == 1
