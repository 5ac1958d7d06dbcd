"""DICOM files after the Basic Profile: what is gone, what is replaced, what stays as it was."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import coldal_tui.exchange.deidentify as package
from coldal_tui.exchange.deidentify.basic_profile import Action, action_for
from coldal_tui.exchange.deidentify.dicom import Removed, cleaned
from coldal_tui.exchange.deidentify.keys import Keys
from coldal_tui.exchange.deidentify.leak_check import find_leaks
from coldal_tui.exchange.deidentify.secrets import Secrets
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.reading import read_scan
from tests.support import dicom_files
from tests.support.places import DATA
from tests.support.telling_dicom import telling_file


@pytest.fixture
def telling(tmp_path) -> Path:
    """A CT slice that says far too much."""
    return telling_file(tmp_path)


def keys_for(patient: str = "MRN-4711", dates="remove") -> tuple[Keys, str]:
    keys = Keys(dates)
    return keys, keys.scan("ct", patient)


def clean(path: Path, keys: Keys, name: str, removed: Removed | None = None) -> Dataset:
    data = cleaned(path, name, keys, removed or Removed())
    return pydicom.dcmread(io.BytesIO(data))


@pytest.fixture
def result(telling) -> Dataset:
    return clean(telling, *keys_for())


def test_names_and_ids_are_pseudonyms(telling):
    keys, name = keys_for()
    found = clean(telling, keys, name)
    pseudonym = keys.scans[name].patient
    assert (str(found.PatientName), found.PatientID) == (pseudonym, pseudonym)
    assert keys.patients == {pseudonym: "MRN-4711"}


@pytest.mark.parametrize(
    "keyword",
    [
        "OtherPatientIDs",
        "StudyDescription",
        "SeriesDescription",
        "PatientAge",
        "PatientWeight",
        "RequestAttributesSequence",
    ],
)
def test_what_the_profile_removes_is_gone(result, keyword):
    assert keyword not in result


@pytest.mark.parametrize(
    "keyword", ["PatientBirthDate", "StudyDate", "AccessionNumber", "ReferringPhysicianName"]
)
def test_what_the_standard_demands_is_empty(result, keyword):
    assert keyword in result
    assert not result[keyword].value


def test_what_must_have_a_value_has_a_dummy(result):
    assert (result.SeriesDate, result.ContentDate) == ("19000101", "19000101")
    assert (str(result.OperatorsName), result.InstitutionName) == ("anonymous", "anonymous")


def test_private_attributes_and_overlays_are_gone(result):
    assert not [e for e in result if e.tag.is_private or e.tag.group in range(0x6000, 0x6100)]


def test_technical_attributes_and_pixels_are_as_they_were(telling, result):
    before = pydicom.dcmread(telling)
    for keyword in ("KVP", "BodyPartExamined", "ImagePositionPatient", "PixelSpacing", "Rows"):
        assert result[keyword].value == before[keyword].value
    np.testing.assert_array_equal(result.pixel_array, before.pixel_array)
    assert result.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID


def test_uids_are_replaced_consistently_and_the_map_is_kept(telling):
    keys, name = keys_for()
    found = clean(telling, keys, name)
    before = pydicom.dcmread(telling)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert keys.uids[found[keyword].value] == before[keyword].value
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
    (source,) = found.SourceImageSequence
    assert keys.uids[source.ReferencedSOPInstanceUID] == "1.2.3.4.101"
    assert source.ReferencedSOPClassUID == before.SOPClassUID
    assert found.SOPClassUID == before.SOPClassUID
    again = clean(telling, keys, name)
    assert again.SOPInstanceUID == found.SOPInstanceUID


def test_what_is_nested_is_cleaned(result):
    (source,) = result.SourceImageSequence
    assert source.PatientID in ("", "anonymous")


def test_the_file_says_what_was_done(result):
    assert result.PatientIdentityRemoved == "YES"
    assert result.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert result.LongitudinalTemporalInformationModified == "REMOVED"


def test_dates_may_be_moved_by_the_same_days(telling):
    keys, name = keys_for(dates="shift")
    found = clean(telling, keys, name)
    shift = keys.shifts[keys.scans[name].patient]
    assert -3650 <= shift <= -1
    moved = (date(2024, 1, 2) + timedelta(days=shift)).strftime("%Y%m%d")
    assert {found.StudyDate, found.SeriesDate, found.ContentDate} == {moved}
    assert found.AcquisitionDateTime == moved
    assert found.PatientBirthDate == ""
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in found.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]


def test_what_was_taken_out_is_remembered(telling):
    keys, name = keys_for()
    removed = Removed()
    clean(telling, keys, name, removed)
    assert {"Doe^Jane^Q", "House^Gregory", "Smith^Operator"} <= removed.names
    assert {"MRN-4711", "ACC12345", "X-99", "St. Elsewhere"} <= removed.ids
    assert removed.dates == {"19800203", "20240102"}
    assert "1.2.3.4.101" in removed.uids
    assert removed.burned_in == {name}


def test_a_cleaned_series_is_the_same_volume(tmp_path):
    dicom_files.write_series(tmp_path / "series")
    (before,) = index_folder(tmp_path / "series").scans
    keys, name = keys_for("p1")
    out = tmp_path / "clean"
    out.mkdir()
    for number, file in enumerate(before.ref.files):
        (out / f"{number}.dcm").write_bytes(cleaned(Path(file), name, keys, Removed()))
    (after,) = index_folder(out).scans
    assert (after.header.shape, after.header.affine) == (before.header.shape, before.header.affine)
    assert [keys.uids[uid] for uid in after.uids.instances] == list(before.uids.instances)


def test_a_makers_own_class_stays():
    assert action_for(0x00080016, "UI", keyword="SOPClassUID") is Action.KEEP


@pytest.mark.parametrize(
    ("tag", "vr", "action"),
    [
        (0x00100010, "PN", Action.EMPTY),
        (0x00100020, "LO", Action.DUMMY),
        (0x00101010, "AS", Action.REMOVE),
        (0x00080020, "DA", Action.EMPTY),
        (0x00200052, "UI", Action.REPLACE_UID),
        (0x00080022, "DA", Action.EMPTY),
        (0x00082112, "SQ", Action.CLEAN_ITEMS),
        (0x50000010, "US", Action.REMOVE),
        (0x60023000, "OW", Action.REMOVE),
        (0x60020010, "US", Action.REMOVE),
        (0x00180060, "DS", Action.KEEP),
        (0x00280010, "US", Action.KEEP),
        (0x00189999, "UN", Action.REMOVE),
    ],
)
def test_the_table_of_the_standard(tag, vr, action):
    """Table E.1-1 of PS3.15, looked up by hand."""
    assert action_for(tag, vr) is action


def test_every_row_of_the_table_names_what_pydicom_knows():
    path = Path(package.__file__).with_name("basic_profile.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) > 600
    for row in rows:
        if row["keyword"]:
            assert pydicom.datadict.keyword_for_tag(int(row["tag"], 16)) == row["keyword"]


def test_private_attributes_are_removed_whatever_they_are():
    assert action_for(0x00291001, "LO", is_private=True) is Action.REMOVE


DICOM = DATA / "dicom"


@pytest.mark.real
@pytest.mark.skipif(not DICOM.is_dir(), reason="the real DICOM files are not at ../shared/data")
def test_real_files_are_clean_and_show_the_same(tmp_path):
    """Every image that can be read, in whatever transfer syntax: no trace, no changed pixel."""
    found = [scan for scan in index_folder(DICOM).scans if scan.ref.kind == "dicom"]
    assert len(found) > 50
    for number, scan in enumerate(found):
        keys, removed = Keys("shift" if number % 2 else "remove"), Removed()
        name = keys.scan(scan.name, "p")
        folder = tmp_path / str(number)
        folder.mkdir()
        files = []
        for place, file in enumerate(scan.ref.files):
            files.append(folder / f"{place:04d}.dcm")
            files[-1].write_bytes(cleaned(Path(file), name, keys, removed))
        secrets = Secrets(removed.names, removed.ids, set(), removed.dates, removed.uids)
        assert find_leaks(folder, secrets) == [], scan.name
        after = ScanRef("dicom", tuple(map(str, files)))
        np.testing.assert_array_equal(read_scan(after).array, read_scan(scan.ref).array)
