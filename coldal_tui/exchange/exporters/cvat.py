"""CVAT: pictures, labels to paste, and pre-labels as CVAT for images 1.1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.colours import class_hex
from coldal_tui.exchange.exporters.flat import FlatLayout
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.pictures import Picture, by_class
from coldal_tui.exchange.exporters.readme import EMPTY_CASE, KEEP_MANIFEST, Page, steps
from coldal_tui.exchange.masks.rle_encode import cvat_mask

ANNOTATIONS, LABELS = "annotations.xml", "cvat_labels.json"


def export_cvat(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``images/``, ``annotations.xml`` and ``cvat_labels.json``; volumes as slices.

    One mask per class and picture.
    """
    return pack(_Cvat(), out, items, meta, progress)


class _Cvat(FlatLayout):
    annotations = ANNOTATIONS

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        labels = json.dumps(constructor_labels(meta.classes), indent=2, ensure_ascii=False)
        stage.write_text(LABELS, labels + "\n")
        digest = stage.write_bytes(ANNOTATIONS, cvat_xml(self.pictures, meta))
        return {ANNOTATIONS: digest}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        drawn = any(one.prelabel for one in placed)
        upload = [
            f"In the task: Actions > Upload annotations > CVAT 1.1, and choose `{ANNOTATIONS}`."
        ]
        return Page(
            opening=[
                steps(
                    "Tasks > + > Create a new task; give it a name.",
                    f"Labels > Raw: paste the content of `{LABELS}`, then Done.",
                    "Select files > My computer: choose all files of `images/`.",
                    "Submit & Open.",
                    *(upload if drawn else []),
                ),
                *self.about_slices(placed),
            ],
            saving=[
                steps(
                    "In the task: Actions > Export task dataset.",
                    "Export format CVAT for images 1.1 (or Segmentation mask 1.1, or COCO 1.0), "
                    "without images.",
                    "Requests > the three dots > Download; put the zip file into `returned/`.",
                ),
                "Draw with the brush or the polygon tool. Rectangles, ellipses and points are not "
                "masks.",
            ],
            prelabels=f"They are the masks in `{ANNOTATIONS}`.",
            returning="Return the zip file, or this whole folder with it. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
        )


def constructor_labels(classes: Sequence[str]) -> list[dict[str, Any]]:
    """Label definitions for the "Raw" tab of CVAT's label constructor."""
    return [
        {"name": name, "color": class_hex(value), "type": "any", "attributes": []}
        for value, name in enumerate(classes, start=1)
    ]


def cvat_xml(pictures: Sequence[Picture], meta: ExportMeta) -> bytes:
    """Annotations of a task in "CVAT for images 1.1" (CVAT documentation, formats)."""
    root = ElementTree.Element("annotations")
    _leaf(root, "version", "1.1")
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    _leaf(task, "name", meta.project)
    _leaf(task, "size", str(len(pictures)))
    _leaf(task, "mode", "annotation")
    labels = ElementTree.SubElement(task, "labels")
    for value, name in enumerate(meta.classes, start=1):
        label = ElementTree.SubElement(labels, "label")
        _leaf(label, "name", name)
        _leaf(label, "color", class_hex(value))
        _leaf(label, "type", "any")
        ElementTree.SubElement(label, "attributes")
    for number, picture in enumerate(pictures):
        _picture(root, number, picture, meta.classes)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _picture(
    root: ElementTree.Element, number: int, picture: Picture, classes: Sequence[str]
) -> None:
    image = ElementTree.SubElement(
        root,
        "image",
        id=str(number),
        name=picture.file,
        width=str(picture.columns),
        height=str(picture.rows),
    )
    for _, name, drawn in by_class(picture, classes):
        mask = cvat_mask(drawn)
        ElementTree.SubElement(
            image,
            "mask",
            label=name,
            source="auto",
            occluded="0",
            rle=mask.rle,
            left=str(mask.left),
            top=str(mask.top),
            width=str(mask.width),
            height=str(mask.height),
            z_order="0",
        )


def _leaf(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text
