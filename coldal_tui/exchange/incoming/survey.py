"""Surveys an import's source: walks it safely, recognises mask files, lists the rest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import UsageError
from coldal_tui.exchange.importers import HEAD_BYTES, Importer
from coldal_tui.exchange.incoming.archives import archive_kind
from coldal_tui.exchange.manifest import CSV_NAME, JSON_NAME
from coldal_tui.visible import counted

UNKNOWN_FORMAT = "no mask format that is known"
_ARCHIVE = "an archive in a folder: import it by its own path"
_NO_ARCHIVES = frozenset({".npz", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".whl", ".jar"})
"""Endings of files that are ZIPs technically, but not archives to users."""

_DESKTOP_FILES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Ignored:
    """A file or folder that an import ignores, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Survey:
    """The mask files of a source with their importers, the ignored files, and a description.

    ``titles`` are the kinds of the files, in their order; ``place`` ends the description.
    ``parts`` are the ignored files that belong to another file, such as the pictures of a COCO
    file, with the importers that know them.
    """

    files: tuple[tuple[Path, Importer], ...]
    ignored: tuple[Ignored, ...]
    saw: str
    titles: tuple[str, ...] = ()
    place: str = ""
    parts: tuple[tuple[Path, Importer], ...] = ()

    def saw_without(self, images: Collection[Path]) -> str:
        """The description without files that turned out to be images."""
        if not images or len(self.titles) != len(self.files):
            return self.saw
        found = zip(self.files, self.titles, strict=True)
        return _describe([title for (path, _), title in found if path not in images], self.place)

    def limited(self, only: Collection[Path]) -> Survey:
        """The survey limited to the given mask files, and files with a given part."""
        files = tuple(
            (path, importer)
            for path, importer in self.files
            if path in only or not importer.belongings(path).isdisjoint(only)
        )
        return Survey(files, (), self.saw)


_LEADS_OUT = "a link that leads out of the folder: put the file itself there"


@dataclass(frozen=True)
class _Known:
    path: Path
    importer: Importer
    title: str


OpenArchive = Callable[[Path], Path | str]
"""Unpacks an archive: returns the folder with its content, or the reason for failure."""


def survey_source(
    source: Path,
    importers: Sequence[Importer],
    place: str = "a folder",
    open_archive: OpenArchive | None = None,
) -> Survey:
    """Walk a file or folder and recognise mask files by content.

    Links are followed within the source, each folder once; hidden and special files are not
    opened. ``place`` describes the source in words. Archives are unpacked by ``open_archive`` and
    walked, too.

    Raises
    ------
    UsageError : the source does not exist or can't be listed.
    """
    if not source.exists():
        raise UsageError("there is no such file or folder", where=str(source), code="missing")
    for importer in importers:
        forget = getattr(importer, "forget", None)
        if forget is not None:
            forget()
    known: list[_Known] = []
    ignored: list[Ignored] = []
    waiting = [_walk(source)]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        recognised = found if isinstance(found, Ignored) else _recognise(found, importers)
        if isinstance(recognised, Ignored):
            if recognised.reason == _ARCHIVE and open_archive is not None:
                folder = open_archive(recognised.path)
                if isinstance(folder, Path):
                    waiting.append(_walk(folder))
                    continue
                recognised = Ignored(recognised.path, folder)
            ignored.append(recognised)
        else:
            known.append(recognised)
    files, parts = _without_belongings(known)
    titles = tuple(item.title for item in files)
    where = f" in {place}" if source.is_dir() else ""
    return Survey(
        tuple((item.path, item.importer) for item in files),
        (*ignored, *(left_out for _, left_out in parts)),
        _describe(titles, where),
        titles,
        where,
        tuple((item.path, item.importer) for item, _ in parts),
    )


def _walk(source: Path) -> Iterator[Path | Ignored]:
    if not source.is_dir():
        yield source if source.is_file() else _no_file(source)
        return
    try:
        next(source.iterdir(), None)
    except OSError as error:
        raise UsageError(
            f"the folder can't be listed: {error.strerror}", where=str(source), code="unreadable"
        ) from error
    yield from _walk_folder(source, set(), f"{os.path.realpath(source).rstrip('/')}/")


def _walk_folder(
    folder: Path, visited: set[tuple[int, int]], home: str
) -> Iterator[Path | Ignored]:
    """Files below ``folder`` in name order; no link leads out of ``home``.

    The sender of the folder may have linked to a private file of the importing user.
    """
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Ignored(folder, f"the folder can't be listed: {error.strerror}")
        return
    if (status.st_dev, status.st_ino) in visited:
        yield Ignored(folder, "a link to a folder that was visited")
        return
    visited.add((status.st_dev, status.st_ino))
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name in _DESKTOP_FILES:
            yield Ignored(path, "hidden")
        elif entry.is_symlink() and not f"{os.path.realpath(path)}/".startswith(home):
            gone = not path.exists()
            yield Ignored(path, "a broken link" if gone else _LEADS_OUT)
        elif entry.is_dir():
            yield from _walk_folder(path, visited, home)
        else:
            yield path if entry.is_file() else _no_file(path)


def _no_file(path: Path) -> Ignored:
    """Why something is not opened; reading from a pipe, for example, would block."""
    if path.exists():
        return Ignored(path, "not a plain file")
    return Ignored(path, "a broken link" if path.is_symlink() else "it can't be read")


def _recognise(path: Path, importers: Sequence[Importer]) -> _Known | Ignored:
    if path.name in (JSON_NAME, CSV_NAME):
        return Ignored(path, "a manifest, not a mask")
    head = _head(path)
    for importer in importers:
        title = importer.recognise(path, head)
        if title is not None:
            return _Known(path, importer, title)
    for importer in importers:
        for ending, title in importer.endings.items():
            if path.name.lower().endswith(ending):
                return _Known(path, importer, title)
    if archive_kind(head) is not None and path.suffix.lower() not in _NO_ARCHIVES:
        return Ignored(path, _ARCHIVE)
    return Ignored(path, UNKNOWN_FORMAT)


def _head(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, HEAD_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        # Claimed by its ending, it is reported as unreadable when it is decoded.
        return b""


def _without_belongings(
    known: Sequence[_Known],
) -> tuple[list[_Known], list[tuple[_Known, Ignored]]]:
    owner: dict[Path, Path] = {}
    for item in known:
        for part in item.importer.belongings(item.path):
            owner.setdefault(part, item.path)
    files = [item for item in known if item.path not in owner]
    parts = [
        (item, Ignored(item.path, f"part of {owner[item.path].name}"))
        for item in known
        if item.path in owner
    ]
    return files, parts


def _describe(titles: Sequence[str], where: str) -> str:
    """A description such as ``12 PNG masks and 1 COCO file in a folder``."""
    if not titles:
        return f"no mask file{'s' if where else ''}{where}"
    counts = Counter(
        title if title.endswith(("file", "mask")) else f"{title} mask" for title in titles
    )
    parts = [counted(count, title) for title, count in counts.most_common()]
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{text}{where}"
