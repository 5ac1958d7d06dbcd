"""How often the test of ``simulate`` errs, on simulated studies whose truth is known.

    python scripts/calibration.py [--studies N] [--out docs/soak]

Each study has S seeds that test a random 30 % of P patients; the paired difference of a scan is
gap + seed + patient + rest, normal, with given shares of the variance. For each mixture of shares
and number of seeds: how often p < 0.05 where the gap is 0 (false alarms; wanted: 0.05), how often
the 95 % interval holds the truth, and how often p < 0.05 where the gap is what ``visible`` promises
to show in four studies of five (wanted: 0.8).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coldal_tui.simulation.clustered import LEVEL, estimate

SEEDS = (5, 10, 20, 30)
PATIENTS = 150
TESTED = 0.3
SHARES = {
    "all by itself": (0.0, 0.0, 1.0),
    "a little of both": (0.002, 0.01, 0.988),
    "seeds": (0.08, 0.0, 0.92),
    "patients": (0.0, 0.08, 0.92),
    "both": (0.08, 0.08, 0.84),
    "mostly seeds": (0.7, 0.1, 0.2),
    "half patients": (0.02, 0.5, 0.48),
}
"""Shares of the variance of a scan's difference: by seed, by patient, by neither."""


@dataclass(frozen=True)
class Calibration:
    shares: str
    seeds: int
    studies: int
    false_alarms: float
    covered: float
    power: float
    gap: float


def calibrate(shares: str, seeds: int, studies: int, start: int = 0) -> Calibration:
    """Simulate ``studies`` of one mixture; the gap of the second half of each is measured first."""
    variance = SHARES[shares]
    rng = np.random.default_rng([start, seeds, list(SHARES).index(shares)])
    alarms = covered = 0
    visible = []
    drawn = [_study(rng, variance, seeds) for _ in range(studies)]
    for gaps, tested in drawn:
        found = estimate(gaps * tested, tested)
        low, high = found.interval()
        alarms += found.p() < LEVEL
        covered += low <= 0 <= high
        visible.append(found.visible())
    gap = float(np.mean([one for one in visible if one is not None]))
    shown = 0
    for gaps, tested in drawn:
        found = estimate((gaps + gap) * tested, tested)
        shown += found.p() < LEVEL and found.mean > 0
    return Calibration(
        shares, seeds, studies, alarms / studies, covered / studies, shown / studies, gap
    )


def _study(
    rng: np.random.Generator, variance: tuple[float, float, float], seeds: int
) -> tuple[np.ndarray, np.ndarray]:
    by_seed, by_patient, rest = np.sqrt(variance)
    gaps = (
        by_seed * rng.normal(size=(seeds, 1))
        + by_patient * rng.normal(size=(1, PATIENTS))
        + rest * rng.normal(size=(seeds, PATIENTS))
    )
    ranks = rng.random((seeds, PATIENTS)).argsort(axis=1).argsort(axis=1)
    return gaps, (ranks < round(TESTED * PATIENTS)).astype(np.float64)


def table(found: list[Calibration]) -> Iterator[str]:
    yield "| variance of a scan's difference | seeds | false alarms | interval holds | power |"
    yield "| --- | --- | --- | --- | --- |"
    for one in found:
        shares = "/".join(f"{share:.3g}" for share in SHARES[one.shares])
        yield (
            f"| {one.shares} ({shares}) | {one.seeds} | {one.false_alarms:.3f} "
            f"| {one.covered:.3f} | {one.power:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = [calibrate(shares, seeds, asked.studies) for shares in SHARES for seeds in SEEDS]
    lines = [
        "# The test of `simulate`, on studies whose truth is known",
        "",
        f"`python scripts/calibration.py --studies {asked.studies}`: {asked.studies:,} studies a "
        f"row, {PATIENTS} patients, of whom each seed tests {TESTED:.0%}. Shares of the variance "
        "are by seed / by patient / by neither. Wanted: false alarms 0.05, interval 0.95, power "
        "0.80 at the difference that the report calls visible.",
        "",
        *table(found),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "calibration.md").write_text(text)


if __name__ == "__main__":
    main()
