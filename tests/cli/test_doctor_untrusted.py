"""``doctor`` asks nothing of an address that came with somebody else's project."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldal_tui.cli import cli
from coldal_tui.trust_store import TrustStore
from tests.support.lab import Lab


@pytest.mark.parametrize("trusted", [True, False])
def test_a_token_goes_only_to_an_address_that_was_agreed_to(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    lab = Lab(tmp_path)
    lab.start(index=False).close()
    with (lab.root / "coldal.toml").open("a") as stream:
        stream.write('[backend.ray]\naddress = "http://cluster.example:8265"\n')
    if not trusted:
        TrustStore().forget(lab.root)
    sent: list[tuple[str, str | None]] = []

    def note(request: urllib.request.Request, **_more: Any) -> Any:
        sent.append((request.full_url, request.get_header("Authorization")))
        raise OSError("nobody there")

    monkeypatch.setattr(urllib.request, "urlopen", note)
    CliRunner().invoke(cli, ["doctor", str(lab.root)])
    there = ("http://cluster.example:8265/api/version", "Bearer mine")
    assert [one for one in sent if one[0].startswith("http://cluster")] == [there] * trusted
