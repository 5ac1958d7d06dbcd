"""COCO: pictures, and pre-labels as run-length masks in one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.flat import FlatLayout
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.pictures import Picture, by_class
from coldal_tui.exchange.exporters.readme import EMPTY_CASE, KEEP_MANIFEST, Page, steps
from coldal_tui.exchange.masks.rle_encode import bounding_box, coco_counts

ANNOTATIONS = "annotations/instances_default.json"


def export_coco(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``images/`` and ``annotations/instances_default.json``; volumes as slices.

    One annotation per class and picture, as compressed RLE: holes and single pixels survive.
    """
    return pack(_Coco(), out, items, meta, progress)


class _Coco(FlatLayout):
    annotations = ANNOTATIONS

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        text = json.dumps(coco_document(self.pictures, meta), ensure_ascii=False)
        return {ANNOTATIONS: stage.write_text(ANNOTATIONS, text + "\n")}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        return Page(
            opening=[
                steps(
                    "Make a new project in a tool that reads COCO, with the classes of the table.",
                    "Upload all files of `images/`.",
                    f"Import `{ANNOTATIONS}` as COCO (instance segmentation, RLE masks).",
                ),
                *self.about_slices(placed),
            ],
            saving=[
                "Export as COCO with masks (RLE) or polygons, under the same file names, and put "
                "the JSON file into `returned/`.",
            ],
            prelabels=f"They are the annotations in `{ANNOTATIONS}`.",
            returning="Return the JSON file, or this whole folder with it. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
        )


def coco_document(
    pictures: Sequence[Picture], meta: ExportMeta, info: str | None = None
) -> dict[str, Any]:
    """A COCO data set of pictures and their labels (cocodataset.org, "Data format").

    ``info`` says what the data set is, by default scans to label.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        size = {"width": picture.columns, "height": picture.rows}
        images.append({"id": number, "file_name": picture.file, **size})
        for value, _, drawn in by_class(picture, meta.classes):
            annotations.append(
                {"id": len(annotations) + 1} | annotation_of(number, picture, value, drawn)
            )
    return {
        "info": {"description": info or f"Scans to label: {meta.project}"},
        "licenses": [],
        "categories": [
            {"id": value, "name": name, "supercategory": ""}
            for value, name in enumerate(meta.classes, start=1)
        ],
        "images": images,
        "annotations": annotations,
    }


def annotation_of(
    image: int, picture: Picture, category: int, drawn: NDArray[np.bool_]
) -> dict[str, Any]:
    """One mask (rows, columns) of a picture as a COCO annotation without its id."""
    top, left, height, width = bounding_box(drawn)
    return {
        "image_id": image,
        "category_id": category,
        "segmentation": {"size": [picture.rows, picture.columns], "counts": coco_counts(drawn)},
        "area": int(drawn.sum()),
        "bbox": [left, top, width, height],
        "iscrowd": 0,
    }
