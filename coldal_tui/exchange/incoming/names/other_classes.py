"""Finds files of classes that the project lacks, among files of its own classes."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.exchange.incoming.names.matching import Part
from coldal_tui.exchange.incoming.names.name_readings import is_general
from coldal_tui.exchange.names import file_stem

_SEPARATORS = " _.-"


class OtherClasses:
    """Learns where files name their class, and finds files that name an unknown one.

    If ``s1/liver.nii.gz`` is the liver of a scan, ``s1/aorta.nii.gz`` is another class, not a mask
    without a scan; with ``liver/s1.png``, ``aorta/s1.png`` is no label map.
    """

    def __init__(self, source: Path) -> None:
        """``source`` is the imported path; folders above it are ignored."""
        self._source = source
        self._folders: set[Path] = set()
        self._stems: dict[Path, set[str]] = {}
        self._above: set[Path] = set()

    def learn(self, file: Path, part: Part | None) -> None:
        """Record where a file with a single class has its class in its name."""
        if part is None or part.kind != "class" or part.class_name is None:
            return
        if "/*/" in part.whole:
            above = file.parent.parent
            if above == self._source or above.is_relative_to(self._source):
                self._above.add(above)
            return
        self._folders.add(file.parent)
        stem = file_stem(file.name)
        rest = part.whole.rpartition("/")[2]
        if stem.startswith(rest) and stem != rest:
            self._stems.setdefault(file.parent, set()).add(rest)

    def unmatched(self, file: Path) -> str | None:
        """The reason to skip an unmatched file, or None."""
        stem = file_stem(file.name)
        rests = self._stems.get(file.parent, set())
        if any(stem.startswith(rest) and stem[len(rest) :][:1] in _SEPARATORS for rest in rests):
            return f"it names a class that the project does not have ({stem!r})"
        if file.parent in self._folders and not rests:
            return f"the project has no class {stem!r}"
        return None

    def matched(self, file: Path, part: Part | None) -> str | None:
        """The reason to skip a matched file (its folder names another class), or None."""
        folder = file.parent
        if part is not None and part.kind == "class":
            return None
        if folder.parent not in self._above or is_general(folder.name):
            return None
        return f"the project has no class {folder.name!r}"
