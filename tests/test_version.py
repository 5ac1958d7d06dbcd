"""The version with the commit: in a checkout, in what is built, and where neither is known."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from coldal_tui.version import __version__, full_version, git_commit


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (tmp_path / "coldal_tui").mkdir()
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "a")):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)
    return tmp_path


def test_a_checkout_names_its_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["git", "-C", checkout, "rev-parse", "HEAD"]
    whole = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    monkeypatch.setenv("GIT_DIR", "/elsewhere")  # as in a hook of git
    assert full_version(checkout / "coldal_tui") == f"{__version__}+g{whole[:9]}"


def test_what_was_built_says_what_was_written(checkout: Path) -> None:
    (checkout / "coldal_tui" / "commit.txt").write_text("1234abcde\n")
    assert full_version(checkout / "coldal_tui") == f"{__version__}+g1234abcde"


def test_a_folder_inside_a_checkout_is_none(checkout: Path) -> None:
    (checkout / "lib" / "coldal_tui").mkdir(parents=True)
    assert git_commit(checkout / "lib") == ""
    assert full_version(checkout / "lib" / "coldal_tui") == __version__


def test_without_git_the_release_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert full_version(checkout / "coldal_tui") == __version__


def test_a_damaged_file_names_no_commit(tmp_path: Path) -> None:
    (tmp_path / "coldal_tui").mkdir()
    (tmp_path / "coldal_tui" / "commit.txt").write_text("")
    assert full_version(tmp_path / "coldal_tui") == __version__
