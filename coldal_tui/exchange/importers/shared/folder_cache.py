"""What is looked up once for a folder: in an import every file asks, and a path is slow to make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class FolderMemory(Generic[T]):
    """Answers about the folders of files, each looked up once until they are forgotten."""

    def __init__(self, look_up: Callable[[Path], T]) -> None:
        self._look_up = look_up
        self._found: dict[str, T] = {}

    def of(self, file: Path) -> T:
        """What is known of the folder that a file lies in."""
        folder = str(file).rpartition("/")[0]
        if folder not in self._found:
            self._found[folder] = self._look_up(file.parent)
        return self._found[folder]

    def forget(self) -> None:
        """Look everything up anew."""
        self._found.clear()
