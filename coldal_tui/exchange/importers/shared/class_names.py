"""Finds class names for a label map's values in other files near it.

It reads ITK-SNAP's label descriptions, BIDS look-up tables, nnU-Net's ``dataset.json`` and MONAI
Label's datastore.
"""

from __future__ import annotations

from pathlib import Path

from coldal_tui.exchange.importers import monai_label, nnunet
from coldal_tui.exchange.importers.shared import bids_names, itksnap_names
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory
from coldal_tui.exchange.importers.shared.volume_masks import Names

_SOURCES = (nnunet.names_for, monai_label.names_for, bids_names.names_for, itksnap_names.names_for)
_KEY_FILES = (nnunet.KEY_FILE, monai_label.KEY_FILE)
_LEVELS = 3
"""A datastore is two levels above its labels; no other source but BIDS looks further."""


def names_beside(path: Path) -> Names | None:
    """The class names of a label map's values, if a file near it gives them."""
    if _bare.of(path) and not bids_names.may_have(path):
        return None
    return next((found for find in _SOURCES if (found := find(path)) is not None), None)


def forget_folders() -> None:
    """Clear the cache: folders may have changed."""
    _bare.forget()


def _is_bare(folder: Path) -> bool:
    """Whether neither a folder nor those above it hold a file that could name classes."""
    above = (folder, *folder.parents)[:_LEVELS]
    if any((one / name).exists() for one in above for name in _KEY_FILES):
        return False
    return not itksnap_names.may_have(folder)


_bare = FolderMemory(_is_bare)
