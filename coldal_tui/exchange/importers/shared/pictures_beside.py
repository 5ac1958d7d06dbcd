"""Finds the images that a document of masks refers to: they are no masks themselves."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_FOLDERS = ("", "images", "img", "JPEGImages", "data", "images/default", "images/train")


def placed_beside(document: Path, image: str) -> str:
    """The name of an image as a path, where a document states it relative to its own folder.

    Images of one name in several folders are told apart by it. Absolute paths, also those of
    Windows, stay as they are.
    """
    name = image.replace("\\", "/")
    if not name or name.startswith("/") or name[1:2] == ":":
        return name
    return posixpath.normpath(f"{document.parent.as_posix()}/{name}")


def pictures_beside(document: Path, names: Iterable[str]) -> frozenset[Path]:
    """The files a document names, in its folder or in the folders that tools use for images."""
    found: set[Path] = set()
    folders = [
        folder
        for base in (document.parent, document.parent.parent)
        for name in _FOLDERS
        if (folder := base / name).is_dir()
    ]
    listed = {folder: _files(folder) for folder in folders}
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or name.startswith("/"):
            continue
        for folder, files in listed.items():
            if parts[-1] in files:
                found.add(folder / parts[-1])
            if len(parts) > 1 and (whole := folder.joinpath(*parts)).is_file():
                found.add(whole)
    return frozenset(found)


def _files(folder: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return frozenset()
