"""How often the intervals of "Enough?" hold, on replayed rounds of simulations on known masks.

    python scripts/enough_replay.py nuclei=PROJECT/.coldal/simulations/HASH … --out FOLDER

It reads the finished cells of ``simulate`` (random picks) and replays each seed and draw as a
project. After each training as many test scans as there are labels, drawn at random, stand for the
scans labelled by then: their Dice are the cross-fitted figures, and those of the scans that the
next training has on top are test-then-train. From the third training on the gain to the next label
count is predicted from these figures. The gain that came is that on the test scans of all other
patients, where at least 20 are left.

``--rounds`` keeps what is worked out, a line of JSON each: the same call goes on where it was.
One thread; some 40 ms a round.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.project.measuring import interval
from coldal_tui.simulation.cells import CELLS, Cell, read_cell, read_setup
from coldal_tui.simulation.design import RANDOM, CellId
from coldal_tui.simulation.expected_gain import LEAST_RUNS, PRIOR, RunFigures, expected_gain

SEEN = {"nuclei": range(20), "cxr": range(18), "fetal_head": range(8)}
"""Seeds that were looked at while the method and its numbers were chosen: reported apart."""
LEAST_REST = 20
"""Test scans on which a gain that came is measured, at least."""
WORTHS = (0.01, 0.02)
"""Dice that the next labels have to be able to gain, of the stop signal."""
_NAME = re.compile(r"s(\d+)-cold-random-(\d+)(?:-d(\d+))?\.json")

Key = tuple[str, int, int, int, int, int, int]
Curve = dict[int, dict[str, float]]
"""Label count → test scan → Dice (mean over classes)."""


@dataclass(frozen=True)
class Replayed:
    """A predicted round: the interval, and the gain that came."""

    data: str
    seed: int
    draw: int
    repeat: int
    runs: int
    labels: int
    more: int
    low: float
    expected: float
    high: float
    came: float

    @property
    def key(self) -> Key:
        return self.data, self.seed, self.draw, self.repeat, self.runs, self.labels, self.more

    @property
    def held(self) -> bool:
        return self.low <= self.came <= self.high

    @property
    def seen(self) -> bool:
        return self.seed in SEEN.get(self.data, ())


@dataclass(frozen=True)
class Simulated:
    """The random cells of one simulation: (seed, draw) → curve.

    ``everything``: seed → labels and Dice where the whole pool was labelled.
    """

    data: str
    patients: dict[str, str]
    curves: dict[tuple[int, int], Curve]
    everything: dict[int, tuple[int, float]]


def read_simulated(data: str, folder: Path) -> Simulated:
    setup = read_setup(folder)
    if setup is None:
        raise SystemExit(f"{folder}: no setup.json of a simulation, or it is damaged")
    curves: dict[tuple[int, int], Curve] = {}
    everything = {}
    for path in sorted((folder / CELLS).glob("*.json")):
        named = _NAME.fullmatch(path.name)
        full = re.fullmatch(r"s(\d+)-full\.json", path.name)
        if named:
            seed, labels, draw = int(named[1]), int(named[2]), int(named[3] or 0)
            cell = read_cell(folder, CellId(seed, "cold", RANDOM, labels, draw=draw))
            if cell is not None and cell.setup == setup.setup:
                curves.setdefault((seed, draw), {})[labels] = _dice(cell)
        elif full:
            cell = read_cell(folder, CellId(int(full[1]), "full"))
            if cell is not None and cell.setup == setup.setup:
                values = _dice(cell).values()
                everything[int(full[1])] = cell.labels, math.fsum(values) / len(values)
    patients = {scan.scan_id: scan.patient_id for scan in setup.scans}
    return Simulated(data, patients, curves, everything)


def _dice(cell: Cell) -> dict[str, float]:
    return {
        scan: math.fsum(one.dice for one in classes.values()) / len(classes)
        for scan, classes in cell.scans.items()
    }


def replay(simulated: Simulated, repeats: int, known: Mapping[Key, Replayed]) -> Iterator[Replayed]:
    """Every predicted round; those of ``known`` are not worked out again."""
    for (seed, draw), curve in sorted(simulated.curves.items()):
        counts = sorted(curve)
        scans = sorted(set.intersection(*(set(found) for found in curve.values())))
        for repeat in range(repeats):
            rng = np.random.default_rng([seed, draw, repeat])
            order = [scans[n] for n in rng.permutation(len(scans))]
            for runs in range(LEAST_RUNS, len(counts)):
                used, coming = counts[:runs], counts[runs]
                key = (simulated.data, seed, draw, repeat, runs, used[-1], coming - used[-1])
                seen = {simulated.patients[scan] for scan in order[: used[-1]]}
                rest = [scan for scan in order if simulated.patients[scan] not in seen]
                if len(rest) >= LEAST_REST:
                    place = seed, draw, repeat
                    yield known.get(key) or _predict(simulated, order, rest, used, coming, place)


def _predict(
    simulated: Simulated,
    order: Sequence[str],
    rest: Sequence[str],
    used: Sequence[int],
    coming: int,
    place: tuple[int, int, int],
) -> Replayed:
    curve = simulated.curves[place[:2]]
    labels = used[-1]
    figures = []
    for number, count in enumerate(used):
        # What was labelled next was predicted before it trained.
        measured = order[: used[min(number + 1, len(used) - 1)]]
        scans = {scan: (curve[count][scan], float(count)) for scan in measured}
        figures.append(RunFigures(count, scans))
    found = expected_gain(figures, simulated.patients, coming - labels)
    came = math.fsum(curve[coming][scan] - curve[labels][scan] for scan in rest) / len(rest)
    return Replayed(
        simulated.data,
        *place,
        runs=len(used),
        labels=labels,
        more=coming - labels,
        low=found.low,
        expected=found.expected,
        high=found.high,
        came=came,
    )


def coverage_table(rounds: Sequence[Replayed]) -> Iterator[str]:
    yield (
        "| data | labels | next | rounds | held | above | below | width | gain that came, mean | "
        "expected, mean |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for data, found in _by(rounds, lambda one: one.data):
        for labels, some in _by(found, lambda one: one.labels):
            yield _row(data, f"{labels}", some)
        yield _row(f"**{data}**", "all", found, bold=True)
    yield _row("**all**", "all", rounds, bold=True)


def _by(items: Sequence[Any], key: Callable[[Any], Any]) -> Iterator[tuple[Any, list[Any]]]:
    for name, found in groupby(sorted(items, key=key), key):
        yield name, list(found)


def _row(data: object, labels: str, rounds: Sequence[Replayed], *, bold: bool = False) -> str:
    more = sorted({one.more for one in rounds})
    span = f"{more[0]}" if len(more) == 1 else f"{more[0]} to {more[-1]}"
    share = _mean([one.held for one in rounds])
    held = f"{share:.1%}"
    if bold:
        held = f"**{held}**{_spread(rounds)}"
    count = len({one.key[:3] + one.key[4:] for one in rounds})
    again = f" ({len(rounds)} with repeats)" if len(rounds) > count else ""
    return (
        f"| {data} | {labels} | {span} | {count}{again} | {held} "
        f"| {_mean([one.came > one.high for one in rounds]):.1%} "
        f"| {_mean([one.came < one.low for one in rounds]):.1%} "
        f"| {_mean([one.high - one.low for one in rounds]):.3f} "
        f"| {_mean([one.came for one in rounds]):+.4f} "
        f"| {_mean([one.expected for one in rounds]):+.4f} |"
    )


def _spread(rounds: Sequence[Replayed]) -> str:
    """The 95 % interval of the share, with the rounds of one seed as one cluster."""
    seeds: dict[str, list[float]] = {}
    for one in rounds:
        seeds.setdefault(f"{one.data} {one.seed}", []).append(float(one.held))
    found = interval(seeds)
    return f" [{found[0]:.0%}, {found[1]:.0%}]" if found else ""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def stop_table(rounds: Sequence[Replayed], simulated: Mapping[str, Simulated]) -> Iterator[str]:
    """Where the signal stops a trajectory, and the Dice lost against its end and all labels."""
    yield (
        "| data | stop below | trajectories | stopped | labels spent, mean | Dice there | "
        "lost against the last count (least to most) | lost against all labels |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for data, found in _by(rounds, lambda one: one.data):
        paths = [
            sorted(path, key=lambda one: one.labels)
            for _, path in _by(found, lambda one: one.key[:4])
        ]
        for end, same in _by(paths, lambda path: path[-1].labels + path[-1].more):
            for worth in WORTHS:
                yield _stop_row(simulated[data], worth, end, same)


def _stop_row(
    simulated: Simulated, worth: float, end: int, paths: Sequence[Sequence[Replayed]]
) -> str:
    spent, dice, lost, lost_all, pools = [], [], [], [], []
    stopped = 0
    for path in paths:
        curve = simulated.curves[path[0].seed, path[0].draw]
        at = next((one.labels for one in path if one.high < worth), None)
        stopped += at is not None
        spent.append(at or end)
        reached = {labels: _mean([*curve[labels].values()]) for labels in (at or end, end)}
        dice.append(reached[at or end])
        lost.append(reached[end] - reached[at or end])
        if path[0].seed in simulated.everything:
            pool, all_labels = simulated.everything[path[0].seed]
            pools.append(pool)
            lost_all.append(all_labels - reached[at or end])
    span = f"{min(pools)} to {max(pools)}" if pools and min(pools) < max(pools) else f"{pools[:1]}"
    of_all = (
        f"{_mean(lost_all):+.4f} ({span.strip('[]')} labels; {len(pools)} trajectories)"
        if pools
        else "not trained"
    )
    return (
        f"| {simulated.data} | {worth:g} | {len(paths)} | {stopped} | {_mean(spent):.1f} of {end} "
        f"| {_mean(dice):.3f} | {_mean(lost):+.4f} ({min(lost):+.3f} to {max(lost):+.3f}) "
        f"| {of_all} |"
    )


def page(
    rounds: Sequence[Replayed],
    simulated: Mapping[str, Simulated],
    repeats: int,
) -> str:
    seen = [one for one in rounds if one.seen]
    rest = [one for one in rounds if not one.seen]
    asked = " ".join(f"{name}=PROJECT/.coldal/simulations/HASH" for name in simulated)
    seeds = "; ".join(
        f"{name}: seeds {min(of)} to {max(of)}" for name, of in SEEN.items() if name in simulated
    )
    lines = [
        "# Do the intervals of Enough? hold",
        "",
        f"`python scripts/enough_replay.py {asked} --repeats {repeats}`. What a replay is, and how "
        "it differs from a project: [Enough?](../../enough.md). A round counts once; repeats are "
        "other test scans in the role of the labelled ones. In brackets: the 95 % interval of the "
        "share, with the rounds of one seed as one cluster. *Above* and *below*: the gain that "
        "came was larger or smaller than the interval.",
        "",
        "## All rounds",
        "",
        *coverage_table(rounds),
        "",
        "## Of them: seeds that were opened only after the method was fixed",
        "",
        *(coverage_table(rest) if rest else ["none here"]),
        "",
        f"## Of them: seeds looked at while the method and its numbers were chosen ({seeds})",
        "",
        *(coverage_table(seen) if seen else ["none here"]),
        "",
        "## The stop signal",
        "",
        "A trajectory (a seed, a draw, a choice of scans) stops at the first round whose interval "
        "for the next label count ends below the Dice given; else it goes on to its last count. "
        "All seeds; not every one went on to the larger label counts, or to all labels. *Lost* is "
        "the Dice on all test scans at the last count (or with the whole pool labelled) minus that "
        "at the stop: below 0, nothing was lost.",
        "",
        *stop_table(rounds, simulated),
    ]
    return "\n".join(lines) + "\n"


def read_rounds(path: Path) -> dict[Key, Replayed]:
    """Rounds worked out before, with the same prior; a line cut off is left out."""
    found = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
            if values.pop("prior") == repr(PRIOR):
                one = Replayed(**values)
                found[one.key] = one
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _end_line(path: Path) -> None:
    """After a line that was cut off the next one starts on its own."""
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("ab") as stream:
            stream.write(b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("simulations", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rounds", type=Path, help="JSON lines that the next call goes on from")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    known = {}
    if asked.rounds:
        known = read_rounds(asked.rounds)
        _end_line(asked.rounds)
    rounds: list[Replayed] = []
    simulations: dict[str, Simulated] = {}
    for pair in asked.simulations:
        name, _, folder = pair.partition("=")
        simulated = read_simulated(name, Path(folder))
        simulations[name] = simulated
        for one in replay(simulated, asked.repeats, known):
            if asked.rounds and one.key not in known:
                with asked.rounds.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(asdict(one) | {"prior": repr(PRIOR)}) + "\n")
            rounds.append(one)
    text = page(rounds, simulations, asked.repeats)
    print(text)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "README.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
