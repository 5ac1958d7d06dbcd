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


def test_bald_has_an_ensemble_trained_once(cli, copy_of) -> None:
    project = copy_of("ensemble")
    cli("train", project)
    first = cli.json("next", project, "--strategy", "bald", "--batch", 2)
    assert all(0 < one["terms"]["bald"] < 1 for one in first)
    assert "disagree" in cli("why", project, first[0]["scan_id"]).stdout
    runs = cli.json("status", project)["runs"]
    assert [run["networks"] for run in runs] == [1, 3]
    cli("undo", project)
    again = cli.json("next", project, "--strategy", "power-bald", "--batch", 2)
    assert {one["terms"]["beta"] for one in again} == {1.0}
    assert len(cli.json("status", project)["runs"]) == 2


def test_one_network_is_told_before_anything_is_trained(cli, copy_of) -> None:
    project = copy_of("no-ensemble")
    config = project / "coldal.toml"
    text = config.read_text().replace("#: networks = 3", "networks = 1")
    config.write_text(text.replace("# round_strategy = ", 'round_strategy = "bald"  # '))
    refused = cli("next", project, "--strategy", "bald", "--batch", 2, status=1)
    assert "networks = 3" in refused.stderr
    assert cli.json("status", project)["runs"] == []
    cli("train", project)
    refused = cli("score", project, status=1)
    assert "this run has one" in refused.stderr
