"""Scans that several people drew: their single drawings, and how well these agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from coldal_tui.exchange.incoming.rater_agreement import Agreement, compare_labels
from coldal_tui.exchange.release.case import Case
from coldal_tui.exchange.release.data_card import ClassAgreement
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import checked_labels
from coldal_tui.project.labels.raters.drawings import newest_by_person
from coldal_tui.project.project import Project


def read_drawings(project: Project, scan_ids: Sequence[str]) -> dict[str, dict[str, Path]]:
    """``scan_id → author → file`` of scans with drawings of at least two people.

    Which drawings count is told by ``newest_by_person``.

    Raises ColdalError (code ``label-changed``) where a file is not the one that was accepted.
    """
    wanted = set(scan_ids)
    versions: dict[str, list[Row]] = {}
    for row in project.store.rows("SELECT * FROM labels ORDER BY version"):
        if row["scan_id"] in wanted:
            versions.setdefault(row["scan_id"], []).append(row)
    found: dict[str, dict[str, Path]] = {}
    for scan_id, rows in versions.items():
        people = {row["author"]: row for row in newest_by_person(rows).values()}
        if len(people) > 1:
            found[scan_id] = {
                author: checked_labels(project, [row])[scan_id]
                for author, row in sorted(people.items())
            }
    return found


def measure_agreement(cases: Sequence[Case], classes: Sequence[str]) -> tuple[ClassAgreement, ...]:
    """Dice and HD95 of every pair of drawings, per class, as means."""
    pairs: list[Agreement] = []
    for case in cases:
        labels = [(one.rater, read_label(one.label)) for one in case.drawings]
        if len({label.shape for _, label in labels}) == 1:
            spacing = case.item.header.spacing
            pairs += compare_labels(case.item.scan_id, labels, classes, spacing)
    return tuple(
        _mean(name, [one for one in pairs if one.name == name]) for name in classes if pairs
    )


def _mean(name: str, pairs: Sequence[Agreement]) -> ClassAgreement:
    units = {one.unit for one in pairs}
    return ClassAgreement(
        name,
        len(pairs),
        float(np.mean([one.dice for one in pairs])),
        float(np.mean([one.hd95 for one in pairs])),
        units.pop() if len(units) == 1 else "mm or px",
    )
