"""``export-queue``: formats, people, what changed, and exports that name nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldal_tui.cli.handing_out import HandedOut
from coldal_tui.exchange.exporters import export_formats
from tests.support.small_projects import Call


@pytest.mark.parametrize("fmt", [name for name in export_formats() if name != "dicom-seg"])
def test_every_format_is_one_word(call: Call, queued: Path, tmp_path: Path, fmt: str) -> None:
    done = call("export-queue", queued, "--to", fmt, "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "README.md").is_file()


def test_help_names_every_format(call: Call) -> None:
    told = " ".join(call("export-queue", "--help").out.split())
    assert [fmt for fmt in export_formats() if fmt not in told.replace("- ", "-")] == []


def test_an_unknown_format_is_a_wrong_call(call: Call, queued: Path) -> None:
    done = call("export-queue", queued, "--to", "fax")
    assert done.status == 2
    assert "label-studio" in done.err


def test_pictures_are_no_dicom(call: Call, queued: Path, tmp_path: Path) -> None:
    done = call("export-queue", queued, "--to", "dicom-seg", "--out", tmp_path / "out")
    assert done.status == 2
    assert "--to slicer" in done.err
    assert not (tmp_path / "out").exists()


def test_an_overlap_makes_a_folder_for_each_person(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = call("export-queue", queued, "--out", out, "--assign", "ana,ben", "--overlap", 1)
    assert done.out.splitlines()[1:4] == [
        "  ana: 2",
        "  ben: 2",
        "1 scan went to several people: a folder for each person",
    ]
    assert (out / "ana" / "manifest.json").is_file()


@pytest.mark.parametrize("words", [("--overlap", 1), ("--assign", "ana", "--overlap", 2)])
def test_an_overlap_needs_two_people(call: Call, queued: Path, words: tuple[object, ...]) -> None:
    done = call("export-queue", queued, *words)
    assert done.status == 2
    assert "--assign ana,ben" in done.err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--dates", "shift"), "add --deidentify"),
        (("--dates", "remove"), "add --deidentify"),
        (("--raters", 3), "add --overlap N"),
        (("--assign", "ana,ben,carla", "--raters", 3), "add --overlap N"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    call: Call, queued: Path, tmp_path: Path, words: tuple[object, ...], remedy: str
) -> None:
    """Dates above all: who asks that they be shifted must not hand out names."""
    done = call("export-queue", queued, "--out", tmp_path / "out", *words)
    assert done.status == 2
    assert remedy in done.err
    assert not (tmp_path / "out").exists()


def test_dates_may_be_said_with_repeats_which_hide_names_too() -> None:
    assert HandedOut(dates="shift").wanted(repeats=2).deidentify == "shift"
    assert HandedOut().wanted(repeats=2).deidentify is None  # the export hides them if it has any


@pytest.mark.parametrize(("fmt", "told"), [("nifti", True), ("coco", False)])
def test_a_choice_of_slices_that_does_nothing_is_told(
    call: Call, queued: Path, tmp_path: Path, fmt: str, told: bool
) -> None:
    done = call(
        "export-queue", queued, "--to", fmt, "--slices", "every:5", "--out", tmp_path / "out"
    )
    assert done.status == 0
    assert ("--slices does nothing: nifti" in done.err) == told


@pytest.mark.parametrize("choice", ["some", "every:0", "every:x"])
def test_a_choice_of_slices_that_is_none(call: Call, queued: Path, choice: str) -> None:
    done = call("export-queue", queued, "--to", "coco", "--slices", choice)
    assert done.status == 2
    assert "every:5" in done.err


def test_nothing_changed(call: Call, queued: Path) -> None:
    call("export-queue", queued)
    done = call("export-queue", queued, "--changed")
    assert done.status == 2
    assert "nothing that is out has changed" in done.err


def test_who_changed_goes_out_again(call: Call, queued: Path) -> None:
    call("export-queue", queued)
    call("queue", queued, "assign", "scan_1", "--to", "ana")
    told = call("export-queue", queued, "--changed", "--json").json
    assert told["scans"] == ["scan_1"]


def test_a_de_identified_export_says_where_its_keys_are(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = call("export-queue", queued, "--out", out, "--deidentify", "--assign", "ana")
    assert done.status == 0, done.err
    assert "  ana (called labeler-1): 3" in done.out
    assert "burned into pixels" in done.out
    (key_line,) = [line for line in done.out.splitlines() if line.startswith("who is who")]
    keys = json.loads(Path(key_line.partition(": ")[2]).read_text())
    assert {key["scan_id"] for key in keys["scans"].values()} == {"scan_0", "scan_1", "scan_2"}
    names = {path.stem for path in (out / "labeler-1" / "images").iterdir()}
    assert names == set(keys["scans"])


def test_json_names_the_key_file(call: Call, queued: Path, tmp_path: Path) -> None:
    told = call("export-queue", queued, "--deidentify", "--json").json
    assert Path(told["key_file"]).parent.name == "keys"
    assert call("export-queue", queued, "--again", "--json").json["key_file"] is None
