"""DICOM objects for tests: a CT series, segmentations and structure sets drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.imaging.indexing import index_folder

SERIES, FRAME, STUDY = "1.2.3.4", "1.2.3.9", "1.2.3"
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"

ROWS, COLUMNS, SLICES = 6, 9, 5
SPACING, STEP = (0.9, 0.7), 2.5
_TURN = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
ALONG, DOWN = _TURN[0], _TURN[1]
NORMAL = np.cross(ALONG, DOWN)
ORIGIN = np.array([-30.0, 12.0, 80.0])


def position(k: float, row: float = 0.0, column: float = 0.0) -> list[float]:
    """Where a voxel of the series lies, in LPS mm."""
    point = ORIGIN + NORMAL * STEP * k + DOWN * SPACING[0] * row + ALONG * SPACING[1] * column
    return [round(float(v), 6) for v in point]


ORIENTATION = [round(float(v), 8) for v in (*ALONG, *DOWN)]


def instance(k: int) -> str:
    """The SOP instance UID of a slice."""
    return f"1.2.3.4.{100 + k}"


def new(sop_class: str, uid: str, modality: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
    ds.PatientID, ds.PatientName, ds.StudyInstanceUID = "p1", "Doe^Jane", STUDY
    ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.StudyID = ""
    ds.StudyDate, ds.StudyTime, ds.ReferringPhysicianName = "20240102", "101112", ""
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = modality, "Acme", "Drawer"
    ds.SeriesNumber, ds.InstanceNumber = "1", "1"
    return ds


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


@dataclass(frozen=True)
class Series:
    """A series on disk: its slices in order, and the scan that indexing makes of it."""

    slices: tuple[Dataset, ...]
    target: ScanTarget


def targets_in(folder: Path) -> list[ScanTarget]:
    """The scans of a folder as mask import sees them."""
    found = []
    for scan in index_folder(folder).scans:
        uids = scan.uids
        every = (uids.series, uids.frame_of_reference, *uids.instances) if uids else ()
        found.append(
            ScanTarget(
                scan.name,
                scan.header.shape,
                (scan.rel_path,),
                scan.header.affine,
                scan.header.spacing,
                uids=tuple(uid for uid in every if uid),
                instances=uids.instances if uids else (),
                files=scan.ref.files,
            )
        )
    return found


def write_series(folder: Path) -> Series:
    """An oblique CT of 9 columns, 6 rows and 5 slices; file names run against the positions."""
    rng = np.random.default_rng(6)
    slices = []
    for k in range(SLICES):
        ds = new(CTImageStorage, instance(k), "CT")
        ds.SeriesInstanceUID, ds.FrameOfReferenceUID = SERIES, FRAME
        ds.PositionReferenceIndicator, ds.ImageType = "", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImagePositionPatient, ds.ImageOrientationPatient = position(k), ORIENTATION
        ds.PixelSpacing, ds.SliceThickness = list(SPACING), STEP
        ds.Rows, ds.Columns = ROWS, COLUMNS
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.PixelData = rng.integers(-99, 99, (ROWS, COLUMNS)).astype(np.int16).tobytes()
        save(ds, folder / f"{SLICES - k}.dcm")
        slices.append(ds)
    (target,) = targets_in(folder)
    return Series(tuple(slices), target)


@dataclass(frozen=True)
class Drawing:
    """A frame to write: its pixels (rows, columns), the slice it names, the place it states."""

    pixels: np.ndarray
    segment: int = 1
    source: str | None = None
    place: Sequence[float] | None = None
    turn: Sequence[float] | None = None
    spacing: Sequence[float] = SPACING
    source_frame: int | None = None


def on_slice(k: int, pixels: np.ndarray, segment: int = 1) -> Drawing:
    """A frame as most programs write it: with its source and its place."""
    return Drawing(pixels, segment, instance(k), position(k), ORIENTATION)


def item(**values: Any) -> list[Dataset]:
    """A sequence of one item."""
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return [ds]


def segmentation(
    drawings: Sequence[Drawing],
    names: Sequence[str] = ("organ",),
    *,
    kind: str = "BINARY",
    series: str | None = SERIES,
) -> Dataset:
    """A segmentation by the letter of PS3.3 C.8.20, with what import looks at."""
    labelmap = kind == "LABELMAP"
    ds = new(LABELMAP_CLASS if labelmap else SEG_CLASS, "1.9.1", "SEG")
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.9", FRAME
    ds.SegmentationType, ds.ContentCreatorName = kind, "Rater^Ann"
    ds.ContentDate, ds.ContentTime = "20240305", "060708"
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.SegmentSequence = [
        item(SegmentNumber=n, SegmentLabel=name, SegmentAlgorithmType="MANUAL")[0]
        for n, name in enumerate(names, start=1)
    ]
    if series is not None:
        sources = [d.source for d in drawings if d.source]
        ds.ReferencedSeriesSequence = item(
            SeriesInstanceUID=series,
            ReferencedInstanceSequence=[
                item(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=uid)[0]
                for uid in dict.fromkeys(sources)
            ],
        )
    ds.PerFrameFunctionalGroupsSequence = [_groups(d, labelmap=labelmap) for d in drawings]
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    pixels = np.stack([d.pixels for d in drawings])
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PixelRepresentation = 0
    bits = 1 if kind == "BINARY" else 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    if kind == "FRACTIONAL":
        ds.SegmentationFractionalType, ds.MaximumFractionalValue = "PROBABILITY", 200
    flat = pixels.astype(np.uint8).ravel()
    data = np.packbits(flat, bitorder="little") if bits == 1 else flat
    ds.PixelData = data.tobytes() + b"\0" * (data.size % 2)
    return ds


def _groups(drawing: Drawing, *, labelmap: bool) -> Dataset:
    frame = Dataset()
    if not labelmap:
        frame.SegmentIdentificationSequence = item(ReferencedSegmentNumber=drawing.segment)
    if drawing.source is not None:
        source = item(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=drawing.source)
        if drawing.source_frame is not None:
            source[0].ReferencedFrameNumber = drawing.source_frame
        frame.DerivationImageSequence = item(SourceImageSequence=source)
    if drawing.place is not None:
        frame.PlanePositionSequence = item(ImagePositionPatient=list(drawing.place))
        frame.PlaneOrientationSequence = item(ImageOrientationPatient=list(drawing.turn))
        frame.PixelMeasuresSequence = item(PixelSpacing=list(drawing.spacing))
    return frame


def structure_set(
    structures: dict[str, list[np.ndarray]],
    *,
    series: str | None = SERIES,
    instances: Sequence[str] = (),
    kind: str = "CLOSED_PLANAR",
) -> Dataset:
    """A structure set; ``structures`` are contours ``(n, 3)`` in LPS mm by name."""
    ds = new(RTSTRUCT_CLASS, "1.8.1", "RTSTRUCT")
    ds.SeriesInstanceUID, ds.StructureSetLabel = "1.8", "plan"
    ds.StructureSetDate, ds.StructureSetTime, ds.OperatorsName = "20240305", "060708", "Rater^Bob"
    ds.StructureSetROISequence = [
        item(ROINumber=10 + n, ROIName=name, ReferencedFrameOfReferenceUID=FRAME)[0]
        for n, name in enumerate(structures)
    ]
    ds.ROIContourSequence = [
        item(
            ReferencedROINumber=10 + n,
            ContourSequence=[_contour(points, kind, instances) for points in contours],
        )[0]
        for n, contours in enumerate(structures.values())
    ]
    reference = item(FrameOfReferenceUID=FRAME)
    if series is not None:
        listed = item(SeriesInstanceUID=series)
        study = item(ReferencedSOPInstanceUID=STUDY, RTReferencedSeriesSequence=listed)
        reference[0].RTReferencedStudySequence = study
    ds.ReferencedFrameOfReferenceSequence = reference
    return ds


def _contour(points: np.ndarray, kind: str, instances: Sequence[str]) -> Dataset:
    (ds,) = item(
        ContourGeometricType=kind,
        NumberOfContourPoints=len(points),
        ContourData=[f"{v:.6f}" for v in np.asarray(points).ravel()],
    )
    if instances:
        ds.ContourImageSequence = [item(ReferencedSOPInstanceUID=uid)[0] for uid in instances]
    return ds
