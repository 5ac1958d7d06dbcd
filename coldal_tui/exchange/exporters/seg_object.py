"""Builds DICOM segmentations (PS3.3 A.51) with pydicom: a label map as binary segments."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.exporters.colours import class_rgb
from coldal_tui.version import __version__

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Copied from the images, so that the segmentation belongs to the same study."""
_LEFT_EMPTY = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "PatientBirthDate")
_NO_DATE, _NO_TIME = "19000101", "000000"
_SHORT_STRING = 64
_SEGMENT = (0x0062, 0x000B), (0x0062, 0x000A)
_POSITION = (0x0020, 0x0032), (0x0020, 0x9113)
_IN_STACK = (0x0020, 0x9057), (0x0020, 0x9111)


@dataclass(frozen=True)
class SourceFrame:
    """The image frame that belongs to a slice of the label.

    ``frame`` counts from 1 in a multi-frame object, None in a single-frame one. ``position`` and
    ``orientation`` are in LPS mm, None if the image has no position in space.
    """

    sop_class: str
    instance: str
    frame: int | None = None
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SegSource:
    """What a segmentation stores about its source images. ``spacing`` is (row, column) in mm."""

    dataset: Any
    frames: Sequence[SourceFrame]
    spacing: tuple[float, float] | None
    thickness: float | None


def segmentation_bytes(
    label: NDArray[np.uint8],
    source: SegSource,
    classes: Sequence[str],
    created: str,
    algorithm: str,
    *,
    accepted: bool = False,
) -> bytes | None:
    """Encode a label as the bytes of a DICOM segmentation; None when nothing is drawn.

    One binary segment per drawn class; only frames with something drawn are stored, as readers
    expect. Each frame refers to its image frame, and states its position if known.

    Parameters
    ----------
    label : ``(frames, rows, columns)`` uint8, in the order of ``source.frames``.
    created : ISO 8601; empty when the date is left out.
    algorithm : what made it, such as ``coldal-tui run-003``.
    accepted : a label that a person drew or accepted, not a model's proposal.

    Source: DICOM PS3.3 A.51, C.8.20.2, C.7.6.16, C.7.6.17.
    """
    segments = [value for value in range(1, len(classes) + 1) if (label == value).any()]
    if not segments:
        return None
    frames = list(_stored_frames(label, segments))
    made = _common(source, created, hashlib.sha256(label.tobytes()).hexdigest())
    _add_segments(made, segments, classes, algorithm)
    if accepted:
        _say_accepted(made)
    _add_dimensions(made, source)
    _add_groups(made, source, frames)
    bits = np.concatenate([(label[at] == segments[number - 1]).ravel() for number, at in frames])
    packed = np.packbits(bits, bitorder="little").tobytes()
    made.Rows, made.Columns = label.shape[1:]
    made.NumberOfFrames = len(frames)
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _stored_frames(label: NDArray[np.uint8], segments: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(segment number from 1, slice) of every frame with something drawn."""
    for number, value in enumerate(segments, start=1):
        for at in range(len(label)):
            if (label[at] == value).any():
                yield number, at


def _common(source: SegSource, created: str, content: str) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    made = Dataset()
    for keyword in _PATIENT_AND_STUDY:
        if keyword in source.dataset:
            made[keyword] = source.dataset[keyword]
    for keyword in _LEFT_EMPTY:
        if keyword not in made:
            setattr(made, keyword, "")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = _SEGMENTATION
    made.file_meta.MediaStorageSOPClassUID = UID(_SEGMENTATION)
    made.SOPInstanceUID = uid_of(*(one.instance for one in source.frames), content, created)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.SeriesInstanceUID = uid_of(made.SOPInstanceUID, "series")
    made.Modality, made.SeriesNumber, made.InstanceNumber = "SEG", "1000", "1"
    made.SeriesDescription = "Pre-label"
    made.Manufacturer = made.ManufacturerModelName = "coldal-tui"
    made.DeviceSerialNumber, made.SoftwareVersions = "0", __version__
    made.ContentLabel, made.ContentDescription = "PRELABEL", "Proposal of a model"
    made.ContentCreatorName = "coldal-tui^"
    made.ContentDate, made.ContentTime = _when(created)
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.LossyImageCompression = "00"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelRepresentation = made.HighBit = 0
    made.BitsAllocated = made.BitsStored = 1
    made.SegmentationType, made.SegmentsOverlap = "BINARY", "NO"
    frame_of_reference = source.dataset.get("FrameOfReferenceUID")
    if frame_of_reference and source.frames[0].position is not None:
        made.FrameOfReferenceUID = frame_of_reference
        made.PositionReferenceIndicator = ""
    made.ReferencedSeriesSequence = [_referenced_series(source)]
    return made


def uid_of(*parts: str) -> str:
    """A UID derived from the content it names (PS3.5 B.2): equal exports give equal files."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _when(created: str) -> tuple[str, str]:
    if not created:
        return _NO_DATE, _NO_TIME
    moment = datetime.fromisoformat(created)
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")


def _referenced_series(source: SegSource) -> Any:
    instances = dict.fromkeys((one.sop_class, one.instance) for one in source.frames)
    return _item(
        SeriesInstanceUID=source.dataset.SeriesInstanceUID,
        ReferencedInstanceSequence=[
            _item(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=uid)
            for kind, uid in instances
        ],
    )


def _add_segments(
    made: Any, segments: Sequence[int], classes: Sequence[str], algorithm: str
) -> None:
    if not all(ord(letter) < 128 for value in segments for letter in classes[value - 1]):
        made.SpecificCharacterSet = "ISO_IR 192"
    made.SegmentSequence = [
        _item(
            SegmentNumber=number,
            SegmentLabel=_label(classes[value - 1]),
            SegmentAlgorithmType="AUTOMATIC",
            SegmentAlgorithmName=algorithm[:_SHORT_STRING],
            SegmentedPropertyCategoryCodeSequence=[_code("85756007", "SCT", "Tissue")],
            SegmentedPropertyTypeCodeSequence=[_code("85756007", "SCT", "Tissue")],
            RecommendedDisplayCIELabValue=list(cielab(class_rgb(value))),
        )
        for number, value in enumerate(segments, start=1)
    ]


def _say_accepted(made: Any) -> None:
    """State that people made it (PS3.3 C.8.20.4): no algorithm's name goes with MANUAL."""
    made.SeriesDescription = "Label"
    made.ContentLabel, made.ContentDescription = "LABEL", "Accepted label"
    for segment in made.SegmentSequence:
        segment.SegmentAlgorithmType = "MANUAL"
        del segment.SegmentAlgorithmName


def _label(name: str) -> str:
    if len(name) > _SHORT_STRING or "\\" in name:
        raise ColdalError(
            f"DICOM has no room for the class name {name!r}",
            remedy=f"Use a name of at most {_SHORT_STRING} letters without a backslash.",
            code="class-name",
        )
    return name


def _add_dimensions(made: Any, source: SegSource) -> None:
    organisation = uid_of(made.SOPInstanceUID, "dimensions")
    place = _POSITION if source.frames[0].position is not None else _IN_STACK
    made.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organisation)]
    made.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=group,
        )
        for pointer, group in (_SEGMENT, place)
    ]


def _add_groups(made: Any, source: SegSource, frames: Sequence[tuple[int, int]]) -> None:
    first = source.frames[0]
    shared: dict[str, Any] = {}
    if source.spacing is not None:
        measures: dict[str, Any] = {"PixelSpacing": [_decimal(v) for v in source.spacing]}
        if source.thickness is not None:
            measures["SliceThickness"] = _decimal(source.thickness)
        shared["PixelMeasuresSequence"] = [_item(**measures)]
    if first.orientation is not None:
        turn = [_decimal(v) for v in first.orientation]
        shared["PlaneOrientationSequence"] = [_item(ImageOrientationPatient=turn)]
    made.SharedFunctionalGroupsSequence = [_item(**shared)]
    made.PerFrameFunctionalGroupsSequence = [
        _frame_group(source.frames[at], number, at) for number, at in frames
    ]


def _frame_group(frame: SourceFrame, number: int, at: int) -> Any:
    reference = _item(
        ReferencedSOPClassUID=frame.sop_class,
        ReferencedSOPInstanceUID=frame.instance,
        PurposeOfReferenceCodeSequence=[
            _code("121322", "DCM", "Source image for image processing operation")
        ],
    )
    if frame.frame is not None:
        reference.ReferencedFrameNumber = frame.frame
    content: dict[str, Any] = {"DimensionIndexValues": [number, at + 1]}
    if frame.position is None:
        content |= {"StackID": "1", "InStackPositionNumber": at + 1}
    group = _item(
        FrameContentSequence=[_item(**content)],
        SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=number)],
        DerivationImageSequence=[
            _item(
                SourceImageSequence=[reference],
                DerivationCodeSequence=[_code("113076", "DCM", "Segmentation")],
            )
        ],
    )
    if frame.position is not None:
        place = [_decimal(v) for v in frame.position]
        group.PlanePositionSequence = [_item(ImagePositionPatient=place)]
    return group


def _item(**values: Any) -> Any:
    from pydicom.dataset import Dataset

    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _code(value: str, scheme: str, meaning: str) -> Any:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _decimal(value: float) -> Any:
    """A decimal string: at most 16 characters (PS3.5 6.2)."""
    from pydicom.valuerep import DSfloat

    return DSfloat(float(value) + 0.0, auto_format=True)


def cielab(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """sRGB (0 to 255) as DICOM's CIELab of 16 bits (PS3.3 C.10.7.1.1; D65 to D50 by Bradford)."""
    unit = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4360747, 0.3850649, 0.1430804],
            [0.2225045, 0.7168786, 0.0606169],
            [0.0139322, 0.0971045, 0.7141733],
        ]
    )
    white = to_xyz.sum(axis=1)
    ratio = (to_xyz @ linear) / white
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, a, b = 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])
    scaled = (lightness / 100 * 65535, (a + 128) / 255 * 65535, (b + 128) / 255 * 65535)
    red, green, blue = (int(np.clip(round(float(v)), 0, 65535)) for v in scaled)
    return red, green, blue
