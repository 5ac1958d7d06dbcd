"""What a shell is told when it completes: commands, projects, scans, formats, people."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from coldal_tui.cli import COMMANDS, cli
from coldal_tui.project.project import Project
from tests.support.small_projects import Call


class Asked(ShellComplete):
    """A shell that has these words on its line."""

    name = "asked"
    source_template = ""


def complete(*words: str) -> list[str]:
    """The answers to the last word, which may be empty."""
    shell = Asked(cli, {}, "coldal-tui", "_COLDAL_TUI_COMPLETE")
    found = shell.get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found if item.type == "plain"]


@pytest.fixture
def here(queued: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(queued)
    return queued


def test_commands() -> None:
    assert complete("sta") == ["status"]
    assert set(COMMANDS) <= set(complete(""))


def test_options_of_a_command() -> None:
    assert complete("select", "--stra") == ["--strategy"]


def test_actions_and_scans_of_the_queue(here: Path) -> None:
    assert complete("queue", "sk") == ["skip"]
    assert complete("queue", "skip", "scan_") == [f"scan_{n}" for n in range(6)]
    assert complete("why", "scan_3") == ["scan_3"]


def test_a_named_project_is_looked_into(
    queued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete("why", str(queued), "scan_0") == ["scan_0"]
    assert complete("queue", "pin", str(queued), "scan_1") == ["scan_1"]
    assert complete("why", "scan_0") == []


def test_strategies_formats_and_encoders(here: Path) -> None:
    assert complete("select", "--strategy", "entropy-") == [
        "entropy-boundary",
        "entropy-diversity",
        "entropy-foreground",
    ]
    assert complete("export-queue", "--to", "n") == ["nifti", "nnunet"]
    assert "rtstruct" in complete("import-masks", "--format", "rt")
    assert complete("encoder", "use", "dino") == ["dinov2-small", "dinov2-base"]


def test_people_and_the_last_of_several(here: Path) -> None:
    with Project(here) as project, project.store.action("test") as action:
        action.summary = "assigned"
        project.store.update("queue", {"scan_id": "scan_0"}, assignee="ana")
        project.store.update("queue", {"scan_id": "scan_1"}, assignee="ben")
    assert complete("queue", "assign", "scan_0", "--to", "") == ["ana", "ben"]
    assert complete("export-queue", "--assign", "ana,b") == ["ana,ben"]


def test_a_broken_project_completes_nothing_and_says_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "coldal.toml").write_text("[nonsense")
    assert complete("why", "scan_") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", "data/bash-completion/completions/coldal-tui"),
        ("zsh", "data/zsh/site-functions/_coldal-tui"),
        ("fish", "config/fish/completions/coldal-tui.fish"),
    ],
)
def test_it_is_put_where_the_shell_looks(
    shell: str, file: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    done = call("completion", "--install")
    assert f"written to {tmp_path / file}" in done.out
    script = (tmp_path / file).read_text()
    assert script == call("completion", shell, "--json").json["script"]
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n", tmp_path / file], check=False, capture_output=True)
        assert checked.returncode == 0, checked.stderr


def test_an_unknown_shell_is_asked_for(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    done = call("completion")
    assert (done.status, "bash|zsh|fish" in done.err) == (2, True)
