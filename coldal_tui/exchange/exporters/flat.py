"""The layout of 2-D exports: scans as pictures, and one annotation file for all."""

from __future__ import annotations

from collections.abc import Sequence

from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.packing import Placed
from coldal_tui.exchange.exporters.pictures import Picture, place_pictures
from coldal_tui.visible import counted


class FlatLayout:
    """Places scans as pictures in ``images/``; ``annotations`` is the file with the pre-labels."""

    empty: Sequence[str] = ("returned",)
    annotations = ""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        placed, pictures = place_pictures(stage, item, meta, self.annotations)
        self.pictures += pictures
        return placed

    def about_slices(self, placed: Sequence[Placed]) -> list[str]:
        """Notes for the labeler about volumes that were cut into slices."""
        cut = [one for one in placed if one.slices is not None]
        if not cut:
            return []
        slices = cut[0].slices
        assert slices is not None  # it is one of those that were cut
        example = slices.shown[len(slices.shown) // 2].image.rpartition("/")[2]
        every = "" if slices.every == 1 else f", every {slices.every}th one,"
        return [
            f"{counted(len(cut), 'volume')} went out as slices{every} named "
            f"`<scan_id>__<axis><number>.png` (such as `{example}`). Keep those names: with "
            "`manifest.json` they are the only way back into the volume. Finish a volume before "
            "you send it back: a slice that is listed without a drawing counts as empty, one that "
            "is missing is left out of training."
        ]
