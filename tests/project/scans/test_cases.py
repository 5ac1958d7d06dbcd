"""The files of a case are one scan where ``coldal.toml`` says how their names end."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.reading import read_header, read_scan
from coldal_tui.project.project import Project
from coldal_tui.project.scans.cases import join_cases
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.settings.config import edit_config

ENDS = ("_t1", "_t1ce", "_flair")


def _write(path: Path, value: int, shape: tuple[int, ...] = (5, 4, 3), step: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([step, 1.0, 3.0, 1.0])
    nib.save(nib.Nifti1Image(np.full(shape, value, np.int16), affine), path)


def _case(folder: Path, name: str, ends: tuple[str, ...] = ENDS) -> None:
    for n, end in enumerate(ends):
        _write(folder / f"{name}{end}.nii.gz", 10 * (n + 1))


def test_channels_are_in_the_order_of_the_ends(tmp_path: Path) -> None:
    _case(tmp_path, "B0")
    (scan,), problems = join_cases(index_folder(tmp_path).scans, ENDS)
    assert problems == ()
    assert (scan.name, scan.rel_path, scan.header.channels) == ("B0", "B0_flair.nii.gz", 3)
    image = read_scan(scan.ref)
    assert image.header == read_header(scan.ref) == scan.header
    assert image.array.shape == (5, 4, 3, 3)
    assert image.array[0, 0, 0].tolist() == [10, 20, 30]
    (turned,), _ = join_cases(index_folder(tmp_path).scans, ENDS[::-1])
    assert turned.quick_hash != scan.quick_hash


def test_a_case_that_lacks_a_file_is_refused_whole(tmp_path: Path) -> None:
    _case(tmp_path, "B0")
    _case(tmp_path, "B1", ("_t1", "_flair"))
    _write(tmp_path / "alone.nii.gz", 1)
    scans, problems = join_cases(index_folder(tmp_path).scans, ENDS)
    assert [scan.name for scan in scans] == ["B0", "alone"]
    assert {p.rel_path for p in problems} == {"B1_t1.nii.gz", "B1_flair.nii.gz"}
    assert problems[0].code == "incomplete-case"
    assert "the file B1_t1ce is missing" in problems[0].reason


@pytest.mark.parametrize(("shape", "step"), [((5, 4, 4), 1.0), ((5, 4, 3), 1.5)])
def test_files_of_several_grids_are_no_case(
    tmp_path: Path, shape: tuple[int, ...], step: float
) -> None:
    _case(tmp_path, "B0", ("_t1", "_t1ce"))
    _write(tmp_path / "B0_flair.nii.gz", 30, shape, step)
    scans, problems = join_cases(index_folder(tmp_path).scans, ENDS)
    assert scans == ()
    assert {p.code for p in problems} == {"grid"}


def test_a_project_of_cases(tmp_path: Path) -> None:
    for n in range(3):
        _case(tmp_path / "images" / f"B{n}", f"B{n}")
    with Project.create(tmp_path / "p", tmp_path / "images") as project:
        edit_config(project.layout.config, {("images", "channels"): ENDS})
        project.reload_config()
        report = reindex(project)
        # Three cases of equal bytes: two are copies of the first.
        assert (report.scans, len(report.duplicates), report.cases) == (3, 2, None)
        scan = project.scan("B1")
        assert (scan.channels, scan.shape, len(scan.files)) == (3, (5, 4, 3), 3)
        assert read_scan(scan.ref(project.images)).array[0, 0, 0].tolist() == [10, 20, 30]
        _write(tmp_path / "images" / "B1" / "B1_t1ce.nii.gz", 21)
        assert reindex(project).changed == ("B1",)
