"""A release as COCO: pictures, volumes as slices, one annotation file per subset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from coldal_tui.exchange.exporters import ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.coco import annotation_of, coco_document
from coldal_tui.exchange.exporters.colours import IGNORE_NAME
from coldal_tui.exchange.exporters.packing import Placed
from coldal_tui.exchange.exporters.pictures import Picture, place_pictures
from coldal_tui.exchange.release.case import HELD_OUT, TRAINING, Case, PlacedCase
from coldal_tui.imaging.labelfile import IGNORE_LABEL

FILES = {TRAINING: "annotations/instances_train.json", HELD_OUT: "annotations/instances_test.json"}


class CocoRelease:
    """Labels as run-length masks, exact to the pixel; ignored pixels as crowd regions.

    Source: cocodataset.org, "Data format": an annotation with ``iscrowd`` 1 is left out of every
    measure. Its category is ``ignore``.
    """

    def __init__(self) -> None:
        self._pictures: list[Picture] = []

    def ignore_value(self, meta: ExportMeta) -> int:
        return IGNORE_LABEL

    def check(self, cases: Sequence[Case], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, case: Case, meta: ExportMeta) -> Placed:
        placed, pictures = place_pictures(stage, case.item, meta, FILES[case.subset])
        self._pictures += pictures
        return placed

    def finish(
        self, stage: Stage, placed: Sequence[PlacedCase], meta: ExportMeta, licence: str | None
    ) -> None:
        for subset, file in FILES.items():
            owners = {one.case.item.scan_id for one in placed if one.case.subset == subset}
            pictures = [picture for picture in self._pictures if picture.owner in owners]
            if pictures:
                text = json.dumps(_document(pictures, meta, licence), ensure_ascii=False)
                stage.write_text(file, text + "\n")

    def usage(self, placed: Sequence[PlacedCase]) -> tuple[str, ...]:
        said = [
            f"COCO: pictures in `images/`, run-length masks in `{FILES[TRAINING]}`. One annotation "
            "per class and picture; regions to ignore are annotations of the category `ignore` "
            "with `iscrowd` 1. A picture without annotations was labelled and shows no class.",
        ]
        if any(one.case.held_out for one in placed):
            said.append(
                f"`{FILES[HELD_OUT]}` has the patients that the project kept for validation. No "
                "model of the project was trained on them."
            )
        if any(one.placed.slices for one in placed):
            said.append(
                "Volumes are slices named `<scan_id>__<axis><number>.png`; `folds.csv` keeps the "
                "slices of a patient together. Intensities are 8-bit and windowed."
            )
        said.append(
            "`folds.csv` has one line per scan: its patient, its subset (`training` or `held "
            "out`) and its fold."
        )
        return tuple(said)


def _document(pictures: Sequence[Picture], meta: ExportMeta, licence: str | None) -> dict[str, Any]:
    document = coco_document(pictures, meta, f"Labelled scans of {meta.project}")
    if licence:
        document["licenses"] = [{"id": 1, "name": licence, "url": ""}]
        for image in document["images"]:
            image["license"] = 1
    ignored = [
        annotation_of(number, picture, len(meta.classes) + 1, drawn) | {"iscrowd": 1}
        for number, picture in enumerate(pictures, start=1)
        if picture.label is not None and np.any(drawn := picture.label == IGNORE_LABEL)
    ]
    for annotation in ignored:
        document["annotations"].append(annotation | {"id": len(document["annotations"]) + 1})
    if ignored or meta.ignore_value is not None:
        document["categories"].append(
            {"id": len(meta.classes) + 1, "name": IGNORE_NAME, "supercategory": ""}
        )
    return document
