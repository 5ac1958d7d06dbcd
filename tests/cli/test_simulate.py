"""``simulate`` in steps: a pilot, looks between, and an early end; jobs are played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coldal_tui.cli import simulate
from coldal_tui.errors import UsageError


def _results(mean: float, verdict: str, seeds: int) -> dict[str, Any]:
    gap = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "p": 0.01, "verdict": verdict}
    group = {
        "compared": [10],
        "seeds": list(range(seeds)),
        "test_patients": 30,
        "arms": [{"arm": "kmeans", "aubc": {"minus_random": gap}, "points": []}],
        "visible": {"now": 0.03, "seeds": {"5": 0.02, "20": 0.01}},
    }
    return {"groups": {"cold": group}}


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Any], list[dict[str, Any]]]]:
    """Run a simulation of so many seeds whose answer is clear from ``clear_at`` seeds on."""

    def run(seeds: int, looks: int, clear_at: int) -> tuple[list[Any], list[dict[str, Any]]]:
        asked: list[Any] = []
        reported: list[dict[str, Any]] = []

        def submit(_project: Any, request: dict[str, Any], *, embed: bool) -> tuple[list[int], Any]:
            asked.append((request["upto"], embed))
            return [1], []

        def results(*_: Any) -> tuple[dict[str, Any], dict[Any, Any]]:
            done = asked[-1][0]
            clear = done >= clear_at
            return _results(0.03 if clear else 0.0, "better" if clear else "undecided", done), {}

        job = SimpleNamespace(kind="simulate", result={"setup": "s"})
        monkeypatch.setattr(simulate, "_submit", submit)
        monkeypatch.setattr(simulate, "follow", lambda *_: [job])
        monkeypatch.setattr(simulate, "_results", results)
        monkeypatch.setattr(simulate, "_report", lambda _p, request, *_: reported.append(request))
        design = {"seeds": list(range(seeds)), "looks": looks}
        simulate._run(SimpleNamespace(), {"design": design}, False)  # type: ignore[arg-type]
        return asked, reported

    return run


def test_a_pilot_says_what_can_be_seen_before_the_rest_runs(
    play: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked, (reported,) = play(seeds=5, looks=1, clear_at=2)
    assert asked == [(2, True), (5, False)]
    assert reported["design"]["seeds"] == [0, 1, 2, 3, 4]
    said = capsys.readouterr().err
    assert said == (
        "With these scans, 2 seeds show a difference of 0.030 Dice; 5 seeds 0.020; 20 seeds 0.010 "
        "(four times in five).\n"
    )


def test_it_stops_at_the_first_look_with_a_clear_answer(
    play: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked, (reported,) = play(seeds=20, looks=4, clear_at=8)
    assert asked == [(2, True), (5, False), (10, False)]
    assert (reported["design"]["seeds"], reported["design"]["looks"]) == (list(range(10)), 4)
    assert reported["most_seeds"] == 20
    said = capsys.readouterr().err
    assert "after 5 of 20 seeds: No strategy is shown to beat random" in said
    assert said.endswith("stopped after 10 of 20 seeds: the answer is clear\n")


def test_what_is_never_clear_runs_to_its_end(play: Callable[..., Any]) -> None:
    asked, (reported,) = play(seeds=12, looks=3, clear_at=99)
    assert [upto for upto, _ in asked] == [2, 5, 10, 12]
    assert len(reported["design"]["seeds"]) == 12


def test_few_seeds_run_at_once_and_have_no_looks(play: Callable[..., Any]) -> None:
    assert play(seeds=3, looks=1, clear_at=1)[0] == [(3, True)]
    assert [simulate._looks(count) for count in (10, 11, 20)] == [2, 3, 4]
    with pytest.raises(UsageError, match="looks every 5 seeds, and 9 are to run"):
        simulate._looks(9)


@pytest.mark.parametrize(
    ("running", "wanted", "joined"),
    [(None, 2, True), (None, None, True), (2, 2, True), (2, 5, False), (2, None, False)],
)
def test_a_running_job_that_does_as_much_is_joined(
    running: int | None, wanted: int | None, joined: bool
) -> None:
    """A simulation that was detached does the pilot, too: it is not started a second time."""
    asked = {"design": {"seeds": [0, 1, 2, 3, 4]}, "steps": 9}
    assert simulate._covers(asked | {"upto": running}, asked | {"upto": wanted}) is joined
    assert not simulate._covers(asked | {"steps": 8}, asked)


def test_stop_early_is_an_option(call: Any, tmp_path: Path) -> None:
    assert "--stop-early" in call("simulate", "--help", cwd=tmp_path).out
