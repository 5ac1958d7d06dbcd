"""Guesses the modality of files that state none; done once, at ``init``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.imaging.intensity_choice import AUTO
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord

MOST_READ = 12
"""Files that are read, evenly spread over the data set."""
_UNSAID = (None, "", "OT")
_EIGHT_BITS = ("uint8", "int8", "bool")


@dataclass(frozen=True)
class Looked:
    """What one channel of the examined files contains.

    ``sure``: Hounsfield units with air. ``maybe``: whole numbers as of CT without air (cropped)
    or with 1,024 added; ``shifted`` are those of them with 1,024 added.
    """

    files: int
    sure: int
    maybe: int
    shifted: int

    @property
    def word(self) -> str:
        if 2 * (self.sure + self.maybe) >= self.files and self.sure:
            return "ct"
        return AUTO if self.sure else "other"


@dataclass(frozen=True)
class Decision:
    """The value for ``[images] modality``, one for all channels or one each, and the reason."""

    modality: tuple[str, ...]
    reasons: tuple[str, ...]


def decide_modality(project: Project) -> Decision | None:
    """Examine files that state no modality; None when there is nothing to decide.

    Pictures of 8 bits and DICOM files need no decision. Unreadable files are skipped.
    """
    rows = project.store.tuples(
        "SELECT scan_id, modality, dtype FROM scans WHERE state = 'present' "
        "AND excluded IS NULL AND duplicate_of IS NULL ORDER BY scan_id"
    )
    asked = [
        scan_id
        for scan_id, modality, dtype in rows
        if modality in _UNSAID and dtype not in _EIGHT_BITS
    ]
    if not asked:
        return None
    few = np.unique(np.linspace(0, len(asked) - 1, MOST_READ).astype(int))
    chosen = project.scans_named(asked[n] for n in few)
    channels = {scan.channels for scan in chosen}
    found = _look(project, chosen, channels.pop() if len(channels) == 1 else 1)
    if not found or not found[0].files:
        return None
    words = tuple(one.word for one in found)
    return Decision(words[:1] if len(set(words)) == 1 else words, _reasons(len(asked), found))


def _look(project: Project, scans: Sequence[ScanRecord], channels: int) -> list[Looked]:
    from coldal_tui.imaging.intensity import hu_offset, reads_like_hu
    from coldal_tui.imaging.reading import read_scan

    counts = np.zeros((channels, 4), int)
    for scan in scans:
        try:
            array = read_scan(scan.ref(project.images)).array
        except Exception:
            continue  # a job that needs it reports why it can't be read
        for channel in range(min(channels, array.shape[-1])):
            values: NDArray[Any] = array[..., channel : channel + 1]
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)][:, np.newaxis]
            if not values.size:
                continue
            sure = reads_like_hu(values)
            whole = values.dtype.kind in "iu" or bool(np.all(values == np.rint(values)))
            shifted = not sure and whole and hu_offset(values) > 0
            cropped = not sure and whole and float(np.percentile(values, 0.5)) < 0
            counts[channel] += (1, sure, shifted or cropped, shifted)
    return [Looked(*(int(n) for n in row)) for row in counts]


def _reasons(asked: int, found: Sequence[Looked]) -> tuple[str, ...]:
    files = f"{asked:,} file{'' if asked == 1 else 's'} without a stated modality"
    reasons = []
    alike = len(set(found)) == 1
    for number, one in enumerate(found[:1] if alike else found, start=1):
        where = "" if alike else f"channel {number}: "
        looked = f"{where}of {one.files} looked at, {one.sure}"
        if one.word == "ct":
            reasons.append(f"{looked} read like CT in Hounsfield units, so all are taken for CT")
            if one.shifted:
                reasons.append(
                    f"{where}{one.shifted} hold Hounsfield units + 1,024 and are read as such"
                )
            odd = one.files - one.sure - one.maybe
            if odd:
                reasons.append(f"{where}{odd} don't look like CT: check that they belong here")
        elif one.sure:
            reasons.append(
                f"{looked} read like CT and the others don't: each file is judged by itself; set "
                "modality, or keep them in projects of their own"
            )
        elif one.maybe == one.files:
            reasons.append(
                f"{where}the {one.files} looked at could be CT that was cropped, or "
                'stored with 1,024 added; if they are CT, set modality = "ct"'
            )
        else:
            reasons.append(f"{where}none of {one.files} looked at reads like CT")
    return (f"{files}; {reasons[0]}", *reasons[1:])
