"""The DICOM UIDs of scans: in slice order, kept by the index, handed to mask import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from coldal_tui.imaging.image import ScanUids
from coldal_tui.project.database.schema import MIGRATIONS
from coldal_tui.project.labels.targets import targets
from coldal_tui.project.scans.dicom_uids import read_uids
from coldal_tui.project.scans.indexing import reindex

SERIES, FRAME = "1.2.3.4", "1.2.3.9"


def write_slice(path: Path, instance: str, height: float) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = instance
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", SERIES
    ds.FrameOfReferenceUID = FRAME
    ds.Modality, ds.PatientID = "CT", "p1"
    ds.ImagePositionPatient = [0, 0, height]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [1, 1]
    ds.Rows, ds.Columns = 4, 5
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelData = np.zeros((4, 5), np.int16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


@pytest.fixture
def series(lab):
    """Three slices whose file names run against their positions."""
    for name, instance, height in (("a", "1.9.30", 6.0), ("b", "1.9.2", 3.0), ("c", "1.9.1", 0.0)):
        write_slice(lab.images / "ct" / f"{name}.dcm", instance, height)
    return lab


def test_instances_come_in_slice_order(series):
    project = series.start()

    (uids,) = read_uids(project).values()

    assert uids == ScanUids(SERIES, FRAME, ("1.9.1", "1.9.2", "1.9.30"))


def test_mask_import_is_told(series):
    project = series.start()

    (target,) = targets(project)

    assert target.uids == (SERIES, FRAME, "1.9.1", "1.9.2", "1.9.30")
    assert target.instances == ("1.9.1", "1.9.2", "1.9.30")


def test_pictures_have_none(lab):
    lab.pictures("a")

    project = lab.start()

    assert read_uids(project) == {}
    assert targets(project)[0].uids == ()


def test_a_new_slice_is_noted(series):
    project = series.start()
    write_slice(series.images / "ct" / "d.dcm", "1.9.44", 9.0)

    reindex(project)

    (uids,) = read_uids(project).values()
    assert uids.instances == ("1.9.1", "1.9.2", "1.9.30", "1.9.44")


def test_an_older_project_learns_them_at_its_next_index(series):
    project = series.start()
    project.store.execute("DROP TABLE scan_uids")

    project.store.execute(MIGRATIONS[1])

    assert read_uids(project) == {}
    assert reindex(project).read == 3
    assert next(iter(read_uids(project).values())).series == SERIES


def test_a_slice_without_uids_is_no_identity(lab):
    write_slice(lab.images / "one.dcm", "1.9.1", 0.0)
    ds = pydicom.dcmread(lab.images / "one.dcm")
    del ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.FrameOfReferenceUID
    ds.save_as(lab.images / "one.dcm")

    project = lab.start()

    assert read_uids(project)[targets(project)[0].scan_id] == ScanUids("", "", ("",))
    assert targets(project)[0].uids == ()
