"""Defaults of a person below those of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.settings.config import load_config
from coldal_tui.project.settings.personal import personal_file

PROJECT = '[images]\ndir = "scans"\n[backend]\nthreads = 3\n[backend.slurm]\npartition = "gpu"\n'


@pytest.fixture
def personal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = personal_file()
    path.parent.mkdir(parents=True)
    (tmp_path / "coldal.toml").write_text(PROJECT, "utf-8")
    return path


def test_the_project_decides_and_the_person_fills_in(personal: Path, tmp_path: Path) -> None:
    personal.write_text(
        '[backend]\nthreads = 8\nnice = 5\n[backend.slurm]\npartition = "cpu"\naccount = "lab7"\n',
        "utf-8",
    )
    backend = load_config(tmp_path / "coldal.toml").backend
    assert (backend.threads, backend.nice) == (3, 5)
    assert (backend.slurm.partition, backend.slurm.account) == ("gpu", "lab7")
    assert backend.cpu_jobs == 1


def test_what_the_science_depends_on_is_no_personal_default(personal: Path, tmp_path: Path) -> None:
    personal.write_text("[backend]\nnice = 5\n[selection]\nseed = 3\n", "utf-8")
    with pytest.raises(ColdalError, match="selection: is no default of a person") as caught:
        load_config(tmp_path / "coldal.toml")
    assert caught.value.where == f"{personal}, line 3"


def test_an_error_names_the_personal_file(personal: Path, tmp_path: Path) -> None:
    personal.write_text("[backend]\nnice = 50\n", "utf-8")
    with pytest.raises(ColdalError, match=r"backend\.nice: 50 is not allowed") as caught:
        load_config(tmp_path / "coldal.toml")
    assert caught.value.where == f"{personal}, line 2"


def test_without_a_file_or_with_a_relative_folder_nothing_changes(tmp_path: Path) -> None:
    assert personal_file({"XDG_CONFIG_HOME": "here"}) == Path("~/.config").expanduser() / (
        "coldal-tui/config.toml"
    )
    (tmp_path / "coldal.toml").write_text(PROJECT, "utf-8")
    assert load_config(tmp_path / "coldal.toml").backend.threads == 3
