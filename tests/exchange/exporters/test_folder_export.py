"""The plain export folder: bytes, manifest, page, and the way back."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, exporter
from coldal_tui.exchange.exporters.folder import export_folder
from coldal_tui.exchange.manifest import read_manifest
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.labelfile import write_label
from tests.support.import_plan import plan_import

META = ExportMeta("lungs", "2026-03-01T09:30:00+01:00", ("lung",), 127, "Ada")
IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def photo(tmp_path) -> ExportItem:
    """A JPEG of 6 rows and 9 columns."""
    path = tmp_path / "src" / "IMG 1.JPG"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((6, 9), 90, np.uint8)).save(path)
    header = ScanHeader((6, 9), 1, "uint8", modality="CR")
    ref = ScanRef("raster", (str(path),))
    return ExportItem("photo", 2, ref, header, "medoid", 0, 3, 0.25, "coldstart")


@pytest.fixture
def brain(tmp_path) -> ExportItem:
    """A NIfTI volume."""
    path = tmp_path / "src" / "sub-01.T1.nii.gz"
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.int16), np.eye(4)), path)
    header = ScanHeader((4, 5, 6), 1, "int16", (1.0, 1.0, 1.5), IDENTITY, "MR")
    return ExportItem(
        "brain", 1, ScanRef("nifti", (str(path),)), header, "validation", 0, assignee="Ben"
    )


@pytest.fixture
def series(tmp_path) -> ExportItem:
    """A series of three files; their order is the reader's, not that of their names."""
    folder = tmp_path / "src" / "series"
    folder.mkdir(parents=True)
    files = [folder / name for name in ("IM3", "IM1", "IM2")]
    for number, file in enumerate(files):
        file.write_bytes(b"slice %d" % number)
    header = ScanHeader((8, 8, 3), 1, "int16", (1.0, 1.0, 2.0), IDENTITY, "CT")
    return ExportItem(
        "ct", 3, ScanRef("dicom", tuple(map(str, files))), header, "acquired", 1, run="r2"
    )


def files_of(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_the_layout(tmp_path, photo, brain, series):
    export_folder(tmp_path / "out", [photo, brain, series], META)

    assert files_of(tmp_path / "out") == {
        "images/photo.JPG",
        "images/brain.nii.gz",
        "images/ct/0001.dcm",
        "images/ct/0002.dcm",
        "images/ct/0003.dcm",
        "manifest.csv",
        "manifest.json",
        "labels.json",
        "README.md",
    }
    assert (tmp_path / "out" / "masks").is_dir()


def test_images_are_copied_byte_for_byte(tmp_path, photo):
    result = export_folder(tmp_path / "out", [photo], META)

    assert sha(tmp_path / "out/images/photo.JPG") == sha(Path(photo.ref.files[0]))
    assert result.images == {"photo": sha(Path(photo.ref.files[0]))}


def test_a_series_keeps_the_readers_order(tmp_path, series):
    export_folder(tmp_path / "out", [series], META)

    slices = [(tmp_path / f"out/images/ct/{n:04d}.dcm").read_bytes() for n in (1, 2, 3)]
    assert slices == [b"slice 0", b"slice 1", b"slice 2"]


def test_a_series_hash_is_that_of_its_files_hashes(tmp_path, series):
    result = export_folder(tmp_path / "out", [series], META)

    lines = "".join(sha(Path(file)) + "\n" for file in series.ref.files)
    assert result.images["ct"] == hashlib.sha256(lines.encode()).hexdigest()


def test_every_file_is_listed_with_its_hash(tmp_path, photo, series):
    result = export_folder(tmp_path / "out", [photo, series], META)

    assert result.files == {name: sha(tmp_path / "out" / name) for name in files_of(result.folder)}


def test_the_csv_manifest(tmp_path, photo, brain):
    export_folder(tmp_path / "out", [photo, brain], META)

    with (tmp_path / "out/manifest.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))

    assert " ".join(rows[0]) == (
        "rank scan_id image sha256 modality shape spacing run prelabel assignee"
    )
    brain_sha, photo_sha = (sha(Path(item.ref.files[0])) for item in (brain, photo))
    assert [",".join(row) for row in rows[1:]] == [
        f"1,brain,images/brain.nii.gz,{brain_sha},MR,4x5x6,1.0x1.0x1.5,,,Ben",
        f"2,photo,images/photo.JPG,{photo_sha},CR,6x9,,,,",
    ]


def test_the_json_manifest_says_the_same_and_more(tmp_path, photo):
    export_folder(tmp_path / "out", [photo], META)

    document = json.loads((tmp_path / "out/manifest.json").read_text())

    assert (document["format"], document["project"]) == ("coldal-tui queue", "lungs")
    assert document["items"][0]["shape"] == [6, 9]
    assert "cluster" not in document["items"][0]


def test_the_label_values(tmp_path, photo):
    export_folder(tmp_path / "out", [photo], META)

    assert json.loads((tmp_path / "out/labels.json").read_text()) == {
        "background": 0,
        "classes": [{"name": "lung", "value": 1}],
        "ignore": 127,
    }


def test_the_page_tells_names_and_values(tmp_path, photo, brain):
    export_folder(tmp_path / "out", [photo, brain], META)

    page = (tmp_path / "out/README.md").read_text()
    assert "masks/photo.png" in page
    assert "masks/brain.nii.gz" in page
    assert "| 1 (or 255) | lung |" in page
    assert "| 127 | ignore" in page


@pytest.mark.parametrize(
    ("ignore", "rows"),
    [
        (
            127,
            [
                "| 0 | background |",
                "| 1 | lung |",
                "| 127 | ignore: can't be judged |",
                "| 255 | in pre-labels only: can't be judged; put 127 or a class there |",
            ],
        ),
        (
            None,
            [
                "| 0 | background |",
                "| 1 | lung |",
                "| 255 | in pre-labels only: can't be judged; put a value above there |",
            ],
        ),
        (255, ["| 0 | background |", "| 1 | lung |", "| 255 | ignore: can't be judged |"]),
    ],
)
def test_255_is_no_class_where_a_prelabel_may_mean_ignore_by_it(
    tmp_path, photo, ignore, rows
) -> None:
    write_label(tmp_path / "pre.png", np.zeros((6, 9), np.uint8), None)
    item = replace(photo, prelabel=tmp_path / "pre.png", run="run-001")

    export_folder(tmp_path / "out", [item], replace(META, ignore_value=ignore))

    page = (tmp_path / "out/README.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("|")][2:] == rows
    values = json.loads((tmp_path / "out/labels.json").read_text())
    assert (values["ignore"], values["prelabel_ignore"]) == (ignore, 255)


def test_a_header_with_separate_pixels_takes_them_along(tmp_path, brain):
    header = tmp_path / "src" / "vol.mhd"
    header.write_text("ObjectType = Image\nElementDataFile = vol.raw\n")
    (tmp_path / "src" / "vol.raw").write_bytes(b"\1" * 120)
    item = ExportItem("vol", 1, ScanRef("metaimage", (str(header),)), brain.header, "medoid", 0)

    export_folder(tmp_path / "out", [item], META)

    assert {"images/vol/vol.mhd", "images/vol/vol.raw"} <= files_of(tmp_path / "out")
    assert read_manifest(tmp_path / "out").entries[0].image == "images/vol/vol.mhd"


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "LIST", "s%03d.raw 1 9 1"])
def test_a_header_that_points_elsewhere_is_not_followed(tmp_path, brain, name):
    header = tmp_path / "src" / "vol.nhdr"
    header.write_text(f"NRRD0004\ndata file: {name}\n")
    item = ExportItem("vol", 1, ScanRef("nrrd", (str(header),)), brain.header, "medoid", 0)

    with pytest.raises(ColdalError) as caught:
        export_folder(tmp_path / "out", [item], META)

    assert caught.value.code == "several-files"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_occupied_place_is_refused(tmp_path, photo, kind):
    if kind == "folder":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "old.txt").write_text("kept")
    else:
        (tmp_path / "out").write_text("kept")

    with pytest.raises(UsageError) as caught:
        export_folder(tmp_path / "out", [photo], META)

    assert caught.value.code == "exists"


def test_an_empty_folder_is_filled(tmp_path, photo):
    (tmp_path / "out").mkdir()

    assert export_folder(tmp_path / "out", [photo], META).folder == tmp_path / "out"
    assert (tmp_path / "out/images/photo.JPG").exists()


def test_nothing_to_export_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError, match="no scans"):
        export_folder(tmp_path / "out", [], META)


def test_a_missing_image_leaves_nothing_behind(tmp_path, photo, brain):
    Path(photo.ref.files[0]).unlink()

    with pytest.raises(ColdalError) as caught:
        export_folder(tmp_path / "exports" / "out", [brain, photo], META)

    assert (caught.value.code, caught.value.where) == ("missing", photo.ref.files[0])
    assert list((tmp_path / "exports").iterdir()) == []


def test_too_small_a_disk_is_known_beforehand(tmp_path, photo, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))

    with pytest.raises(ColdalError, match="1,000 are free") as caught:
        export_folder(tmp_path / "exports" / "out", [photo], META)

    assert caught.value.code == "disk-full"


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, photo, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(ColdalError) as caught:
        export_folder(tmp_path / "exports" / "out", [photo], META)

    assert caught.value.code == "disk-full"
    assert list((tmp_path / "exports").iterdir()) == []


def test_progress_counts_scans(tmp_path, photo, brain):
    seen = []

    export_folder(tmp_path / "out", [photo, brain], META, lambda *step: seen.append(step))

    assert seen == [(1, 2, "brain"), (2, 2, "photo")]


def test_exporters_are_found_by_name():
    assert exporter("folder") is export_folder
    with pytest.raises(UsageError, match="'fax'"):
        exporter("fax")


@pytest.fixture
def returned(tmp_path, photo):
    """An export with a pre-label of two columns, and the scan it belongs to."""
    label = np.zeros((6, 9), np.uint8)
    label[:, :2] = 1
    write_label(tmp_path / "pre.png", label, None)
    item = ExportItem(
        "photo", 1, photo.ref, photo.header, "medoid", 0, prelabel=tmp_path / "pre.png"
    )
    result = export_folder(tmp_path / "out", [item], META)
    target = ScanTarget(
        "photo",
        (6, 9),
        ("IMG 1.JPG",),
        sha256=result.images["photo"],
        files=photo.ref.files,
        prelabel=tmp_path / "pre.png",
    )
    return result.folder, target


def test_an_export_that_nobody_touched_holds_no_masks(returned):
    folder, target = returned

    result = plan_import(folder, [target], ("lung",), 127)

    assert (result.accepted, result.quarantined, result.unmatched) == ((), (), ())
    assert {v.message for v in result.ignored} == {
        "it is an image of the export",
        "it is the pre-label as exported, not edited",
        "a manifest, not a mask",
        "no mask format that is known",
    }


@pytest.mark.parametrize("where", ["", "masks", "masks/photo.png"])
def test_masks_come_back_through_the_manifest(returned, where):
    folder, target = returned
    mask = np.zeros((6, 9), np.uint8)
    mask[:, :4] = 255
    Image.fromarray(mask).save(folder / "masks" / "photo.png")

    (verdict,) = plan_import(folder / where, [target], ("lung",), 127).accepted

    assert (verdict.scan_id, verdict.matched_by) == ("photo", "manifest")


def test_a_prelabel_edited_in_place_is_a_mask(returned):
    folder, target = returned
    mask = np.zeros((6, 9), np.uint8)
    mask[:, :4] = 1
    Image.fromarray(mask).save(folder / "prelabels" / "photo.png")

    (verdict,) = plan_import(folder, [target], ("lung",), 127).accepted

    assert verdict.file == folder / "prelabels" / "photo.png"


def test_the_csv_alone_brings_masks_back(returned):
    folder, target = returned
    (folder / "manifest.json").unlink()
    Image.fromarray(np.eye(6, 9, dtype=np.uint8)).save(folder / "masks" / "photo.png")

    (verdict,) = plan_import(folder / "masks", [target], ("lung",), 127).accepted

    assert verdict.matched_by == "manifest"


def test_without_the_json_a_prelabel_is_never_taken_for_a_mask(returned):
    folder, target = returned
    (folder / "manifest.json").unlink()

    result = plan_import(folder / "prelabels", [target], ("lung",), 127)

    assert [v.status for v in (*result.accepted, *result.ignored)] == ["ignored"]


@pytest.fixture
def over(tmp_path):
    """An export of a PNG of grey 90 whose picture a mask replaced: class 1 in two columns."""
    path = tmp_path / "src" / "shade.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((6, 9), 90, np.uint8)).save(path)
    header = ScanHeader((6, 9), 1, "uint8", modality="CR")
    item = ExportItem("shade", 1, ScanRef("raster", (str(path),)), header, "medoid", 0)
    result = export_folder(tmp_path / "out", [item], META)
    target = ScanTarget("shade", (6, 9), ("shade.png",), sha256=result.images["shade"])
    mask = np.zeros((6, 9), np.uint8)
    mask[:, :2] = 1
    Image.fromarray(mask).save(result.folder / "images" / "shade.png")
    return result.folder, target


def test_a_mask_saved_over_its_picture_is_taken_and_told(over):
    folder, target = over

    (verdict,) = plan_import(folder, [target], ("lung",), 127).accepted

    assert verdict.file == folder / "images" / "shade.png"
    assert verdict.drawn.pixels == {0: 42, 1: 12}
    assert "a mask lies where its picture was exported" in verdict.warnings


def test_a_mask_in_its_own_place_counts_before_one_over_the_picture(over):
    folder, target = over
    mask = np.zeros((6, 9), np.uint8)
    mask[:, :4] = 1
    Image.fromarray(mask).save(folder / "masks" / "shade.png")

    result = plan_import(folder, [target], ("lung",), 127)

    (verdict,) = result.accepted
    assert (verdict.file.parent.name, verdict.drawn.pixels) == ("masks", {0: 30, 1: 24})
    assert verdict.warnings == ()
    assert "a mask lies where its picture was exported, and another mask claims the scan" in {
        one.message for one in result.ignored
    }


def test_a_picture_that_a_program_saved_again_is_refused_with_both_reasons(over):
    folder, target = over
    Image.fromarray(np.full((6, 9), 91, np.uint8)).save(folder / "images" / "shade.png")

    (verdict,) = plan_import(folder, [target], ("lung",), 127).quarantined

    assert verdict.code == "unknown-value"
    assert verdict.message.endswith("; a mask lies where its picture was exported")


def test_where_the_export_told_no_hash_its_picture_is_no_mask(over):
    """The table alone does not say whether the exported file is the scan's own."""
    folder, target = over
    (folder / "manifest.json").unlink()

    result = plan_import(folder, [target], ("lung",), 127)

    assert result.accepted == ()
    assert "it is an image of the export" in {one.message for one in result.ignored}


def test_somebody_elses_manifest_is_not_read(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format": "a web app", "items": []}')
    (tmp_path / "manifest.csv").write_text("name,size\nx,1\n")

    assert read_manifest(tmp_path) is None
