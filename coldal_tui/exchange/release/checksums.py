"""The checksums of a release: written in the format of ``sha256sum``, and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file

CHECKSUMS = "checksums.sha256"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Findings:
    """What a check found: names relative to the release, sorted.

    ``digest`` is the SHA-256 of the file with the checksums: it stands for the whole release.
    ``unread`` are files that can't be read, and why.
    """

    files: int
    digest: str
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()

    @property
    def whole(self) -> bool:
        return not (self.changed or self.missing or self.extra or self.unread)


def checksum_text(files: Mapping[str, str]) -> str:
    """One line per file: its SHA-256, two spaces, its path; sorted by path."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))


def verify_release(
    folder: Path, progress: Callable[[int, int, str], None] | None = None
) -> Findings:
    """Compare every file of a release with its checksums. Linked images are read, too.

    Raises
    ------
    ColdalError : the folder is no release, or its list of checksums is damaged.
    """
    listing = folder / CHECKSUMS
    listed = _read(listing)
    changed, missing, unread = [], [], []
    for done, (name, digest) in enumerate(sorted(listed.items()), start=1):
        path = folder / name
        try:
            if not path.is_file():
                missing.append(name)
            elif sha256_file(path) != digest:
                changed.append(name)
        except OSError as error:
            unread.append((name, error.strerror or str(error)))
        if progress is not None:
            progress(done, len(listed), name)
    extra = [name for name in _files(folder) if name not in listed and name != CHECKSUMS]
    return Findings(
        len(listed),
        sha256_file(listing),
        tuple(changed),
        tuple(missing),
        tuple(sorted(extra)),
        tuple(unread),
    )


def _read(listing: Path) -> dict[str, str]:
    try:
        text = listing.read_text("utf-8")
    except FileNotFoundError as error:
        raise ColdalError(
            "this folder is no release: it has no list of checksums",
            where=str(listing),
            remedy="name the folder that `coldal-tui release` made",
            code="no-release",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ColdalError(
            f"the list of checksums can't be read: {error}",
            where=str(listing),
            remedy="take the release from another copy",
            code="damaged",
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        name = PurePosixPath(match[2]) if match else PurePosixPath("..")
        if match is None or name.is_absolute() or ".." in name.parts:
            raise ColdalError(
                f"line {number} of the list of checksums is damaged",
                where=str(listing),
                remedy="take the release from another copy",
                code="damaged",
            )
        found[match[2]] = match[1]
    return found


def _files(folder: Path) -> Iterator[str]:
    """Every file below the folder, links included; linked folders are not entered."""
    for root, folders, names in os.walk(folder):
        linked = [name for name in folders if Path(root, name).is_symlink()]
        for name in (*names, *linked):
            yield Path(root, name).relative_to(folder).as_posix()
