"""nnU-Net's raw data set format: scans to label as test images, pre-labels as predictions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from coldal_tui.exchange.exporters import ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.colours import IGNORE_NAME
from coldal_tui.exchange.exporters.images import (
    copy_prelabel,
    fits_png,
    nifti_prelabel,
    place_nifti,
    place_picture,
    source_sha256,
    write_nifti,
)
from coldal_tui.exchange.exporters.packing import Placed, pack, refuse
from coldal_tui.exchange.exporters.readme import (
    EMPTY_CASE,
    KEEP_GEOMETRY,
    KEEP_MANIFEST,
    Page,
    steps,
)
from coldal_tui.imaging.reading import read_to_hand_out

_IMAGES, _LABELS, _PRELABELS = "imagesTs", "labelsTs", "prelabels"


def export_nnunet(
    out: Path,
    items: Sequence[ExportItem],
    meta: ExportMeta,
    progress: Progress | None = None,
) -> ExportResult:
    """Write ``imagesTs/<scan_id>_0000.nii.gz``, ``dataset.json`` and ``prelabels/``.

    All cases have one file type, as nnU-Net requires: PNG if all are 8- or 16-bit pictures, else
    NIfTI. Each channel is a file (``_0000``, ``_0001``, …); a PNG holds all its colours. Masks go
    to ``labelsTs/<scan_id>…``. If some scans are grey and all others have the same number of
    channels, the grey ones are repeated to that number.

    Raises
    ------
    UsageError : the scans differ in their number of channels otherwise.
    """
    png = all(item.header.affine is None and fits_png(item.header) for item in items)
    channels = max((item.header.channels for item in items), default=1)
    return pack(_Nnunet(".png" if png else ".nii.gz", channels), out, items, meta, progress)


class _Nnunet:
    empty = (_LABELS,)

    def __init__(self, ending: str, channels: int) -> None:
        self._ending = ending
        self._channels = channels

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Refuse mixed channels: all cases of a data set must have the same ones."""
        channels = self._channels
        refuse(
            [item for item in items if item.header.channels not in (1, channels)],
            f"an nnU-Net data set has one number of channels (here {channels}), and these differ",
            "Export them apart, or use --to nifti.",
        )
        cases = [item for item in items if re.search(r"_\d{4}$", item.scan_id)]
        refuse(
            cases,
            "nnU-Net takes the end of these ids for the number of a channel",
            "Use --to nifti, or --deidentify, which gives them other ids.",
        )

    def place(self, stage: Stage, item: ExportItem, meta: ExportMeta) -> Placed:
        base = f"{_IMAGES}/{item.scan_id}"
        if self._ending == ".png":
            stem, channels = f"{base}_0000", self._channels
            image = place_picture(stage, item, stem=stem, channels=channels)
            prelabel = copy_prelabel(stage, item, _PRELABELS)
        elif self._channels == 1:
            image = place_nifti(stage, item, meta, f"{base}_0000.nii.gz")
            prelabel = nifti_prelabel(stage, item, _PRELABELS)
        else:
            return self._place_channels(stage, item, base)
        return Placed(
            item, image.path, image.sha256, image.image_sha256, *(prelabel or (None, None))
        )

    def _place_channels(self, stage: Stage, item: ExportItem, base: str) -> Placed:
        scan = read_to_hand_out(item.ref)
        digests = []
        for channel in range(self._channels):
            name = f"{base}_{channel:04d}.nii.gz"
            own = channel if scan.header.channels > 1 else 0
            write = partial(write_nifti, image=scan, channel=own)
            digests.append(stage.write(name, write))
        prelabel = nifti_prelabel(stage, item, _PRELABELS)
        image = f"{base}_0000.nii.gz"
        return Placed(item, image, source_sha256(item), digests[0], *(prelabel or (None, None)))

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        stage.write_text("dataset.json", self._dataset_json(placed, meta))
        return {}

    def _dataset_json(self, placed: Sequence[Placed], meta: ExportMeta) -> str:
        header = placed[0].item.header
        if self._ending == ".png" and self._channels == 3:
            channels = ["R", "G", "B"]
        elif self._channels == 1:
            channels = [header.modality or "image"]
        else:
            channels = [f"channel {number}" for number in range(self._channels)]
        labels = {"background": 0} | {n: v for v, n in enumerate(meta.classes, start=1)}
        if meta.ignore_value is not None:
            labels[IGNORE_NAME] = _ignore_value(meta)
        document: dict[str, Any] = {
            "name": meta.project,
            "channel_names": {str(number): name for number, name in enumerate(channels)},
            "labels": labels,
            "numTraining": 0,
            "numTest": len(placed),
            "file_ending": self._ending,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        first = placed[0].item.scan_id
        return Page(
            opening=[
                steps(
                    f"The images are `{_IMAGES}/<scan_id>_0000{self._ending}`: open one in any "
                    "program that reads them.",
                    f"To predict with a model of yours: `nnUNetv2_predict -i {_IMAGES} "
                    "-o predictions -d DATASET -c CONFIGURATION`, from this folder.",
                ),
            ],
            saving=[
                f"One mask per case, named `{_LABELS}/<scan_id>{self._ending}`, without a channel "
                f"number (here `{_LABELS}/{first}{self._ending}`).",
                KEEP_GEOMETRY,
            ],
            prelabels=f"They lie in `{_PRELABELS}/`, as `nnUNetv2_predict` would write them.",
            returning="Return this whole folder, with `dataset.json`. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
            images=f"`{_IMAGES}/`",
            ignore_value=None if meta.ignore_value is None else _ignore_value(meta),
        )


def _ignore_value(meta: ExportMeta) -> int:
    """nnU-Net's ignore value: the highest label, since its values are consecutive."""
    return len(meta.classes) + 1
