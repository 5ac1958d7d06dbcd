"""The files of a scoring at its end: written and read for the commit, against one JSON document.

    python benchmarks/scores.py [--largest 100000] [--pairs 1] [--json FILE]

Ours is the end of a scoring of as many scans with 256 features each, whose scores lie in its
journal, and the reading of each for the database. The peer holds all scores with their features,
encodes them as one JSON document and decodes it again, up to 100,000 scans. The journal is made
before and not timed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import msgspec
import numpy as np
from measuring import Result, compare, cost_of, finish, machine

from coldal_compute.scored import FEATURES_FILE, SCORES_FILE, ScoreJournal
from coldal_tui.scheduler.score_files import ScoreFiles
from coldal_tui.simulation.cells import ScanScores

FEATURES = 256
MOST_TOGETHER = 100_000
"""Scans up to which the peer has the memory that it takes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    where = machine()
    results = [one_size(options.largest // part, options.pairs) for part in (16, 4, 1)]
    finish("scores", results, options.json, where)
    return 0


def one_size(count: int, pairs: int) -> Result:
    rng = np.random.default_rng(0)
    names = [f"scan-{number:07d}" for number in range(count)]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        journal = ScoreJournal(folder, "model")
        journal.read()
        kept = [scores_of(rng) for _ in range(16)]
        for number, name in enumerate(names):
            journal.append(name, kept[number % 16])

        def ours() -> None:
            entropies = journal.entropies()
            journal.write(tuple(sorted(entropies)))
            files = ScoreFiles(folder / SCORES_FILE, folder / FEATURES_FILE)
            for name in entropies:
                files.of(name)

        def together() -> None:
            document = msgspec.json.encode(journal.read())
            msgspec.json.decode(document, type=dict[str, ScanScores])

        if count > MOST_TOGETHER:
            return compare("end of a scoring", count, ours, pairs=pairs)
        return compare(
            "end of a scoring", count, ours, "one JSON document", together, pairs=pairs,
            note=f"its peak {cost_of(together).peak_mb:.0f} MB",
        )  # fmt: skip


def scores_of(rng: np.random.Generator) -> ScanScores:
    numbers = rng.random(4).tolist()
    features = tuple(rng.normal(size=FEATURES).tolist())
    return ScanScores(numbers[0], (numbers[1],), None, numbers[2], numbers[3], features)


if __name__ == "__main__":
    raise SystemExit(main())
