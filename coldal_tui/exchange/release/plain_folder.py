"""A release as a plain folder: ``images/`` as they are, ``labels/`` as label files."""

from __future__ import annotations

from collections.abc import Sequence

from coldal_tui.exchange.exporters import ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.images import copy_prelabel, place_as_it_is
from coldal_tui.exchange.exporters.packing import Placed, labels_json
from coldal_tui.exchange.release.case import Case, PlacedCase
from coldal_tui.imaging.labelfile import IGNORE_LABEL


class FolderRelease:
    """``images/<scan_id>.*`` and ``labels/<scan_id>.png`` or ``.nii.gz``."""

    def ignore_value(self, meta: ExportMeta) -> int:
        return fitting(meta.ignore_value)

    def check(self, cases: Sequence[Case], meta: ExportMeta) -> None:
        """Accept every scan."""

    def place(self, stage: Stage, case: Case, meta: ExportMeta) -> Placed:
        image = place_as_it_is(stage, case.item, meta)
        label = copy_prelabel(stage, case.item, "labels")
        return Placed(
            case.item, image.path, image.sha256, image.image_sha256, *(label or (None, None))
        )

    def finish(
        self, stage: Stage, placed: Sequence[PlacedCase], meta: ExportMeta, licence: str | None
    ) -> None:
        stage.write_text("labels.json", labels_json(meta, with_prelabels=False))

    def usage(self, placed: Sequence[PlacedCase]) -> tuple[str, ...]:
        return (
            "`images/` holds the scans as they were, `labels/` one label per scan under the same "
            "name, on the scan's own grid: PNG for pictures, NIfTI for volumes.",
            "`folds.csv` has one line per scan: its patient, its subset (`training` or `held "
            "out`) and its fold.",
        )


def fitting(ignore_value: int | None) -> int:
    """The project's value of ignored pixels where a label file holds it, else 255."""
    if ignore_value is None or not 0 < ignore_value <= IGNORE_LABEL:
        return IGNORE_LABEL
    return ignore_value
