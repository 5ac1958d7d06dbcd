"""Eight processes at once on one project for minutes: imports, exports, undo, index, readers.

python scripts/soak_crowd.py --out docs/soak/crowd.md [--seconds 300] [--processes 8]
    [--resume FOLDER]     the project and the calls so far are kept there, and gone on with
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

HEAD = (
    "| command | calls | done | refused with a reason | median, s | slowest, s |",
    "|---|---|---|---|---|---|",
)


def page(found: Sequence[tuple[str, int, float, str]], processes: int, problems: str) -> str:
    """The figures as a page."""
    rows = []
    for name in sorted({line[0] for line in found}):
        mine = [line for line in found if line[0] == name]
        took = [seconds for _, _, seconds, _ in mine]
        done = sum(status == 0 for _, status, _, _ in mine)
        rows.append(
            f"| {name} | {len(mine):,} | {done:,} | {len(mine) - done:,} | "
            f"{statistics.median(took):.2f} | {max(took):.1f} |"
        )
    why = Counter(
        err.partition("\n")[0].rpartition(": ")[2].strip() for _, status, _, err in found if status
    )
    reasons = "; ".join(f"{text} ({count})" for text, count in why.most_common(6))
    result = f"**wrong:** {problems}" if problems else "nothing was wrong"
    return "\n".join(
        [
            "# Several processes at once",
            "",
            f"{processes} processes call commands at random on one project, beside other work:",
            f"{len(found):,} calls. Afterwards: {result}. Wrong would be: a damaged database; a",
            "label without its file, or two of one scan; a visible half of an export; a call that",
            "was acknowledged and is not in the audit trail; a defect.",
            "",
            *HEAD,
            *rows,
            "",
            f"The commonest refusals: {reasons}.",
            "",
        ]
    )


def main() -> int:
    """Run, write the figures; 1 where anything was wrong."""
    from tests.faults.crowd import lines, prepare

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coldal-crowd-") as made:
        folder = asked.resume or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        root, out = folder / "project", folder / "calls.jsonl"
        if not root.exists():
            prepare(folder)
        before = len(lines(out)) if out.exists() else 0
        words = [sys.executable, "-m", "tests.faults.crowd", str(root), "--out", str(out)]
        words += ["--processes", str(asked.processes), "--seconds", str(asked.seconds)]
        words += ["--seed", str(asked.seed + before)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        problems = done.stdout + done.stderr if done.returncode else ""
        text = page(lines(out), asked.processes, problems)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, "utf-8")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
