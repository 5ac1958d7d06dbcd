"""The files of a report: whole, readable by other programs, and saying the same."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.simulation.charts import Line, Marker, Series, Text, draw, series_of, style_of
from coldal_tui.simulation.report import write_report
from coldal_tui.simulation.results import summarise
from coldal_tui.simulation.words import answers
from coldal_tui.simulation.writers import to_png, to_svg
from tests.support.replayed import COLD


@pytest.fixture
def results(setup, cold_cells) -> dict[str, Any]:
    about = {
        "project": "lungs",
        "command": "coldal-tui simulate --seeds 2",
        "at": "2026-01-02T03:04:05+00:00",
        "scans": 7,
        "patients": 5,
        "classes": ["left", "right"],
        "rule": {"validation": 2, "test_fraction": 0.3, "test_patients": []},
        "design": {"seeds": [1, 2]},
        "encoder": "some-encoder",
        "encoder_hash": "e" * 64,
        "training": {},
        "one_per_patient": False,
        "plan": {"steps": 240, "patch": [128, 96], "reasons": ["it fits"]},
        "setup": "setup",
    }
    document = {"about": about} | summarise(setup, COLD, cold_cells)
    return document | {"answers": answers(document)}


@pytest.fixture
def folder(results, cold_cells, tmp_path) -> Path:
    write_report(tmp_path / "report", results, cold_cells)
    return tmp_path / "report"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_report_has_a_page_tables_and_charts(folder) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        *("dice-cold.png", "dice-cold.svg", "difference-cold.png", "difference-cold.svg"),
        *("hd95-cold.png", "hd95-cold.svg"),
        *("points.csv", "report.md", "results.json", "scans.csv"),
    ]


def test_the_document_is_json_as_it_was(folder, results) -> None:
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))


def test_points_are_a_row_for_each_arm_label_count_and_class(folder) -> None:
    found = rows(folder / "points.csv")
    assert len(found) == 2 * 2 * 3
    first = found[0]
    assert (first["arm"], first["labels"], first["class"]) == ("kmeans", "10", "mean")
    assert float(first["dice_mean"]) == pytest.approx(0.72)
    assert (first["verdict"], first["unit"], first["seeds"]) == ("better", "mm", "2")
    assert float(first["random_needs"]) == pytest.approx(12)
    assert found[3]["random_needs"] == "> 20"
    assert float(found[1]["dice_mean"]) == pytest.approx(0.77)


def test_scans_are_all_measures_of_all_cells(folder) -> None:
    found = rows(folder / "scans.csv")
    assert len(found) == 10 * 3 * 2
    mine = [
        float(row["dice"])
        for row in found
        if (row["seed"], row["arm"], row["group"], row["class"]) == ("2", "random", "cold", "left")
    ]
    assert sorted(set(mine)) == pytest.approx([0.77, 0.87])


def test_the_page_says_what_was_found_and_how(folder) -> None:
    page = (folder / "report.md").read_text()
    for words in (
        "# Would this have beaten random here? lungs",
        "**Yes (the first queue, 10 to 20 labels): kmeans beats random by +0.020 Dice",
        "- kmeans against random (the first queue, 10 to 20 labels): better.",
        "| kmeans | 10 | 0.720 [",
        "| random | 20 | 0.800 [",
        "| left | kmeans | 10 | 0.770 [",
        "coldal-tui simulate --seeds 2",
        "e" * 64,
        "2.13",
        "steps 240; patch 128×96; it fits",
        "![The first queue: Dice by number of labels, with 95 % intervals](dice-cold.svg)",
        "7 scans with masks of 5 patients",
    ):
        assert words in page, words
    widths = {line.count("|") for line in page.splitlines() if line.startswith("| kmeans | 1")}
    assert len(widths) == 1


def test_a_second_report_replaces_the_first(folder, results, cold_cells) -> None:
    before = (folder / "report.md").read_text()
    write_report(folder, results, cold_cells)
    assert (folder / "report.md").read_text() == before


def test_a_folder_that_can_t_be_made_is_told(results, cold_cells, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ColdalError):
        write_report(tmp_path / "file" / "below", results, cold_cells)


def test_svg_is_xml_with_every_point_and_name(folder) -> None:
    root = ElementTree.parse(folder / "dice-cold.svg").getroot()
    name = "{http://www.w3.org/2000/svg}"
    texts = [one.text for one in root.iter(f"{name}text")]
    assert {"kmeans", "random", "10", "20", "labels", "Dice", "all labels (2)"} <= set(texts)
    # Two points of each arm, and one in the legend.
    assert len(list(root.iter(f"{name}circle"))) == 6
    assert float(root.get("width", "0")) > 0


def test_png_is_a_picture_of_twice_the_size(folder) -> None:
    root = ElementTree.parse(folder / "dice-cold.svg").getroot()
    with Image.open(folder / "dice-cold.png") as picture:
        assert picture.size == (2 * int(root.get("width", "0")), 2 * int(root.get("height", "0")))
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10


def test_curves_lie_in_the_frame_the_better_one_above(results) -> None:
    series = series_of(results["groups"]["cold"], "dice")
    picture = draw(series, "title", "Dice")
    lines = [one for one in picture.shapes if isinstance(one, Line) and one.width == 1.8]
    curves = [one for one in lines if one.points[0][1] < 390]
    better, worse = curves[0], curves[1]
    assert better.points[0][1] < worse.points[0][1]
    for one in picture.shapes:
        places = one.points if isinstance(one, Line) else (one.at,)
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in places)


def test_arms_differ_in_colour_and_shape_and_random_is_dashed() -> None:
    names = ("a", "random", "b", "c")
    curves = [Series(name, ((1.0, 0.5, 0.4, 0.6),)) for name in names]
    styles = [style_of(curves, n) for n in range(4)]
    assert len({style.colour for style in styles}) == 4
    assert [style.dashed for style in styles] == [False, True, False, False]
    assert len({styles[n].shape for n in (0, 2, 3)}) == 3


def test_names_from_outside_can_t_break_the_svg() -> None:
    picture = draw([Series("<b>&\"'", ((1.0, 0.5, 0.4, 0.6),))], "a < b", "x & y")
    root = ElementTree.fromstring(to_svg(picture))
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<b>&\"'", "a < b", "x & y"} <= set(texts)


def test_nothing_to_draw_is_drawn_as_such() -> None:
    picture = draw([Series("a", ())], "title", "Dice")
    assert [one.words for one in picture.shapes if isinstance(one, Text)] == ["nothing to draw"]
    assert to_png(picture).startswith(b"\x89PNG")
    assert not any(isinstance(one, Marker) for one in picture.shapes)
