"""Classifies DICOM objects: images or not, and slices of a stack or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coldal_tui.errors import ImageError

_CLASSES = "1.2.840.10008.5.1.4.1.1."
_STACK_CLASSES = frozenset(
    _CLASSES + tail
    for tail in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "20", "128", "128.1", "130")
)
"""CT, MR, NM and PET image storage, enhanced and legacy-converted (PS3.4 table B.5-1)."""

_STACK_MODALITIES = ("CT", "MR", "PT", "NM", "OPT")

_NOT_IMAGES: dict[str, tuple[str, str]] = {
    "SEG": ("dicom-segmentation", "a DICOM segmentation: a mask, not an image to label"),
    "RTSTRUCT": ("dicom-structures", "a DICOM structure set: contours, not an image to label"),
    "RTDOSE": ("dicom-dose", "a DICOM dose grid, not an image to label"),
    "RTPLAN": ("dicom-plan", "a DICOM treatment plan, not an image"),
    "SR": ("dicom-report", "a DICOM structured report, not an image"),
    "KO": ("dicom-report", "a DICOM key object selection, not an image"),
    "PR": ("dicom-presentation", "a DICOM presentation state, not an image"),
    "REG": ("dicom-registration", "a DICOM registration, not an image"),
    "ANN": ("dicom-annotation", "DICOM microscopy annotations, not an image"),
    "DOC": ("dicom-document", "a DICOM encapsulated document, not an image"),
    "PLAN": ("dicom-plan", "a DICOM plan, not an image"),
    "FID": ("dicom-annotation", "DICOM fiducials, not an image"),
    "RWV": ("dicom-report", "a DICOM real world value mapping, not an image"),
}
_NOT_IMAGE_CLASSES: dict[str, str] = {
    _CLASSES + "66.4": "SEG",
    _CLASSES + "66.7": "SEG",
    _CLASSES + "481.2": "RTDOSE",
    _CLASSES + "481.3": "RTSTRUCT",
    _CLASSES + "481.5": "RTPLAN",
    _CLASSES + "481.8": "RTPLAN",
    _CLASSES + "88.59": "KO",
    _CLASSES + "91.1": "ANN",
    _CLASSES + "66.1": "REG",
    _CLASSES + "66.3": "REG",
    _CLASSES + "66.2": "FID",
    _CLASSES + "67": "RWV",
    _CLASSES + "104.1": "DOC",
}


def is_stack_slice(sop_class: str, modality: str | None) -> bool:
    """Whether a single-frame object is a slice of an axial stack.

    The SOP class decides; the modality only if the class is not in the standard. A secondary
    capture counts only if it has a position (``is_capture``).
    """
    if sop_class.startswith(_CLASSES):
        return sop_class in _STACK_CLASSES
    return modality in _STACK_MODALITIES


def is_capture(sop_class: str) -> bool:
    """Whether a single-frame object is a secondary capture, which may carry a slice's geometry."""
    return sop_class == _CLASSES + "7"


def refuse_non_images(path: str | Path, dataset: Any, has_pixels: bool) -> None:
    """Raise ImageError with the actual reason if a DICOM object is no image to label."""
    name = Path(path).name
    sop_class = str(
        dataset.get("SOPClassUID")
        or getattr(dataset, "file_meta", {}).get("MediaStorageSOPClassUID")
        or ""
    )
    modality = str(dataset.get("Modality") or "")
    if sop_class == "1.2.840.10008.1.3.10" or "DirectoryRecordSequence" in dataset:
        raise ImageError(
            "a DICOMDIR: a table of contents, not an image", where=name, code="dicomdir"
        )
    if sop_class.startswith(_CLASSES + "88.") and sop_class not in _NOT_IMAGE_CLASSES:
        modality = "SR"
    if sop_class.startswith(_CLASSES + "11."):
        modality = "PR"
    modality = _NOT_IMAGE_CLASSES.get(sop_class, modality)
    if modality in _NOT_IMAGES:
        code, reason = _NOT_IMAGES[modality]
        raise ImageError(reason, where=name, code=code)
    if "WaveformSequence" in dataset:
        raise ImageError("a DICOM waveform, not an image", where=name, code="dicom-waveform")
    if modality == "SM" or sop_class == _CLASSES + "77.1.6":
        raise ImageError(
            "a whole-slide microscopy image; those are not supported",
            where=name,
            remedy="export the regions of interest as PNG or TIFF",
            code="whole-slide",
        )
    if not has_pixels or not dataset.get("Rows") or not dataset.get("Columns"):
        what = _class_name(sop_class) or modality
        raise ImageError(
            f"a DICOM object{f' ({what})' if what else ''} without pixel data",
            where=name,
            code="no-pixels",
        )


def _class_name(sop_class: str) -> str:
    from pydicom.uid import UID

    name = UID(sop_class).name if sop_class else ""
    return "" if name == sop_class else str(name)
