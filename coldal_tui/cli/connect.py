"""``connect``: servers of labelers that queued scans go to and drawings come from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from coldal_tui.cli import common
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.project import Project

_ACTIONS = ("list", "add", "test", "token", "remove")


@click.command("connect")
@common.project_argument("[PROJECT] [list|add KIND URL|test NAME|token NAME|remove NAME]")
@click.option("--name", help="What the connection is called; default: after the server.")
@click.option("--project", "project_", default="", help="The project's number on the server.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Certificates of a private authority (PEM).",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="A folder here that the server serves images from; else they are uploaded.",
)
@click.option(
    "--document-root",
    type=click.Path(path_type=Path),
    help="The server's root above --folder (its LOCAL_FILES_DOCUMENT_ROOT).",
)
@click.option(
    "--deidentify",
    type=click.Choice(["remove", "shift"]),
    help="Every push is de-identified; dates are removed, or moved for each patient.",
)
@click.option("--query", help="Of an archive: which series, such as Modality=MR.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def connect_command(
    targets: tuple[str, ...],
    name: str | None,
    project_: str,
    ca: Path | None,
    folder: Path | None,
    document_root: Path | None,
    deidentify: Literal["remove", "shift"] | None,
    query: str | None,
    token_stdin: bool,
    as_json: bool,
) -> None:
    """Servers that scans are pushed to and drawings are pulled from.

    A token is asked for, and kept in your keyring or in a file that only you can read; or set
    COLDAL_TOKEN_NAME. It is never kept in the project.

    \b
    coldal-tui connect add label-studio https://labels.example.org --project 12
    coldal-tui connect test
    """
    from coldal_tui.project.servers.connections import (
        add_connection,
        default_name,
        pick_connection,
        remove_connection,
    )
    from coldal_tui.project.settings.config_connections import ConnectionSection

    project, rest = common.open_with_rest(targets)
    with project:
        action, words = common.split_action(rest, _ACTIONS, "list")
        if action == "add":
            if len(words) != 2:
                raise click.UsageError("which server? coldal-tui connect add KIND URL --project N")
            kind, url = words[0], _address(words[1])
            section = ConnectionSection(
                kind=kind,
                url=url.rstrip("/"),
                project=project_,
                ca=str(ca.absolute()) if ca else None,
                folder=str(folder.absolute()) if folder else None,
                document_root=str(document_root.absolute()) if document_root else None,
                deidentify=deidentify,
                query=query,
            )
            name = name or default_name(url)
            add_connection(project, name, section)
            common.say(f"added {name} to coldal.toml")
            _take_token(name, section.url, token_stdin, needed=False)
            _test(project, name, as_json, first=True)
            return
        if action == "list":
            if words:
                raise click.UsageError(f"unexpected argument {words[0]!r}")
            _list(project, as_json)
            return
        if len(words) > 1:
            raise click.UsageError(f"unexpected argument {words[1]!r}")
        name = pick_connection(project, words[0] if words else name)
        if action == "test":
            _test(project, name, as_json)
        elif action == "token":
            _take_token(name, project.config.connections[name].url, token_stdin, needed=True)
        else:
            remove_connection(project, name)
            common.say(f"removed {name} from coldal.toml; its token stays: connect token")


def _address(word: str) -> str:
    """The address of a server; a folder, where a server's own folder is meant, becomes file:///."""
    folder = Path(word).expanduser()
    return folder.absolute().as_uri() if "://" not in word and folder.is_dir() else word


def _take_token(name: str, url: str, from_stdin: bool, *, needed: bool) -> None:
    """Ask for a token, unless there is one; it is never a word of the command line."""
    from coldal_tui.connectors.tokens import find_token, keep_token, variable_of

    if from_stdin:
        token = sys.stdin.readline().strip()
    elif not needed and find_token(name, url):
        return
    elif sys.stdin.isatty():
        token = click.prompt(
            "Token (empty: none)", hide_input=True, default="", show_default=False, err=True
        ).strip()
    elif needed:
        raise UsageError(
            "nobody is here to type a token",
            where=name,
            remedy=f"coldal-tui connect token {name} --token-stdin < FILE, or set "
            f"{variable_of(name)}",
        )
    else:
        return
    if token or needed:
        where = keep_token(url, token)
        common.say(f"the token is kept in {where}" if token else "the token is removed")


def _list(project: Project, as_json: bool) -> None:
    from coldal_tui.connectors import EXPERIMENTAL
    from coldal_tui.project.servers.states import read_server_states

    found = read_server_states(project)
    if as_json:
        common.print_json({"connections": [one.as_json() for one in found]})
        return
    if not found:
        common.echo("no connection: coldal-tui connect add label-studio URL --project N")
        return
    made = common.table("name", "kind", "url", "project", "on server>", "drawn>", "last pull")
    for one in found:
        made.add_row(
            one.name,
            one.kind,
            one.url,
            one.project,
            f"{one.on_server:,}",
            f"{one.drawn:,}",
            one.asked_at[:16].replace("T", " ") or "never",
        )
    common.console().print(made)
    for kind in dict.fromkeys(one.kind for one in found if one.kind in EXPERIMENTAL):
        common.echo(f"{kind} is experimental: {EXPERIMENTAL[kind]}")


def _test(project: Project, name: str, as_json: bool, *, first: bool = False) -> None:
    from coldal_tui.project.servers.connections import DICOMWEB, entered, entered_archive

    section = project.config.connections[name]
    try:
        if section.kind == DICOMWEB:
            with entered_archive(project, name) as archive:
                found, people = archive.check(), archive.people()
        else:
            with entered(project, name) as connection:
                found = connection.connector.check()
                people = connection.connector.people()
    except ColdalError as error:
        if not first:
            raise
        wants_token = error.code == "no-token"
        if wants_token:
            common.say(f"not tried yet: coldal-tui connect token {name}, then connect test")
        else:
            common.say(f"it does not work yet: {error}")
        if as_json:
            common.print_json({"connection": name, "works": None if wants_token else False})
        return
    if as_json:
        names = [one.name for one in people]
        common.print_json({"connection": name, "works": True, "found": found, "people": names})
        return
    common.echo(found)
    if people:
        common.echo(f"{counted(len(people), 'user')}: {', '.join(one.name for one in people)}")
