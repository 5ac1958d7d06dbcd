"""Four questions make a project: what they show, what they warn of, what they write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static
from textual.worker import WorkerCancelled

from coldal_tui.cli import cli
from coldal_tui.cli.open import is_new
from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.project.scans.folder_preview import patient_choices, preview_folder
from coldal_tui.tui.start.answers import (
    Budget,
    budget_lines,
    class_lines,
    default_root,
    found_lines,
    read_budget,
)
from coldal_tui.tui.start.wizard import Wizard
from tests.support.small_projects import write_image, write_mask


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight pictures of four patients by name, and masks of two values beside two of them."""
    images = tmp_path / "pictures"
    for n in range(8):
        write_image(images / f"p{n // 2}_{n}.png", n)
    write_mask(images / "p0_0_mask.png", 1)
    write_mask(images / "p0_1_mask.png", 3)
    return images


def drive(app: Wizard, steps: Callable[[Pilot[Path]], Awaitable[None]]) -> Path | None:
    async def run() -> Path | None:
        async with app.run_test(size=(80, 24)) as pilot:
            await steps(pilot)
        return app.return_value

    return asyncio.run(run())


async def settled(pilot: Pilot[Path]) -> None:
    with contextlib.suppress(WorkerCancelled):  # by the app's end
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def shown(app: Wizard) -> str:
    return str(app.query_one("#lines", Static).content)


def test_the_preview_says_what_an_index_would_find(pictures: Path, tmp_path: Path) -> None:
    (pictures / "notes.txt").write_text("no image")
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), pictures / "vol.nii.gz")
    found = preview_folder(pictures)
    with Project.create(tmp_path / "made", pictures) as project:
        from coldal_tui.project.scans.indexing import reindex

        report = reindex(project)
    assert len(found.scans) == report.scans == 9
    assert found.dimensions == {2: 8, 3: 1}
    assert (len(found.masks), found.mask_values) == (2, (1, 3))
    assert [one.rel_path for one in found.refused] == ["broken.png"]
    warnings = [words for words, warns in found_lines(found) if warns]
    assert [words.split(":")[0] for words in warnings] == [
        "pictures and volumes in one folder",
        "2 files look like masks of the others (*_mask.png)",
        "only 9 scans",
        "1 image can't be read or are refused",
    ]


def test_rules_for_patients_are_found_and_counted(pictures: Path, tmp_path: Path) -> None:
    rows = [f"p{n // 2}_{n}.png,{'A' if n < 2 else 'B'}" for n in range(8)]
    (tmp_path / "meta.csv").write_text("filename,patient_id\n" + "\n".join(rows))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    choices = patient_choices(preview_folder(pictures))
    assert [(one.name, one.patients) for one in choices] == [
        ("the table meta.csv says", 2),
        ("each file is a patient of its own", 8),
        ('the beginning of the file\'s name, up to "_"', 4),
    ]
    assert choices[2].example == ("p0_0.png", "p0")


def test_two_eyes_of_one_person_are_a_rule(tmp_path: Path) -> None:
    for number, name in enumerate(("01L", "01R", "02L", "02R")):
        write_image(tmp_path / "eyes" / f"Image_{name}.png", seed=number)
    choices = patient_choices(preview_folder(tmp_path / "eyes"))
    assert [(one.name, one.patients) for one in choices] == [
        ("each file is a patient of its own", 4),
        ("files whose names differ in side, view or visit together", 2),
    ]


def test_the_answers_make_the_project_that_init_makes(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = Wizard(tmp_path / "asked", pictures)
    seen: list[str] = []

    async def steps(pilot: Pilot[Path]) -> None:
        await pilot.press("enter")
        await settled(pilot)
        seen.append(shown(app))
        await pilot.press("enter", "down")
        seen.append(shown(app))
        await pilot.press("enter", *"left,right")
        seen.append(shown(app))
        await pilot.press("enter", *"5, 90 min", "enter")
        seen.append(shown(app))
        await pilot.press("enter")
        await settled(pilot)

    assert drive(app, steps) == tmp_path / "asked"
    assert "8 pictures, all 8×8" in seen[0]
    assert "! 2 files look like masks" in seen[0]
    assert "for example p0_0.png: patient p0" in seen[1]
    assert "! only 4 patients" in seen[1]
    assert "0 = background, 1 = left, 2 = right" in seen[2]
    assert "! the masks found beside the images hold: 1, 3" in seen[2]
    assert "coldal-tui init" in seen[3]
    words = [
        "--classes",
        "left,right",
        "--budget",
        "5",
        "--minutes",
        "90",
        "--patients",
        "(?:^|/)([^/_]+)_[^/]*$",
    ]
    args = ["init", "called", "--images", str(pictures), *words]
    assert CliRunner().invoke(cli, args).exit_code == 0
    texts = []
    for name in ("asked", "called"):
        text = (tmp_path / name / "coldal.toml").read_text()
        own = (f'name = "{name}"', "id = ")
        texts.append([line for line in text.splitlines() if not line.startswith(own)])
    assert texts[0] == texts[1]
    with Project(tmp_path / "asked") as project:
        assert {scan.patient_id for scan in project.scans()} == {"p0", "p1", "p2", "p3"}
        assert project.config.classes.names == ("left", "right")
        assert (project.config.budget.total, project.config.budget.minutes) == (5, 90)


def test_a_wrong_answer_stays_with_its_question(pictures: Path, tmp_path: Path) -> None:
    app = Wizard(tmp_path / "asked")
    seen: list[tuple[int, str]] = []

    async def answer(pilot: Pilot[Path], words: str) -> None:
        app.query_one(Input).value = words
        await pilot.press("enter")
        await settled(pilot)
        seen.append((app.step, shown(app)))

    async def steps(pilot: Pilot[Path]) -> None:
        await answer(pilot, str(tmp_path / "nowhere"))
        (tmp_path / "empty").mkdir()
        await answer(pilot, str(tmp_path / "empty"))
        await answer(pilot, str(pictures))
        await pilot.press("enter")
        options = app.query_one(OptionList)
        options.highlighted = options.option_count - 1
        await pilot.pause()
        await pilot.press("enter")
        await answer(pilot, "p.*")
        await answer(pilot, "(p[01])")
        await pilot.press("enter")
        await answer(pilot, "left,,right")
        await answer(pilot, "left,Left")
        await answer(pilot, "lung")
        await answer(pilot, "0")
        await pilot.press("escape")
        seen.append((app.step, app.query_one(Input).value))
        await pilot.press("ctrl+c")

    assert drive(app, steps) is None
    assert [step for step, _ in seen] == [0, 0, 0, 1, 1, 2, 2, 3, 3, 2]
    words = [words for _, words in seen]
    assert "nowhere: no such folder" in words[0]
    assert "no image that can be a scan" in words[1]
    assert "the pattern captures nothing" in words[3]
    assert "4 scans without a patient by it" in words[4]
    assert "a name is empty" in words[5]
    assert "a class is named twice" in words[6]
    assert "a whole number of scans, 1 or more" in words[8]
    assert words[9] == "lung"
    assert not (tmp_path / "asked").exists()


def test_what_budgets_and_classes_mean() -> None:
    assert budget_lines(Budget(40), 100, 50) == [
        ("the first queue has 8 scans; each later one as many", False)
    ]
    assert budget_lines(Budget(40), 30, 25)[1] == (
        "there are only 30 scans: all would be labelled",
        True,
    )
    minutes = budget_lines(Budget(40, 600), 100, 50)[1][0]
    assert minutes.startswith("600 minutes of people's work may end it sooner")
    assert class_lines(["lung"], [1]) == [
        ("in masks: 0 = background, 1 = lung", False),
        ("the masks found beside the images hold: 1", False),
    ]
    assert class_lines(["lung"], [1, 2])[-1] == ("that is 2 values for 1 class", True)


@pytest.mark.parametrize("words", ["100, 600 min", "100 scans 600 minutes", "100 ,600min."])
def test_a_budget_may_have_minutes(words: str) -> None:
    assert read_budget(words) == Budget(100, 600)


@pytest.mark.parametrize("words", ["", "0", "100, 0 min", "100, 600", "ten", "-5", "1.5"])
def test_what_is_no_budget_is_refused(words: str) -> None:
    with pytest.raises(ColdalError, match="100, 600 min"):
        read_budget(words)


def test_a_project_is_made_where_it_is_in_nobodys_way(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "free").mkdir()
    assert default_root(pictures, tmp_path / "free") == tmp_path / "free"
    assert default_root(pictures, tmp_path) == tmp_path / "pictures-labeling"


def test_open_asks_only_where_there_is_no_project(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLDAL_PROJECT", raising=False)
    assert is_new(())
    assert is_new((str(pictures),))
    assert is_new(("not-there",))
    assert not is_new((str(pictures / "p0_0.png"),))
    with Project.create(tmp_path / "made", pictures):
        pass
    assert not is_new((str(tmp_path / "made"),))
    (tmp_path / "made" / "coldal.toml").unlink()
    assert not is_new((str(tmp_path / "made"),))
