"""3D Slicer: volumes, pre-labels as named segments, and a script that opens them one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.colours import class_rgb
from coldal_tui.exchange.exporters.images import (
    PlacedImage,
    is_placed,
    place_as_it_is,
    place_nifti,
    placed_affine,
    prelabel_of,
    source_files,
)
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.readme import (
    EMPTY_CASE,
    KEEP_GEOMETRY,
    KEEP_MANIFEST,
    Page,
    steps,
)
from coldal_tui.exchange.exporters.seg_nrrd import write_segmentation

SCRIPT = "load_in_slicer.py"
_READ_AS_THEY_ARE = ("nifti", "nrrd", "metaimage")


def export_slicer(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write volumes in ``images/``, ``prelabels/<scan_id>.seg.nrrd`` and ``load_in_slicer.py``.

    NIfTI, NRRD and MetaImage files are copied; DICOM series and pictures become NIfTI, so that
    every program reads the same geometry for image and segments. Masks go to ``masks/``.
    """
    return pack(_Slicer(), out, items, meta, progress)


class _Slicer:
    empty = ("masks",)

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        image = _place_volume(stage, item, meta)
        label = prelabel_of(item)
        if label is None:
            return Placed(item, image.path, image.sha256, image.image_sha256)
        voxels = label.T[:, :, None] if label.ndim == 2 else label
        relative = f"prelabels/{item.scan_id}.seg.nrrd"
        affine = placed_affine(item.header)
        digest = stage.write(
            relative, lambda path: write_segmentation(path, voxels, affine, meta.classes)
        )
        return Placed(item, image.path, image.sha256, image.image_sha256, relative, digest)

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        stage.write_text(SCRIPT, load_script(len(meta.classes)))
        return {}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        first = placed[0].item.scan_id
        return Page(
            opening=[
                steps(
                    "Start 3D Slicer (5.0 or newer), and open View > Python Console.",
                    f'Type `exec(open(r"PATH/{SCRIPT}").read())` with the path of this folder '
                    "for PATH. It asks for the folder if it can't find it.",
                    "The first scan opens with its segments in the Segment Editor.",
                ),
                f"Or start it from a shell: `Slicer --python-script {SCRIPT}`, in this folder.",
                f"By hand: drag `images/{first}…` into the window, then the file of the same name "
                "in `prelabels/` (choose Segmentation under Description).",
            ],
            saving=[
                "In the Python Console: `next_scan()` saves and goes on, `save()` only saves, "
                '`load("SCAN")` opens one scan again.',
                f"By hand: File > Save Data…, only the segmentation, as `masks/<scan_id>.seg.nrrd` "
                f"(here `masks/{first}.seg.nrrd`). Keep the names of the segments.",
                KEEP_GEOMETRY,
            ],
            prelabels="They lie in `prelabels/` and are opened with their scan.",
            returning="Return the `masks/` folder, or this whole folder with it. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
        )


def _place_volume(stage: Stage, item: ExportItem, meta: ExportMeta) -> PlacedImage:
    ready = item.ref.kind in _READ_AS_THEY_ARE and is_placed(item.header)
    if ready and meta.deidentifier is None and len(source_files(item)) == 1:
        return place_as_it_is(stage, item, meta)
    return place_nifti(stage, item, meta, f"images/{item.scan_id}.nii.gz")


def load_script(classes: int) -> str:
    """The script for Slicer's Python; it loads the files in its own folder."""
    text = files("coldal_tui.exchange.exporters").joinpath("load_in_slicer.txt").read_text("utf-8")
    colours = [[round(part / 255, 4) for part in class_rgb(n)] for n in range(1, classes + 1)]
    return text.replace("@COLOURS@", json.dumps(colours))
