"""Start-up time of the command line beside a bare click program, taken in turns.

    python benchmarks/cli_startup.py [--runs 15] [--max-ratio 2.5]

Both print their help in a fresh interpreter; the ratio says how much of a start is our own.
Times in seconds depend on the machine and are printed only to read the ratio by.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measuring import figures

BARE = '''\
import click


@click.group()
def main() -> None:
    """A program that does nothing."""


@main.command()
@click.argument("name")
@click.option("--times", default=1)
def greet(name: str, times: int) -> None:
    """Greet NAME."""


if __name__ == "__main__":
    main()
'''


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when the ratio of the medians is above ``--max-ratio``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15, help="runs of each program (default 15)")
    parser.add_argument("--max-ratio", type=float, help="exit 1 above this ratio of the medians")
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        ours = [sys.executable, "-m", "coldal_tui", "--help"]
        theirs = [sys.executable, str(bare), "--help"]
        own, other = measure_in_turns(ours, theirs, options.runs)
    ratio = statistics.median(own) / statistics.median(other)
    paired = statistics.median(a / b for a, b in zip(own, other, strict=True))
    print(f"coldal-tui --help   median {statistics.median(own):.3f} s of {options.runs} runs")
    print(f"bare click --help   median {statistics.median(other):.3f} s of {options.runs} runs")
    print(f"ratio of medians    {ratio:.2f}")
    print(f"median of ratios    {paired:.2f}")
    row = {
        "what": "coldal-tui --help",
        "ours": statistics.median(own),
        "peer": "bare click --help",
        "theirs": statistics.median(other),
        "ratio": paired,
        "unit": "s",
    }
    figures("cli_startup", [row], options.json)
    if options.max_ratio is not None and ratio > options.max_ratio:
        print(f"above the limit of {options.max_ratio:.2f}", file=sys.stderr)
        return 1
    return 0


def measure_in_turns(
    first: Sequence[str], second: Sequence[str], runs: int
) -> tuple[list[float], list[float]]:
    """Wall times in seconds of both commands, run A B A B after one unmeasured run of each."""
    wall_time(first)
    wall_time(second)
    pairs = [(wall_time(first), wall_time(second)) for _ in range(runs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def wall_time(command: Sequence[str]) -> float:
    """Wall time in seconds of one run.

    Raises
    ------
    SystemExit : the command failed; its error output is in the message.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return elapsed


if __name__ == "__main__":
    sys.exit(main())
