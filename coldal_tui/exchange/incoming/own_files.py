"""Recognises known files in an import: images, exported files, pre-labels, equal masks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.shared.folder_cache import FolderMemory
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.manifest import Manifest, ManifestFinder
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label

EXPORTED_IMAGE = "it is an image of the export"
OVER_PICTURE = "a mask lies where its picture was exported"
"""Said of a file that has the name of an exported image, but not its bytes."""

_OF_SERIES = re.compile(r"\d{4,}\.dcm")
"""Names of a series' files in an export."""

_HARDLY = 0.05
"""Dice below which a mask and its pre-label are considered unrelated."""


_SMALL = 1 << 20


def _beginning(file: Path) -> bytes:
    """The first ``_SMALL`` bytes of a file, or the whole file if it is shorter."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Not at once _SMALL: memory for so much would be requested for every file.
        data = os.read(descriptor, min(os.fstat(descriptor).st_size + 1, _SMALL))
        # A network file system may return fewer bytes than requested.
        while 0 < len(data) < _SMALL and (more := os.read(descriptor, _SMALL - len(data))):
            data += more
        return data
    finally:
        os.close(descriptor)


class Digests:
    """SHA-256 of files, computed once per import: one file may hold thousands of masks."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, file: Path) -> str:
        """The file's hash; raises OSError if it can't be read."""
        found = self._known.get(file)
        if found is None:
            data = _beginning(file)
            found = hashlib.sha256(data).hexdigest() if len(data) < _SMALL else sha256_file(file)
            self._known[file] = found
        return found

    def read_small(self, file: Path) -> bytes | None:
        """The bytes of a small readable file; its hash is then cached."""
        try:
            data = _beginning(file)
        except OSError:
            return None
        if len(data) >= _SMALL:
            return None
        self._known[file] = hashlib.sha256(data).hexdigest()
        return data

    def try_of(self, file: Path) -> str | None:
        """The file's hash, or None if it can't be read."""
        try:
            return self.of(file)
        except OSError:
            return None


def _nobody(_manifest: Manifest) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class KnownExports:
    """What a project knows about its exports.

    ``handed_out`` are the manifests of its exports, the newest first. ``people`` gives the real
    names for the pseudonyms in a de-identified manifest. ``pictures`` are the hashes of the slices
    that were handed out, by file name.
    """

    handed_out: tuple[Manifest, ...] = ()
    people: Callable[[Manifest], Mapping[str, str]] = _nobody
    pictures: Mapping[str, frozenset[str]] = field(default_factory=dict)


class OwnFiles:
    """Recognises files that come from the project: images, and unchanged pre-labels."""

    def __init__(
        self,
        source: Path,
        targets: Sequence[ScanTarget],
        digests: Digests,
        unpacked: Mapping[Path, Path] | None = None,
        exports: KnownExports | None = None,
    ) -> None:
        """``unpacked``: folders and their archives; a manifest may lie next to an archive."""
        self._unpacked = dict(unpacked or {})
        self._finders = {root: ManifestFinder(root, above=0) for root in self._unpacked}
        archive = self._unpacked.get(source)
        self._finder = ManifestFinder(archive or source)
        self._exports = exports or KnownExports()
        self._named: dict[Path, Manifest] = {}
        self._manifests = FolderMemory(self._nearest)
        self._digests = digests
        self._folders: dict[str, str] = {}
        self._images = {self._real(file) for target in targets for file in target.files}
        self._hashes = {target.sha256 for target in targets if target.sha256}
        self._exported: dict[str, str | None] = {}
        self._prelabels: dict[str, str | None] = {}
        self._read: set[Path] = set()

    def covering(self, file: Path) -> Manifest | None:
        """The manifest that covers a mask, with people's real names."""
        return self._manifests.of(file)

    def _nearest(self, folder: Path) -> Manifest | None:
        """The nearest manifest: in the folder, above it, or next to its archive."""
        found: Manifest | None = None
        for _ in range(len(self._unpacked) + 1):
            root = next((one for one in self._unpacked if folder.is_relative_to(one)), None)
            found = (self._finders[root] if root else self._finder).covering(folder)
            if found is not None or root is None:
                break
            folder = self._unpacked[root].parent
        return None if found is None else self._under_own_names(found)

    def _under_own_names(self, manifest: Manifest) -> Manifest:
        if not manifest.deidentified:
            return manifest
        named = self._named.get(manifest.path)
        if named is None:
            named = self._named[manifest.path] = manifest.with_people(
                self._exports.people(manifest)
            )
        return named

    def reason(self, file: Path) -> str | None:
        """The reason why the file is no mask, or None."""
        self._learn(self._manifests.of(file))
        real = self._real(str(file))
        if real in self._images:
            return "it is the image itself"
        if self._is_exported(real):
            return None if self._is_changed(real) else EXPORTED_IMAGE
        return self._prelabel_reason(real) if real in self._prelabels else None

    def is_exported_image(self, file: Path) -> bool:
        """Whether the file has the place of an image of an export, whatever is in it."""
        self._learn(self._manifests.of(file))
        return self._is_exported(self._real(str(file)))

    def lies_over_picture(self, file: Path) -> bool:
        """Whether the file, which ``reason`` let pass, has the place of an exported image."""
        return bool(self._exported) and self._real(str(file)) in self._exported

    def _is_exported(self, real: str) -> bool:
        folder, _, name = real.rpartition("/")
        # A DICOM series is exported as a folder of its own; a mask may have been put into it.
        return real in self._exported or (
            folder in self._exported and _OF_SERIES.fullmatch(name) is not None
        )

    def _is_changed(self, real: str) -> bool:
        """Whether the file at an exported image's place is certainly another one."""
        exported = self._exported.get(real)
        known = self._exports.pictures.get(real.rpartition("/")[2], frozenset())
        known = known if exported is None else known | {exported}
        if not known or real not in self._exported:
            return False
        digest = self._digests.of(Path(real))
        return digest not in known and digest not in self._hashes

    def _real(self, file: str) -> str:
        """``os.path.realpath`` with a cache per folder."""
        if os.path.islink(file):  # noqa: PTH114 - a path for each of a million images is slow
            return os.path.realpath(file)
        above, name = os.path.split(file)
        folder = self._folders.get(above)
        if folder is None:
            folder = self._folders[above] = os.path.realpath(above)
        return f"{folder}/{name}"

    def _prelabel_reason(self, real: str) -> str | None:
        exported = self._prelabels[real]
        if exported is None:
            return "a pre-label of the export, perhaps not edited: masks belong in masks/"
        if exported == self._digests.of(Path(real)):
            return "it is the pre-label as exported, not edited"
        return None

    def is_image(self, sha256: str) -> bool:
        """Whether these bytes equal an image of the project."""
        return sha256 in self._hashes

    def _learn(self, manifest: Manifest | None) -> None:
        if manifest is None or manifest.path in self._read:
            return
        self._read.add(manifest.path)
        for path, digest in manifest.images():
            self._exported[os.path.realpath(path)] = digest
        for path, digest in manifest.prelabels():
            self._prelabels[os.path.realpath(path)] = digest


class SeenLabels:
    """Detects two scans of one import with exactly equal labels."""

    def __init__(self) -> None:
        self._first: dict[bytes, Verdict] = {}

    def check(self, verdict: Verdict) -> Verdict:
        """The verdict, with a warning if an earlier scan has an equal label."""
        if verdict.drawn is None or not verdict.drawn.classes or verdict.status != "accepted":
            return verdict
        earlier = self._first.setdefault(verdict.drawn.key, verdict)
        if earlier is verdict or earlier.scan_id == verdict.scan_id:
            return verdict
        warning = (
            f"it equals the mask of another scan, {earlier.scan_id!r} ({earlier.shown}): "
            "one may be misnamed"
        )
        return replace(verdict, warnings=(*verdict.warnings, warning))


def prelabel_warnings(label: NDArray[np.uint8], target: ScanTarget) -> tuple[str, ...]:
    """Warnings from comparing a label with the exported pre-label.

    The label is uint8 of the scan's shape.
    """
    if target.prelabel is None or not target.prelabel.exists():
        return ()
    prelabel = read_label(target.prelabel)
    if prelabel.shape != label.shape:
        return ()
    if np.array_equal(prelabel, label):
        return ("it equals the exported pre-label: accepted without edits",)
    drawn, proposed = _foreground(label), _foreground(prelabel)
    if not drawn.any() or not proposed.any():
        return ()
    dice = 2 * int((drawn & proposed).sum()) / (int(drawn.sum()) + int(proposed.sum()))
    if dice >= _HARDLY:
        return ()
    return (f"it hardly overlaps the exported pre-label (Dice {dice:.2f})",)


def _foreground(label: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((label > 0) & (label != IGNORE_LABEL))
