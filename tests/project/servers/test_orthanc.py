"""A real Orthanc: scans read from it by DICOMweb, labels stored in it as DICOM segmentations."""

from __future__ import annotations

import io
from functools import partial

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

import coldal_tui.connectors.dicomweb as module
from coldal_tui.connectors import Address
from coldal_tui.connectors.dicomweb import Series, connect_dicomweb
from coldal_tui.connectors.web import Web
from coldal_tui.errors import ColdalError
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.servers.archive import fetch_series, refresh_images
from tests.cli.conftest import call
from tests.support.dicom_files import write_series
from tests.support.orthanc import TOKEN, orthanc

pytestmark = pytest.mark.xdist_group("orthanc")


def silent(done, total, name):
    """Progress that nobody watches."""


def archive_at(url, token=TOKEN):
    return connect_dicomweb(Address("archive", url, token=token))


@pytest.fixture
def stored(orthanc, tmp_path, monkeypatch):
    """The archive's address; it holds an oblique CT of five slices."""
    monkeypatch.setenv("COLDAL_TOKEN_ARCHIVE", TOKEN)
    monkeypatch.setattr(module, "Web", partial(Web, pause=lambda seconds: None, tries=2))
    write_series(tmp_path / "made")
    files = [path.read_bytes() for path in sorted((tmp_path / "made").rglob("*.dcm"))]
    study = str(dcmread(io.BytesIO(files[0])).StudyInstanceUID)
    assert archive_at(orthanc.url).store(study, files) == {}
    return orthanc


@pytest.fixture
def project(stored, tmp_path, call):
    address = stored.url.replace("http://", "dicomweb://")
    made = call("init", tmp_path / "ct", "--images", f"{address}?Modality=CT", "--classes", "organ")
    assert made.status == 0, made.err
    assert "1 series read from the archive" in made.err
    return tmp_path / "ct"


def test_scans_are_read_once_named_for_people_and_stay_when_the_archive_is_away(
    stored, project, tmp_path
):
    original = {path.read_bytes() for path in (tmp_path / "made").rglob("*.dcm")}
    read = sorted((project / "images").rglob("*.dcm"))
    assert {path.read_bytes() for path in read} == original
    assert len(read) == 5
    first = dcmread(read[0], stop_before_pixels=True)
    assert read[0].parent.parent.name == str(first.PatientID)
    with Project(project) as opened:
        (scan_id,) = [row["scan_id"] for row in opened.store.rows("SELECT scan_id FROM scans")]
        assert opened.scan(scan_id).shape == (9, 6, 5)
        report = refresh_images(opened, progress=silent)
        assert (report.new, report.there, report.away) == (0, 1, None)
        stored.stop()
        report = refresh_images(opened, progress=silent)
        assert report.away.code == "connection"
    assert len(list((project / "images").rglob("*.dcm"))) == 5


def test_a_series_that_has_grown_is_read_anew_and_a_wrong_password_is_told(
    stored, project, tmp_path, monkeypatch
):
    (folder,) = {path.parent for path in (project / "images").rglob("*.dcm")}
    (folder / "0005.dcm").unlink()
    with Project(project) as opened:
        assert refresh_images(opened, progress=silent).new == 1
        assert len(list(folder.glob("*.dcm"))) == 5
        monkeypatch.setenv("COLDAL_TOKEN_ARCHIVE", "lab:wrong")
        with pytest.raises(ColdalError) as caught:
            refresh_images(opened, progress=silent)
    assert caught.value.code == "server-login"
    assert "wrong" not in str(caught.value)


def test_no_more_is_read_than_there_is_room_for(stored, tmp_path):
    report = fetch_series(archive_at(stored.url), tmp_path / "new", progress=silent, most_bytes=0)
    assert (report.new, report.left_out) == (0, 1)
    assert not list((tmp_path / "new").rglob("*.dcm"))


def test_an_accepted_label_is_stored_and_read_back_voxel_by_voxel(stored, project, tmp_path, call):
    mask = np.zeros((9, 6, 5), np.uint8)
    mask[2:5, 1:4, 1:3] = 1
    mask[7, 5, 4] = 1
    with Project(project) as opened:
        scan = opened.scan(opened.store.value("SELECT scan_id FROM scans"))
        file = tmp_path / f"{scan.scan_id}.nii.gz"
        nib.save(nib.Nifti1Image(mask, np.asarray(scan.affine)), file)
        report = import_masks(opened, file)
        assert [one.scan_id for one in report.accepted] == [scan.scan_id], report
    told = call("push", project, "--to", "archive", "--json")
    assert told.status == 0, told.err
    assert told.json["stored"] == [scan.scan_id]
    assert call("push", project, "--to", "archive", "--json").json["there_before"] == 1

    archive = archive_at(stored.url)
    found = [one for one in archive._search({}, 0, 10) if one["00080060"]["Value"] == ["SEG"]]
    (series,) = [one["0020000E"]["Value"][0] for one in found]
    (study,) = [one["0020000D"]["Value"][0] for one in found]
    (content,) = archive.fetch(Series(study, series))
    seg = hd.seg.segread(io.BytesIO(content))
    (segment,) = seg.SegmentSequence
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("organ", "MANUAL")
    with Project(project) as opened:
        files = opened.scan(scan.scan_id).ref(opened.images).files
    order = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files]
    pixels = seg.get_pixels_by_source_instance(
        order,
        assert_missing_frames_are_empty=True,
        combine_segments=True,
        ignore_spatial_locations=True,
    )
    np.testing.assert_array_equal(pixels, mask.transpose(2, 1, 0))


def test_what_the_archive_refuses_is_told(orthanc):
    with pytest.raises(ColdalError) as caught:
        archive_at(orthanc.url).store("1.2.3", [b"no dicom at all"])
    assert caught.value.code in ("server-refused", "server")


__all__ = ["call", "orthanc"]
