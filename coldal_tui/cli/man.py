"""``man``: the manual page of a command, or all of them where ``man`` looks for them."""

from __future__ import annotations

import inspect

import click

from coldal_tui.cli import common
from coldal_tui.cli.completion import PROGRAM, data_folder, put
from coldal_tui.errors import UsageError
from coldal_tui.version import __version__


@click.command("man")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.option("--install", is_flag=True, help="Write every page to where man looks for it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def man_command(name: str | None, install: bool, as_json: bool) -> None:
    """The manual page of coldal-tui or of one command, for man.

    \b
    coldal-tui man --install             then: man coldal-tui-import-masks
    coldal-tui man labels | man -l -
    """
    from coldal_tui.cli import cli

    root = click.Context(cli, info_name=PROGRAM)
    if install:
        _install(root, as_json=as_json)
        return
    context = root if name is None else _below(root, name)
    page = manual_page(context)
    if as_json:
        common.print_json({"command": context.command_path, "page": page})
    else:
        click.echo(page, nl=False)


def manual_page(context: click.Context) -> str:
    """The page of a command, in roff, section 1."""
    from click_man.man import ManPage

    from coldal_tui.cli import COMMANDS

    command = context.command
    page = ManPage(context.command_path)
    page.version, page.date = __version__, ""
    page.short_help = _plain(command.get_short_help_str(limit=100))
    page.description = _description(command.help or "")
    page.synopsis = " ".join(command.collect_usage_pieces(context))
    records = [param.get_help_record(context) for param in command.get_params(context)]
    page.options = [(option, _plain(told)) for option, told in filter(None, records)]
    if isinstance(command, click.Group):
        page.commands = [(name, _plain(told)) for name, (_, told) in COMMANDS.items()]
    return str(page)


def _below(root: click.Context, name: str) -> click.Context:
    assert isinstance(root.command, click.Group)
    found = root.command.get_command(root, name)
    if found is None:
        raise UsageError(f"there is no command {name!r}", remedy=f"{PROGRAM} --help lists them")
    return click.Context(found, info_name=name, parent=root)


def _plain(text: str) -> str:
    """Text that roff takes as text: no line begins a request, no backslash an escape."""
    lines = text.replace("\\", "\\e").split("\n")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)


def _description(text: str) -> str:
    """The help of a command; blocks that click prints as they stand (``\\b``) are kept so."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            paragraphs.append(f".nf\n{_plain(paragraph[2:])}\n.fi")
        else:
            paragraphs.append(_plain(paragraph))
    return "\n\n".join(paragraphs)


def _install(root: click.Context, *, as_json: bool) -> None:
    from coldal_tui.cli import COMMANDS

    folder = data_folder() / "man" / "man1"
    contexts = [root, *(_below(root, name) for name in COMMANDS)]
    pages = {one.command_path.replace(" ", "-"): manual_page(one) for one in contexts}
    for name, page in pages.items():
        put(folder / f"{name}.1", page)
    if as_json:
        common.print_json({"folder": str(folder), "pages": sorted(pages)})
    else:
        common.echo(f"{len(pages)} pages written to {folder}; man {PROGRAM} shows the first")
