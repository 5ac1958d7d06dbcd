"""A project's settings for image intensities. Imports no numpy."""

from __future__ import annotations

import msgspec

from coldal_tui.imaging.ct_windows import WINDOWS

AUTO = "auto"
MODALITIES: dict[str, str | None] = {
    AUTO: None,
    "ct": "CT",
    "mr": "MR",
    "pt": "PT",
    "us": "US",
    "xr": "DX",
    "other": "",
}
"""Words of ``[images] modality`` → the DICOM modality that they stand for.

``auto`` decides per file; ``other`` is no modality, and never Hounsfield units.
"""

DEFAULT_WINDOW = "soft-tissue"


class IntensityChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule for embedding, training, scoring and the screen.

    ``modality`` holds one of ``MODALITIES`` for all channels, or one for each; it applies to files
    that state none (all but DICOM). ``window`` is the name of a CT window.
    """

    modality: tuple[str, ...] = (AUTO,)
    window: str = DEFAULT_WINDOW

    @property
    def width_and_level(self) -> tuple[float, float]:
        """Width and level of the CT window, in Hounsfield units."""
        return WINDOWS[self.window]

    @property
    def words(self) -> str:
        """The choice in words, such as ``ct, window lung``."""
        return f"{' + '.join(self.modality)}, window {self.window}"


BY_FILE = IntensityChoice()
"""The default: decide per file; CT with the soft-tissue window."""
