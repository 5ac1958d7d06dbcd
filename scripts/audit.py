"""Looks for known holes: bandit over the code, pip-audit over what is pinned.

python scripts/audit.py     exit 1 where something was found; what could not be asked is told

Advisories are asked of an index on the network. Where it can't be reached, or does not know a
package, that is said and is no failure. What was found and is meant so: SECURITY.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
CODE = ("coldal_tui", "backends")
PINNED = ("constraints.txt", "constraints-extras.txt")
LIMIT_S = 300


def main() -> int:
    code = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-ll", "-c", "pyproject.toml", "-r", *CODE],
        cwd=HERE,
        check=False,
    ).returncode
    found = [code != 0]
    for name in PINNED:
        said, bad = judged(name, ask(name))
        print(said)
        found.append(bad)
    return int(any(found))


def ask(name: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of each pinned package; None where it could not ask."""
    words = ["--requirement", name, "--no-deps", "--disable-pip", "--format", "json"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", *words],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        found = json.loads(done.stdout)["dependencies"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None
    return list(found)


def judged(name: str, answers: Sequence[dict[str, Any]] | None) -> tuple[str, bool]:
    """One line for people, and whether a known hole was found."""
    if answers is None:
        return f"{name}: skipped, the index of advisories could not be asked", False
    asked = [one for one in answers if "vulns" in one]
    if not asked:
        return f"{name}: skipped, the index knows none of {len(answers)} packages", False
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}" for one in asked for hole in one["vulns"]
    ]
    unknown = len(answers) - len(asked)
    more = f"; the index does not know {unknown} more" if unknown else ""
    if holes:
        return f"{name}: {', '.join(holes)}{more}", True
    return f"{name}: no known hole in {len(asked)} packages{more}", False


if __name__ == "__main__":
    sys.exit(main())
