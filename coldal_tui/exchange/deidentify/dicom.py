"""Cleans DICOM files by the Basic Application Level Confidentiality Profile (PS3.15 Annex E)."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from coldal_tui.exchange.deidentify.basic_profile import (
    DUMMIES,
    WELL_KNOWN_ROOT,
    Action,
    action_for,
)
from coldal_tui.exchange.deidentify.keys import Keys
from coldal_tui.imaging.dicom.attributes import quiet_pydicom, transfer_syntax
from coldal_tui.imaging.readers.limits import decoding
from coldal_tui.version import __version__

_BASIC_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_MODIFIED_DATES = (
    "113107",
    "DCM",
    "Retain Longitudinal Temporal Information Modified Dates Option",
)
_DATED = ("DA", "DT")
_IDENTIFIERS = frozenset(
    {
        "AccessionNumber",
        "AdmissionID",
        "FillerOrderNumberImagingServiceRequest",
        "InstitutionAddress",
        "InstitutionName",
        "IssuerOfPatientID",
        "MedicalRecordLocator",
        "OtherPatientIDs",
        "PatientAddress",
        "PatientID",
        "PatientTelephoneNumbers",
        "PlacerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "StudyID",
    }
)
"""Attributes that identify a patient or a visit, besides person names, dates and UIDs."""
_MAKER = ("Manufacturer", "ManufacturerModelName")
_BIRTH_DATE = 0x00100030
_SHORTEST_DATE = 8


@dataclass
class Removed:
    """Identifiers removed from files; the leak check searches the export for them.

    ``names`` are names of people, as DICOM writes them; ``ids`` identify patients, visits and
    places; ``dates`` are ``YYYYMMDD``.
    """

    names: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    burned_in: set[str] = field(default_factory=set)


def cleaned(source: Path, pseudonym: str, keys: Keys, removed: Removed) -> bytes:
    """The bytes of a de-identified DICOM file; its pixels are unchanged.

    Parameters
    ----------
    pseudonym : the scan's pseudonym, which ``keys`` knows.
    removed : receives what was removed.

    Raises
    ------
    ImageError : the file can't be read.
    """
    from pydicom.dataset import FileMetaDataset

    pydicom = quiet_pydicom()
    with decoding(source):
        dataset = pydicom.dcmread(source, force=True)
        syntax = transfer_syntax(dataset)
        if str(dataset.get("BurnedInAnnotation") or "").upper() == "YES":
            removed.burned_in.add(pseudonym)
        _Cleaner(keys, removed, keys.shift_of(pseudonym)).clean(dataset)
        # Demonstration images come from an institution called like their maker, who stays.
        maker = " ".join(str(dataset.get(keyword) or "") for keyword in _MAKER).casefold()
        removed.ids -= {one for one in removed.ids if one.casefold() in maker}
        patient = keys.scans[pseudonym].patient
        dataset.PatientName = dataset.PatientID = patient
        _say_so(dataset, keys)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "")
        meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "")
        meta.TransferSyntaxUID = syntax
        dataset.file_meta = meta
        dataset.preamble = b"\0" * 128
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _say_so(dataset: Any, keys: Keys) -> None:
    """Record in the file how it was de-identified (PS3.15 E.1.1, PS3.3 C.12.1)."""
    from pydicom.dataset import Dataset

    codes = [_BASIC_PROFILE, *([_MODIFIED_DATES] if keys.dates == "shift" else [])]
    items = []
    for value, scheme, meaning in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
        items.append(item)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"coldal-tui {__version__}: PS3.15 E, Basic Profile"
    dataset.DeidentificationMethodCodeSequence = items
    dataset.LongitudinalTemporalInformationModified = (
        "MODIFIED" if keys.dates == "shift" else "REMOVED"
    )


@dataclass(frozen=True)
class _Cleaner:
    """Applies the profile to a data set, sequences included."""

    keys: Keys
    removed: Removed
    shift: int | None

    def clean(self, dataset: Any) -> None:
        # Sorted by tag, over a copy: elements are removed during the loop.
        for element in list(dataset):
            tag, vr = element.tag, str(element.VR)
            action = action_for(
                int(tag), vr, keyword=element.keyword, is_private=bool(tag.is_private)
            )
            if action is not Action.KEEP:
                self._remember(element)
            if action is Action.REMOVE:
                del dataset[tag]
            elif vr in _DATED and self.shift is not None and int(tag) != _BIRTH_DATE:
                element.value = _each(element.value, self._shifted)
            elif action is Action.EMPTY:
                dataset[tag].value = [] if vr == "SQ" else None
            elif action is Action.DUMMY:
                element.value = DUMMIES[vr]
            elif action is Action.REPLACE_UID:
                element.value = _each(element.value, self._uid)
            elif vr == "SQ":
                for item in element.value:
                    self.clean(item)

    def _uid(self, value: str) -> str:
        return value if not value or value.startswith(WELL_KNOWN_ROOT) else self.keys.uid(value)

    def _shifted(self, value: str) -> str:
        """A date shifted by the patient's number of days, without time of day; "" if not a date."""
        assert self.shift is not None  # only asked for then
        try:
            day = date(int(value[:4]), int(value[4:6]), int(value[6:8]))
            return (day + timedelta(days=self.shift)).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return ""

    def _remember(self, element: Any) -> None:
        """Record an attribute's values as removed, nested ones included."""
        vr = str(element.VR)
        if vr == "SQ":
            for item in element.value:
                for inner in item:
                    self._remember(inner)
            return
        if element.tag.is_private:
            return
        for text in _texts(element.value):
            if vr == "UI":
                if not text.startswith(WELL_KNOWN_ROOT):
                    self.removed.uids.add(text)
            elif vr in _DATED:
                if len(text) >= _SHORTEST_DATE and text[:_SHORTEST_DATE] != DUMMIES["DA"]:
                    self.removed.dates.add(text[:_SHORTEST_DATE])
            elif vr == "PN":
                self.removed.names.add(text)
            elif element.keyword in _IDENTIFIERS:
                self.removed.ids.add(text)


def _each(value: Any, change: Any) -> Any:
    """Apply a function to each part of a value."""
    if value is None or value == "":
        return value
    if isinstance(value, (list, tuple)) or hasattr(value, "append"):
        return [change(str(part)) for part in value]
    return change(str(value))


def _texts(value: Any) -> list[str]:
    """The parts of a value as stripped text, empty ones left out."""
    if value is None or isinstance(value, (bytes, bytearray)):
        return []
    parts = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    if hasattr(value, "components"):  # a person's name
        parts = [value]
    return [text for part in parts if (text := str(part).strip())]
