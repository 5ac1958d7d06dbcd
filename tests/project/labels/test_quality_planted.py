"""A moved mask among good ones: cross-fitted predictions find it, whatever the run has learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coldal_compute.crossfit_step import crossfit
from coldal_compute.train_step import train
from coldal_tui.jobs.spec import Silent
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.quality import check_labels

SIZE, SCANS, MOVED = 48, 9, "s05"
TOML = """[images]
dir = "../images"
[classes]
names = ["disc"]
[train]
steps = 36
batch_size = 4
learning_rate = 0.003
[validation]
folds = 3
[backend]
device = "cpu"
threads = 1
"""


def _disc(row: float, column: float) -> np.ndarray:
    rows, columns = np.indices((SIZE, SIZE))
    return (rows - row) ** 2 + (columns - column) ** 2 <= 81


def _plant(lab: Any) -> None:
    """A bright disc in each picture; each mask fits its disc but one, which lies 24 pixels off."""
    rng = np.random.default_rng(2)
    for n in range(SCANS):
        row, column = rng.uniform(12, 18, 2)
        disc = _disc(row, column)
        noise = rng.normal(60, 10, (SIZE, SIZE))
        picture = np.clip(noise + 120 * disc, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(lab.images / f"s{n:02d}.png")
        drawn = _disc(row + 24, column) if f"s{n:02d}" == MOVED else disc
        Image.fromarray(drawn.astype(np.uint8) * 255).save(lab.masks / f"s{n:02d}.png")


def test_the_moved_mask_comes_first(lab: Any) -> None:
    _plant(lab)
    project = lab.start(TOML)
    import_masks(project, lab.masks)

    def trained(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
        done = train(spec, folder, Silent())
        return done.result, list(done.files)

    def fitted(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
        done = crossfit(spec, folder, Silent())
        return done.result, list(done.files)

    lab.run_job(project, "train", trained)
    blind = check_labels(project)
    assert [check.compared for check in blind] == [""] * SCANS
    assert {check.score for check in blind} == {1.0}
    lab.run_job(project, "crossfit", fitted)
    first, second, *_ = found = check_labels(project)
    assert [check.compared for check in found] == ["cross-fitted"] * SCANS
    assert first.scan_id == MOVED
    assert first.agreement is not None
    assert second.agreement is not None
    assert first.agreement < 0.2 < second.agreement
