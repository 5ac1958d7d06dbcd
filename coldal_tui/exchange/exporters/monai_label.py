"""A MONAI Label datastore: images and pre-labels, ready for its server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.images import (
    PlacedImage,
    copy_prelabel,
    nifti_prelabel,
    place_nifti,
    place_picture,
)
from coldal_tui.exchange.exporters.packing import Placed, pack
from coldal_tui.exchange.exporters.readme import EMPTY_CASE, KEEP_MANIFEST, Page, steps
from coldal_tui.exchange.names import file_stem

KEY_FILE = "datastore_v2.json"
_ORIGINAL, _FINAL = "labels/original", "labels/final"


def export_monai_label(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``<scan_id>.nii.gz`` (pictures: ``.png``), ``datastore_v2.json`` and ``labels/``.

    Pre-labels are in ``labels/original``: MONAI Label trains only on ``labels/final``. No
    ``client_id`` is written. Volumes become NIfTI, as its app expects.
    """
    return pack(_MonaiLabel(), out, items, meta, progress)


class _MonaiLabel:
    empty = (_FINAL, _ORIGINAL)

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        flat = len(item.header.shape) == 2 and item.header.affine is None
        image: PlacedImage
        if flat:
            image = place_picture(stage, item, stem=item.scan_id)
            prelabel = copy_prelabel(stage, item, _ORIGINAL)
        else:
            image = place_nifti(stage, item, meta, f"{item.scan_id}.nii.gz")
            prelabel = nifti_prelabel(stage, item, _ORIGINAL)
        return Placed(
            item, image.path, image.sha256, image.image_sha256, *(prelabel or (None, None))
        )

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        stage.write_text(KEY_FILE, datastore_json(placed, meta))
        return {}

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        return Page(
            opening=[
                steps(
                    "Start the server on this folder: "
                    "`monailabel start_server --app apps/radiology --studies PATH/OF/THIS/FOLDER "
                    "--conf models segmentation`.",
                    "In 3D Slicer: module Active Learning > MONAI Label, put in the server's "
                    "address, and press the green arrow.",
                    "Press Next Sample. To start from a proposal, open "
                    "`labels/original/<scan_id>.nii.gz` as Segmentation.",
                ),
            ],
            saving=["Press Submit Label: the server writes `labels/final/<scan_id>…`."],
            prelabels="They lie in `labels/original/`; the server does not train on them.",
            returning=f"Return this whole folder with `{KEY_FILE}`. {KEEP_MANIFEST} {EMPTY_CASE}",
            images="this folder",
        )


def datastore_json(placed: Sequence[Placed], meta: ExportMeta) -> str:
    """``datastore_v2.json`` of MONAI Label (monailabel.datastore.local), without ``client_id``."""
    stamp = _stamp(meta.created)
    names = [{"name": name, "idx": value} for value, name in enumerate(meta.classes, start=1)]
    objects: dict[str, Any] = {}
    for one in placed:
        image_info = stamp | {"name": one.image}
        entry: dict[str, Any] = {
            "image": {"ext": _ending(one.image), "info": image_info},
            "labels": {},
        }
        if one.prelabel is not None:
            name = one.prelabel.rpartition("/")[2]
            info = {"label_info": names, **stamp, "checksum": f"SHA256:{one.prelabel_sha256}"}
            label = {"ext": _ending(name), "info": info | {"name": name}}
            entry["labels"] = {"original": label}
        objects[one.item.scan_id] = entry
    document = {
        "name": meta.project,
        "description": f"Scans to label: {meta.project}",
        "images_dir": ".",
        "labels_dir": "labels",
        "objects": objects,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _stamp(created: str) -> dict[str, int]:
    return {"ts": int(datetime.fromisoformat(created).timestamp())} if created else {}


def _ending(name: str) -> str:
    return name[len(file_stem(name)) :]
