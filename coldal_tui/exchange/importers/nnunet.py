"""nnU-Net's raw data sets: ``dataset.json`` gives the class names of the label files near it.

Labels are in ``labelsTr`` and ``labelsTs``, named by case id; the images are ``case_0000`` and so
on. A folder of predictions holds ``dataset.json`` too; predictions are not drawn by people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coldal_tui.exchange.candidate import Candidate, PassedOver
from coldal_tui.exchange.importers.shared.decode import read_any
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory
from coldal_tui.exchange.importers.shared.volume_masks import (
    MASK_ENDINGS,
    Names,
    read_json,
    volume_candidate,
)

KEY_FILE = "dataset.json"
_LABELS = ("labelsTr", "labelsTs")
_IMAGES = ("imagesTr", "imagesTs")
_PREDICTION_MARKS = ("predict_from_raw_data_args.json", "plans.json")


class NnunetImporter:
    """Reads the label files of a data set; predictions only on request."""

    def __init__(self, name: str, priority: int, *, predictions: bool) -> None:
        self.name = name
        self.priority = priority
        self.endings: Mapping[str, str] = {}
        self._predictions = predictions

    def forget(self) -> None:
        """Clear the cache: data sets may have changed."""
        _key_files.forget()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise a label file by its data set, and the data set's ``dataset.json`` itself."""
        if path.name == KEY_FILE:
            return "nnU-Net dataset.json file" if _fields(path) else None
        key_file = _key_file(path)
        if key_file is None:
            return None
        return "nnU-Net prediction file" if _is_prediction(path, key_file) else "nnU-Net"

    def belongings(self, path: Path) -> frozenset[Path]:
        """The images of a data set."""
        if path.name != KEY_FILE:
            return frozenset()
        return frozenset(file for name in _IMAGES for file in _files(path.parent / name))

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate for a label file, with its case's name."""
        key_file = _key_file(path)
        if key_file is None:
            yield PassedOver(path, "", "it says what the values of a data set mean")
        elif _is_prediction(path, key_file) and not self._predictions:
            reason = "a prediction, which nobody drew (--format nnunet-predictions takes it)"
            yield PassedOver(path, path.name, reason)
        else:
            names = _names(key_file)
            yield volume_candidate(path, "nnU-Net", read_any, names, tool="nnU-Net")


IMPORTER = NnunetImporter("nnunet", 10, predictions=False)
PREDICTIONS = NnunetImporter("nnunet-predictions", -10, predictions=True)
"""Ranks after ``IMPORTER``, which recognises the same files: only ``--format`` selects it."""


def names_for(path: Path) -> Names | None:
    """Class names for a label file in a data set, or near its ``dataset.json``."""
    key_file = _key_files.of(path)
    return None if key_file is None else _names(key_file)


def _key_file(path: Path) -> Path | None:
    """The ``dataset.json`` of a label file or a prediction; None for any other file."""
    return _key_files.of(path) if path.name.lower().endswith(MASK_ENDINGS) else None


def _key_file_of(folder: Path) -> Path | None:
    """The ``dataset.json`` of a folder of labels: in the folder, or above it."""
    if folder.name in _IMAGES:
        return None
    places = (folder.parent,) if folder.name in _LABELS else (folder, folder.parent)
    key_files = (place / KEY_FILE for place in places)
    return next((one for one in key_files if one.is_file() and _fields(one)), None)


_key_files = FolderMemory(_key_file_of)


def _is_prediction(path: Path, key_file: Path) -> bool:
    """Whether nnU-Net wrote a file: beside or below its settings, not in a folder of labels."""
    return path.parent.name not in _LABELS and _holds_predictions(key_file.parent)


def _holds_predictions(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in _PREDICTION_MARKS)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _fields(path: Path) -> dict[str, Any] | None:
    """The content of a ``dataset.json`` of version 1 or 2; None for any other file.

    One made by hand counts without the names of its channels, if its labels are names and values.
    """
    found = read_json(path)
    labels = found.get("labels") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(labels, dict):
        return None
    known = "channel_names" in found or "modality" in found or _is_table(labels)
    return found if known else None


def _is_table(labels: Mapping[str, Any]) -> bool:
    """Whether labels are values by name, or names by value."""
    return bool(labels) and all(
        isinstance(value, (int, list)) or (isinstance(value, str) and key.isdigit())
        for key, value in labels.items()
    )


def _names(path: Path) -> Names | None:
    """Class names by value; a region of several values (``whole tumour: [1, 2]``) names none.

    None if no single value has a name.
    """
    fields = _fields(path)
    if fields is None:
        return None
    names: dict[int, str] = {}
    for left, right in fields["labels"].items():
        # Version 2 maps names to values, version 1 values to names.
        name, value = (right, left) if isinstance(right, str) and left.isdigit() else (left, right)
        if isinstance(value, list) and len(value) != 1:
            continue
        try:
            names[int(value[0] if isinstance(value, list) else value)] = str(name)
        except (TypeError, ValueError):
            return None
    return Names(names, path) if names else None
