"""MITK segmentation stacks: ``NAME.mitklabel.json``, with an image per group or per label.

Source: MITK's page "Stacked Segmentation Format". A label's own image replaces its values in its
group's image; of labels in one group the later image covers the earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskLayer, MaskPixels, PassedOver
from coldal_tui.exchange.importers.shared.decode import read_any
from coldal_tui.exchange.importers.shared.json_files import objects, outline, read_object, text

_ENDING = ".mitklabel.json"
_TYPE = "org.mitk.multilabel.segmentation.stack"
_LARGEST = np.iinfo(np.uint16).max
_SAME = 1e-3
"""Largest difference of two affines of one stack, in mm."""


class MitkStackImporter:
    """Reads a stack by its JSON; its images are parts of it."""

    name = "mitk-stack"
    priority = 33
    endings: Mapping[str, str] = {_ENDING: "MITK segmentation stack"}

    def recognise(self, path: Path, head: bytes) -> str | None:
        """A JSON object of groups under MITK's ending, or with MITK's type."""
        found = outline(path, head)
        if found is None or found.is_list or "groups" not in found.keys:
            return None
        named = path.name.lower().endswith(_ENDING)
        return "MITK segmentation stack" if named or _TYPE.encode() in head else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The images of its groups and labels."""
        try:
            groups = _groups(path)
        except ImageError:
            return frozenset()
        return frozenset(
            file for group in groups for file in (group.file, *(one.file for one in group.labels))
            if file is not None
        )  # fmt: skip

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate, with the JSON's name; a preset of labels holds no images."""
        files = self.belongings(path)
        if not files:
            _groups(path)
            yield PassedOver(path, "", "it names labels and no image (a preset)")
            return
        name = path.name
        short = name[: -len(_ENDING)] if name.lower().endswith(_ENDING) else path.stem
        yield Candidate(
            path,
            path.with_name(f"{short}.nrrd").as_posix(),
            "MITK segmentation stack",
            lambda: read_stack(path),
            tool="MITK",
            parts=tuple(sorted(files)),
        )


IMPORTER = MitkStackImporter()


@dataclass(frozen=True)
class _Label:
    """One label: its value in the segmentation, and its own image with its value there."""

    name: str
    value: int
    file: Path | None
    file_value: int


@dataclass(frozen=True)
class _Group:
    file: Path | None
    labels: tuple[_Label, ...]


def read_stack(path: Path) -> MaskPixels:
    """Decode a stack: a layer per group, which may overlap.

    Raises
    ------
    ImageError : ``damaged``; ``missing-part``: an image is not in the folder; or an error of an
        image's reader.
    """
    grid: MaskPixels | None = None
    layers: list[MaskLayer] = []
    for group in _groups(path):
        drawn: NDArray[np.uint16] | None = None
        for file, label in _images(group):
            pixels = _read(file, path)
            grid = grid or pixels
            _check_grid(pixels, grid, file)
            if drawn is None:
                drawn = np.zeros(pixels.array.shape, dtype=np.uint16)
            values = _whole(pixels.array, file)
            if label is None:
                _put_group(drawn, values, group)
            else:
                _put_label(drawn, values, label, file)
        if drawn is not None:
            layers.append(MaskLayer(drawn, {one.value: one.name for one in group.labels}))
    assert grid is not None  # a stack without images has no candidate
    return MaskPixels(
        layers[0].array,
        grid.axes,
        grid.affine,
        placed=grid.placed,
        names=layers[0].names,
        layers=tuple(layers[1:]),
    )


def _images(group: _Group) -> Iterator[tuple[Path, _Label | None]]:
    """The group's image, then those of its labels."""
    if group.file is not None:
        yield group.file, None
    for one in group.labels:
        if one.file is not None:
            yield one.file, one


def _read(file: Path, stack: Path) -> MaskPixels:
    if not file.is_file():
        raise ImageError(
            f"its image {file.name!r} does not lie beside it",
            where=stack.name,
            remedy="Import the whole folder that MITK saved.",
            code="missing-part",
        )
    return read_any(file)


def _check_grid(pixels: MaskPixels, first: MaskPixels, file: Path) -> None:
    alike = pixels.array.shape == first.array.shape and pixels.axes == first.axes
    one, other = pixels.affine, first.affine
    if alike and one is not None and other is not None:
        alike = bool(np.allclose(one, other, atol=_SAME, rtol=0))
    if not alike or pixels.layers:
        raise _damaged(f"{file.name} has another grid than the stack's first image")


def _whole(array: NDArray[Any], file: Path) -> NDArray[np.int64]:
    values = np.rint(array)
    if not np.array_equal(values, array):
        raise _damaged(f"{file.name} holds values that are no whole numbers")
    whole: NDArray[np.int64] = values.astype(np.int64)
    return whole


def _put_group(drawn: NDArray[np.uint16], values: NDArray[np.int64], group: _Group) -> None:
    """Draw a group's image; values of labels with an image of their own are left out."""
    if values.min(initial=0) < 0 or values.max(initial=0) > _LARGEST:
        raise _damaged("a group's image holds values that no label can have")
    np.copyto(drawn, values.astype(np.uint16))
    known = {one.file_value: one for one in group.labels}
    for value in np.unique(values).tolist():
        label = known.get(value)
        if label is not None and (label.file is not None or label.value != value):
            drawn[values == value] = 0 if label.file is not None else label.value


def _put_label(
    drawn: NDArray[np.uint16], values: NDArray[np.int64], label: _Label, file: Path
) -> None:
    others = set(np.unique(values).tolist()) - {0, label.file_value}
    if others:
        raise _damaged(
            f"{file.name} shows {label.name!r} as {label.file_value}, and also holds {min(others)}"
        )
    drawn[values == label.file_value] = label.value


def _groups(path: Path) -> list[_Group]:
    document = read_object(path, "MITK segmentation stack")
    groups = [
        _Group(
            _file(path, group.get("_file")),
            tuple(_label(path, one) for one in objects(group.get("labels"))),
        )
        for group in objects(document.get("groups"))
    ]
    values = [one.value for group in groups for one in group.labels]
    if len(set(values)) != len(values):
        raise _damaged("two of its labels have the same value")
    return groups


def _label(path: Path, one: Mapping[str, Any]) -> _Label:
    value, stated = one.get("value"), one.get("_file_value", one.get("value"))
    name = text(one.get("name"))
    if not name or not all(
        isinstance(v, int) and not isinstance(v, bool) and 0 < v <= _LARGEST
        for v in (value, stated)
    ):
        raise _damaged(f"its label {name!r} has no value")
    assert isinstance(value, int)  # checked above
    assert isinstance(stated, int)
    return _Label(name, value, _file(path, one.get("_file")), stated)


def _file(path: Path, name: Any) -> Path | None:
    """An image of the stack: it lies beside the JSON or in a folder below, whatever is stated."""
    stated = text(name).replace("\\", "/")
    if not stated:
        return None
    folder = path.parent.resolve()
    file = (folder / stated).resolve()
    if not file.is_relative_to(folder):
        file = folder / Path(stated).name
    return path.parent / file.relative_to(folder)


def _damaged(what: str) -> ImageError:
    return ImageError(what, remedy="Save it again in MITK.", code="damaged")
