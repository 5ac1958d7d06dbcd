"""``init`` and ``index``: what they make, what they refuse, and that a failure leaves nothing."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.project.project import Project
from tests.support.dicom_files import write_series
from tests.support.small_projects import Call, set_config, write_image, write_mask


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_init_makes_a_project_and_says_what_comes_next(
    call: Call, tmp_path: Path, images: Path
) -> None:
    done = call("init", "made", "--images", "images", cwd=tmp_path)
    assert done.status == 0
    assert done.out.splitlines() == [
        f"made {tmp_path}/made/coldal.toml",
        "6 scans indexed",
        "next: coldal-tui select made",
    ]


def test_init_json_is_one_document(call: Call, tmp_path: Path, images: Path) -> None:
    done = call("init", "made", "--images", images, "--json", cwd=tmp_path)
    assert done.json["project"] == str(tmp_path / "made")
    assert done.json["scans"] == 6
    assert done.err == ""


def test_init_writes_its_options_to_the_file(call: Call, tmp_path: Path, images: Path) -> None:
    words = ["--classes", "left, right", "--ignore-value", "255", "--budget", "12"]
    words += ["--minutes", "240"]
    call("init", "made", "--images", images, *words, "--patients", "^(scan)_", cwd=tmp_path)
    with Project(tmp_path / "made") as made:
        assert made.config.classes.names == ("left", "right")
        assert made.config.classes.ignore_value == 255
        assert made.config.budget.total == 12
        assert made.config.budget.minutes == 240
        assert {scan.patient_id for scan in made.scans()} == {"scan"}


def bad_csv(folder: Path) -> str:
    (folder / "patients.csv").write_text("file,patient\nscan_0.png,p1\n")
    return str(folder / "patients.csv")


REFUSED = {
    "no images folder": (["--images", "nowhere"], "nowhere: the images folder does not exist", 2),
    "images is a file": (["--images", "images/scan_0.png"], "scan_0.png: not a folder", 2),
    "bad pattern": (["--patients", "(p"], "--patients (p: not a valid regular expression", 2),
    "pattern without a group": (["--patients", "p.*"], "the pattern captures nothing", 2),
    "no such patients file": (["--patients", "none.csv"], "none.csv: no such file", 2),
    "empty classes": (["--classes", ""], "--classes has an empty name", 2),
    "only commas": (["--classes", ","], "--classes has an empty name", 2),
    "a class twice": (["--classes", "a,a"], "a class is named twice", 2),
    "budget of nothing": (["--budget", "0"], "0 is not in the range x>=1", 2),
    "bad patients file": (["--patients", "patients.csv"], "no column called filename", 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_failed_init_says_why_and_leaves_nothing(
    case: str, call: Call, tmp_path: Path, images: Path
) -> None:
    bad_csv(tmp_path)
    words, reason, status = REFUSED[case]
    before = tree(tmp_path)
    done = call("init", "new/deep/lungs", "--images", "images", *words, cwd=tmp_path)
    assert (done.status, done.out) == (status, "")
    assert reason in done.err
    assert tree(tmp_path) == before


def test_a_failed_init_keeps_what_the_folder_held(call: Call, tmp_path: Path, images: Path) -> None:
    home = tmp_path / "home"
    (home / "labels").mkdir(parents=True)
    (home / "notes.txt").write_text("mine")
    csv = bad_csv(tmp_path)
    done = call("init", home, "--images", images, "--patients", csv)
    assert done.status == 1
    assert tree(home) == {"labels", "notes.txt"}


def test_init_in_a_folder_with_files_keeps_them(call: Call, tmp_path: Path, images: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "notes.txt").write_text("mine")
    assert call("init", home, "--images", images).status == 0
    assert (home / "notes.txt").read_text() == "mine"


def test_init_refuses_a_project_and_leaves_it_as_it_was(
    call: Call, project: Path, images: Path
) -> None:
    before = (project / "coldal.toml").read_text()
    done = call("init", project, "--images", images, "--budget", 3)
    assert done.status == 2
    assert "already holds a project" in done.err
    assert (project / "coldal.toml").read_text() == before
    assert (project / ".coldal" / "project.db").exists()


def test_init_never_takes_over_the_state_of_a_project_without_its_file(
    call: Call, project: Path, images: Path
) -> None:
    (project / "coldal.toml").unlink()
    done = call("init", project, "--images", images)
    assert done.status == 2
    assert "coldal.toml is gone" in done.err
    assert (project / ".coldal" / "project.db").exists()


def test_init_of_an_empty_folder_says_that_there_is_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = call("init", tmp_path / "made", "--images", tmp_path / "empty")
    assert done.status == 0
    assert f"there is no scan in {tmp_path}/empty" in done.err
    assert "coldal-tui select" not in done.out


@pytest.mark.parametrize("name", ["two words", "Lungen-Ä-肺", "-dash", "[bold]x[", "a'b\"c"])
def test_any_name_of_a_project_works_through(
    name: str, call: Call, tmp_path: Path, images: Path
) -> None:
    made = call("init", "--images", "images", "--", name, cwd=tmp_path)
    assert made.status == 0
    shown = call("status", "--", name, cwd=tmp_path)
    assert shown.out.splitlines()[0].startswith(f"{name}  ·  ")


def test_the_next_command_can_be_pasted(call: Call, tmp_path: Path, images: Path) -> None:
    made = call("init", "--images", "images", "--", "-two words", cwd=tmp_path)
    assert made.out.splitlines()[-1] == "next: coldal-tui select './-two words'"


def test_init_by_a_path_with_dots_names_the_project_after_its_folder(
    call: Call, tmp_path: Path, images: Path
) -> None:
    (tmp_path / "made" / "sub").mkdir(parents=True)
    call("init", "..", "--images", images, cwd=tmp_path / "made" / "sub")
    with Project(tmp_path / "made") as made:
        assert made.name == "made"


def test_index_says_what_changed(call: Call, project: Path, images: Path) -> None:
    write_image(images / "new.png", 50)
    (images / "scan_3.png").unlink()
    assert call("index", project).out == "6 scans indexed, 1 added, 1 removed\n"


def test_index_of_a_lost_disk_changes_nothing(call: Call, project: Path, images: Path) -> None:
    images.rename(images.with_name("away"))
    done = call("index", project)
    assert done.status == 1
    assert f"{images}: the images folder is not there" in done.err


def test_index_problems_lists_every_file_and_why(call: Call, project: Path, images: Path) -> None:
    (images / "notes.txt").write_text("hello")
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    short, full = call("index", project).out, call("index", project, "--problems").out
    assert "broken.png: unreadable" in short
    assert "notes.txt" not in short
    assert "1 file passed over" in short
    assert "notes.txt: not-an-image" in full
    assert "1 file: truncated (unreadable)\n  broken.png" in full


STRANGE = (
    "[red]alarm[b].png",
    "esc\x1b[31m\x1b]0;owned\x07.png",
    "two\nlines.png",
    ":smile:.png",
)


@pytest.mark.parametrize("name", STRANGE)
def test_names_of_files_are_shown_and_never_obeyed(
    name: str, call: Call, project: Path, images: Path
) -> None:
    (images / name).write_bytes(b"\x89PNG\r\n\x1a\nno more")
    done = call("index", project, "--problems")
    shown = name.replace("\x1b", r"\x1b").replace("\x07", r"\x07").replace("\n", r"\n")
    assert f"  {shown}: unreadable" in done.out
    assert not set("\x1b\x07") & set(done.out)


def test_a_budget_that_is_not_allowed_is_answered_with_line_key_and_what_is(
    call: Call, project: Path
) -> None:
    set_config(project, "total = 100", "total = -3")
    line = (
        (project / "coldal.toml")
        .read_text()
        .splitlines()
        .index("total = -3                  # scans that may be labelled in all")
    )
    done = call("status", project)
    assert (done.status, done.out) == (1, "")
    assert f"coldal.toml, line {line + 1}" in done.err
    assert "budget.total: -3 is not allowed" in done.err
    assert "allowed: a whole number from 1 up" in done.err


def test_init_says_what_it_left_out_and_what_does_not_belong_together(
    call: Call, tmp_path: Path
) -> None:
    images = tmp_path / "mixed"
    write_image(images / "a.png", 1)
    write_mask(images / "a_mask.png")
    volume = np.random.default_rng(0).integers(0, 900, (4, 4, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), images / "v.nii.gz")
    said = call("init", tmp_path / "p", "--images", images)
    told = " ".join((said.out + said.err).split())
    assert "1 file looks like a mask of other files (*_mask.png" in told
    assert "1 picture and 1 volume in one project" in told
    assert '[images] modality = "other"' in told
    assert 'modality = "other"' in (tmp_path / "p" / "coldal.toml").read_text("utf-8")


def test_two_eyes_of_one_person_are_said_with_the_pattern_that_joins_them(
    call: Call, tmp_path: Path
) -> None:
    for number, name in enumerate(("01L", "01R", "02L", "02R")):
        write_image(tmp_path / "images" / f"Image_{name}.png", seed=number)
    done = call("init", "made", "--images", "images", cwd=tmp_path)
    assert "4 files look like scans of 2 persons (such as Image_01L.png and" in done.err
    (line,) = (line for line in done.err.splitlines() if "patients_pattern" in line)
    set_config(tmp_path / "made", "[images]\n", f"[images]\n{line.strip()}\n")
    assert "look like scans of" not in call("index", "made", cwd=tmp_path).err
    with Project(tmp_path / "made") as made:
        assert {scan.patient_id for scan in made.scans()} == {"Image_01", "Image_02"}
    rule = ("--patients", "(Image)")
    told = call("init", "told", "--images", "images", *rule, "--json", cwd=tmp_path)
    assert told.json["same_person"] is None


def test_masks_beside_the_scans_are_counted_once(call: Call, tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / "images" / f"{number}.png", seed=number)
        write_mask(tmp_path / "images" / "masks" / f"{number}.png")
    (tmp_path / "images" / "notes.txt").write_text("a")
    done = call("init", "made", "--images", "images", cwd=tmp_path)
    assert "3 files look like masks of other files" in done.out
    assert "1 file passed over that is no image to label" in done.out


def test_the_slices_of_a_refused_series_share_a_line(call: Call, tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "s1")
    (tmp_path / "images" / "s1" / "3.dcm").unlink()
    write_image(tmp_path / "images" / "a.png", seed=1)
    done = call("init", "made", "--images", "images", cwd=tmp_path)
    told = "  s1/1.dcm … 5.dcm (4 files): refused: its series is refused: 1 slice is missing"
    assert told in done.out
    assert told in call("index", "made", "--problems", cwd=tmp_path).out
    assert len(call("index", "made", "--json", cwd=tmp_path).json["problems"]) == 4


def test_patients_that_differ_only_in_case_are_said(call: Call, tmp_path: Path) -> None:
    for name in ("P1_a.png", "p1_b.png", "P2_a.png"):
        write_image(tmp_path / "images" / name, len(name))
    done = call("init", tmp_path / "p", "--images", tmp_path / "images", "--patients", "^(.*)_")
    assert "differ only in case or blanks count as several: P1 = p1;" in done.err
