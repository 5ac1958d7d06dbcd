"""Manual pages: one for each command, made of what --help says, and roff that man can read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from coldal_tui.cli import COMMANDS
from coldal_tui.cli.man import manual_page


def test_the_first_page_names_every_command(call) -> None:
    page = call("man").out
    assert '.TH "COLDAL-TUI" "1"' in page
    assert ".SH DESCRIPTION\n.nf\nDecide which scans to label next.\n.fi" in page
    for name, (_, told) in COMMANDS.items():
        assert f"\\fB{name}\\fP\n  {told}" in page


def test_the_page_of_a_command_has_its_options(call) -> None:
    page = call("man", "labels").out
    assert '.TH "COLDAL-TUI LABELS" "1"' in page
    assert "\\fB\\-\\-json\\fP\nPrint one JSON document." in page


def test_an_unknown_command_is_refused(call) -> None:
    done = call("man", "paint")
    assert done.status == 2
    assert "there is no command 'paint'" in done.err


def test_text_is_never_taken_for_a_request() -> None:
    told = ".hidden files stay\n\n'quoted', a \\ too"
    page = manual_page(click.Context(click.Command("x", help=told), info_name="x"))
    assert "\n\\&.hidden files stay\n.PP\n\\&'quoted', a \\e too\n" in page


def test_all_pages_are_installed_and_man_reads_them(call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    done = call("man", "--install", "--json").json
    folder = Path(done["folder"])
    assert folder == tmp_path / "data/man/man1"
    names = {path.stem for path in folder.iterdir()}
    assert names == set(done["pages"])
    assert {"coldal-tui", "coldal-tui-labels"} <= names
    assert {f"coldal-tui-{name}" for name in COMMANDS} <= names
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    read = subprocess.run(
        ["man", "--warnings", "-l", folder / "coldal-tui-import-masks.1"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert read.stderr == ""
    assert "import-masks" in read.stdout
