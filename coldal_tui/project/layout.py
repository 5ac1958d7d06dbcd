"""The paths of a project on disk, and how a project folder is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import UsageError
from coldal_tui.files import disk_error, make_folder

CONFIG_NAME = "coldal.toml"


@dataclass(frozen=True)
class Layout:
    """Paths of one project; ``root`` is the folder that holds ``coldal.toml``."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / CONFIG_NAME

    @property
    def labels(self) -> Path:
        return self.root / "labels"

    @property
    def label_versions(self) -> Path:
        return self.labels / "versions"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def state(self) -> Path:
        return self.root / ".coldal"

    @property
    def database(self) -> Path:
        return self.state / "project.db"

    @property
    def embeddings(self) -> Path:
        return self.state / "embeddings"

    @property
    def maps(self) -> Path:
        return self.state / "maps"

    @property
    def runs(self) -> Path:
        return self.state / "runs"

    @property
    def jobs(self) -> Path:
        return self.state / "jobs"

    @property
    def quarantine(self) -> Path:
        return self.state / "quarantine"

    @property
    def cache(self) -> Path:
        return self.state / "cache"

    @property
    def inputs(self) -> Path:
        """Resized scans of all jobs; what is here can be made again."""
        return self.cache / "inputs"

    @property
    def supervisor_lock(self) -> Path:
        return self.state / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.state / "supervisor.log"

    def folders(self) -> tuple[Path, ...]:
        """The folders that every project has."""
        return (
            self.state,
            self.labels,
            self.exports,
            self.embeddings,
            self.maps,
            self.runs,
            self.jobs,
            self.quarantine,
            self.cache,
        )

    def make_folders(self) -> None:
        """Create missing folders; ColdalError when that fails."""
        for folder in self.folders():
            try:
                make_folder(folder)
            except OSError as error:
                raise disk_error(error, folder) from error

    def relative(self, path: Path) -> str:
        """``path`` as stored in the database: relative to the project, with ``/``."""
        return path.relative_to(self.root).as_posix()


def is_project(folder: Path) -> bool:
    return (folder / CONFIG_NAME).is_file()


def find_project(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds a ``coldal.toml``."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if is_project(folder):
            return folder
    raise UsageError(
        f"no {CONFIG_NAME} here or in any folder above",
        where=str(start),
        remedy="name the project folder, or make one: coldal-tui init PROJECT --images DIR",
        code="no-project",
    )
