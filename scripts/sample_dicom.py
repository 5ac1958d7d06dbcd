"""Write the sample volumes as DICOM MR series, to try DICOM without data of your own.

    python scripts/sample_dicom.py OUT

Eleven whole series of nine made-up patients, a series without a middle slice, and a text file: a
folder as an archive gives it. The files are the same whenever they are written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

VOLUMES = Path(__file__).resolve().parent.parent / "sample_data" / "volumes" / "images"
PATIENT_OF = {2: 1, 4: 3}
"""Numbers of volumes that are a second scan of another one's patient."""


def uid(*parts: object) -> str:
    """A UID that is the same for the same parts."""
    return str(generate_uid(entropy_srcs=["coldal-tui sample", *map(str, parts)]))


def write_series(volume: Path, number: int, out: Path, *, missing: int | None = None) -> None:
    """Write the slices along the third axis of a NIfTI volume, but not the ``missing`` one."""
    image = nib.load(volume)
    values = np.asarray(image.dataobj)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    along, down = lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]
    out.mkdir(parents=True)
    for k in range(values.shape[2]):
        if k == missing:
            continue
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid(number, k)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(number, "study"), uid(number, "series")
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid(number, "frame"), ""
        patient = PATIENT_OF.get(number, number)
        ds.PatientID, ds.PatientName = f"mr-{patient:02}", f"Sample^{patient:02}"
        ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.StudyID = ""
        ds.StudyDate, ds.StudyTime, ds.ReferringPhysicianName = "20260302", "090000", ""
        ds.Modality, ds.Manufacturer, ds.SeriesNumber = "MR", "coldal-tui sample data", "1"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", "NONE", ""
        ds.MRAcquisitionType, ds.EchoTime, ds.EchoTrainLength = "3D", "3", "1"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        ds.InstanceNumber = str(k + 1)
        ds.ImagePositionPatient = [f"{v:.6f}" for v in lps[:3, 3] + lps[:3, 2] * k]
        ds.ImageOrientationPatient = [f"{v:.8f}" for v in (*along, *down)]
        ds.PixelSpacing = [f"{spacing[1]:.6f}", f"{spacing[0]:.6f}"]
        ds.SliceThickness = f"{spacing[2]:.6f}"
        ds.Columns, ds.Rows = values.shape[:2]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.PixelData = np.ascontiguousarray(values[:, :, k].T, np.int16).tobytes()
        ds.save_as(out / f"IM{k + 1:04}", enforce_file_format=True)


def write_archive(out: Path) -> None:
    """All volumes below ``out``, a folder for each; of the last one a slice is missing."""
    volumes = sorted(VOLUMES.glob("*.nii.gz"))
    for number, volume in enumerate(volumes, start=1):
        missing = 12 if number == len(volumes) else None
        write_series(volume, number, out / f"study{number:02}", missing=missing)
    (out / "README.txt").write_text("Made-up data.\n", "ascii")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a new folder")
    given = parser.parse_args()
    write_archive(given.out)
    print(given.out)
