"""Finds class names for a label map's values in other files near it.

It reads ITK-SNAP's label descriptions, BIDS look-up tables, nnU-Net's ``dataset.json`` and MONAI
Label's datastore.
"""

from __future__ import annotations

from pathlib import Path

from coldal_tui.exchange.importers import monai_label, nnunet
from coldal_tui.exchange.importers.shared import bids_names, itksnap_names
from coldal_tui.exchange.importers.shared.volume_masks import Names

_SOURCES = (nnunet.names_for, monai_label.names_for, bids_names.names_for, itksnap_names.names_for)


def names_beside(path: Path) -> Names | None:
    """The class names of a label map's values, if a file near it gives them."""
    return next((found for find in _SOURCES if (found := find(path)) is not None), None)
