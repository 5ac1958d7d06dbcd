"""What ``simulate`` prints: whole figures on a terminal of usual width, as the page has them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from coldal_tui.cli.simulation_view import show
from coldal_tui.simulation.results import summarise
from coldal_tui.simulation.words import answers, difference_words, needed_words, with_interval
from tests.support.replayed import COLD


@pytest.fixture
def results(setup, cold_cells):
    document = {"about": {"rule": {"validation": 2}}} | summarise(setup, COLD, cold_cells)
    return document | {"answers": answers(document)}


def _shown(results, width: int) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, force_terminal=False), results, [Path("report.md")])
    return out.getvalue()


def test_no_figure_is_cut_off_on_a_usual_terminal(results) -> None:
    text = _shown(results, 88)
    (found,) = results["groups"].values()
    for arm in found["arms"]:
        assert with_interval(arm["aubc"]) in text
        for point in arm["points"]:
            assert with_interval(point["dice"]) in text
            assert difference_words(point.get("minus_random")) in text
            assert needed_words(point.get("random_needs")) in text
            assert f"{point['hd95']['mean']:.1f}" in text


def test_the_question_is_answered_and_the_page_named(results) -> None:
    text = " ".join(_shown(results, 88).split())
    assert results["answers"][0]["text"] in text
    assert text.endswith("report: report.md")


def test_a_chart_has_a_mark_for_each_arm(results) -> None:
    (found,) = results["groups"].values()
    text = _shown(results, 88)
    chart = text[text.index("Dice by labels:") :]
    assert all(arm["arm"] in chart for arm in found["arms"])


def test_a_chart_on_a_plain_terminal_is_ascii_frame_and_all(results) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    show(Console(file=file, width=88), results, [Path("report.md")])
    file.flush()
    lines = raw.getvalue().decode("ascii").split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith("Dice by labels:"))
    chart = lines[start : start + 19]
    assert chart[1].strip().strip("+-") == ""
    assert chart[17].strip().strip("+-") == ""
    assert not any("\\" in line for line in chart)
