"""Reads which scans a model was not trained on: a CSV, a JSON list, or nnU-Net's splits."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError

_NAMES = ("scan_id", "case", "filename", "file", "name")
_NO = ("", "train", "training", "0", "no", "false")


def read_held_out(path: Path) -> tuple[str, ...]:
    """Names of the scans that were predicted by a model that did not see them.

    * JSON: a list of names, or nnU-Net's ``splits_final.json`` (a list of ``{"train", "val"}``):
      each name of a ``val`` was predicted by the model of that fold.
    * CSV with a column ``scan_id``, ``case``, ``filename``, ``file`` or ``name``: all its rows, or
      those whose column ``held_out`` is neither empty, ``0``, ``no``, ``false`` nor ``train``.

    Raises
    ------
    ColdalError : code ``folds``, the file can't be read or names no scan.
    """
    try:
        text = path.read_text("utf-8-sig")
        found = _of_json(json.loads(text)) if path.suffix.lower() == ".json" else _of_csv(text)
    except (OSError, ValueError, csv.Error) as error:
        raise _bad(path, f"it can't be read: {error}") from error
    if found is None:
        raise _bad(path, "it is no list of held-out scans")
    if not found:
        raise _bad(path, "it names no scan")
    return tuple(dict.fromkeys(found))


def _of_json(document: Any) -> list[str] | None:
    if not isinstance(document, list):
        return None
    if all(isinstance(one, str) for one in document):
        return document
    found: list[str] = []
    for fold in document:
        names = fold.get("val") if isinstance(fold, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return None
        found += names
    return found


def _of_csv(text: str) -> list[str] | None:
    reader = csv.DictReader(text.splitlines())
    columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
    column = next((columns[name] for name in _NAMES if name in columns), None)
    if column is None:
        return None
    chosen = columns.get("held_out")
    return [
        row[column].strip()
        for row in reader
        if (row[column] or "").strip()
        and (chosen is None or (row[chosen] or "").strip().lower() not in _NO)
    ]


def _bad(path: Path, what: str) -> ColdalError:
    return ColdalError(
        what,
        where=str(path),
        remedy="give a CSV with a column scan_id, a JSON list of names, or nnU-Net's "
        "splits_final.json",
        code="folds",
    )
