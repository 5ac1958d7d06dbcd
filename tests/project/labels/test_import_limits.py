"""What an import keeps and unpacks is bounded: too much is told, and the disk is not filled."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from coldal_tui.exchange.incoming.archives import Limits, unpack
from coldal_tui.project.labels import source, staging
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.quarantine import waiting

RAW = 4000
"""Bytes of the pixels beside a header."""


@pytest.fixture
def project(lab):
    return lab.line(4, [("s00", "medoid"), ("s01", "medoid")])


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def held(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def header(name: str) -> bytes:
    return (
        "ObjectType = Image\nNDims = 2\nDimSize = 50 80\nElementType = MET_UCHAR\n"
        f"ElementDataFile = {name}.raw\n"
    ).encode()


def pairs(count: int) -> dict[str, bytes]:
    """Masks of another size than their scans, with their pixels in a file beside."""
    files = {}
    for n in range(count):
        files[f"s{n:02d}.mhd"] = header(f"s{n:02d}")
        files[f"s{n:02d}.raw"] = bytes([n % 2]) * RAW
    return files


def limited(monkeypatch, **limits) -> None:
    monkeypatch.setattr(
        source, "unpack", lambda archive, folder, _: unpack(archive, folder, Limits(**limits))
    )


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"free_growth": 20_000}, "it says itself that it unpacks to far more than masks do"),
        ({"free_growth": 1000}, "it says itself that it unpacks to far more than masks do"),
        ({"members": 3}, "it holds more than 3 files"),
        ({"total_bytes": 20_000}, "it says itself that it unpacks to far more than masks do"),
        ({"disk_share": 0.0}, "it says itself that it unpacks to far more than masks do"),
    ],
)
def test_an_archive_beyond_a_limit_is_told_and_leaves_nothing(
    lab, project, monkeypatch, limits, told
):
    # 64 files of 4 kB in an archive of a few: about a hundredth of that.
    files = {f"s{n:02d}.png": bytes(RAW) for n in range(64)}
    archive = zipped(lab.folder / "masks.zip", files)
    before = held(project.root)
    limited(monkeypatch, **({"growth": 1} | limits))

    report = import_masks(project, archive)

    assert [verdict.code for verdict in report.quarantined] == ["archive-limits"]
    assert told in report.quarantined[0].message
    assert report.accepted == ()
    (row,) = waiting(project)
    assert (row["code"], row["file"]) == ("archive-limits", "")
    assert list(project.layout.cache.iterdir()) == []
    assert held(project.layout.quarantine) == 0
    assert held(project.root) - before < 200_000  # rows and the journal, no masks


def test_copies_of_one_archive_are_bounded_with_all_their_files(lab, project, monkeypatch, caplog):
    monkeypatch.setattr(staging, "_ARCHIVE_KEPT_BYTES", 2 * RAW + 1000)
    archive = zipped(lab.folder / "masks.zip", pairs(4))

    report = import_masks(project, archive)

    assert len(report.quarantined) == 4
    assert held(project.layout.quarantine) <= 2 * RAW + 1000
    kept = [row["file"] for row in waiting(project)]
    assert (sum(map(bool, kept)), kept.count("")) == (2, 2)
    assert "of 2 masks in quarantine no copy was kept" in caplog.text


def test_a_mask_that_would_use_a_tenth_of_the_free_disk_is_not_copied(
    lab, project, monkeypatch, caplog
):
    for name, content in pairs(1).items():
        (lab.masks / name).write_bytes(content)
    usage = shutil.disk_usage(lab.folder)
    little = type(usage)(usage.total, usage.total - 10 * RAW, 10 * RAW)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _: little)

    import_masks(project, lab.masks)

    (row,) = waiting(project)
    assert (row["scan_id"], row["file"]) == ("s00", "")
    assert held(project.layout.quarantine) == 0
    assert "of 1 mask in quarantine no copy was kept" in caplog.text


def test_one_file_of_many_masks_is_kept_once_for_all(lab, project, monkeypatch):
    document = {
        "images": [
            {"id": n, "file_name": f"unknown{n}.png", "width": 9, "height": 6} for n in range(3)
        ],
        "categories": [{"id": 1, "name": "foreground"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4]]}
            | {"bbox": [1, 1, 3, 3], "area": 4, "iscrowd": 0}
            for n in range(3)
        ],
    }
    content = json.dumps(document).encode()
    monkeypatch.setattr(staging, "_ARCHIVE_KEPT_BYTES", int(1.5 * len(content)))

    import_masks(project, zipped(lab.folder / "masks.zip", {"coco.json": content}))

    assert len(waiting(project)) == 3
    assert all(row["file"] for row in waiting(project))
    assert held(project.layout.quarantine) == len(content)
