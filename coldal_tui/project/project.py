"""An open project: the only access to its state for the CLI, the app and the supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from coldal_tui.below import below, outside, plain_name, stay_below
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import atomic_write, disk_error, make_folder
from coldal_tui.imaging.intensity_choice import AUTO, DEFAULT_WINDOW, IntensityChoice
from coldal_tui.jobs.spec import EncoderChoice
from coldal_tui.project.database.store import Store, told
from coldal_tui.project.identity import ID_KEY, check_identity, check_not_rolled_back
from coldal_tui.project.layout import Layout, is_project
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.settings.config import Config, load_config
from coldal_tui.project.settings.config_template import render_template
from coldal_tui.project.trust_questions import linked_folders, require_trust
from coldal_tui.trust_store import TrustStore


class Project:
    """An open project: its layout, its configuration as read now, its store.

    ``readonly``: no call creates or changes anything on disk. ``repairing``: a database with
    missing actions may be opened for writing, too. ``patient``: a write waits as long as another
    process holds the database, and says which one.
    """

    def __init__(
        self,
        root: Path,
        *,
        readonly: bool = False,
        repairing: bool = False,
        patient: bool = False,
    ) -> None:
        self.layout = Layout(root.absolute())
        self.config: Config = load_config(self.layout.config)
        self._images: tuple[Config, Path] | None = None
        if not readonly:
            if linked_folders(self.layout):
                require_trust(self.layout, self.config)
            self.layout.make_folders()
        self.store = Store(self.layout.database, readonly=readonly, patient=patient)
        try:
            check_identity(self.store, self.config.project.id)
            if not (readonly or repairing):
                check_not_rolled_back(self.store)
        except BaseException:
            self.store.close()
            raise

    @classmethod
    def create(cls, root: Path, images: Path) -> Project:
        """Make a project folder with its ``coldal.toml``.

        Raises UsageError when ``root`` already holds a project or ``images`` is not a folder.
        """
        root, images = root.absolute(), images.absolute()
        if is_project(root):
            raise UsageError(
                "this folder already holds a project",
                where=str(root),
                remedy="open it, or choose another folder",
            )
        if not images.is_dir():
            raise UsageError(
                "the images folder does not exist" if not images.exists() else "not a folder",
                where=str(images),
                remedy="name the folder that holds the scans: --images DIR",
            )
        layout, project_id = Layout(root), secrets.token_hex(16)
        config = layout.config
        name = root.name or "project"
        text = render_template(name, relative_or_absolute(images, root), project_id)
        try:
            make_folder(root)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                "a file is in the way", where=str(root), remedy="choose another folder"
            ) from error
        except OSError as error:
            raise disk_error(error, root) from error
        layout.make_folders()
        # The database first: a coldal.toml alone would be a project with a lost database.
        with contextlib.closing(Store(layout.database, create=True)) as store:
            store.replace("meta", key=ID_KEY, value=project_id)
        atomic_write(config, lambda stream: stream.write(text.encode()))
        try:
            TrustStore().note_made(root, project_id)
        except (ColdalError, OSError, RuntimeError) as error:
            told(f"that you made this project can't be noted for you: {error}")
        try:
            return cls(root)
        except BaseException:
            config.unlink(missing_ok=True)
            raise

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    def reload_config(self) -> None:
        self.config = load_config(self.layout.config)

    @property
    def root(self) -> Path:
        return self.layout.root

    @property
    def name(self) -> str:
        return self.config.project.name

    @property
    def images(self) -> Path:
        """The absolute images folder; resolved once each time the configuration is read."""
        if self._images is None or self._images[0] is not self.config:
            self._images = self.config, Path(self.root, self.config.images.dir).resolve()
        return self._images[1]

    @property
    def encoder(self) -> EncoderChoice:
        """The encoder in ``coldal.toml``, with an absolute path to its weights."""
        section, how = self.config.encoder, self.intensity
        weights = str(Path(self.root, section.weights)) if section.weights else None
        return EncoderChoice(
            name=section.name,
            weights=weights,
            sha256=section.sha256,
            size=section.size,
            mean=section.mean,
            std=section.std,
            channels=section.channels,
            layer=section.layer,
            window=None if how.window == DEFAULT_WINDOW else how.window,
            pooling=None if section.pooling == "mean" else section.pooling,
            precision=None if section.precision == "float32" else section.precision,
            modality=None if how.modality == (AUTO,) else how.modality,
        )

    @property
    def intensity(self) -> IntensityChoice:
        """The rule for intensities, the same in embedding, training, scoring and on screen."""
        images = self.config.images
        modality, window = images.modality, images.window
        if window == DEFAULT_WINDOW and self.config.encoder.window is not None:
            window = self.config.encoder.window
        return IntensityChoice(
            modality=(modality,) if isinstance(modality, str) else modality,
            window=window,
        )

    def scans(self) -> list[ScanRecord]:
        """All indexed scans in ``scan_id`` order, missing ones included."""
        rows = self.store.rows("SELECT * FROM scans ORDER BY scan_id")
        return [ScanRecord.from_row(row) for row in rows]

    def scans_named(self, scan_ids: Iterable[str]) -> list[ScanRecord]:
        """The indexed scans among some ids, in ``scan_id`` order."""
        rows = self.store.rows(
            "SELECT * FROM scans WHERE scan_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY scan_id",
            (json.dumps(list(scan_ids)),),
        )
        return [ScanRecord.from_row(row) for row in rows]

    def scan(self, scan_id: str) -> ScanRecord:
        row = self.store.row("SELECT * FROM scans WHERE scan_id = ?", (scan_id,))
        if row is None:
            raise self._no_such_scan(scan_id)
        return ScanRecord.from_row(row)

    def _no_such_scan(self, scan_id: str) -> UsageError:
        import difflib

        known = [row["scan_id"] for row in self.store.rows("SELECT scan_id FROM scans")]
        begun = sorted(one for one in known if scan_id and one.startswith(scan_id))
        alike = difflib.get_close_matches(scan_id, known, n=3, cutoff=0.5)
        near = list(dict.fromkeys((*begun, *alike)))[:3]
        return UsageError(
            "no such scan",
            where=scan_id,
            remedy=f"did you mean {', '.join(near)}?" if near else "see coldal-tui status --json",
        )

    def meta(self, key: str) -> str | None:
        value = self.store.value("SELECT value FROM meta WHERE key = ?", (key,))
        return None if value is None else str(value)

    def current_encoder_hash(self) -> str | None:
        """The hash of the configured encoder; unknown before its first embedding."""
        return self.meta(encoder_key(self.encoder))

    def file_of(self, relative: str) -> Path:
        """A file named in the database; ColdalError (``outside``) when it is not in the project."""
        return below(self.root, relative)

    def job_folder(self, relative: str) -> Path:
        """A job's folder, which may be emptied: below ``.coldal/jobs`` and nowhere else."""
        folder = below(self.root, relative)
        if not folder.is_relative_to(self.layout.jobs) or folder == self.layout.jobs:
            raise outside(relative, self.layout.jobs)
        stay_below(self.layout.jobs, folder)
        return folder

    def run_folder(self, run_id: str) -> Path:
        """The folder of a run; ColdalError (``outside``) for an invalid id."""
        return below(self.layout.runs, plain_name(run_id, "name of a run"))

    def output_place(self, folder: Path) -> Path:
        """A folder that somebody names for output; UsageError where it would mix with other files.

        That is in the images, which are never written to, in the labels and in the project's state.
        """
        real = os.path.realpath(folder)
        homes = [os.path.realpath(self.layout.labels), os.path.realpath(self.layout.state)]
        root = os.path.realpath(self.root)
        # A project may lie among its images: its own folders are no scans.
        if real != root and not real.startswith(f"{root}/"):
            homes.append(os.path.realpath(self.images))
        for home in homes:
            if real == home or real.startswith(home.rstrip("/") + "/"):
                raise UsageError(
                    f"this is no place for output: {home} holds the project's own files",
                    where=str(folder),
                    remedy="name a folder elsewhere: --out DIR",
                    code="output-place",
                )
        return folder

    def image_of(self, relative: str) -> Path:
        """A file below the images folder, as the database names it."""
        return below(self.images, relative, links=True)

    @property
    def images_gone(self) -> bool:
        """Whether the images folder is missing, or empty although it should hold scans.

        A mount point whose disk is not mounted is an empty folder.
        """
        try:
            with os.scandir(self.images) as entries:
                if next(entries, None) is not None:
                    return False
        except OSError:
            return True
        return bool(self.store.value("SELECT 1 FROM scans WHERE state = 'present' LIMIT 1"))

    def require_images(self) -> None:
        """Raise ColdalError (code ``no-images``) when the images folder is gone."""
        if self.images_gone:
            raise ColdalError(
                "the images folder is not there"
                if not self.images.is_dir()
                else "the images folder is empty",
                where=str(self.images),
                remedy="mount its disk, or set dir under [images] in coldal.toml",
                code="no-images",
            )

    def require_scans(self) -> list[ScanRecord]:
        usable = [scan for scan in self.scans() if scan.usable]
        if not usable:
            raise ColdalError(
                "the project has no scan to work on",
                where=str(self.images),
                remedy="check [images] in coldal.toml, then run coldal-tui index",
                code="no-scans",
            )
        return usable


def encoder_key(choice: EncoderChoice) -> str:
    """The ``meta`` key of the encoder's hash at its last embedding.

    The key contains every setting that can change a vector, so that vectors made with other
    settings, or with another file at the same path, are never mistaken for this encoder's.
    """
    settings = msgspec.structs.asdict(choice)
    facts: list[Any] = [settings.pop("name"), settings.pop("weights")]
    changed = {key: value for key, value in settings.items() if value is not None}
    return "encoder:" + json.dumps([*facts, changed] if changed else facts)


def relative_or_absolute(path: Path, start: Path) -> str:
    """``path`` relative to ``start`` when both share more than the root folder."""
    path, start = path.resolve(), start.resolve()
    common = os.path.commonpath([path, start])
    return str(path) if common == "/" else Path(os.path.relpath(path, start)).as_posix()
