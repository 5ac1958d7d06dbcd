"""The replay of "Enough?" on simulations made by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from coldal_tui.simulation.cells import (
    SETUP_FILE,
    Cell,
    Measured,
    Setup,
    SetupScan,
    write_cell,
    write_json,
)
from coldal_tui.simulation.design import CellId, SplitRule
from scripts.enough_replay import (
    Replayed,
    Simulated,
    coverage_table,
    main,
    read_simulated,
    replay,
    stop_table,
)

COUNTS = (4, 6, 8, 10)
SCANS = tuple(f"t{n:02}" for n in range(40))


def dice(labels: int, scan: str) -> float:
    """Every scan gains 0.01 a label; one differs from the next."""
    return 0.5 + 0.01 * labels + 0.005 * (int(scan[1:]) % 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    setup = Setup(
        setup="abc",
        project="p",
        classes=("lung",),
        rule=SplitRule(0),
        scans=tuple(SetupScan(scan, scan) for scan in SCANS),
        ndim=2,
        encoder="e",
        encoder_hash="h",
        training={},
    )
    write_json(tmp_path / SETUP_FILE, setup)
    for labels in COUNTS:
        _cell(tmp_path, CellId(3, "cold", "random", labels), labels)
    _cell(tmp_path, CellId(3, "full"), 20)
    _cell(tmp_path, CellId(3, "cold", "random", 12), 12, setup="another")
    return tmp_path


def _cell(folder: Path, id: CellId, labels: int, setup: str = "abc") -> None:
    cell = Cell(
        id=id,
        setup=setup,
        train=tuple(f"p{n}" for n in range(labels)),
        validation=(),
        picks=(),
        scans={scan: {"lung": Measured(dice(labels, scan), 1, 1)} for scan in SCANS},
        foreground=0.1,
        seconds={},
        steps=1,
        loss=0.1,
    )
    write_cell(folder, cell)


def test_cells_of_the_setup_are_read(folder: Path) -> None:
    found = read_simulated("set", folder)
    assert {key: tuple(curve) for key, curve in found.curves.items()} == {(3, 0): COUNTS}
    # 0.5 + 0.01 · 20 and on average 0.005 · 39 / 40, from three kinds of scans.
    assert found.everything == {3: (20, pytest.approx(0.7 + 0.005 * 39 / 40))}


def test_the_gain_that_came_is_that_of_the_other_scans(folder: Path) -> None:
    rounds = list(replay(read_simulated("set", folder), 2, {}))
    assert [(one.repeat, one.runs, one.labels, one.more) for one in rounds] == [
        (0, 3, 8, 2),
        (1, 3, 8, 2),
    ]
    assert all(one.came == pytest.approx(0.02) for one in rounds)
    assert all(one.held and not one.seen for one in rounds)
    known = {one.key: one for one in rounds}
    assert [one is known[one.key] for one in replay(read_simulated("set", folder), 2, known)] == [
        True,
        True,
    ]


def _replayed(labels: int, came: float, *, high: float = 0.02, seed: int = 30) -> Replayed:
    return Replayed("nuclei", seed, 0, 0, 3, labels, 10, -0.01, 0.005, high, came)


def test_the_share_that_held() -> None:
    rounds = [
        _replayed(8, 0.01),
        _replayed(8, 0.03, seed=31),
        _replayed(8, -0.02, seed=32),
        _replayed(8, 0.0, seed=33),
    ]
    row = list(coverage_table(rounds))[2]
    assert row == "| nuclei | 8 | 10 | 4 | 50.0% | 25.0% | 25.0% | 0.030 | +0.0050 | +0.0050 |"


def test_where_the_signal_stops_and_what_it_loses() -> None:
    """It stops at 18 labels, where the interval ends at 0.009; 28 labels and 50 had more."""
    path = [_replayed(8, 0.05, high=0.06), _replayed(18, 0.02, high=0.009)]
    curve = {8: {"a": 0.6, "b": 0.7}, 18: {"a": 0.7, "b": 0.7}, 28: {"a": 0.7, "b": 0.74}}
    simulated = Simulated("nuclei", {"a": "a", "b": "b"}, {(30, 0): curve}, {30: (50, 0.75)})
    rows = list(stop_table(path, {"nuclei": simulated}))
    assert rows[2] == (
        "| nuclei | 0.01 | 1 | 1 | 18.0 of 28 | 0.700 | +0.0200 (+0.020 to +0.020) "
        "| +0.0500 (50 labels; 1 trajectories) |"
    )


def test_it_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    kept, out = tmp_path / "rounds.jsonl", tmp_path / "out"
    call = ["enough_replay.py", f"set={folder}", "--rounds", str(kept), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", call)
    main()
    first = kept.read_text("utf-8").splitlines()
    assert len(first) == 2
    page = (out / "README.md").read_text("utf-8")
    # What was worked out is kept, a line that was cut off is made again.
    changed = json.loads(first[0]) | {"came": 0.5}
    kept.write_text(json.dumps(changed) + "\n" + first[1][:40], "utf-8")
    main()
    again = kept.read_text("utf-8").splitlines()
    assert again == [json.dumps(changed), first[1][:40], first[1]]
    assert (out / "README.md").read_text("utf-8") != page
    capsys.readouterr()
