"""An ``init`` that was cut off is begun again; what holds work is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from coldal_tui.cli import cli
from coldal_tui.errors import UsageError
from coldal_tui.project.layout import Layout
from tests.support.lab import Lab


def _init(lab: Lab) -> None:
    call = ["init", str(lab.root), "--images", str(lab.images)]
    done = CliRunner().invoke(cli, call, standalone_mode=False)
    if done.exception is not None:
        raise done.exception


def test_what_an_init_left_before_its_configuration_does_not_stop_the_next(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.picture("a.png")
    layout = Layout(lab.root)
    layout.make_folders()
    layout.database.touch()
    _init(lab)
    with lab.open() as project:
        assert [scan.scan_id for scan in project.scans()] == ["a"]


def test_the_state_of_a_project_without_its_configuration_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.picture("a.png")
    lab.start().close()
    layout = Layout(lab.root)
    layout.config.unlink()
    (layout.state / "journal.jsonl").unlink()
    before = layout.database.read_bytes()
    with pytest.raises(UsageError, match=r"whose coldal\.toml is gone"):
        _init(lab)
    assert layout.database.read_bytes() == before
