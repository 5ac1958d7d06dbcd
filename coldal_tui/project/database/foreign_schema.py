"""Checks that a database has exactly our schema.

A foreign trigger or view could run its own SQL whenever we read or write.
"""

from __future__ import annotations

import functools

import apsw

from coldal_tui.errors import ColdalError

_LISTED = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema "
    "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'"
)
Entry = tuple[str, str, str, str]


def harden(connection: apsw.Connection) -> None:
    """Disable SQL that the database file could run itself; call before the first read."""
    for option, value in (
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    ):
        connection.config(option, value)


def check_schema(connection: apsw.Connection, migrations: tuple[str, ...], where: str) -> None:
    """Compare the schema with what ``migrations`` make.

    Raises ColdalError (code ``foreign-schema``) that names unknown, changed or missing parts.
    """
    found = set(connection.execute(_LISTED))
    expected = _expected(migrations)
    if found == expected:
        return
    known = {(kind, name) for kind, name, _, _ in expected}
    more = sorted(f"{kind} {name}" for kind, name, _, _ in found - expected)
    unknown = [one for one in more if tuple(one.split(" ", 1)) not in known]
    lost = sorted(
        f"{kind} {name}" for kind, name in known - {(kind, name) for kind, name, _, _ in found}
    )
    words = [
        *([f"unknown: {', '.join(unknown)}"] if unknown else []),
        *([f"changed: {', '.join(changed)}"] if (changed := sorted({*more} - {*unknown})) else []),
        *([f"missing: {', '.join(lost)}"] if lost else []),
    ]
    raise ColdalError(
        f"this database is not as coldal-tui makes it ({'; '.join(words)})",
        where=where,
        remedy="another program wrote to it: ask whoever gave you this project; "
        "coldal-tui restore puts a backup back",
        code="foreign-schema",
    )


@functools.cache
def _expected(migrations: tuple[str, ...]) -> frozenset[Entry]:
    connection = apsw.Connection(":memory:")
    try:
        for script in migrations:
            for _ in connection.execute(script):
                pass
        return frozenset(connection.execute(_LISTED))
    finally:
        connection.close()
