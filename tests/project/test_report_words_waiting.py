"""What was done to a drawing is told though it is no label yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.project.labels.importing import ImportReport
from coldal_tui.project.report_words import import_lines


@pytest.mark.parametrize("group", ["accepted", "kept", "waiting", "disputed", "checked"])
def test_another_grid_and_what_was_done_are_told(group: str) -> None:
    verdict = Verdict(
        "accepted",
        Path("s1.nii.gz"),
        scan_id="s1",
        author="ana",
        geometry="crop",
        notes=("a crop of 2×3×4 voxels pasted at (0, 0, 0)",),
        warnings=("it looks inverted",),
    )
    groups = dict.fromkeys(("accepted", "unchanged", "quarantined", "unmatched", "ignored"), ())
    groups |= {group: (verdict,)}
    report = ImportReport(saw="1 mask", manual=(), dry_run=False, **groups)
    lines = "\n".join(import_lines(report))
    assert "1 with another grid: crop" in lines
    assert "a crop of 2×3×4 voxels pasted" in lines
    assert "warning: s1.nii.gz: it looks inverted" in lines
