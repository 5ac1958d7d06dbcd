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
    return pack(NnunetLayout(items), out, items, meta, progress)


class NnunetLayout:
    """Places cases in nnU-Net's names; file type and channels are decided from all items.

    ``ending`` is the one file type of the data set, ``channels`` its number of channels.
    """

    empty = (_LABELS,)

    def __init__(self, items: Sequence[ExportItem]) -> None:
        png = all(item.header.affine is None and fits_png(item.header) for item in items)
        self.ending = ".png" if png else ".nii.gz"
        self.channels = max((item.header.channels for item in items), default=1)

    def check(self, items: Sequence[ExportItem], meta: ExportMeta) -> None:
        """Refuse mixed channels: all cases of a data set must have the same ones."""
        channels = self.channels
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
        return self.place_in(stage, item, meta, _IMAGES, _PRELABELS)

    def place_in(
        self, stage: Stage, item: ExportItem, meta: ExportMeta, images: str, labels: str
    ) -> Placed:
        """Write one case: its image into the folder ``images``, its label into ``labels``."""
        base = f"{images}/{item.scan_id}"
        if self.ending == ".png":
            stem, channels = f"{base}_0000", self.channels
            image = place_picture(stage, item, stem=stem, channels=channels)
            prelabel = copy_prelabel(stage, item, labels)
        elif self.channels == 1:
            image = place_nifti(stage, item, meta, f"{base}_0000.nii.gz")
            prelabel = nifti_prelabel(stage, item, labels)
        else:
            return self._place_channels(stage, item, base, labels)
        return Placed(
            item, image.path, image.sha256, image.image_sha256, *(prelabel or (None, None))
        )

    def _place_channels(self, stage: Stage, item: ExportItem, base: str, labels: str) -> Placed:
        scan = read_to_hand_out(item.ref)
        digests = []
        for channel in range(self.channels):
            name = f"{base}_{channel:04d}.nii.gz"
            own = channel if scan.header.channels > 1 else 0
            write = partial(write_nifti, image=scan, channel=own)
            digests.append(stage.write(name, write))
        prelabel = nifti_prelabel(stage, item, labels)
        image = f"{base}_0000.nii.gz"
        return Placed(item, image, source_sha256(item), digests[0], *(prelabel or (None, None)))

    def finish(self, stage: Stage, placed: Sequence[Placed], meta: ExportMeta) -> Mapping[str, str]:
        stage.write_text("dataset.json", self.dataset_json(placed, meta, tests=len(placed)))
        return {}

    def dataset_json(
        self,
        placed: Sequence[Placed],
        meta: ExportMeta,
        *,
        training: int = 0,
        tests: int = 0,
        about: Mapping[str, str] | None = None,
    ) -> str:
        """nnU-Net's description of the data set; ``about`` has further keys, such as a licence."""
        header = placed[0].item.header
        if self.ending == ".png" and self.channels == 3:
            channels = ["R", "G", "B"]
        elif self.channels == 1:
            channels = [header.modality or "image"]
        else:
            channels = [f"channel {number}" for number in range(self.channels)]
        labels = {"background": 0} | {n: v for v, n in enumerate(meta.classes, start=1)}
        if meta.ignore_value is not None:
            labels[IGNORE_NAME] = nnunet_ignore_value(meta)
        document: dict[str, Any] = {
            "name": meta.project,
            "channel_names": {str(number): name for number, name in enumerate(channels)},
            "labels": labels,
            "numTraining": training,
            "numTest": tests,
            "file_ending": self.ending,
            **(about or {}),
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def page(self, placed: Sequence[Placed], meta: ExportMeta) -> Page:
        first = placed[0].item.scan_id
        return Page(
            opening=[
                steps(
                    f"The images are `{_IMAGES}/<scan_id>_0000{self.ending}`: open one in any "
                    "program that reads them.",
                    f"To predict with a model of yours: `nnUNetv2_predict -i {_IMAGES} "
                    "-o predictions -d DATASET -c CONFIGURATION`, from this folder.",
                ),
            ],
            saving=[
                f"One mask per case, named `{_LABELS}/<scan_id>{self.ending}`, without a channel "
                f"number (here `{_LABELS}/{first}{self.ending}`).",
                KEEP_GEOMETRY,
            ],
            prelabels=f"They lie in `{_PRELABELS}/`, as `nnUNetv2_predict` would write them.",
            returning="Return this whole folder, with `dataset.json`. "
            f"{KEEP_MANIFEST} {EMPTY_CASE}",
            images=f"`{_IMAGES}/`",
            ignore_value=None if meta.ignore_value is None else nnunet_ignore_value(meta),
        )


def nnunet_ignore_value(meta: ExportMeta) -> int:
    """nnU-Net's ignore value: the highest label, since its values are consecutive."""
    return len(meta.classes) + 1
