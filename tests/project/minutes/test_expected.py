"""Expected minutes of a project's scans: from drawings that were stored, out of sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.minutes.expected import expected_of_next, read_expectation
from coldal_tui.project.minutes.time_model import Size

NAMES = ("s00", "s01", "s02", "s03")


def came_back(lab, minutes: dict[str, float], toml: str = ""):
    """The scans of ``minutes`` came back from ana, who wrote them into the manifest."""
    project = lab.line(6, [(name, "medoid") for name in NAMES], toml=toml)
    folder = export_queue(project, wanted=Wanted(people=("ana",))).folder / "ana"
    table = folder / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    told = [f"{row},{minutes.get(row.split(',')[1], '')}" for row in rows]
    table.write_text("\n".join([f"{head},minutes", *told]))
    for scan in minutes:
        drawn = np.zeros((6, 9), np.uint8)
        drawn[1, 2:5] = 1
        Image.fromarray(drawn).save(folder / "masks" / f"{scan}.png")
    import_masks(project, folder, options=ImportOptions())
    return project


def test_before_the_first_drawing_it_is_the_default(lab):
    project = lab.line(3, [("s00", "medoid")])
    known = read_expectation(project)
    assert (known.learned, known.minutes("s00")) == (False, 3.0)
    assert known.total(["s00"]).minutes == 3
    assert expected_of_next(project, 5).minutes == pytest.approx(15)


def test_the_default_can_be_said_in_the_project_file(lab):
    project = lab.line(3, [("s00", "medoid")], toml="[budget]\nminutes_per_scan = 7.5\n")
    assert read_expectation(project).minutes("s00") == 7.5


def test_what_came_back_says_what_the_others_take(lab):
    """Three drawings of 6, 6 and 12 minutes: the ratios to the default are 2, 2 and 4."""
    project = came_back(lab, {"s00": 6, "s01": 6, "s02": 12})
    known = read_expectation(project)
    level = 3 / 3.25 * math.log(2)
    offset = 3 / 5 * (math.log(2) - level)
    # What is left over: its median is |ln 2 - level|.
    variance = (1 + 3 * (1.4826 * (math.log(2) - level)) ** 2) / 7
    wanted = 3 * math.exp(level + 3 / 3.25 * variance / 2)
    assert known.learned
    assert known.minutes("s03") == pytest.approx(wanted)
    assert known.minutes("s03", "ANA") == pytest.approx(wanted * math.exp(offset))
    assert expected_of_next(project, 2).minutes == pytest.approx(2 * wanted)
    total = known.total(["s03"])
    assert total.low < 6 < total.high


def test_a_volume_takes_longer_by_its_slices(lab):
    lab.volume("v.nii.gz", np.diag([1.0, 1.0, 5.0, 1.0]), (4, 4, 8))
    project = lab.start()
    known = read_expectation(project, None)
    assert known.sizes == {"v": Size(128, 8)}
    assert known.minutes("v") == pytest.approx(12)
