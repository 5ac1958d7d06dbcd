"""What the documentation site has beside ``docs/``: the root's pages and the generated reference.

``mkdocs`` calls ``on_files`` and ``on_page_markdown`` (``mkdocs.yml``). Commands are documented
from click, settings from the schema of ``coldal.toml``, and messages from the calls that raise
them, so that these pages can't be out of date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec.inspect as schema

from coldal_tui.cli import cli
from coldal_tui.project.settings.config import Config
from coldal_tui.project.settings.config_template import TEMPLATE

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ROOT_PAGES = {"index.md": "README.md"} | {
    name: name for name in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
}
ERRORS = frozenset({"ColdalError", "UsageError", "ImageError"})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the root's pages and the reference."""
    from mkdocs.structure.files import File

    pages = {page: (ROOT / source).read_text("utf-8") for page, source in ROOT_PAGES.items()}
    pages |= {
        "reference/commands.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/messages.md": messages_page(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_more: Any) -> str:
    """Links between the root and ``docs/``, which the site joins in one folder."""
    if page.file.src_uri in ROOT_PAGES:
        markdown = markdown.replace("](docs/", "](")
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"\]\(\.\./([A-Z]+\.md)\)", rf"]({up}\1)", markdown)
    markdown = re.sub(r"\[([^\]]+)\]\((?:\.\./)*[\w.-]+\.cff\)", r"`\1`", markdown)
    # Folders of the source have no page.
    return re.sub(
        r"\[([^\]]+)\]\((?:\.\./)*(?:examples|scripts|benchmarks|tests)/[^)]*\)", r"\1", markdown
    )


# --- commands ------------------------------------------------------------------------------------


def commands_page() -> str:
    """What ``--help`` prints, of every command and sub-command."""
    top = click.Context(cli, info_name="coldal-tui", **cli.context_settings)
    parts = ["# Commands", "What `coldal-tui COMMAND --help` prints, for every command."]
    for path, text in _helps(cli, top, "coldal-tui"):
        parts.append(f"{'#' * max(2, 1 + path.count(' '))} {path}\n\n```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def _helps(command: click.Command, context: click.Context, path: str) -> Iterator[tuple[str, str]]:
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(below, parent=context, info_name=name)
                yield from _helps(below, inner, f"{path} {name}")


# --- coldal.toml ----------------------------------------------------------------------------------


def settings_page() -> str:
    """Every key of ``coldal.toml``: what it takes and its default, then the commented template."""
    parts = [
        "# coldal.toml",
        "Every table but `[images]` may be left out. A wrong value is answered with its line and "
        "what is allowed.",
    ]
    for name, section in _sections(schema.type_info(Config), ""):
        parts.append(f"## [{name}]")
        rows = ["| key | takes | default |", "|---|---|---|"]
        rows += [
            f"| `{field.encode_name}` | {_cell(_takes(field.type))} | {_default(field)} |"
            for field in section.fields
            if not (isinstance(field.type, schema.StructType) or _named(field))
        ]
        parts.append("\n".join(rows))
    template = TEMPLATE.format(name='"lungs"', id='# id = "…"', images='"/data/cxr"')
    parts += ["## A new file", f"```toml\n{template}\n```"]
    return "\n\n".join(parts) + "\n"


def _sections(table: schema.StructType, name: str) -> Iterator[tuple[str, schema.StructType]]:
    if name:
        yield name, table
    for field in table.fields:
        below = f"{name}.{field.encode_name}" if name else field.encode_name
        if isinstance(field.type, schema.StructType):
            yield from _sections(field.type, below)
        elif (inner := _named(field)) is not None:
            yield from _sections(inner, f"{below}.NAME")


def _named(field: schema.Field) -> schema.StructType | None:
    """The table that a key holds under names of the person's own; None for other keys."""
    kind = field.type
    if not isinstance(kind, schema.DictType):
        return None
    values = kind.value_type
    kinds = values.types if isinstance(values, schema.UnionType) else (values,)
    return next((one for one in kinds if isinstance(one, schema.StructType)), None)


def _takes(kind: Any) -> str:
    """The allowed values of a key in words."""
    match kind:
        case schema.Metadata():
            return _takes(kind.type)
        case schema.UnionType():
            return " or ".join(_takes(one) for one in kind.types if one != schema.NoneType())
        case schema.LiteralType():
            return ", ".join(f'"{value}"' for value in kind.values)
        case schema.IntType() | schema.FloatType():
            noun = "whole number" if isinstance(kind, schema.IntType) else "number"
            return noun + _bounds(kind)
        case schema.BoolType():
            return "true or false"
        case schema.StrType():
            return "text"
        case schema.VarTupleType() | schema.ListType():
            return f"list of: {_takes(kind.item_type)}"
        case schema.DictType():
            return f"table: {_takes(kind.key_type)} → {_takes(kind.value_type)}"
    return type(kind).__name__.removesuffix("Type").lower()


def _bounds(kind: schema.IntType | schema.FloatType) -> str:
    least = kind.ge if kind.ge is not None else kind.gt
    most = kind.le if kind.le is not None else kind.lt
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None:
        return f", {'at least' if kind.ge is not None else 'above'} {least}"
    return "" if most is None else f", at most {most}"


def _default(field: schema.Field) -> str:
    if field.required:
        return "must be given"
    value = field.default
    if value is None or not isinstance(value, str | int | float | tuple):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`".replace("'", '"')
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


# --- messages -------------------------------------------------------------------------------------


class Message(NamedTuple):
    """One error that the program can raise: ``…`` stands for what is filled in."""

    what: str
    remedy: str
    code: str


def messages_page() -> str:
    """Every message with its remedy, in the order of the alphabet."""
    parts = [
        "# Troubleshooting by message",
        "Every error says what happened, where, and what to do. This page lists them all: search "
        "it for the words on your screen. `…` stands for what is filled in; the code is what "
        "`--json` prints.",
        "| message | what to do | code |\n|---|---|---|\n"
        + "\n".join(
            f"| {_cell(each.what)} | {_cell(each.remedy or '–')} | `{each.code}` |"
            for each in sorted(set(messages()), key=lambda one: one.what.lower().lstrip("… "))
        ),
    ]
    return "\n\n".join(parts) + "\n"


def messages() -> Iterator[Message]:
    """The messages of all calls in the source that raise an error with a remedy."""
    for folder in ("coldal_tui", "backends"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                    yield from _message(node)


def _message(call: ast.Call) -> Iterator[Message]:
    given = {word.arg: _text(word.value) for word in call.keywords}
    what = _text(call.args[0]) if call.args else given.get("what", "")
    if re.search(r"\w{3}", what):
        yield Message(what, given.get("remedy", ""), given.get("code") or "error")


def _text(node: ast.expr) -> str:
    """The text of a string, an f-string or a sum of them; what is filled in becomes ``…``."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.IfExp(body=body, orelse=other):
            return f"{_text(body)} / {_text(other)}" if _text(other) != "…" else _text(body)
        case ast.Constant(value=None):
            return ""
    return "…"


def _cell(text: str) -> str:
    """Text in a cell of a table: on one line, nothing in it read as markup."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", line)
