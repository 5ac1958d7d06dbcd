"""A DICOM file that says far too much about its patient."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.support import dicom_files


def telling_file(folder: Path) -> Path:
    """``folder/telling.dcm``, and the series that it belongs to in ``folder/told``."""
    made = dicom_files.write_series(folder / "told")
    ds = made.slices[0]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane^Q", "MRN-4711", "19800203"
    ds.OtherPatientIDs, ds.AccessionNumber = "X-99", "ACC12345"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240102"
    ds.AcquisitionDateTime, ds.StudyTime = "20240102101112.000", "101112"
    ds.InstitutionName, ds.ReferringPhysicianName = "St. Elsewhere", "House^Gregory"
    ds.StudyDescription, ds.SeriesDescription = "Thorax of Jane Doe", "T1 Doe"
    ds.PatientAge, ds.PatientSex, ds.PatientWeight = "044Y", "F", 60
    ds.BodyPartExamined, ds.KVP = "CHEST", 120
    ds.BurnedInAnnotation = "YES"
    request = Dataset()
    request.RequestedProcedureDescription, request.ScheduledProcedureStepID = "of Doe", "S1"
    ds.RequestAttributesSequence = Sequence([request])
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = ds.SOPClassUID, "1.2.3.4.101"
    source.PatientID = "MRN-4711"
    ds.SourceImageSequence = Sequence([source])
    block = ds.private_block(0x0029, "ACME", create=True)
    block.add_new(1, "LO", "Jane Doe")
    ds.add_new(0x60004000, "LT", "overlay of Doe")
    ds.add_new(0x00081070, "PN", "Smith^Operator")
    return dicom_files.save(ds, folder / "telling.dcm")
