"""Defaults of a person for all their projects: ``~/.config/coldal-tui/config.toml``.

Only ``[backend]`` may stand there: where jobs run belongs to a machine and its user. What is
selected or trained belongs to the project, so that it means the same to everybody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TABLE = "backend"


def personal_file(environ: Mapping[str, str] = os.environ) -> Path:
    """``config.toml`` below ``$XDG_CONFIG_HOME/coldal-tui``, else ``~/.config/coldal-tui``."""
    base = environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if Path(base).is_absolute() else Path("~/.config").expanduser()
    return folder / "coldal-tui" / "config.toml"


def below(project: dict[str, Any], personal: Mapping[str, Any]) -> dict[str, Any]:
    """``project`` with the keys of ``personal`` that it does not set, in sub-tables, too."""
    joined = dict(personal)
    for key, value in project.items():
        under = personal.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            joined[key] = below(value, under)
        else:
            joined[key] = value
    return joined
