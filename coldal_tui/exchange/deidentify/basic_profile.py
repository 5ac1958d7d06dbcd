"""Gives each attribute's action in DICOM's Basic Application Level Confidentiality Profile.

``basic_profile.csv`` holds table E.1-1 of PS3.15 (column "Basic Prof."): tag, action, keyword.
Where the standard allows several actions, the one valid for every information object is taken:

=========  =====================================================================================
in table   what is done here
=========  =====================================================================================
D          a dummy of the attribute's type; a sequence is kept, its items cleaned
Z          emptied
X          removed
U          a new random UID, the same for the same UID everywhere in the export
Z/D        a dummy
X/Z        emptied
X/D        a dummy
X/Z/D      a dummy
X/Z/U*     the sequence is kept, its items cleaned, their UIDs replaced
=========  =====================================================================================

Beyond the table: private attributes, those of unknown representation and all that describes an
overlay (whose pixels the table removes) are removed; person names, dates and times that it does not
list are emptied, and UIDs that it does not list are replaced unless they name a class or transfer
syntax.
"""

from __future__ import annotations

import csv
import re
from enum import Enum
from functools import cache
from importlib.resources import files

WELL_KNOWN_ROOT = "1.2.840.10008."
"""UIDs that DICOM itself assigns: classes, transfer syntaxes, coding schemes."""


class Action(Enum):
    """What the profile does with an attribute."""

    KEEP = "K"
    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    REPLACE_UID = "U"
    CLEAN_ITEMS = "U*"


_CHOICES = {
    "D": Action.DUMMY,
    "Z": Action.EMPTY,
    "X": Action.REMOVE,
    "U": Action.REPLACE_UID,
    "Z/D": Action.DUMMY,
    "X/Z": Action.EMPTY,
    "X/D": Action.DUMMY,
    "X/Z/D": Action.DUMMY,
    "X/Z/U*": Action.CLEAN_ITEMS,
}
DUMMIES = {
    "AE": "ANONYMOUS",
    "AS": "000Y",
    "CS": "ANONYMOUS",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LO": "anonymous",
    "LT": "anonymous",
    "PN": "anonymous",
    "SH": "anonymous",
    "ST": "anonymous",
    "TM": "000000",
    "UC": "anonymous",
    "UT": "anonymous",
}
"""Dummy values, for attributes that must not be empty."""

_NAMES_A_CLASS = re.compile("SOPClass|TransferSyntax")
"""Keywords of UIDs that state an object's class, including manufacturers' private classes."""

_BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")


def action_for(tag: int, vr: str, *, keyword: str = "", is_private: bool = False) -> Action:
    """The action for an attribute with this tag (``0xGGGGEEEE``) and value representation."""
    if is_private or 0x6000 <= tag >> 16 <= 0x60FF:
        return Action.REMOVE
    listed = _listed(tag)
    if listed is not None:
        return _fitting(listed, vr)
    if vr in ("PN", "DA", "DT", "TM"):
        return Action.EMPTY
    if vr == "UI":
        return Action.KEEP if _NAMES_A_CLASS.search(keyword) else Action.REPLACE_UID
    # The content of an unknown representation can't be checked.
    return Action.REMOVE if vr == "UN" else Action.KEEP


def _fitting(action: Action, vr: str) -> Action:
    """The action for a value representation: attributes without a dummy value are emptied."""
    if vr == "SQ" and action is Action.DUMMY:
        return Action.CLEAN_ITEMS
    if vr == "UI" and action is Action.DUMMY:
        return Action.REPLACE_UID
    if action is Action.DUMMY and vr not in DUMMIES:
        return Action.REMOVE if vr in _BINARY else Action.EMPTY
    return action


def _listed(tag: int) -> Action | None:
    exact, repeating = _table()
    found = exact.get(tag)
    if found is not None:
        return found
    text = f"{tag:08X}"
    return next((action for pattern, action in repeating if pattern.fullmatch(text)), None)


@cache
def _table() -> tuple[dict[int, Action], list[tuple[re.Pattern[str], Action]]]:
    """Actions by tag, and by pattern for repeating groups."""
    text = files("coldal_tui.exchange.deidentify").joinpath("basic_profile.csv").read_text("utf-8")
    exact: dict[int, Action] = {}
    repeating: list[tuple[re.Pattern[str], Action]] = []
    for row in csv.DictReader(text.splitlines()):
        action = _CHOICES[row["action"]]
        if "x" in row["tag"]:
            repeating.append((re.compile(row["tag"].replace("x", "[0-9A-F]")), action))
        else:
            exact[int(row["tag"], 16)] = action
    return exact, repeating
