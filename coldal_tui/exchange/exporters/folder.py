"""The plain folder: images as they are, pre-labels, a manifest, and a page for the labeler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.images import copy_prelabel, place_as_it_is
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.readme import EMPTY_CASE, KEEP_GEOMETRY, KEEP_MANIFEST, Page
from coldal_tui.imaging.labelfile import label_suffix


def export_folder(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``items`` to the new folder ``out``, completely or not at all.

    ``images/`` as ``images.place_as_it_is`` says; ``prelabels/``, ``manifest.csv``,
    ``manifest.json``, ``labels.json``, ``README.md`` and an empty ``masks/`` lie beside it.

    Raises
    ------
    UsageError : ``out`` exists and is not empty, or nothing is to be exported.
    ColdalError : an image can't be read, or the disk is full; nothing is left behind.
    """
    return pack(_Folder(), out, items, meta, progress)


class _Folder:
    empty = ("masks",)

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        image = place_as_it_is(stage, item, meta)
        prelabel = copy_prelabel(stage, item, "prelabels")
        return Placed(
            item, image.path, image.sha256, image.image_sha256, *(prelabel or (None, None))
        )

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        return {}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        return Page(
            opening=(),
            saving=[*_saving([one.item for one in placed]), KEEP_GEOMETRY],
            prelabels="They lie in `prelabels/`. Open one, correct it, and save the result in "
            "`masks/`.",
            returning="Return the `masks/` folder, or this whole folder with it. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
        )


def _saving(items: Sequence[ExportItem]) -> list[str]:
    lines = []
    example = {label_suffix(item.header): item.scan_id for item in reversed(items)}
    if ".png" in example:
        lines.append(
            f"Pictures: one PNG per scan in `masks/`, named `<scan_id>.png` "
            f"(such as `masks/{example['.png']}.png`), 8-bit grey or palette, "
            "exactly as wide and high as the image."
        )
    if ".nii.gz" in example:
        lines.append(
            f"Volumes and images with world coordinates: one NIfTI label map per scan in "
            f"`masks/`, named `<scan_id>.nii.gz` (such as `masks/{example['.nii.gz']}.nii.gz`)."
        )
    return lines
