"""NIfTI for ITK-SNAP and similar tools: every scan as a volume, with label descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.colours import IGNORE_NAME, IGNORE_RGB, class_rgb
from coldal_tui.exchange.exporters.images import nifti_prelabel, place_nifti
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.readme import (
    EMPTY_CASE,
    KEEP_GEOMETRY,
    KEEP_MANIFEST,
    Page,
    steps,
)

DESCRIPTIONS = "itksnap_labels.txt"
_HEADER = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    IDX:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
################################################
"""


def export_nifti(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``images/<scan_id>.nii.gz`` and ``prelabels/<scan_id>.nii.gz``; masks go to ``masks/``.

    Pictures become volumes of one slice. ``itksnap_labels.txt`` holds names and colours.
    """
    return pack(_Nifti(), out, items, meta, progress)


class _Nifti:
    empty = ("masks",)

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        image = place_nifti(stage, item, meta, f"images/{item.scan_id}.nii.gz")
        prelabel = nifti_prelabel(stage, item, "prelabels")
        return Placed(
            item, image.path, image.sha256, image.image_sha256, *(prelabel or (None, None))
        )

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        stage.write_text(DESCRIPTIONS, label_descriptions(meta.classes, meta.ignore_value))
        return {}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        first = placed[0].item.scan_id
        return Page(
            opening=[
                "With ITK-SNAP:",
                steps(
                    f"File > Open Main Image…, and choose `images/{first}.nii.gz`.",
                    "Segmentation > Open Segmentation…, and choose the file of the same name in "
                    "`prelabels/` (where there is one).",
                    f"Segmentation > Import Label Descriptions…, and choose `{DESCRIPTIONS}`.",
                ),
                "Or all at once, from this folder: "
                f"`itksnap -g images/{first}.nii.gz -s prelabels/{first}.nii.gz "
                f"-l {DESCRIPTIONS}` (leave `-s …` out where there is no pre-label).",
            ],
            saving=[
                steps(
                    "Segmentation > Save Segmentation Image…",
                    f"File format NIfTI, name `masks/<scan_id>.nii.gz` (here "
                    f"`masks/{first}.nii.gz`).",
                ),
                KEEP_GEOMETRY,
            ],
            prelabels="They lie in `prelabels/`, under the image's name.",
            returning="Return the `masks/` folder, or this whole folder with it. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
        )


def label_descriptions(classes: Sequence[str], ignore_value: int | None = None) -> str:
    """An ITK-SNAP label description file: background, the classes, and ignore."""
    rows = [_row(0, (0, 0, 0), 0, "Clear Label")]
    rows += [_row(value, class_rgb(value), 1, name) for value, name in enumerate(classes, start=1)]
    if ignore_value is not None:
        rows.append(_row(ignore_value, IGNORE_RGB, 1, IGNORE_NAME))
    return _HEADER + "".join(rows)


def _row(value: int, rgb: tuple[int, int, int], shown: int, name: str) -> str:
    red, green, blue = rgb
    quoted = name.replace('"', "'").replace("\n", " ")
    return (
        f"{value:5d}   {red:3d}  {green:3d}  {blue:3d}        {shown}  {shown}  {shown}"
        f'    "{quoted}"\n'
    )
