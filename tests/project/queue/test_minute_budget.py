"""The budget in minutes: spent, to come, left; rounds that do not fit are said and cut."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.minutes.expected import read_expectation
from coldal_tui.project.project import Project
from coldal_tui.project.queue.minute_budget import outlook, read_minute_budget
from coldal_tui.project.queue.rerank import read_bench
from coldal_tui.project.report_words import export_lines
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.scheduler.plan_select import plan_select
from coldal_tui.scheduler.recipes import clipped
from tests.support.second_round import second_round

QUEUED = [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "farthest-point")]
FIVE = "[budget]\ntotal = 10\nbatch = 6\nminutes = {minutes}\nminutes_per_scan = 5\n"


def draw(folder, person: str, scan: str, columns: slice = slice(2, 5)) -> None:
    drawn = np.zeros((6, 9), np.uint8)
    drawn[1, columns] = 1
    Image.fromarray(drawn).save(folder / person / "masks" / f"{scan}.png")


def wrote(folder, person: str, **minutes: float) -> None:
    table = folder / person / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    told = [f"{row},{minutes.get(row.split(',')[1], '')}" for row in rows]
    table.write_text("\n".join([f"{head},minutes", *told]))


def test_what_is_queued_counts_as_expected(lab):
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=60))
    budget = read_minute_budget(project)
    assert (budget.total, budget.spent, budget.open, budget.left) == (60, 0.0, 15.0, 45.0)
    assert (budget.open_drawings, budget.learned) == (3, False)
    # ln(1 + (3 · 25 · (e^0.25 - 1) + 225 · (e - 1)) / 225) = 1.03425: 15 · e^(-0.517 ± 1.673).
    assert budget.words() == "60: 0 drawn, about 15 queued or out (90 % 1.7 to 48), 45 left"


def test_scans_of_two_people_count_twice_until_they_are_back(lab):
    """Two of three scans go to both people: five drawings. Ana's first took 8 minutes."""
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=100))
    report = export_queue(project, wanted=Wanted(people=("ana", "ben"), overlap=2))
    assert report.expected is not None
    assert (report.expected.scans, report.expected.minutes) == (5, 25.0)
    # Likewise 1.02068: 25 · e^(-0.510 ± 1.662).
    assert "5 drawings take about 25 minutes (90 % 2.8 to 79)" in export_lines(report)
    wrote(report.folder, "ana", s00=8)
    draw(report.folder, "ana", "s00")
    import_masks(project, report.folder / "ana", options=ImportOptions())
    budget = read_minute_budget(project)
    assert (budget.drawings, budget.spent, budget.stated) == (1, 8.0, 8.0)
    assert budget.open_drawings == 4
    known = read_expectation(project)
    wanted = sum(
        known.minutes(row["scan_id"], person)
        for row in project.store.rows("SELECT scan_id, assignee FROM queue")
        for person in row["assignee"].split(",")
        if (row["scan_id"], person) != ("s00", "ana")
    )
    assert budget.open == pytest.approx(wanted)
    assert budget.left == pytest.approx(92 - wanted)


def test_a_drawing_without_a_known_time_counts_with_the_expected_one(lab):
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=60))
    folder = export_queue(project, wanted=Wanted(people=("ana",))).folder
    draw(folder, "ana", "s00")
    import_masks(project, folder / "ana", options=ImportOptions())
    budget = read_minute_budget(project)
    assert (budget.spent, budget.stated, budget.open) == (5.0, 0.0, 10.0)
    assert budget.words().startswith("60: 5 drawn (5 estimated), about 10 queued or out")


def test_status_and_its_json_show_minutes_beside_scans(lab):
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=60))
    snapshot = take_snapshot(project)
    assert [item.expected_minutes for item in snapshot.queue] == [5.0, 5.0, 5.0]
    assert snapshot.queue[0].as_json()["expected_minutes"] == 5.0
    told = snapshot.as_json()["budget"]
    assert (told["total"], told["left"]) == (10, 7)
    assert told["minutes"]["left"] == 45.0
    assert told["minutes"]["open"] == 15.0
    assert "minutes" not in snapshot.as_json()


def test_a_round_that_goes_beyond_the_minutes_is_said_before(lab):
    """Six scans of 5 minutes, and 18 are left: three fit."""
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=33))
    said = clipped(project, None)
    assert said[0].startswith("6 scans take about 30 minutes (90 %")
    assert said[0].endswith("and 18 are left: about 3 will fit")
    assert outlook(project, 3) == ""


def test_a_round_is_planned_with_the_minutes_of_its_candidates(lab):
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=33))
    spec = plan_select(project, {"strategy": "random"})
    assert spec.minutes_left == 18.0
    assert spec.minutes == dict.fromkeys([f"s{n:02d}" for n in range(3, 9)], 5.0)
    assert all(row.minutes is None for row in spec.pool)


def test_without_a_budget_of_minutes_nothing_is_planned_by_them(lab):
    project = lab.line(9, QUEUED, toml="[budget]\ntotal = 10\n")
    spec = plan_select(project, {"strategy": "random"})
    assert (spec.minutes, spec.minutes_left, spec.notes) == ({}, None, ())
    assert read_minute_budget(project).left is None


def test_when_the_minutes_are_spent_no_round_starts(lab):
    project = lab.line(9, QUEUED, toml=FIVE.format(minutes=15))
    for start in (lambda: clipped(project, None), lambda: plan_select(project, {})):
        with pytest.raises(ColdalError, match="the budget of 15 minutes is spent") as caught:
            start()
        assert caught.value.code == "budget-spent"
        assert caught.value.remedy == "raise minutes under [budget] in coldal.toml to go on"


def test_cost_in_minutes_goes_with_the_pool_and_other_strategies_say_that_it_has_no_say(tmp_path):
    """Scans with an even number become volumes of 27 slices: 27 minutes in place of 3."""
    root = second_round(tmp_path)
    toml = root / "coldal.toml"
    toml.write_text(toml.read_text().replace("[selection]", '[selection]\ncost = "minutes"', 1))
    with Project(root) as project:
        for n in range(0, 30, 2):
            project.store.update("scans", {"scan_id": f"s{n:02d}"}, shape=[4, 5, 27])
        wanted = [27.0 if n % 2 == 0 else 3.0 for n in range(30)]
        project.store.execute(
            "UPDATE rounds SET params = ? WHERE round = 1", ('{"notes": [], "cost": "minutes"}',)
        )
        bench = read_bench(project)
        assert bench.minutes is not None
        assert bench.minutes.tolist() == pytest.approx(wanted)


def test_a_later_round_is_planned_per_minute_or_says_that_it_is_not(lab):
    project = lab.line(9, QUEUED, toml='[selection]\ncost = "minutes"\n')
    weighed = plan_select(project, {"strategy": "entropy-diversity"})
    assert {row.minutes for row in weighed.pool} == {3.0}
    assert (weighed.notes, weighed.minutes_left) == ((), None)
    drawn = plan_select(project, {"strategy": "random"})
    assert {row.minutes for row in drawn.pool} == {None}
    assert drawn.notes == ('cost = "minutes" has no say in random',)
    assert plan_select(project, {"strategy": "entropy-diversity", "alpha": 0.3}).notes == ()
    asked = plan_select(project, {"strategy": "random", "alpha": 0.3}).notes
    assert asked[-1] == "α = 0.3 has no say in random"
