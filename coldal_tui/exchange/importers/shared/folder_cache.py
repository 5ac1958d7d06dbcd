"""Caches look-ups per folder, since every file of an import needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class FolderMemory(Generic[T]):
    """Caches one value per folder until ``forget``."""

    def __init__(self, look_up: Callable[[Path], T]) -> None:
        self._look_up = look_up
        self._found: dict[str, T] = {}

    def of(self, file: Path) -> T:
        """The value for a file's folder."""
        folder = str(file).rpartition("/")[0]
        if folder not in self._found:
            self._found[folder] = self._look_up(file.parent)
        return self._found[folder]

    def forget(self) -> None:
        """Clear the cache."""
        self._found.clear()
