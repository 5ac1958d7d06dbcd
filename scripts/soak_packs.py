"""Processes that share the cache of resized scans for minutes: kills, damage, too little room.

python scripts/soak_packs.py --out docs/soak/packs.md [--seconds 300] [--processes 6]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Run, write the figures; 1 where anything was wrong."""
    from tests.faults.packed import GROUPS, MOST_BYTES, run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coldal-packs-") as made:
        told = run(Path(made), asked.seconds, asked.processes, asked.seed)
    wrong = "; ".join(sorted(set(told.wrong))) or "none"
    text = "\n".join(
        [
            "# The cache of resized scans",
            "",
            f"{asked.processes} processes fill and read it in {len(GROUPS)} groups, with room for",
            f"an eighth of all arrays ({MOST_BYTES:,} bytes), so that packs are made and removed",
            "all the time. Processes are killed at random; between two bouts, when none runs, some",
            "bytes of the files are changed, or a file is cut off.",
            "",
            "| what | number |",
            "|---|---|",
            f"| processes | {told.processes:,} |",
            f"| kills in the middle of work | {told.killed:,} |",
            f"| files damaged | {told.damaged:,} |",
            f"| arrays made | {told.made:,} |",
            f"| arrays found | {told.found:,} |",
            f"| wrong arrays, other failures | {wrong} |",
            "",
            f"`scripts/soak_packs.py --seconds {asked.seconds:g} --processes {asked.processes} "
            f"--seed {asked.seed}`",
            "",
        ]
    )
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, "utf-8")
    return int(bool(told.wrong))


if __name__ == "__main__":
    sys.exit(main())
