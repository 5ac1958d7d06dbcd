"""A MONAI Label datastore: ``datastore_v2.json``, with one folder of label files per tag.

``labels/final`` holds submitted labels. ``labels/original`` holds a model's predictions: they are
reported and skipped, unless ``--format monai-label-original`` selects them. The submitter
(``client_id``) is never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from coldal_tui.exchange.candidate import Candidate, PassedOver
from coldal_tui.exchange.importers.shared.decode import read_any
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory
from coldal_tui.exchange.importers.shared.volume_masks import Names, read_json, volume_candidate

KEY_FILE = "datastore_v2.json"
_FINAL, _ORIGINAL = "final", "original"


class MonaiLabelImporter:
    """Reads the labels of one tag of a datastore."""

    def __init__(self, name: str, priority: int, tag: str) -> None:
        self.name = name
        self.priority = priority
        self.endings: Mapping[str, str] = {}
        self._tag = tag

    def forget(self) -> None:
        """Clear the cache: datastores may have changed."""
        _above.forget()

    def recognise(self, path: Path, head: bytes) -> str | None:
        """Recognise a label file that a datastore lists, and ``datastore_v2.json`` itself."""
        if path.name == KEY_FILE:
            return "MONAI Label datastore file" if _content(path) else None
        return "MONAI Label" if _listed(path) else None

    def belongings(self, path: Path) -> frozenset[Path]:
        """The images of a datastore."""
        return frozenset(_images(path)) if path.name == KEY_FILE else frozenset()

    def candidates(self, path: Path) -> Iterator[Candidate | PassedOver]:
        """One candidate for a label with this tag, with its image's name."""
        listed = _listed(path)
        if listed is not None:
            yield self._candidate(path, *listed)
            return
        yield PassedOver(path, "", "it lists the labels of a datastore")
        for file in _labels(path):
            if not file.is_file():
                yield PassedOver(file, "", "the datastore lists it, and it is not there")

    def _candidate(self, path: Path, label: _Label, key_file: Path) -> Candidate | PassedOver:
        if label.tag == _ORIGINAL != self._tag:
            reason = "a model's proposal, not final (--format monai-label-original takes it)"
            return PassedOver(path, "", reason)
        if label.tag != self._tag:
            return PassedOver(path, "", f"its tag is {label.tag!r}, not {self._tag!r}")
        return volume_candidate(
            path,
            "MONAI Label",
            read_any,
            Names(label.names, key_file) if label.names else None,
            name=label.image,
            names_image=True,
            tool="MONAI Label",
            updated=label.stamp,
            author=label.author,
        )


IMPORTER = MonaiLabelImporter("monai-label", 10, _FINAL)
ORIGINAL = MonaiLabelImporter("monai-label-original", -10, _ORIGINAL)
"""Ranks after ``IMPORTER``, which recognises the same files: only ``--format`` selects it."""


@dataclass(frozen=True)
class _Label:
    """A datastore's entry for a label file."""

    image: str
    tag: str
    names: Mapping[int, str] = field(default_factory=dict)
    stamp: float | None = None
    author: str | None = None


def names_for(path: Path) -> Names | None:
    """Class names for a label file listed in a datastore, or copied next to one."""
    listed = _listed(path)
    if listed is None:
        key_file = path.parent / KEY_FILE
        named = [label for file, label in _labels(key_file).items() if file.name == path.name]
        listed = (named[0], key_file) if len(named) == 1 else None
    return Names(listed[0].names, listed[1]) if listed and listed[0].names else None


def _listed(path: Path) -> tuple[_Label, Path] | None:
    """The entry for a label file in the datastore above it, and that datastore."""
    labels, key_file = _above.of(path)
    label = labels.get(path) if labels else None
    return None if label is None else (label, key_file)


def _labels_above(folder: Path) -> tuple[dict[Path, _Label], Path]:
    """The labels that the datastore of a folder such as ``labels/final`` lists."""
    key_file = folder.parent.parent / KEY_FILE
    return _labels(key_file), key_file


_above = FolderMemory(_labels_above)


def _content(path: Path) -> dict[str, Any] | None:
    found = read_json(path)
    return found if isinstance(found, dict) and isinstance(found.get("objects"), dict) else None


def _labels(path: Path) -> dict[Path, _Label]:
    """The label files that a datastore lists; empty without a datastore."""
    try:
        status = path.stat()
    except OSError:
        return {}
    return _parsed_labels(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _parsed_labels(path: Path, mtime_ns: int, size: int) -> dict[Path, _Label]:
    content = _content(path)
    if content is None:
        return {}
    folder = path.parent / str(content.get("labels_dir") or "labels")
    labels = {}
    for key, entry in _dicts(content["objects"]):
        image = f"{key}{_dict(entry.get('image')).get('ext') or ''}"
        for tag, label in _dicts(entry.get("labels")):
            info = _dict(label.get("info"))
            stamp = info.get("ts")
            labels[folder / tag / f"{key}{label.get('ext') or ''}"] = _Label(
                image,
                tag,
                _names(info),
                float(stamp) if isinstance(stamp, (int, float)) else None,
                None if tag == _ORIGINAL else user_of(info),
            )
    return labels


def _images(path: Path) -> Iterator[Path]:
    content = _content(path) or {}
    folder = path.parent / str(content.get("images_dir") or ".")
    for key, entry in _dicts(content.get("objects")):
        yield folder / f"{key}{_dict(entry.get('image')).get('ext') or ''}"


def _names(info: Mapping[str, Any]) -> dict[int, str]:
    """Value to name: what the client sent (``label_info``), else the model's ``label_names``.

    Some clients send their parameters one level deeper, under ``params``.
    """
    for place in (info, _dict(info.get("params"))):
        listed = place.get("label_info")
        found = {
            one["idx"]: str(one["name"])
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, dict) and isinstance(one.get("idx"), int) and one.get("name")
        }
        found = found or {
            value: name
            for name, value in _dict(place.get("label_names")).items()
            if isinstance(value, int)
        }
        if found:
            return found
    return {}


def user_of(info: Mapping[str, Any]) -> str | None:
    """The user who submitted a label, where its client sent one, at the top or under ``params``.

    A ``client_id`` is no name that its owner chose to give, and stays unread in files.
    """
    found = (place.get("user") for place in (info, _dict(info.get("params"))))
    return next((name.strip() for name in found if isinstance(name, str) and name.strip()), None)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((str(key), item) for key, item in _dict(value).items() if isinstance(item, dict))
