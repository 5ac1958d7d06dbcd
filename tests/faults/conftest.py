"""What the tests of hostile projects start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.cli import doctor
from coldal_tui.scheduler import follow, supervisor


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person of one's own, no supervisor beside, no look at the machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for module in (follow, supervisor):
        monkeypatch.setattr(module, "ensure_supervisor", lambda layout: None)
    monkeypatch.setattr(doctor, "machine_findings", lambda section: [])
