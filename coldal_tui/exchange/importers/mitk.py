"""MITK segmentations (.nrrd): named labels in groups, which become layers.

Since 2023 the header holds all labels as JSON (``org.mitk.multilabel.segmentation.labelgroups``),
before that one XML for each label (``org.mitk.label_000_00001``: layer and number).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskLayer, MaskPixels
from coldal_tui.exchange.importers.shared.json_files import objects, text
from coldal_tui.exchange.importers.shared.label_xml import mitk_label
from coldal_tui.imaging.readers import nrrd

_TITLE = "MITK segmentation"
_GROUPS = "org.mitk.multilabel.segmentation.labelgroups"
_OLD_LABEL = re.compile(r"org[._]mitk[._]label_(?P<layer>\d+)_\d+")
_MARKS = (b"org.mitk.multilabel.segmentation", b"org.mitk.image.multilabel", b"org.mitk.label_")


class MitkImporter:
    """Reads MITK segmentations by the labels in their header."""

    name = "mitk"
    priority = 10
    endings: Mapping[str, str] = {}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Whether the NRRD header holds MITK's label definitions."""
        return _TITLE if is_mitk(head) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The data file of a detached header."""
        try:
            return frozenset(nrrd.companions(path))
        except ImageError:
            return frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate]:
        """One candidate, with its file's name."""
        yield Candidate(
            path, path.as_posix(), _TITLE, lambda: read_mitk_segmentation(path), tool="MITK"
        )


IMPORTER = MitkImporter()


def is_mitk(head: bytes) -> bool:
    """A NRRD whose header says that MITK stored labels in it."""
    return head.startswith(b"NRRD000") and any(mark in head for mark in _MARKS)


def read_mitk_segmentation(path: Path) -> MaskPixels:
    """Decode a segmentation: the first group as the mask, others as further layers.

    Raises
    ------
    ImageError : damaged, truncated, or its labels can't be read (``damaged``).
    """
    found = nrrd.read_layers(path)
    groups = _groups(found.keys, path)
    if len(groups) != len(found.values):
        raise ImageError(
            f"its header names the labels of {len(groups)} groups, and it holds "
            f"{len(found.values)} layers",
            where=path.name,
            remedy="Save it again in MITK.",
            code="damaged",
        )
    layers = [MaskLayer(array, names) for array, names in zip(found.values, groups, strict=True)]
    affine = None if found.affine is None else np.asarray(found.affine)
    return MaskPixels(
        layers[0].array,
        "ijk",
        affine,
        placed=affine is not None,
        names=layers[0].names,
        layers=tuple(layers[1:]),
    )


def _groups(keys: Mapping[str, str], path: Path) -> list[dict[int, str]]:
    """Value to name of every group, in the order of the layers."""
    stored = next((value for key, value in keys.items() if key.endswith(_GROUPS)), None)
    if stored is not None:
        try:
            listed: Any = json.loads(stored)
        except (ValueError, RecursionError) as error:
            raise ImageError(
                f"the labels in its header can't be read: {error}",
                where=path.name,
                remedy="Save it again in MITK.",
                code="damaged",
            ) from error
        return [_names(group) for group in objects(listed)]
    old: dict[int, dict[int, str]] = {}
    for key, value in keys.items():
        match = _OLD_LABEL.search(key)
        label = mitk_label(value) if match else None
        if match and label is not None:
            old.setdefault(int(match["layer"]), {})[label[0]] = label[1]
    return [old.get(layer, {}) for layer in range(max(old, default=0) + 1)]


def _names(group: Mapping[str, Any]) -> dict[int, str]:
    return {
        one["value"]: text(one.get("name"))
        for one in objects(group.get("labels"))
        if isinstance(one.get("value"), int) and text(one.get("name"))
    }
