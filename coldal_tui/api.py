"""A project for notebooks and scripts: its tables as data frames or records, read-only.

    import coldal_tui

    with coldal_tui.open("lungs") as project:
        queue = project.queue()
        queue[queue.status == "queued"]

The names of columns are the keys of the command line's ``--json``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from coldal_tui.errors import UsageError
from coldal_tui.project.layout import find_project
from coldal_tui.project.project import Project

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Frames = Literal["auto", "pandas", "polars", "records"]
Records = list[dict[str, Any]]
Table = TypeVar("Table")

SCAN_COLUMNS = (
    *("scan_id", "path", "patient_id", "kind", "shape", "channels", "dtype", "spacing"),
    *("modality", "state", "excluded", "duplicate_of", "usable", "meta"),
)
LABEL_COLUMNS = (
    *("scan_id", "version", "role", "file", "source", "geometry"),
    *("notes", "voxels", "created_at"),
)
MINUTE_COLUMNS = ("scan_id", "author", "version", "minutes", "how", "purpose", "created_at")
RELEASE_COLUMNS = (
    *("at", "who", "folder", "format", "licence", "folds", "seed", "labels", "checksums"),
)
QUARANTINE_COLUMNS = (
    *("quarantine_id", "scan_id", "file", "source", "source_key", "source_sha256", "format"),
    *("code", "message", "created_at", "class_name", "author", "nearest", "joined"),
)
MAP_COLUMNS = ("scan_id", "x", "y", "cluster", "status", "entropy")
"""Columns of tables without a row."""


class OpenProject(Generic[Table]):
    """A project that is open for reading. Each call reads it as it is at that moment.

    Every table is of the kind that ``coldal_tui.open`` was asked for.
    """

    def __init__(self, root: Path, frame: Callable[[Records, Sequence[str]], Table]) -> None:
        self._project = Project(root, readonly=True)
        self._frame = frame

    @property
    def name(self) -> str:
        """The project's name."""
        return self._project.name

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self._project.root

    def close(self) -> None:
        """Close it; nothing can be read afterwards."""
        self._project.close()

    def __enter__(self) -> OpenProject[Table]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<coldal-tui project {self.name} in {self.root}>"

    def status(self) -> dict[str, Any]:
        """Budget, clusters, rounds, runs, jobs and the next step: the document of ``status``."""
        from coldal_tui.project.enough.estimate import read_enough
        from coldal_tui.project.views.snapshot import take_snapshot

        found = read_enough(self._project)
        answer = {"enough": None if found is None else found.as_json()}
        return take_snapshot(self._project).as_json() | answer

    def scans(self) -> Table:
        """All indexed scans, by ``scan_id``: path, patient, shape, spacing in mm, modality, state.

        ``usable``: present, not excluded, and not the copy of another scan.
        """
        rows = [
            {
                "scan_id": scan.scan_id,
                "path": str(self._project.images / scan.rel_path),
                "patient_id": scan.patient_id,
                "kind": scan.kind,
                "shape": list(scan.shape),
                "channels": scan.channels,
                "dtype": scan.dtype,
                "spacing": None if scan.spacing is None else list(scan.spacing),
                "modality": scan.modality,
                "state": scan.state,
                "excluded": scan.excluded,
                "duplicate_of": scan.duplicate_of,
                "usable": scan.usable,
                "meta": scan.meta,
            }
            for scan in self._project.scans()
        ]
        return self._frame(rows, SCAN_COLUMNS)

    def queue(self, *, skipped: bool = False) -> Table:
        """The queue in the order of rounds and ranks; with ``skipped``, those that were skipped."""
        from coldal_tui.project.minutes.expected import read_expectation
        from coldal_tui.project.views.snapshot import QueueItem, read_queue

        expected = read_expectation(self._project)
        items = read_queue(self._project, skipped=skipped, expected=expected)
        names = [field.name for field in fields(QueueItem)]
        return self._frame([item.as_json() for item in items], names)

    def labels(self) -> Table:
        """Active labels by ``scan_id``: version, role, file, source, pixels or voxels by class."""
        from coldal_tui.project.labels.importing import list_labels

        return self._frame(list_labels(self._project), LABEL_COLUMNS)

    def minutes(self) -> Table:
        """What each drawing took, oldest first: scan, author, version, minutes, how they are known.

        ``minutes`` is None where nobody knows them; ``how`` is ``file``, ``manifest``, ``server``,
        ``stated`` (one of these, unknown which), ``pace`` (an estimate) or empty. ``purpose`` is
        ``honeypot`` or ``repeat`` for drawings that check their authors.
        """
        from coldal_tui.project.labels.raters.drawing_times import read_drawing_times

        times = read_drawing_times(self._project.store)
        rows = [{name: getattr(one, name) for name in MINUTE_COLUMNS} for one in times]
        return self._frame(rows, MINUTE_COLUMNS)

    def quarantine(self) -> Table:
        """Masks that were not accepted and wait for a decision, each with its reason."""
        from coldal_tui.project.labels.quarantine import waiting

        return self._frame([dict(row) for row in waiting(self._project)], QUARANTINE_COLUMNS)

    def rounds(self) -> Table:
        """The selections: strategy, seed, α, size, labels, map, run."""
        from coldal_tui.project.views.snapshot import RoundState

        return self._frame(
            list(self.status()["rounds"]), [field.name for field in fields(RoundState)]
        )

    def releases(self) -> Table:
        """Releases of labels, oldest first: folder, format, licence, sizes of the folds, labels.

        ``checksums`` is the digest that ``release verify`` compares with.
        """
        from coldal_tui.project.release.releasing import list_releases

        return self._frame(list_releases(self._project), RELEASE_COLUMNS)

    def runs(self) -> Table:
        """Trained models: labels, measures on the validation set, seconds."""
        from coldal_tui.project.views.snapshot import RunState

        return self._frame(list(self.status()["runs"]), [field.name for field in fields(RunState)])

    def map(self) -> Table:
        """The map of the newest round: ``x``, ``y``, ``cluster`` (-1: none), ``status``, entropy.

        ``entropy`` is that of the newest run, None where it scored nothing. Empty before there is
        a map.
        """
        from coldal_tui.project.views.map_view import STATUSES, read_map_view

        map_view = read_map_view(self._project)
        if map_view is None:
            return self._frame([], MAP_COLUMNS)
        return self._frame(
            [
                {
                    "scan_id": scan_id,
                    "x": float(map_view.xy[n, 0]),
                    "y": float(map_view.xy[n, 1]),
                    "cluster": int(map_view.cluster[n]),
                    "status": STATUSES[map_view.status[n]],
                    "entropy": _number(map_view.entropy[n]),
                }
                for n, scan_id in enumerate(map_view.scan_ids)
            ],
            MAP_COLUMNS,
        )

    def embeddings(self) -> Table:
        """The vectors by the project's encoder: ``scan_id`` and ``vector``, a list of numbers."""
        scan_ids, vectors = self.vectors()
        pairs = zip(scan_ids, vectors, strict=True)
        rows = [{"scan_id": name, "vector": row.tolist()} for name, row in pairs]
        return self._frame(rows, ("scan_id", "vector"))

    def vectors(self) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """N scan ids, sorted, and their vectors ``(N, dim) float32``; N is 0 before ``embed``.

        Raises
        ------
        ColdalError : a file of vectors is missing or was changed (``shard``).
        """
        import numpy as np

        from coldal_tui.encoders.stored_vectors import read_vectors
        from coldal_tui.scheduler.plan_embed import embedded_scans, shard_rows

        known = self._project.current_encoder_hash()
        found = {} if known is None else embedded_scans(self._project, known)
        if not found:
            return (), np.zeros((0, 0), np.float32)
        return read_vectors(shard_rows(self._project, found))

    def why(self, scan_id: str) -> dict[str, Any]:
        """Why a scan is, or is not, in the queue: the document of ``why``."""
        from coldal_tui.project.views.why.explain import explain

        return explain(self._project, scan_id)


def open_project(project: str | os.PathLike[str], frames: Frames) -> OpenProject[Any]:
    """As ``coldal_tui.open``."""
    start = Path(project)
    if not start.exists():
        raise UsageError(
            "no such project", where=str(start), remedy="name a project folder", code="no-project"
        )
    return OpenProject(find_project(start), _frame_maker(frames))


def _frame_maker(frames: Frames) -> Callable[[Records, Sequence[str]], Any]:
    if frames == "auto":
        there = [name for name in ("pandas", "polars") if find_spec(name) is not None]
        frames = cast(Frames, there[0]) if there else "records"
    if frames == "records":
        return lambda rows, _: rows
    if frames not in ("pandas", "polars"):
        raise UsageError(
            f"{frames!r} is no kind of table", remedy="pandas, polars, records or auto"
        )
    try:
        library = import_module(frames)
    except ImportError as error:
        raise UsageError(
            f"{frames} is not installed", remedy=f'pip install {frames}, or frames="records"'
        ) from error
    # Rows may hold whole numbers first and fractions later, and terms that only some have.
    how = {"infer_schema_length": None, "strict": False} if frames == "polars" else {}

    def made(rows: Records, columns: Sequence[str]) -> Any:
        return (
            library.DataFrame(rows, **how) if rows else library.DataFrame({c: [] for c in columns})
        )

    return made


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # NaN: nobody knows it
