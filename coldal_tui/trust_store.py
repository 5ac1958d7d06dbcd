"""What a person has agreed to let a project do, kept in their own state folder.

Never in the project: whoever gives it away must not be able to agree for others.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, disk_error, read_json_object

_MOST_HASHES = 20


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """``coldal-tui`` below ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    base = environ.get("XDG_STATE_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state"
    return home / "coldal-tui"


class TrustStore:
    """``trust.json`` of one person: projects they made, and what they agreed to in others."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = (folder or state_folder()) / "trust.json"

    def is_own(self, root: Path, project_id: str | None) -> bool:
        """Whether this person made the project in this folder."""
        return project_id is not None and self._entry(root).get("made") == project_id

    def is_trusted(self, root: Path, digest: str) -> bool:
        """Whether this person agreed to exactly this."""
        agreed = self._entry(root).get("agreed")
        return isinstance(agreed, list) and digest in agreed

    def note_made(self, root: Path, project_id: str) -> None:
        """This person has just made a project. ColdalError (``disk``) where it can't be kept."""
        self._change(root, {"made": project_id})

    def agree(self, root: Path, digest: str) -> None:
        """Trust exactly this from now on."""
        agreed = self._entry(root).get("agreed")
        known = [one for one in agreed if one != digest] if isinstance(agreed, list) else []
        self._change(root, {"agreed": [*known, digest][-_MOST_HASHES:]})

    def forget(self, root: Path) -> None:
        """Trust nothing of this project any more."""
        self._change(root, None)

    def _entry(self, root: Path) -> dict[str, Any]:
        entry = read_json_object(self._file).get(str(root.resolve()))
        return entry if isinstance(entry, dict) else {}

    def _change(self, root: Path, values: dict[str, Any] | None) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._file.with_suffix(".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                content = read_json_object(self._file)
                key = str(root.resolve())
                if values is None:
                    content.pop(key, None)
                else:
                    content[key] = self._entry(root) | values
                data = json.dumps(content, indent=1).encode()
                atomic_write(self._file, lambda stream: stream.write(data))
                with contextlib.suppress(OSError):
                    self._file.chmod(0o600)
        except OSError as error:
            raise disk_error(error, self._file) from error


def not_trusted(what: str, root: Path, project: str) -> ColdalError:
    """The error of a project that would run or reach something nobody agreed to."""
    return ColdalError(
        f"this project would do what you have not agreed to: {what}",
        where=str(root),
        remedy=f"look at it and agree, once: {project}",
        code="not-trusted",
    )
