"""The de-identifier of one export: cleans images, and describes what was removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from coldal_tui.exchange.deidentify.dicom import Removed, cleaned
from coldal_tui.exchange.deidentify.keys import Keys


@dataclass(frozen=True)
class Deidentifier:
    """Cleans the images of one export, with consistent replacements from ``keys``."""

    keys: Keys
    removed: Removed = field(default_factory=Removed)

    def clean_dicom(self, source: Path, pseudonym: str) -> bytes:
        """The bytes of a de-identified DICOM file. Raises ImageError."""
        return cleaned(source, pseudonym, self.keys, self.removed)

    @property
    def statement(self) -> str:
        """What was removed and what was not, for the labeler's README."""
        dates = "moved by a random number of days per patient"
        dates = dates if self.keys.dates == "shift" else "left out"
        text = (
            "This export is de-identified: names, ids, file names and texts in headers are "
            f"replaced or removed, dates are {dates}. **Text that is burned into the pixels, and "
            "faces that a volume shows, are not removed.** Look at the images before you pass "
            "them on."
        )
        if self.removed.burned_in:
            scans = ", ".join(f"`{name}`" for name in sorted(self.removed.burned_in))
            text += f" These say themselves that text is burned in: {scans}."
        return text
