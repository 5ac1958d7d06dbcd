"""The project's connections: kept in coldal.toml, agreed to, and entered with a person's token."""

from __future__ import annotations

import contextlib
import hashlib
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.connectors import Address, Connector, connector
from coldal_tui.connectors.dicomweb import DicomWeb, connect_dicomweb
from coldal_tui.connectors.tokens import find_token
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import open_to_append, try_lock
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config
from coldal_tui.project.settings.config_connections import DICOMWEB as DICOMWEB
from coldal_tui.project.settings.config_connections import NAME, ConnectionSection
from coldal_tui.project.trust_questions import require_trust

_KEY_DIGITS = 20


@dataclass(frozen=True)
class Connection:
    """An entered connection: its name, what coldal.toml says of it, and what moves the payloads."""

    name: str
    section: ConnectionSection
    connector: Connector


def add_connection(project: Project, name: str, section: ConnectionSection) -> None:
    """Write a connection to coldal.toml.

    Raises UsageError for a bad name, a bad address, an unknown kind, or a name that is taken.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a connection",
            remedy="--name with small letters, digits and -, such as lab",
        )
    if name in project.config.connections:
        raise UsageError(
            "there is a connection of this name",
            where=name,
            remedy=f"choose another with --name, or: coldal-tui connect remove {name}",
        )
    make = connect_dicomweb if section.kind == DICOMWEB else connector(section.kind)
    make(_address(project, name, section, ""))
    said = {
        key: value
        for key in section.__struct_fields__
        if (value := getattr(section, key)) not in (None, "")
    }
    # Where the last pull stopped was said of whatever had this name before: the next asks for all.
    project.store.execute("DELETE FROM server_cursors WHERE connection = ?", (name,))
    edit_config(project.layout.config, {("connections", name): said})
    project.reload_config()


def remove_connection(project: Project, name: str) -> None:
    """Remove a connection from coldal.toml; what was pushed and pulled stays known."""
    _section(project, name)
    edit_config(project.layout.config, {("connections", name): None})
    project.reload_config()


def pick_connection(project: Project, name: str | None) -> str:
    """The connection that is meant: the one named, or the only one (to a server of labelers).

    Raises UsageError where there is none or more than one.
    """
    known = dict(project.config.connections)
    labelers = {key: one for key, one in known.items() if one.kind != DICOMWEB}
    if name is not None:
        _section(project, name)
        return name
    for some in (labelers, known):
        if len(some) == 1:
            return next(iter(some))
    raise UsageError(
        f"which connection? {', '.join(known)}" if known else "the project has no connection",
        where=project.name,
        remedy="--to NAME" if known else "coldal-tui connect add label-studio URL --project N",
        code="connection-name",
    )


@contextlib.contextmanager
def entered(
    project: Project, name: str, environ: Mapping[str, str] = os.environ
) -> Iterator[Connection]:
    """Open a connection for one push or pull; no other process uses it meanwhile.

    Raises
    ------
    UsageError : there is none of that name.
    ColdalError : the project is not trusted, or another process uses it (code ``busy``).
    """
    section = _section(project, name)
    if section.kind == DICOMWEB:
        raise UsageError(
            "this is an archive of images: it has no labelers",
            where=name,
            remedy="index reads new images from it; push --to sends accepted labels there",
            code="archive",
        )
    address = _trusted(project, name, section, environ)
    with _alone(project, name):
        yield Connection(name, section, connector(section.kind)(address))


@contextlib.contextmanager
def entered_archive(
    project: Project, name: str, environ: Mapping[str, str] = os.environ
) -> Iterator[DicomWeb]:
    """Open an archive of images; errors as :func:`entered`."""
    address = _trusted(project, name, _section(project, name), environ)
    with _alone(project, name):
        yield connect_dicomweb(address)


def _trusted(
    project: Project, name: str, section: ConnectionSection, environ: Mapping[str, str]
) -> Address:
    """The address with its token, when the project is trusted."""
    require_trust(project.layout, project.config)
    return _address(project, name, section, find_token(name, section.url, environ))


@contextlib.contextmanager
def _alone(project: Project, name: str) -> Iterator[None]:
    with open_to_append(project.layout.state / f"connection-{name}.lock") as lock:
        if not try_lock(lock):
            raise ColdalError(
                "another process pushes to or pulls from this server for the project",
                where=name,
                remedy="wait for it, or end it: a watch is one, too",
                code="busy",
            )
        yield


def _section(project: Project, name: str) -> ConnectionSection:
    found = project.config.connections.get(name)
    if found is None:
        known = ", ".join(project.config.connections)
        raise UsageError(
            f"no connection is called {name!r}",
            where=project.name,
            remedy=f"there are: {known}" if known else "coldal-tui connect add",
            code="connection-name",
        )
    return found


def _address(project: Project, name: str, section: ConnectionSection, token: str) -> Address:
    def path(said: str | None) -> Path | None:
        return Path(project.root, said) if said else None

    return Address(
        name,
        section.url.rstrip("/"),
        section.project,
        token,
        path(section.ca),
        path(section.folder),
        path(section.document_root),
    )


def default_name(url: str) -> str:
    """A name for a connection, from the address of its server."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or Path(urllib.parse.unquote(parts.path)).name or "server"
    kept = "".join(one if one.isascii() and one.isalnum() else "-" for one in host.lower())
    return kept.strip("-")[:40] or "server"


def key_of(project: Project, scan_id: str, round_: int) -> str:
    """What a scan of a round is called on a server, under any pseudonym; tells nothing of it.

    The project's id, 128 random bits, is part of it: whoever knows the names of scans can't try
    them out.
    """
    secret = project.config.project.id or str(project.root)
    text = f"{secret}\n{scan_id}\n{round_}"
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
