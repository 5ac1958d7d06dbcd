"""Joins what the programs saw with what they read: join.py CONTENTS SEEN… > GOLDEN."""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    contents, *seen = (json.loads(Path(name).read_text()) for name in sys.argv[1:])
    programs = {name: found for one in seen for name, found in one.items()}
    # A line per program: small, and a change shows which one saw something else.
    lines = ",\n".join(f' "{name}": {json.dumps(programs[name])}' for name in sorted(programs))
    print(f'{{"contents": {json.dumps(contents)},\n"programs": {{\n{lines}\n}}}}')
