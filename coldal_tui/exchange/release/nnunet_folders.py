"""A release as an nnU-Net data set: ``imagesTr``, ``labelsTr``, ``splits_final.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.nnunet import NnunetLayout, nnunet_ignore_value
from coldal_tui.exchange.exporters.packing import Placed
from coldal_tui.exchange.release.case import Case, PlacedCase, folds_of

SPLITS = "splits_final.json"


class NnunetRelease:
    """Patients that are held out go to ``imagesTs`` and ``labelsTs``, all others to ``…Tr``.

    Source: nnU-Net v2, documentation/dataset_format.md and manual_data_splits.md. nnU-Net copies
    ``splits_final.json`` from here when it plans.
    """

    def __init__(self, items: Sequence[ExportItem]) -> None:
        self._layout = NnunetLayout(items)

    def ignore_value(self, meta: ExportMeta) -> int:
        return nnunet_ignore_value(meta)

    def check(self, cases: Sequence[Case], meta: ExportMeta) -> None:
        """Refuse mixed channels, and ids that end like a channel's number."""
        self._layout.check([case.item for case in cases], meta)

    def place(self, stage: Stage, case: Case, meta: ExportMeta) -> Placed:
        end = "Ts" if case.held_out else "Tr"
        return self._layout.place_in(stage, case.item, meta, f"images{end}", f"labels{end}")

    def finish(
        self, stage: Stage, placed: Sequence[PlacedCase], meta: ExportMeta, licence: str | None
    ) -> None:
        held_out = sum(one.case.held_out for one in placed)
        about = {"description": f"Labelled scans of {meta.project}"}
        about |= {"licence": licence} if licence else {}
        text = self._layout.dataset_json(
            [one.placed for one in placed],
            meta,
            training=len(placed) - held_out,
            tests=held_out,
            about=about,
        )
        stage.write_text("dataset.json", text)
        folds = folds_of(placed)
        if folds:
            stage.write_text(SPLITS, json.dumps(folds, indent=2) + "\n")

    def usage(self, placed: Sequence[PlacedCase]) -> tuple[str, ...]:
        said = [
            "An nnU-Net (v2) data set. Put this folder, or a link to it, into `$nnUNet_raw` under "
            "a name such as `Dataset123_Name`, then: "
            "`nnUNetv2_plan_and_preprocess -d 123 --verify_dataset_integrity`.",
        ]
        if folds_of(placed):
            said.append(
                f"nnU-Net takes the folds from `{SPLITS}`; `folds.csv` says the same with the "
                "patients."
            )
        if any(one.case.held_out for one in placed):
            said.append(
                "`imagesTs/` and `labelsTs/` hold the patients that the project kept for "
                "validation. No model of the project was trained on them: measure on them, and "
                "leave them out of training."
            )
        return tuple(said)
