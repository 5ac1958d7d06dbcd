"""Every file ends in a scan or in the list of problems, and an unchanged tree is only stat-ed."""

import gzip
import hashlib
import os
from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.errors import ImageError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.indexing import (
    IndexResult,
    find_duplicates,
    index_folder,
    is_as_indexed,
    quick_hash,
)
from coldal_tui.imaging.reading import read_scan
from tests.support.places import DATA

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (8, 9), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def paths(found: IndexResult) -> list[str]:
    return [s.rel_path for s in found.scans]


def problem(found: IndexResult, rel_path: str) -> tuple[str, str]:
    return next((p.code, p.kind) for p in found.problems if p.rel_path == rel_path)


def test_scans_come_in_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a/b.png", "c.png"):
        picture(tmp_path / name)
    assert paths(index_folder(tmp_path)) == ["a/b.png", "a/z.png", "b.png", "c.png"]


@pytest.mark.parametrize("workers", [1, 8])
def test_the_result_does_not_depend_on_threads(tmp_path: Path, workers: int) -> None:
    for n in range(20):
        picture(tmp_path / f"{n}.png", n)
    assert index_folder(tmp_path, workers=workers) == index_folder(tmp_path, workers=3)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("metadata.csv", b"a,b\n1,2\n", ("not-an-image", "not-an-image")),
        ("README", b"hello\n", ("not-an-image", "not-an-image")),
        ("empty.png", b"", ("empty", "unreadable")),
        ("text.png", b"not a picture at all", ("damaged", "unreadable")),
        (
            "lfs.nii.gz",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            ("lfs-pointer", "unreadable"),
        ),
        ("a.gif", b"GIF89a" + bytes(20), ("unsupported-format", "refused")),
        ("a.zip", b"PK\x03\x04" + bytes(20), ("not-an-image", "not-an-image")),
        ("a.gz", gzip.compress(b"hello", mtime=0), ("not-an-image", "not-an-image")),
        ("a.nii.gz", b"\x1f\x8b\x08\0 garbage", ("damaged", "unreadable")),
        ("a.bin", bytes(range(256)), ("unknown-format", "not-an-image")),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0", ("truncated", "unreadable")),
    ],
)
def test_what_is_no_scan_is_listed(
    tmp_path: Path, name: str, content: bytes, expected: tuple[str, str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert problem(index_folder(tmp_path), name) == expected


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / "scan.dat")
    assert index_folder(tmp_path).scans[0].ref.kind == "raster"


def test_hidden_files_and_a_projects_own_folders_are_passed_over(tmp_path: Path) -> None:
    for name in (".DS_Store", ".git/a.png", ".coldal/b.png", "labels/c.png", "exports/d.png"):
        picture(tmp_path / "x.png").rename(tmp_path / "y")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / "y").rename(tmp_path / name)
    (tmp_path / "coldal.toml").write_text("")
    found = index_folder(tmp_path)
    assert (found.scans, found.problems) == ((), ())


def test_labels_folder_without_a_project_is_indexed(tmp_path: Path) -> None:
    picture(tmp_path / "labels" / "a.png")
    assert paths(index_folder(tmp_path)) == ["labels/a.png"]


@pytest.mark.parametrize("pattern", ["masks", "masks/*", "deep/masks", "*_mask.png", "m?sks"])
def test_excluded_files_are_passed_over(tmp_path: Path, pattern: str) -> None:
    picture(tmp_path / "deep" / "masks" / "a_mask.png")
    picture(tmp_path / "masks" / "b_mask.png")
    picture(tmp_path / "c.png")
    left = {
        "masks/*": ["c.png", "deep/masks/a_mask.png"],
        "deep/masks": ["c.png", "masks/b_mask.png"],
    }
    assert paths(index_folder(tmp_path, exclude=[pattern])) == left.get(pattern, ["c.png"])


def test_only_included_files_are_indexed(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "masks" / "a.png")
    assert paths(index_folder(tmp_path, include=["images"])) == ["images/a.png"]


def test_an_unchanged_tree_is_not_read_again(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("x")
    first = index_folder(tmp_path)
    again = index_folder(tmp_path, known=first.known)
    assert (again.read, again.scans, again.problems) == (0, first.scans, first.problems)


def test_only_a_changed_file_is_read_again(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    first = index_folder(tmp_path)
    picture(tmp_path / "b.png", seed=4)
    os.utime(tmp_path / "b.png", ns=(1, 1))
    again = index_folder(tmp_path, known=first.known)
    assert again.read == 1
    assert again.scans[0] == first.scans[0]
    assert again.scans[1].quick_hash != first.scans[1].quick_hash


def test_what_is_known_survives_json(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("x")
    first = index_folder(tmp_path)
    assert msgspec.json.decode(msgspec.json.encode(first), type=IndexResult) == first


def test_quick_hash_is_size_head_and_tail(tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(300_000)
    (tmp_path / "a").write_bytes(content)
    wanted = hashlib.blake2b(digest_size=16)
    wanted.update((300_000).to_bytes(8, "little") + content[:65536] + content[-65536:])
    assert quick_hash(tmp_path / "a", 300_000) == wanted.hexdigest()


def test_sha256_is_of_all_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_exact_copies_are_found(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "b.png", 2)
    picture(tmp_path / "c.png", 1)
    assert find_duplicates(index_folder(tmp_path).scans) == {2: 0}


def test_equal_quick_hashes_are_confirmed_by_all_bytes(tmp_path: Path) -> None:
    values = np.zeros((60, 60, 60), np.int16)
    for n, name in enumerate(("a.nii", "b.nii")):
        values[30, 30, 30] = n  # in the middle, where the quick hash does not look
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / name)
    scans = index_folder(tmp_path).scans
    assert scans[0].quick_hash == scans[1].quick_hash
    assert find_duplicates(scans) == {}


@pytest.mark.parametrize(("header", "data"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw")])
def test_a_voxel_file_belongs_to_its_header(tmp_path: Path, header: str, data: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 4, 5), np.int16)), str(tmp_path / header))
    found = index_folder(tmp_path)
    assert found.problems == ()
    assert [f.rel_path for f in found.scans[0].files] == [header, data]


def test_a_header_is_read_again_when_its_voxels_change(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 4, 5), np.int16)), str(tmp_path / "a.mhd"))
    first = index_folder(tmp_path)
    (tmp_path / "a.raw").write_bytes(b"")
    found = index_folder(tmp_path, known=first.known)
    assert problem(found, "a.mhd") == ("truncated", "unreadable")


def test_links_are_followed_once(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "deep" / "a.png")
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere")
    found = index_folder(tmp_path / "in")
    assert paths(found) == ["deep/a.png"]
    assert problem(found, "gone.png") == ("missing", "unreadable")


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert index_folder(tmp_path).known == {}


def test_a_name_that_is_no_utf8_is_listed(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    os.rename(os.fsencode(tmp_path / "a.png"), os.fsencode(tmp_path) + b"/\xff.png")  # noqa: PTH104
    found = index_folder(tmp_path)
    assert [(p.rel_path, p.code) for p in found.problems] == [("\\xff.png", "file-name")]
    msgspec.json.encode(found)


def test_progress_counts_up_to_all_files(tmp_path: Path) -> None:
    for n in range(3):
        picture(tmp_path / f"{n}.png")
    seen: list[tuple[int, int, str]] = []
    index_folder(tmp_path, progress=lambda *step: seen.append(step))
    assert seen == [(1, 3, "0.png"), (2, 3, "1.png"), (3, 3, "2.png")]


@pytest.mark.parametrize("name", ["scan.v2.nii.gz", "scan.v2.png"])
def test_the_name_is_the_stem(tmp_path: Path, name: str) -> None:
    if name.endswith(".png"):
        picture(tmp_path / name)
    else:
        nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), tmp_path / name)
    assert index_folder(tmp_path).scans[0].name == "scan.v2"


@pytest.mark.real
@pytest.mark.parametrize(
    "folder",
    ["cxr/images", "cxr_originals/images", "hippocampus/images", "retina_chasedb1/images"],
)
def test_real_folders_index_and_read(folder: str) -> None:
    if not DATA.is_dir():
        pytest.skip("../shared/data is not here")
    found = index_folder(DATA / folder)
    count = len(list((DATA / folder).iterdir()))
    assert (len(found.scans), found.problems) == (count, ())
    for scan in found.scans[:: max(1, count // 26)]:
        image = read_scan(scan.ref)
        assert (image.header, image.array.dtype.name) == (scan.header, scan.header.dtype)


@pytest.fixture(scope="module")
def dicom_index() -> IndexResult:
    if not (DATA / "dicom").is_dir():
        pytest.skip("../shared/data is not here")
    return index_folder(DATA / "dicom")


@pytest.mark.real
def test_every_real_dicom_file_is_in_a_scan_or_listed(dicom_index: IndexResult) -> None:
    root = DATA / "dicom"
    used = [f.rel_path for s in dicom_index.scans for f in s.files]
    listed = [p.rel_path for p in dicom_index.problems]
    everything = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    assert sorted(used + listed) == everything


@pytest.mark.real
def test_every_real_dicom_scan_reads(dicom_index: IndexResult) -> None:
    failed = {}
    for scan in dicom_index.scans:
        try:
            read_scan(scan.ref)
        except ImageError as error:
            failed[scan.rel_path] = error.code
    assert failed == {}


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("highdicom/seg_image_ct_binary.dcm", "dicom-segmentation"),
        ("highdicom/sm_image.dcm", "whole-slide"),
        ("highdicom/sm_annotations.dcm", "dicom-annotation"),
        ("pydicom/rtdose.dcm", "dicom-dose"),
        ("pydicom/badVR.dcm", "dicom-dose"),
        ("pydicom/rtplan.dcm", "dicom-plan"),
        ("pydicom/rtstruct.dcm", "dicom-structures"),
        ("pydicom/test-SR.dcm", "dicom-report"),
        ("pydicom/waveform_ecg.dcm", "dicom-waveform"),
        ("pydicom/dicomdirtests/DICOMDIR", "dicomdir"),
        ("pydicom/UN_sequence.dcm", "no-pixels"),
        ("pydicom/MR_truncated.dcm", "truncated"),
        ("pydicom/JPEG2000-embedded-sequence-delimiter.dcm", "damaged"),
        ("pydicom/MR_small_RLE.dcm", "duplicate-instance"),
        ("pydicom/zipMR.gz", "compressed"),
        ("pydicom/crayons.icc", "unknown-format"),
        ("pydicom/dicomdirtests/77654033/CT2/17136", "missing-slice"),
    ],
)
def test_real_problems_have_true_reasons(dicom_index: IndexResult, path: str, code: str) -> None:
    assert problem(dicom_index, path)[0] == code


@pytest.mark.real
def test_real_oblique_series_is_a_volume() -> None:
    root = DATA / "dicom" / "rt-utils" / "oriented_data"
    if not root.is_dir():
        pytest.skip("../shared/data is not here")
    scan = index_folder(root).scans[0]
    itk = sitk.ReadImage([str(root / f"{n}.dcm") for n in range(3)])
    lps = np.array(itk.TransformIndexToPhysicalPoint((7, 5, 2)))
    ours = np.asarray(scan.header.affine) @ [7, 5, 2, 1]
    np.testing.assert_allclose(ours[:3], lps * [-1, -1, 1], atol=1e-3)


def test_a_scan_knows_whether_its_files_are_those_that_were_indexed(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    (scan,) = index_folder(tmp_path).scans
    assert is_as_indexed(scan.ref, scan.quick_hash)
    assert is_as_indexed(scan.ref, "made up")
    Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "a.png")
    assert not is_as_indexed(scan.ref, scan.quick_hash)
