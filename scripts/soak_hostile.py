"""A thousand damaged and hostile inputs through the import, told as a table.

    python scripts/soak_hostile.py [--cases 1000] [--out docs/soak/hostile.md]

Runs ``tests/project/labels/test_hostile.py``; exits with pytest's status.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TEST = "tests/project/labels/test_hostile.py"
ANSWERS = ("accepted", "unchanged", "quarantined", "unmatched", "ignored")
KINDS = {
    "cut": "good files of eleven formats, cut off anywhere",
    "flipped": "good files with flipped bytes",
    "misnamed": "good files under the name of another format",
    "noise": "random bytes, some behind a format's first bytes",
    "archive_that_leads_out": "archives whose members lead out of the folder, links, devices",
    "archive_bomb": "archives that grow a thousandfold",
    "pickled": "pickled objects in .npy",
    "entities": "XML that defines entities or reads other files",
    "overrunning_codes": "run lengths that overrun, are negative or no numbers",
    "wild_outlines": "outlines with NaN, 10³⁰⁰, nothing, 10⁶ points",
    "huge_headers": "headers of 10⁵ × 10⁵ and more",
    "odd_documents": "JSON and XML nested 10⁵ deep, of other types, of another encoding",
    "odd_files": "folders, pipes, devices, loops, control characters as names",
    "bombs_inside": "compressed pixels, comments and volumes that grow",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "soak" / "hostile.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        more = {"COLDAL_SOAK": str(options.cases), "COLDAL_SOAK_LOG": str(log)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | more, check=False)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    options.out.write_text(page(lines, options.cases, failed=done.returncode != 0))
    return done.returncode


def page(lines: Sequence[dict[str, Any]], cases: int, *, failed: bool) -> str:
    """The whole page; ``lines`` as the test logs them."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        kinds.setdefault(line["kind"], []).append(line)
    total = _answers(lines)
    result = "at least one failed" if failed or len(lines) < cases else "all passed"
    grown = max(line["grown"] for line in lines) / 2**20
    slowest = max(line["seconds"] for line in lines)
    rows = "\n".join(_row(kind, found) for kind, found in kinds.items())
    labels = total["accepted"] + total["unchanged"]
    text = f"""\
{len(lines)} imports of inputs made from seeds 0 to {cases - 1}, by `scripts/soak_hostile.py`
(`{TEST}` with `COLDAL_SOAK={cases}`): {result}. An input passes when the import ends without a
crash, says of every file why it is no label, writes nothing outside the project, leaves nothing
unpacked behind, and does not raise the process's peak of memory by 400 MiB or more. In all
{total["quarantined"]} masks went to quarantine, {total["unmatched"]} fitted no scan,
{total["ignored"]} files were passed over with a reason; {labels} were whole in spite of all (a good
file under another name, a text chunk that grows, bits that say nothing) and became labels. No
import raised the peak by more than {grown:.0f} MiB; the slowest took {slowest:.1f} s, beside other
work."""
    return f"""# Damaged and hostile masks

{textwrap.fill(" ".join(text.split()), 100)}

| inputs | runs | labels | quarantined | no scan | passed over | commonest answers | peak, MiB |
|---|---|---|---|---|---|---|---|
{rows}
"""


def _answers(lines: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(name for line in lines for name in ANSWERS for _ in line["answers"][name])


def _row(kind: str, lines: Sequence[dict[str, Any]]) -> str:
    count = _answers(lines)
    codes = Counter(
        code
        for line in lines
        for name in ("quarantined", "unmatched")
        for code in line["answers"][name]
    )
    common = ", ".join(f"{code} {number}" for code, number in codes.most_common(4)) or "–"
    most = max(line["grown"] for line in lines) / 2**20
    labels = count["accepted"] + count["unchanged"]
    cells = (
        KINDS.get(kind, kind),
        len(lines),
        labels,
        count["quarantined"],
        count["unmatched"],
        count["ignored"],
        common,
        f"{most:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
