"""Matches a user's regular expression on many paths, in a process that can be stopped.

Some patterns, such as ``(a+)+$``, take practically for ever on some names, and Python's ``re``
can't be interrupted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from coldal_tui.errors import ColdalError

SECONDS = 20.0
PER_PATH_SECONDS = 0.001
_SCRIPT = """
import json, re, sys
asked = json.load(sys.stdin)
pattern = re.compile(asked["pattern"])
found = []
for path in asked["paths"]:
    match = pattern.search(path)
    named = match.groupdict().get("patient") if match else None
    found.append(named or next((g for g in match.groups() if g), None) if match else None)
json.dump(found, sys.stdout)
"""


def search_in_time(
    pattern: str, paths: Sequence[str], seconds: float = SECONDS
) -> dict[str, str | None]:
    """What the pattern captures in each path: the group ``patient``, else the first that is not
    empty; None where it does not match.

    Raises ColdalError (code ``slow-pattern``) when it takes longer than ``seconds`` (more for very
    many paths).
    """
    if not paths:
        return {}
    asked = json.dumps({"pattern": pattern, "paths": list(paths)})
    limit = seconds + PER_PATH_SECONDS * len(paths)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _SCRIPT],
            input=asked,
            capture_output=True,
            text=True,
            encoding="ascii",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ColdalError(
            f"this pattern takes longer than {limit:.0f} s on the paths of {len(paths):,} scans",
            where=f"images.patients_pattern {pattern}",
            remedy="write it without a repetition inside a repetition, such as (a+)+",
            code="slow-pattern",
        ) from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ColdalError(
            f"the pattern can't be used: {last[0]}",
            where=f"images.patients_pattern {pattern}",
            remedy="mend it in coldal.toml",
            code="bad-config",
        )
    return dict(zip(paths, json.loads(done.stdout), strict=True))
