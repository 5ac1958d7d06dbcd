"""Strategies of later rounds on a real run: what they need is scored, and they pick."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def test_what_strategies_need_is_scored_and_they_pick(cli, copy_of) -> None:
    project = copy_of("strategies")
    cli("train", project)
    batches = {}
    for name in ("entropy-boundary", "clasp-pe", "k-center-model"):
        batches[name] = cli.json("next", project, "--strategy", name, "--batch", 2)
        why = cli("why", project, batches[name][0]["scan_id"]).stdout
        assert name in why
        cli("undo", project)
    for batch in batches.values():
        assert len({one["scan_id"] for one in batch}) == 2
    features = batches["k-center-model"][0]["terms"]
    # Measured to a scan that has a label: those were scored, too.
    labelled = {one["scan_id"] for one in cli.json("queue", project, "--status", "labelled")}
    assert features["nearest"] in labelled


def test_an_ensemble_is_not_trained_behind_anybodys_back(cli, copy_of) -> None:
    project = copy_of("no-ensemble")
    refused = cli("next", project, "--strategy", "bald", "--batch", 2, status=2)
    assert "coldal-tui simulate" in refused.stderr
    # It is told before anything is trained.
    assert cli.json("status", project)["runs"] == []
