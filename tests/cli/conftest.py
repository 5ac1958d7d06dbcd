"""Small projects, and the command line as a function that returns what a shell would see."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coldal_tui.cli import main
from tests.support.lab import lab
from tests.support.small_projects import (
    Call,
    Result,
    images,
    plain_template,
    project,
    queued,
    queued_template,
)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``coldal-tui`` with these words, in ``cwd`` if given, without a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*words: object, cwd: Path | None = None) -> Result:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["coldal-tui", *map(str, words)])
            if cwd is not None:
                patch.chdir(cwd)
            with pytest.raises(SystemExit) as end:
                main()
        captured = capsys.readouterr()
        return Result(captured.out, captured.err, int(end.value.code or 0))

    return run


__all__ = ["call", "images", "lab", "plain_template", "project", "queued", "queued_template"]
