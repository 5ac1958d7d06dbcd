"""Label Studio: pictures, tasks with predictions as brush masks, and the labeling config."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.colours import class_hex
from coldal_tui.exchange.exporters.flat import FlatLayout
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.pictures import Picture, classes_of
from coldal_tui.exchange.exporters.readme import EMPTY_CASE, KEEP_MANIFEST, Page, steps
from coldal_tui.exchange.masks.rle_encode import brush_rle

TASKS, CONFIG = "tasks.json", "labeling_config.xml"
_LOCAL = "/data/local-files/?d="
_TAG, _IMAGE = "tag", "image"


def export_label_studio(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``images/``, ``tasks.json`` and ``labeling_config.xml``; volumes as slices.

    Each task gives its picture's path below the folder that Label Studio serves files from;
    ``data.scan_id`` is the scan's id, or the name of a slice.
    """
    return pack(_LabelStudio(), out, items, meta, progress)


class _LabelStudio(FlatLayout):
    annotations = TASKS

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        tasks = [task_of(picture, meta.classes, meta.place) for picture in self.pictures]
        stage.write_text(CONFIG, labeling_config(meta.classes))
        return {TASKS: stage.write_text(TASKS, json.dumps(tasks, ensure_ascii=False) + "\n")}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        return Page(
            opening=[
                "Label Studio serves local files only where it is told to. Start it in "
                + (
                    f"the folder that `{meta.place}/` lies in; those of other people may lie "
                    "beside it, in one server:"
                    if meta.place
                    else "this folder:"
                ),
                "```\n"
                "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true \\\n"
                'LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT="$PWD" label-studio start\n'
                "```",
                steps(
                    "Create Project, and give it a name.",
                    f"Labeling Setup > Custom template > Code: paste `{CONFIG}`, then Save.",
                    "Settings > Cloud Storage > Add Source Storage > Local files: the path of "
                    "`images/` in this folder, and Save. Don't sync it: the tasks are in the "
                    "next step.",
                    f"Import: choose `{TASKS}`, then Import.",
                    "Settings > Annotation: switch on Use predictions to prelabel tasks.",
                ),
                *self.about_slices(placed),
            ],
            saving=[
                steps(
                    "Draw with the brush or outlines, and press Submit (or Update) for every task, "
                    "also for one that shows nothing.",
                    "Export > JSON; put the file into `returned/`.",
                ),
            ],
            prelabels="They are the predictions of the tasks.",
            returning="Return the JSON file, or this whole folder with it. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
        )


def labeling_config(classes: Sequence[str]) -> str:
    """The labeling config: a brush and an outline per class, and a line for a comment.

    (labelstud.io, tags BrushLabels, PolygonLabels and TextArea.)
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=_IMAGE, value="$image", zoom="true")
    for kind, tag in (("BrushLabels", _TAG), ("PolygonLabels", "outline")):
        labels = ElementTree.SubElement(view, kind, name=tag, toName=_IMAGE)
        for value, name in enumerate(classes, start=1):
            ElementTree.SubElement(labels, "Label", value=name, background=class_hex(value))
    ElementTree.SubElement(
        view, "TextArea", name="comment", toName=_IMAGE, placeholder="Comment", editable="true"
    )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def task_of(picture: Picture, classes: Sequence[str], place: str = "") -> dict[str, Any]:
    """One task (labelstud.io, "Import pre-annotated data"); with its prediction if any.

    ``place`` is the labeler's folder, so that one server can hold the folders of several labelers.
    """
    where = f"{place}/images" if place else "images"
    data = {"image": _LOCAL + quote(f"{where}/{picture.file}"), "scan_id": picture.name}
    task: dict[str, Any] = {"data": data}
    predictions = [] if picture.label is None else [(picture.run or "model", picture.label)]
    # Of two drawings a person sees one at a time and can copy either into their own annotation.
    predictions += [(f"drawing {name}", layer) for name, layer in picture.layers]
    if predictions:
        task["predictions"] = [
            {"model_version": version, "result": _regions(picture, number, label, classes)}
            for number, (version, label) in enumerate(predictions)
        ]
    return task


def _regions(
    picture: Picture, number: int, label: NDArray[np.uint8], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """One brush region per class that is drawn; ``number`` keeps ids of several drawings apart."""
    return [
        {
            "id": f"{picture.name}-{value}" + (f"-{number}" if number else ""),
            "type": "brushlabels",
            "from_name": _TAG,
            "to_name": _IMAGE,
            "original_width": picture.columns,
            "original_height": picture.rows,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": brush_rle(drawn), "brushlabels": [name]},
        }
        for value, name, drawn in classes_of(label, classes)
    ]
