"""Reads one DICOM file: an image with the facts for grouping slices, or the reason why not."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from coldal_tui.imaging.affines import lps_affine, plausible_spacing
from coldal_tui.imaging.dicom.attributes import (
    channels_of,
    frames_of,
    has_gaps,
    measured_dtype,
    output_dtype,
    quiet_pydicom,
    transfer_syntax,
)
from coldal_tui.imaging.dicom.frames import frame_stack
from coldal_tui.imaging.dicom.kinds import is_capture, is_stack_slice, refuse_non_images
from coldal_tui.imaging.image import STORED_DTYPE, ScanHeader
from coldal_tui.imaging.readers.limits import check_bytes, check_picture, decoding, truncated

_ITEM, _DELIMITER = 0xE000FFFE, 0xE0DDFFFE
"""Tags of a fragment and of the end of the fragments, as little-endian 32-bit words."""

_HARD = ("EchoNumbers", "EchoTime", "TemporalPositionIdentifier", "DiffusionBValue", "ImageType")
_SOFT = (
    "AcquisitionNumber",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "FrameReferenceTime",
    "AcquisitionTime",
    "ContentTime",
)
_META = {
    "body_part": "BodyPartExamined",
    "view_position": "ViewPosition",
    "laterality": "ImageLaterality",
    "series_description": "SeriesDescription",
    "sex": "PatientSex",
    "age": "PatientAge",
    "manufacturer": "Manufacturer",
    "burned_in_annotation": "BurnedInAnnotation",
    "padding": "PixelPaddingValue",
}


class DicomObject(msgspec.Struct, frozen=True):
    """One image file of a series.

    ``series`` identifies the series (patient and series UID; the folder where a file has no
    UID), ``series_uid`` is the bare UID. ``stackable``: it belongs to a stack of slices; otherwise
    each file is its own scan; a secondary ``capture`` with a position may be either. ``hard``
    values, then ``soft`` ones (name, value), separate stacks whose slices share positions.
    ``position`` and ``orientation`` are in LPS mm
    (PS3.3 C.7.6.2).
    """

    series: str
    series_number: str
    instance: str
    order: int
    stackable: bool
    header: ScanHeader
    orientation: tuple[float, ...] | None = None
    position: tuple[float, ...] | None = None
    between: float | None = None
    thickness: float | None = None
    hard: tuple[str, ...] = ()
    soft: tuple[tuple[str, str], ...] = ()
    series_uid: str = ""
    frame_of_reference: str = ""
    capture: bool = False


def read_object(path: str | Path) -> DicomObject:
    """Read a DICOM file without decoding pixels.

    Raises ImageError: ``dicom-…`` codes and ``no-pixels`` for objects that are no images,
    ``whole-slide``, ``time-series``, ``missing-slice`` …, ``truncated``, ``damaged``.
    """
    with decoding(path):
        dataset, available = read_dataset(path)
        refuse_non_images(path, dataset, available is not None)
        _check_complete(path, dataset, available or 0)
        return _object(Path(path), dataset)


def read_dataset(path: str | Path) -> tuple[Any, int | None]:
    """Read all elements before the pixels, and the size of the pixel element in bytes.

    The size is None if the file has no pixel element. A deflated file is inflated completely.
    """
    pydicom = quiet_pydicom()
    with Path(path).open("rb") as stream:
        head = stream.read(132)
        stream.seek(0)
        force = head[128:132] != b"DICM"
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=force)
        syntax = transfer_syntax(dataset)
        if str(syntax) == "1.2.840.10008.1.2.1.99":
            stream.seek(0)
            whole = pydicom.dcmread(stream, force=force)
            pixels = whole.get("PixelData")
            return dataset, None if pixels is None else len(pixels)
        return dataset, _pixel_bytes(path, stream, dataset)


def _pixel_bytes(path: str | Path, stream: Any, dataset: Any) -> int | None:
    """Bytes of the pixel element present in the file, from where reading stopped."""
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    start = stream.tell()
    element = stream.read(12)
    end = stream.seek(0, 2)
    if len(element) < 8:
        return None
    group, number = struct.unpack(order + "HH", element[:4])
    if group != 0x7FE0 or number not in (0x0008, 0x0009, 0x0010):
        return None
    short = implicit or element[4:6] not in (b"OB", b"OW", b"UN", b"OF", b"OD")
    length = struct.unpack(order + "I", element[4:8] if short else element[8:12])[0]
    first = int(start) + (8 if short else 12)
    held = int(end) - first
    if length != 0xFFFFFFFF:
        return min(held, int(length))
    _check_fragments(path, stream, first, int(end))
    return held


def _check_fragments(path: str | Path, stream: Any, at: int, end: int) -> None:
    """Check that compressed pixel data end with their delimiter (PS3.5 A.4), skipping fragments."""
    while at + 8 <= end:
        stream.seek(at)
        tag, length = struct.unpack("<II", stream.read(8))
        if tag == _DELIMITER:
            return
        if tag != _ITEM:
            break
        at += 8 + length
    raise truncated(path, "the compressed pixel data end before their closing delimiter")


def _check_complete(path: str | Path, dataset: Any, available: int) -> None:
    """Refuse pictures too large to decode, and native pixel data that end too early."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    check_picture(path, (rows, columns))
    frames, samples = frames_of(dataset), int(dataset.get("SamplesPerPixel") or 1)
    bits = int(dataset.get("BitsAllocated") or (64 if "DoubleFloatPixelData" in dataset else 32))
    native = not transfer_syntax(dataset).is_compressed
    if native:
        if str(dataset.get("PhotometricInterpretation")) == "YBR_FULL_422":
            samples = 2
        needed = (rows * columns * frames * samples * bits + 7) // 8
        if needed > available:
            raise truncated(
                path, f"{needed - available:,} of {needed:,} bytes of pixel data are missing"
            )
    check_bytes(
        path, (rows, columns, frames, samples), max(bits // 8, 1), 1 << 62, compressed=False
    )


def _object(path: Path, dataset: Any) -> DicomObject:
    modality = str(dataset.get("Modality") or "") or None
    sop_class = str(dataset.get("SOPClassUID") or "")
    frames = frames_of(dataset)
    header, orientation, position = _header(path, dataset, frames, modality)
    placed = None not in (orientation, position, header.spacing)
    capture = frames == 1 and placed and is_capture(sop_class)
    stackable = capture or (frames == 1 and is_stack_slice(sop_class, modality))
    series_uid = str(dataset.get("SeriesInstanceUID") or "")
    uid = series_uid or f"folder {path.parent}"
    return DicomObject(
        series=f"{dataset.get('PatientID') or ''}\n{uid}",
        series_number=str(dataset.get("SeriesNumber") or ""),
        instance=str(dataset.get("SOPInstanceUID") or ""),
        order=_integer(dataset.get("InstanceNumber")),
        stackable=stackable,
        capture=capture,
        header=header,
        orientation=orientation,
        position=position,
        between=_length(dataset.get("SpacingBetweenSlices")),
        thickness=_length(dataset.get("SliceThickness")),
        hard=tuple(_text(dataset.get(key)) for key in _HARD),
        soft=tuple((key, _text(dataset.get(key))) for key in _SOFT if dataset.get(key)),
        series_uid=series_uid,
        frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
    )


def _header(
    path: Path, dataset: Any, frames: int, modality: str | None
) -> tuple[ScanHeader, tuple[float, ...] | None, tuple[float, ...] | None]:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    channels = channels_of(dataset)
    pixel_spacing = _spacing(dataset)
    meta = {key: text for key, name in _META.items() if (text := _text(dataset.get(name)))}
    if has_gaps(dataset):
        meta[STORED_DTYPE] = measured_dtype(dataset).name
    patient = _text(dataset.get("PatientID")) or None
    orientation = _floats(dataset.get("ImageOrientationPatient"), 6)
    position = _floats(dataset.get("ImagePositionPatient"), 3)
    shape: tuple[int, ...] = (rows, columns)
    affine = None
    spacing = pixel_spacing
    if "PerFrameFunctionalGroupsSequence" in dataset:
        stack = frame_stack(path, dataset, frames)
        orientation, position, spacing = stack.orientation, stack.position, stack.pixel_spacing
        affine = stack.affine
        if frames > 1:
            shape, spacing = (columns, rows, stack.depth), stack.spacing
            channels *= stack.channels
    elif frames > 1:
        shape, spacing = (columns, rows, frames), None
        meta["frames"] = "time or sequence, without positions"
    elif orientation and position and pixel_spacing:
        depth = _length(dataset.get("SliceThickness")) or 1.0
        affine = slice_affine(orientation, position, pixel_spacing, depth)
    header = ScanHeader(
        shape=shape,
        channels=channels,
        dtype=output_dtype(dataset).name,
        spacing=spacing,
        affine=affine,
        modality=modality,
        patient_id=patient,
        meta=meta,
    )
    return header, orientation, position


def slice_affine(
    orientation: tuple[float, ...],
    position: tuple[float, ...],
    spacing: tuple[float, ...],
    depth: float,
) -> Any:
    """RAS affine of one slice: i along the row, j down the column, k ``depth`` mm along the normal.

    ``spacing`` is (row, column) as in PixelSpacing (PS3.3 10.7.1.3).
    """
    along, down = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    normal = np.cross(along, down)
    return lps_affine([along * spacing[1], down * spacing[0], normal * depth], np.asarray(position))


def _spacing(dataset: Any) -> tuple[float, ...] | None:
    """(row, column) in mm: PixelSpacing, else the detector's, else an ultrasound region's."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = _floats(dataset.get(name), 2)
        spacing = plausible_spacing(values) if values else None
        if spacing:
            return spacing
    regions = dataset.get("SequenceOfUltrasoundRegions") or []
    if len(regions) == 1 and regions[0].get("PhysicalUnitsXDirection") == 3:  # 3 is cm
        across, down = regions[0].get("PhysicalDeltaX"), regions[0].get("PhysicalDeltaY")
        if across and down:
            return plausible_spacing([abs(float(down)) * 10, abs(float(across)) * 10])
    return None


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _length(value: Any) -> float | None:
    """A stated length in mm; None if absent or invalid."""
    try:
        length = abs(float(value))
    except (TypeError, ValueError):
        return None
    return length if np.isfinite(length) and length > 0 else None


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.strip()
    try:
        return "\\".join(str(v).strip() for v in value)
    except TypeError:
        return str(value).strip()
