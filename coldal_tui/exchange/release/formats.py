"""The formats of a release by name."""

from __future__ import annotations

from collections.abc import Sequence

from coldal_tui.exchange.release.bids import BidsRelease
from coldal_tui.exchange.release.case import Case, ReleaseFormat
from coldal_tui.exchange.release.coco_pictures import CocoRelease
from coldal_tui.exchange.release.nnunet_folders import NnunetRelease
from coldal_tui.exchange.release.plain_folder import FolderRelease

FORMATS = ("folder", "nnunet", "coco", "bids")


def release_format(
    name: str, cases: Sequence[Case], bids_suffix: str | None = None
) -> ReleaseFormat:
    """The format ``name`` (one of ``FORMATS``) for these cases."""
    if name == "nnunet":
        return NnunetRelease([case.item for case in cases])
    if name == "coco":
        return CocoRelease()
    if name == "bids":
        return BidsRelease(cases, bids_suffix)
    return FolderRelease()
