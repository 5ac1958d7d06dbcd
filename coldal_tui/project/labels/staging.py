"""Stages accepted masks beside the label versions, then makes them label versions.

Staging does not use the database, so that several threads may do it. Storing does, inside one
action.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import Verdict
from coldal_tui.exchange.masks.label_summary import Drawn
from coldal_tui.exchange.names import person_key
from coldal_tui.exchange.quick_copy import changed
from coldal_tui.files import disk_error, fsync_folder, make_folder, opening_mode, share
from coldal_tui.imaging.image import ScanHeader, label_suffix
from coldal_tui.imaging.labelfile import encode_label, read_label
from coldal_tui.project.database.batch_sync import BatchSync
from coldal_tui.project.database.store import Row, told
from coldal_tui.project.labels.files import STAGED, is_whole, label_name, stored_file
from coldal_tui.project.labels.quarantine import keep_copy
from coldal_tui.project.labels.raters.drawings import shared_scans
from coldal_tui.project.project import Project
from coldal_tui.visible import counted, escaped

_ARCHIVE_KEPT_BYTES = 1 << 30
_KEPT_SHARE = 0.1

Source = tuple[str, str, str]
"""What a label was made of: scan, hash of the file, mask within it."""


@dataclass(frozen=True)
class Staged:
    """The staged file of a verdict.

    The pixels of a new label are in ``file``, with the extension of its format, until it gets a
    version; ``known`` means that the project has this label already; ``kept`` is the copy of a mask
    that goes to quarantine, relative to the project.
    """

    file: Path | None = None
    suffix: str = ""
    sha256: str = ""
    voxels: dict[str, int] = field(default_factory=dict)
    kept: str = ""
    known: bool = False


class Stager:
    """Writes accepted masks beside the label versions, on their scans' own grids.

    Leaving the context removes files that did not become labels. All but :meth:`sync` may be called
    from several threads.
    """

    def __init__(
        self,
        project: Project,
        targets: Iterable[ScanTarget],
        *,
        replaces: bool = False,
        accept_first: bool = False,
    ) -> None:
        """``targets`` are the scans that masks may belong to.

        ``replaces``: the call chose these masks as labels, whoever drew the present ones.
        ``accept_first``: a scan that is out to several people takes the first mask as its label.
        """
        self._project = project
        self._targets = {target.scan_id: target for target in targets}
        self._known = KnownLabels(project, replaces=replaces)
        self._shared = set() if accept_first or replaces else shared_scans(project.store)
        self._classes = project.config.classes.names
        self._folder = project.layout.label_versions
        self._token = secrets.token_hex(6)
        self._numbers = itertools.count()
        self._files: list[Path] = []
        self._syncing: BatchSync | None = None
        self._mode, self._grouped = 0, True
        self._counting, self._starting = threading.Lock(), threading.Lock()
        self._kept = self._not_kept = 0
        self._counted: set[tuple[str | None, tuple[Path, ...]]] = set()

    def __enter__(self) -> Stager:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._syncing is not None:
            self._syncing.close()
        # Most are renamed by now. What can't be removed now is removed later, by its age.
        with contextlib.suppress(OSError):
            left = {entry.name for entry in os.scandir(self._folder)} if self._files else ()
            for file in self._files:
                if file.name in left:
                    file.unlink(missing_ok=True)
        if self._not_kept:
            told(
                f"of {counted(self._not_kept, 'mask')} in quarantine no copy was kept, they are "
                "too large: keep the files that you imported"
            )

    def finish(self, verdict: Verdict, *, again: bool = False) -> Verdict:
        """The verdict without its pixels; ``stored`` is the staged file.

        ``again``: a label that the project already has is written again.
        """
        verdict = self._known.told(self._with_author(verdict))
        known = not again and self._known.holds(verdict)
        stored = Staged(known=True) if known else self.stage(verdict)
        return changed(verdict, label=None, stored=stored)

    def preview(self, verdict: Verdict) -> Verdict:
        """Like :meth:`finish`, without writing files."""
        verdict = self._with_author(verdict)
        known = self._known.holds(verdict)
        return replace(self._known.told(verdict), label=None, stored=Staged(known=known))

    def _with_author(self, verdict: Verdict) -> Verdict:
        """Quarantine a nameless mask of a scan that is out to several people."""
        nameless = verdict.status == "accepted" and not verdict.author
        if not nameless or verdict.scan_id not in self._shared:
            return verdict
        return replace(
            verdict,
            status="quarantined",
            code="whose",
            message=f"scan {verdict.scan_id!r} is out to several people, and nothing says who drew "
            "this mask",
            remedy="Name the person: --by NAME, or a folder of that name around the masks; of "
            "several people: --match '{annotator}/{stem}'.",
            label=None,
            drawn=None,
        )

    def stage(self, verdict: Verdict) -> Staged:
        """Write the label of an accepted mask, or the copy of one that goes to quarantine."""
        if verdict.label is None or verdict.scan_id is None:
            waits = verdict.status in ("quarantined", "unmatched")
            return Staged(kept=self._keep(verdict) if waits else "")
        target = self._targets[verdict.scan_id]
        suffix = _suffix(target)
        version = f"{STAGED}{self._token}{next(self._numbers)}"
        path = self._folder / label_name(target.scan_id, suffix, version)
        if self._syncing is None:
            self._open_folder()
        self._files.append(path)
        data = encode_label(path, verdict.label, target.affine)
        try:
            _write(path, data, self._mode, grouped=self._grouped)
        except OSError as error:
            raise disk_error(error, path) from error
        voxels = count_voxels(verdict.drawn or Drawn.of(verdict.label), self._classes)
        return Staged(path, suffix, sha256(data).hexdigest(), voxels)

    def _open_folder(self) -> None:
        try:
            with self._starting:
                if self._syncing is None:
                    make_folder(self._folder)
                    self._mode, self._grouped = opening_mode(self._folder)
                    self._syncing = BatchSync(self._folder)
        except OSError as error:
            raise disk_error(error, self._folder) from error

    def _keep(self, verdict: Verdict) -> str:
        """Keep a copy of a mask for quarantine, unless it would use too much of the disk.

        An archive may unpack to a thousand times its size: copies from the archives of one import
        are limited in total, and each mask to a share of the free space.
        """
        content = verdict.sha256, verdict.parts
        try:
            size = sum(file.stat().st_size for file in (verdict.file, *verdict.parts))
        except OSError:
            return keep_copy(self._project, verdict)
        free = shutil.disk_usage(self._project.layout.quarantine).free
        with self._counting:
            # One file may hold a thousand masks: it is kept once.
            size = 0 if content in self._counted else size
            room = _ARCHIVE_KEPT_BYTES - self._kept if verdict.source else free
            if size > min(room, free * _KEPT_SHARE):
                self._not_kept += 1
                return ""
            self._counted.add(content)
            self._kept += size if verdict.source else 0
        return keep_copy(self._project, verdict)

    def sync(self) -> None:
        """Sync all staged files to disk, once: meanwhile the file system creates no other file."""
        if self._syncing is not None:
            self._syncing.sync(self._files)
            fsync_folder(self._folder)


def _suffix(target: ScanTarget) -> str:
    header = ScanHeader(shape=target.shape, channels=1, dtype="uint8", affine=target.affine)
    return label_suffix(header)


def _write(path: Path, data: bytes, mode: int, *, grouped: bool) -> None:
    """``path.write_bytes(data)``, shared as its folder is; few calls: imports write thousands."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        if grouped:
            share(descriptor, path.parent)
        done = 0
        while done < len(data):
            done += os.write(descriptor, data[done:] if done else data)
    finally:
        os.close(descriptor)


class KnownLabels:
    """The source masks of the project's labels and drawings, read once.

    A mask that would become active is known only if it is active: a mask that was replaced since
    becomes active again when it is imported again. A mask that is only kept is known by any
    version. Versions of a scan whose label was rejected are not known, so the same file can be
    imported again. One person's drawing is known while it is that person's newest, and another
    person's mask, or a decision, is the label.
    """

    def __init__(self, project: Project, *, replaces: bool = False) -> None:
        rows = project.store.rows(
            "SELECT scan_id, version, file, sha256, state, source_sha256, source_key, author, "
            "purpose, decided FROM labels WHERE state = 'drawn' OR (state IN ('active', "
            "'superseded') AND scan_id IN (SELECT scan_id FROM labels WHERE state = 'active'))"
        )
        self._project = project
        self._replaces = replaces
        self._rows: dict[Source, list[Row]] = {}
        self._active = {row["scan_id"]: row for row in rows if row["state"] == "active"}
        self._newest: dict[tuple[str, str], int] = {}
        for row in rows:
            mask = row["source_sha256"], row["source_key"]
            self._rows.setdefault((row["scan_id"], *mask), []).append(row)
            if row["author"] and not row["purpose"]:
                person = row["scan_id"], person_key(row["author"])
                self._newest[person] = max(row["version"], self._newest.get(person, 0))

    def holds(self, verdict: Verdict) -> bool:
        """Whether this mask has produced this label before.

        The pixels are compared, too: after a change of the class map the same file is another
        label. A label whose file was lost or damaged is imported again.
        """
        if verdict.label is None:
            return False
        files = (stored_file(self._project, row) for row in self._versions(verdict))
        return any(_holds(file, verdict.label) for file in files)

    def told(self, verdict: Verdict) -> Verdict:
        """The verdict, with a warning when this mask was active before and was replaced since, or
        when it replaces the mask of another person."""
        if verdict.label is None or verdict.status != "accepted":
            return verdict
        found = self._rows.get(_source_of(verdict), ())
        label = self._active.get(verdict.scan_id or "")
        waits = bool(found) and all(row["state"] == "drawn" for row in found)
        new = not found or (waits and self._replaces)
        if new and label is not None and (warning := self._replaced(verdict, label)):
            return replace(verdict, warnings=(*verdict.warnings, warning))
        if not found or label is None or self._kept_beside(verdict, label):
            return verdict
        if any(row["state"] in ("active", "drawn") for row in found):
            return verdict
        warning = "it was replaced by another mask since it was imported: it counts again"
        return replace(verdict, warnings=(*verdict.warnings, warning))

    def _replaced(self, verdict: Verdict, label: Row) -> str:
        """Words on the label that this mask replaces, when it may be another person's work."""
        mine, other = verdict.author or "", label["author"] or ""
        if mine and other and person_key(mine) != person_key(other) and self._replaces:
            return f"it replaces the mask of {escaped(other)}, which is kept as an earlier version"
        if other and not mine:
            return (
                f"it replaces the mask of {escaped(other)}, which is kept as an earlier version; "
                "nothing says who drew this one"
            )
        if label["decided"] and not mine:
            return "it replaces a label that was decided on, which is kept as an earlier version"
        if mine and not other and not label["decided"]:
            return (
                "it replaces a label of which nobody knows who drew it; that is kept as an "
                "earlier version"
            )
        return ""

    def _kept_beside(self, verdict: Verdict, label: Row) -> bool:
        """Whether this person's mask is kept, not made the label: another counts."""
        if self._replaces or not verdict.author:
            return False
        other = label["author"]
        return bool(label["decided"]) or bool(
            other and person_key(other) != person_key(verdict.author)
        )

    def has_file(self, verdict: Verdict, digest: str) -> bool:
        """Whether a label file with this hash was made from this mask and is unchanged."""
        return any(
            row["sha256"] == digest
            and (file := stored_file(self._project, row)) is not None
            and is_whole(file, row)
            for row in self._versions(verdict)
        )

    def _versions(self, verdict: Verdict) -> Sequence[Row]:
        """The rows that make this mask a known one."""
        found = self._rows.get(_source_of(verdict), ())
        if verdict.status == "kept":
            return found
        found = [row for row in found if _may_be_by(row, verdict.author)]
        if self._replaces:
            return [row for row in found if row["state"] == "active"]
        label = self._active.get(verdict.scan_id or "")
        beside = label is not None and self._kept_beside(verdict, label)
        return [
            row
            for row in found
            if row["state"] in ("active", "drawn") or (beside and self._is_newest(row))
        ]

    def _is_newest(self, row: Row) -> bool:
        author = row["author"]
        return bool(author) and row["version"] == self._newest.get(
            (row["scan_id"], person_key(author))
        )


def _may_be_by(row: Row, author: str | None) -> bool:
    """Whether the same person may have drawn it: somebody who is not known may be anybody."""
    return not row["author"] or not author or person_key(row["author"]) == person_key(author)


def _source_of(verdict: Verdict) -> Source:
    return verdict.scan_id or "", verdict.sha256 or "", verdict.key


def _holds(file: Path | None, label: NDArray[np.uint8]) -> bool:
    if file is None:
        return False
    try:
        return np.array_equal(read_label(file), label)
    except ImageError:
        return False


def count_voxels(drawn: Drawn, classes: tuple[str, ...]) -> dict[str, int]:
    """Pixels or voxels per class, and ignored ones."""
    found = {name: drawn.pixels.get(number, 0) for number, name in enumerate(classes, start=1)}
    return found | ({"ignore": drawn.ignored} if drawn.ignored else {})


class LabelWriter:
    """Makes staged masks the newest versions of their scans' labels (inside an action)."""

    def __init__(self, project: Project) -> None:
        store = project.store
        self._project = project
        self._versions = dict(
            store.tuples("SELECT scan_id, max(version) FROM labels GROUP BY scan_id")
        )
        # A replaced label passes on its role; else the role is that of the queue item.
        asked = store.tuples("SELECT scan_id, role FROM queue WHERE status != 'skipped'")
        earlier = store.tuples("SELECT scan_id, role FROM labels WHERE state = 'active'")
        self._roles = dict(asked) | dict(earlier)
        self._queued = {scan_id for scan_id, _ in store.tuples("SELECT scan_id, role FROM queue")}
        self._now = store.now()
        self._stored = False
        self._folder = project.layout.label_versions
        self._labels = project.layout.relative(project.layout.labels)

    def sync(self) -> None:
        """Sync the renamed files' folder; before the COMMIT that refers to them."""
        if self._stored:
            try:
                fsync_folder(self._folder)
            except OSError as error:
                raise disk_error(error, self._folder) from error

    def store(self, verdict: Verdict, staged: Staged) -> None:
        """Store one label. ``verdict`` is accepted, or to be kept as a further version."""
        if verdict.status != "accepted" or verdict.scan_id is None:
            self._insert(verdict, staged, "superseded", "")
            return
        if self._versions.get(verdict.scan_id):
            self.let_count(verdict.scan_id, self._insert(verdict, staged, "superseded", ""))
            return
        self._insert(verdict, staged, "active", "")
        self._counted(verdict.scan_id)

    def draw(self, verdict: Verdict, staged: Staged, purpose: str = "") -> int:
        """Store one person's drawing beside the label; return its version."""
        return self._insert(verdict, staged, "drawn", purpose)

    def join(self, verdict: Verdict, staged: Staged) -> int:
        """Store the joint label of several people's drawings; return its version."""
        return self._insert(verdict, staged, "superseded", "")

    def let_count(self, scan_id: str, version: int, decided: str = "") -> None:
        """Make a stored version the scan's label, in place of the present one."""
        store = self._project.store
        if version > 1:
            store.update("labels", {"scan_id": scan_id, "state": "active"}, state="superseded")
        store.update(
            "labels", {"scan_id": scan_id, "version": version}, state="active", decided=decided
        )
        self._counted(scan_id)

    def _counted(self, scan_id: str) -> None:
        self._roles.setdefault(scan_id, "manual")
        if scan_id in self._queued:
            self._project.store.update("queue", {"scan_id": scan_id}, status="labelled")

    def _insert(self, verdict: Verdict, staged: Staged, state: str, purpose: str) -> int:
        if staged.file is None or verdict.scan_id is None:
            raise ValueError("only an accepted mask that was staged can become a label")
        store, scan_id = self._project.store, verdict.scan_id
        version = 1 + (self._versions.get(scan_id) or 0)
        name = label_name(scan_id, staged.suffix, f"v{version}")
        os.replace(staged.file, f"{self._folder}/{name}")  # noqa: PTH105 - thousands of them
        store.insert(
            "labels",
            scan_id=scan_id,
            version=version,
            file=f"{self._labels}/{label_name(scan_id, staged.suffix)}",
            sha256=staged.sha256,
            state=state,
            role=self._roles.get(scan_id, "manual"),
            source=verdict.origin,
            source_sha256=verdict.sha256,
            source_key=verdict.key,
            author=verdict.author,
            format=verdict.format or "mask",
            geometry=verdict.geometry,
            notes=[*verdict.notes, *verdict.warnings],
            voxels=staged.voxels,
            created_at=self._now,
            purpose=purpose,
            minutes=verdict.minutes,
            minutes_from=verdict.minutes_from,
            drawn_at=verdict.drawn_at,
        )
        self._stored = True
        self._versions[scan_id] = version
        return version
