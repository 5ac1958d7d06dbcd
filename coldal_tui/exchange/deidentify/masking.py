"""What an exporter needs of de-identification: clean files, and the words that say so."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Deidentifier(Protocol):
    """Cleans images of one export, everything replaced consistently."""

    @property
    def statement(self) -> str:
        """What was done and what was not, for the page of the labeler."""

    def clean_dicom(self, source: Path, pseudonym: str) -> bytes:
        """A DICOM file without what identifies the patient, as bytes. Raises ColdalError."""
