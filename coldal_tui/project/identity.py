"""Checks that a database belongs to this project and is not an older copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.errors import ColdalError
from coldal_tui.project.database.journal import last_entry

if TYPE_CHECKING:
    from coldal_tui.project.database.store import Store

ID_KEY = "project_id"
"""Under this ``meta`` key stands the id that ``coldal.toml`` has, too."""


def check_identity(store: Store, wanted: str | None) -> None:
    """Compare the database's id with that of ``coldal.toml``.

    Old projects have no id in either place. Raises ColdalError (code ``other-project``).
    """
    found = store.value("SELECT value FROM meta WHERE key = ?", (ID_KEY,))
    if wanted is None or found == wanted:
        return
    raise ColdalError(
        "this database belongs to another project"
        if found
        else "this database does not know the id that coldal.toml has",
        where=str(store.path),
        remedy="put this project's own one back (coldal-tui restore), or mend id under [project] "
        "in coldal.toml",
        code="other-project",
    )


def lost_actions(store: Store) -> str | None:
    """When the newest action missing from the database was done; None when none is missing."""
    last = last_entry(store.path)
    if last is None:
        return None
    token = store.value("SELECT token FROM audit WHERE audit_id = ?", (last.audit_id,))
    return None if token == last.token else last.at or "an unknown time"


def check_not_rolled_back(store: Store) -> None:
    """ColdalError (code ``rolled-back``) when an older database has replaced this one.

    Writing to it would make it differ for good from the newer database.
    """
    lost = lost_actions(store)
    if lost is not None:
        raise rolled_back(store.path, lost)


def rolled_back(database: Path, lost: str) -> ColdalError:
    """The error for a database with missing actions, the newest of them done at ``lost``."""
    return ColdalError(
        f"this database is older than its journal: what was done until {lost} is not in it "
        "(an older copy was put back, or project.db-wal was lost)",
        where=str(database),
        remedy="put the newer one back, with its -wal file; or take back in what the label files "
        "and the journal know: coldal-tui doctor --repair",
        code="rolled-back",
    )
