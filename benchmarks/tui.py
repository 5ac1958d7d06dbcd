"""The screens against what they promise: the queue's table, the map, the app as a whole.

    python benchmarks/tui.py [table] [scatter] [app]

Each part is a script of its own (``tui_table.py``, …) with options of its own, and runs in a
fresh process, so that none starts in the other's memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import figures

PARTS = {
    "table": "1,000,000 rows: ready in 0.3 s, a page down in 10 ms of CPU",
    "scatter": "1,000,000 points: a frame in 30 ms",
    "app": "100,000 scans: first paint in 0.6 s, 150 MB, idle below 1 % of a core and 0 bytes",
}


def main() -> int:
    """Run the parts that are asked for; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--json")
    options = parser.parse_args()
    asked = options.parts or list(PARTS)
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        parser.error(f"no part {unknown[0]!r}: one of {', '.join(PARTS)}")
    failed = False
    rows: list[dict[str, Any]] = []
    for part in asked:
        print(f"{part} (wanted: {PARTS[part]})", flush=True)
        script = Path(__file__).with_name(f"tui_{part}.py")
        with tempfile.NamedTemporaryFile(suffix=".json") as found:
            command = [sys.executable, str(script), "--json", found.name]
            failed |= subprocess.run(command, check=False).returncode != 0
            rows += json.loads(found.read() or b'{"results": []}')["results"]
        print(flush=True)
    figures("tui", rows, options.json)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
