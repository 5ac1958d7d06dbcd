"""Making, opening and finding a project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.layout import Layout, find_project, is_project
from coldal_tui.project.project import Project, encoder_key, relative_or_absolute
from coldal_tui.project.records import ScanRecord


def test_a_new_project_names_its_images_relative_to_itself(lab):
    project = lab.start(index=False)
    assert project.config.images.dir == "../images"
    assert project.images == lab.images
    assert project.name == "project"
    assert is_project(lab.root)


def test_a_second_project_in_the_same_folder_is_refused(lab):
    lab.start(index=False)
    with pytest.raises(UsageError, match="already holds a project"):
        Project.create(lab.root, lab.images)


@pytest.mark.parametrize(("name", "what"), [("none", "does not exist"), ("file", "not a folder")])
def test_images_must_be_a_folder(lab, name, what):
    (lab.folder / "file").touch()
    with pytest.raises(UsageError, match=what):
        Project.create(lab.root, lab.folder / name)
    assert not lab.root.exists()


def test_a_file_in_the_way(lab):
    lab.root.touch()
    with pytest.raises(UsageError, match="a file is in the way"):
        Project.create(lab.root, lab.images)


def test_a_project_that_can_not_be_opened_is_not_half_made(lab):
    state = Layout(lab.root).state
    state.mkdir(parents=True)
    Layout(lab.root).database.write_bytes(
        b"no database at all, but more than one hundred bytes" * 9
    )
    with pytest.raises(ColdalError, match="database is damaged"):
        Project.create(lab.root, lab.images)
    assert not is_project(lab.root)


def test_a_disk_that_refuses_is_an_error_with_a_remedy(lab):
    lab.root.mkdir()
    (lab.root / "coldal.toml").write_text('[images]\ndir = "x"\n')
    (lab.root / "labels").write_text("a file where a folder must be")
    with pytest.raises(ColdalError) as caught:
        Project(lab.root)
    assert caught.value.code == "disk"


def test_the_nearest_project_upward_is_found(lab):
    project = lab.start(index=False)
    assert find_project(project.layout.label_versions / "deep") == lab.root
    with pytest.raises(UsageError) as caught:
        find_project(lab.images)
    assert caught.value.code == "no-project"


def test_a_configuration_is_read_again_when_asked(lab):
    project = lab.start(index=False)
    lab.configure("[budget]\ntotal = 7\n")
    assert project.config.budget.total == 100
    project.reload_config()
    assert project.config.budget.total == 7


def test_an_unknown_scan_brings_up_those_of_a_near_name(lab):
    lab.pictures("chest_001", "chest_002", "knee")
    project = lab.start()
    with pytest.raises(UsageError) as caught:
        project.scan("chest_01")
    assert caught.value.where == "chest_01"
    assert caught.value.remedy == "did you mean chest_001, chest_002?"
    with pytest.raises(UsageError) as caught:
        project.scan("chest")
    assert caught.value.remedy == "did you mean chest_001, chest_002?"
    with pytest.raises(UsageError, match="no such scan") as caught:
        project.scan("zzz")
    assert caught.value.remedy == "see coldal-tui status --json"


def test_a_project_without_a_scan_can_not_go_on(lab):
    with pytest.raises(ColdalError) as caught:
        lab.start().require_scans()
    assert caught.value.code == "no-scans"


def test_some_scans_are_read_without_the_others(lab, monkeypatch):
    lab.pictures("a", "b", "c", "d")
    project = lab.start()
    made = []
    from_row = ScanRecord.from_row

    def counting(row):
        made.append(row["scan_id"])
        return from_row(row)

    monkeypatch.setattr(ScanRecord, "from_row", counting)
    found = project.scans_named(["d", "b", "no such scan"])
    assert [scan.scan_id for scan in found] == made == ["b", "d"]
    assert project.scans_named([]) == []


def test_the_encoders_weights_are_found_from_the_project(lab):
    project = lab.start("[encoder]\nname = 'r50'\nweights = 'w/r.pt'\n", index=False)
    assert project.encoder.weights == str(lab.root / "w" / "r.pt")
    assert project.current_encoder_hash() is None
    project.store.insert("meta", key=encoder_key(project.encoder), value="ff")
    assert project.current_encoder_hash() == "ff"


@pytest.mark.parametrize(
    ("path", "start", "expected"),
    [("/a/b/c", "/a/d", "../b/c"), ("/a/b", "/c/d", "/a/b"), ("/a/b/c", "/a/b", "c")],
)
def test_paths_are_relative_where_folders_are_shared(path, start, expected):
    assert relative_or_absolute(Path(path), Path(start)) == expected


def test_paths_in_the_database_are_relative_to_the_project(lab):
    layout = Layout(lab.root)
    assert layout.relative(layout.label_versions / "a.png") == os.path.join(  # noqa: PTH118
        "labels", "versions", "a.png"
    )
