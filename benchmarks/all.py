"""Runs the benchmarks one after the other and gathers what they found.

    python benchmarks/all.py [--quick] [--only WORDS] [--out build/benchmarks]

``--quick`` takes small sizes and one pair of each. Each benchmark's own output is printed and
kept beside its JSON; one that fails is named at the end and does not stop the others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from measuring import machine

HERE = Path(__file__).parent
BENCHMARKS = {
    "selection": ["--largest", "20000", "--pairs", "1"],
    "indexing": ["--largest", "2000", "--pairs", "1"],
    "neighbours": ["--steps", "3", "--pairs", "1"],
    "pipelines": ["--steps", "12", "--scans", "20", "--pairs", "1"],
    "scores": ["--largest", "2000"],
    "large_project": ["--scans", "2000"],
    "cli_startup": ["--runs", "3"],
    "embedding": ["--pairs", "1"],
    "tui": ["table", "scatter"],
    "importing": ["--masks", "100", "--pairs", "1"],
    "jobs": ["--runs", "1"],
}
"""What makes each of them quick. All write JSON."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="benchmarks whose name holds this")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    gathered = {"machine": machine(), "benchmarks": {}}
    failed = []
    for name, quick in BENCHMARKS.items():
        if options.only not in name:
            continue
        print(f"== {name}", flush=True)
        found = options.out / f"{name}.json"
        script = [sys.executable, str(HERE / f"{name}.py"), "--json", str(found)]
        command = [*script, *(quick if options.quick else [])]
        done = subprocess.run(command, text=True, capture_output=True)
        print(done.stdout, end="", flush=True)
        (options.out / f"{name}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            failed.append(name)
            print(done.stderr, file=sys.stderr)
            continue
        gathered["benchmarks"][name] = json.loads(found.read_text("utf-8"))
    whole = json.dumps(gathered, indent=1) + "\n"
    (options.out / "benchmarks.json").write_text(whole, encoding="utf-8")
    print(f"all of it: {options.out / 'benchmarks.json'}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
