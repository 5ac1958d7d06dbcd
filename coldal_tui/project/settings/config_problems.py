"""Errors about coldal.toml: the line, the key and the allowed values, in plain words."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, get_type_hints

import msgspec

from coldal_tui.errors import ColdalError

_KEY = r"""(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")
_LONG_TEXT = re.compile(r"\"\"\"|'''")

Path = tuple[str, ...]


def problem(text: str, where: str, path: Path, what: str, remedy: str | None) -> ColdalError:
    """The error about the key at ``path`` (table, key), with its line."""
    line = line_of(text, path)
    place = f"{where}, line {line}" if line else where
    return ColdalError(f"{'.'.join(path)}: {what}", where=place, remedy=remedy, code="bad-config")


def line_of(text: str, path: Path) -> int | None:
    """The 1-based line where ``path`` is set; when it is not set, the line of its table."""
    table: Path = ()
    inside_text = False
    for number, line in enumerate(text.splitlines(), start=1):
        was_inside, inside_text = inside_text, inside_text ^ bool(len(_LONG_TEXT.findall(line)) % 2)
        if was_inside:
            continue
        if header := _HEADER.match(line):
            table = _parts(header.group(1))
            if table[: len(path)] == path:
                return number
        elif key := _ASSIGNMENT.match(line):
            full = table + _parts(key.group(1))
            if full[: len(path)] == path:
                return number
    return line_of(text, path[:-1]) if len(path) > 1 else None


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def bad_toml(text: str, where: str, error: tomllib.TOMLDecodeError) -> ColdalError:
    """A syntax error; one found at the end of the file is reported on its last line."""
    found = re.fullmatch(
        r"(.*) \((?:at line (\d+), column (\d+)|at end of document)\)", str(error), re.DOTALL
    )
    reason, line, column = found.groups() if found else (str(error), None, None)
    line = line or str(max(1, len(text.splitlines())))
    at = f" (column {column})" if column else ""
    return ColdalError(
        f"not valid TOML: {reason}{at}",
        where=f"{where}, line {line}",
        remedy='mend that line; allowed are [table], key = value and "# comment"',
        code="bad-config",
    )


def bad_value(text: str, where: str, data: dict[str, Any], kind: type[Any]) -> ColdalError:
    """The error about the first value in ``data`` that ``kind`` does not allow.

    ``data`` is a document that msgspec refuses to convert to ``kind``.
    """
    path, missing = _first_fault(data, kind)
    if missing and len(path) == 1:
        return ColdalError(
            f"the table [{path[0]}] is missing",
            where=where,
            remedy='add it, with its key dir = "…"',
            code="bad-config",
        )
    if missing:
        return problem(text, where, path, "is missing", f"allowed: {allowed(kind, path)}")
    value: Any = data
    for part in path:
        value = value[part]
    shown = json.dumps(value, ensure_ascii=False, default=str)
    what = f"{shown} is not allowed"
    return problem(text, where, path, what, f"allowed: {allowed(kind, path)}")


def _first_fault(data: dict[str, Any], kind: type[Any], above: Path = ()) -> tuple[Path, bool]:
    """The path of the first key whose value is refused, or that is missing (True).

    Values are converted one by one, in the order of the file, sub-tables included; missing keys of
    a table come after its present ones.
    """
    hints = get_type_hints(kind, include_extras=True)
    for key, value in data.items():
        if key not in hints:
            return (*above, key), False
        if isinstance(value, dict) and hasattr(hints[key], "__struct_fields__"):
            found, missing = _first_fault(value, hints[key], (*above, key))
            if found:
                return found, missing
        elif not _fits(value, hints[key]):
            return (*above, key), False
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in data:
            return (*above, field.name), True
    return (), False


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def allowed(kind: type[Any], path: Path) -> str:
    """The allowed values at ``path`` of the struct ``kind``, in words."""
    from msgspec import inspect

    found: Any = inspect.type_info(kind)
    for name in path:
        found = next((f.type for f in getattr(found, "fields", ()) if f.name == name), found)
    return _words(found)


def _words(kind: Any) -> str:
    from msgspec import inspect

    match kind:
        case inspect.Metadata():
            said = (kind.extra_json_schema or {}).get("description")
            return said or _words(kind.type)
        case inspect.UnionType():
            return " or ".join(_words(t) for t in kind.types if not isinstance(t, inspect.NoneType))
        case inspect.IntType():
            return "a whole number" + _range(kind)
        case inspect.FloatType():
            return "a number" + _range(kind)
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "text in quotes" + (", not empty" if kind.min_length else "")
        case inspect.LiteralType():
            return " or ".join(f'"{value}"' for value in kind.values)
        case inspect.VarTupleType():
            return f"a list{_length(kind)}, each {_words(kind.item_type)}"
        case inspect.DictType():
            return f'a table {{ "key" = value }}, each value {_words(kind.value_type)}'
    return "a table"


def _range(kind: Any) -> str:
    low = (f" above {kind.gt}" if kind.gt is not None else "") or (
        f" from {kind.ge}" if kind.ge is not None else ""
    )
    high = f" to {kind.le}" if kind.le is not None else ""
    return f"{low}{high}" if high or not low else f"{low} up" if kind.gt is None else low


def _length(kind: Any) -> str:
    low, high = kind.min_length, kind.max_length
    if low and high:
        return f" of {low} to {high}"
    return f" of at least {low}" if low else ""
