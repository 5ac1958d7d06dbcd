"""Runs: trained models, their predictions and entropies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.below import plain_name
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import SUFFIXES
from coldal_tui.project.measuring import CROSS_FITTED, FROZEN, TEST_THEN_TRAIN
from coldal_tui.project.project import Project
from coldal_tui.selection.rows import PoolRow
from coldal_tui.simulation.cells import ScanScores, as_halves

_PAGE = 2_000
CROSS_FITTED_FOLDER = "cross-fitted"
"""Within a run's folder: its labelled scans, each predicted by a network that did not see it."""
IMPORTED = "imported"
"""In a run's summary: the name of another model whose maps were imported; in a run's id, too."""


def latest_run(project: Project) -> str | None:
    value = project.store.value("SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC")
    return None if value is None else str(value)


def entropy_kind(project: Project, strategy: str | None = None) -> str:
    """The kind of mean over pixels that H is: ``mean``, ``foreground`` or ``boundary``.

    The strategy's own kind if it has one, else the project's (``selection.entropy``).
    """
    own = {"entropy-foreground": "foreground", "entropy-boundary": "boundary"}
    return own.get(strategy or "", project.config.selection.entropy)


def _column(kind: str) -> str:
    return "entropy" if kind == "mean" else f"json_extract(more, '$.{kind}')"


def run_entropies(
    project: Project, run_id: str | None, kind: str | None = None
) -> dict[str, float]:
    """``scan_id → H`` of a run; ``kind`` as returned by ``entropy_kind``, by default the project's.

    Scans scored by older versions have only the plain mean.
    """
    pages = entropy_pages(project, run_id, kind)
    return {scan_id: value for page in pages for scan_id, value in page if value is not None}


def entropy_pages(
    project: Project, run_id: str | None, kind: str | None = None
) -> Iterator[list[tuple[str, float | None]]]:
    """Like ``run_entropies``, as pairs and a page at a time; None where there is none."""
    if run_id is None:
        return
    wanted = _column(kind or entropy_kind(project))
    query = f"SELECT scan_id, {wanted} FROM scores WHERE run_id = ?"
    yield from project.store.pages(query, (run_id,))


def scan_entropies(project: Project, scan_id: str, kind: str | None = None) -> list[Row]:
    """``run_id`` and ``entropy`` (H) of a scan by every run that scored it, oldest first."""
    wanted = _column(kind or entropy_kind(project))
    rows = project.store.rows(
        f"SELECT s.run_id, {wanted} AS entropy FROM scores s JOIN runs r ON r.run_id = s.run_id "
        "WHERE s.scan_id = ? ORDER BY r.created_at, r.run_id",
        (scan_id,),
    )
    return [row for row in rows if row["entropy"] is not None]


def kept_scores(scores: ScanScores | None, features: bytes | None = None) -> dict[str, Any]:
    """The columns of ``scores`` besides the entropy; ``features`` are float16, where given."""
    if scores is None:
        return {}
    more = msgspec.to_builtins(scores)
    del more["entropy"]
    own = more.pop("features", None)
    found: dict[str, Any] = {"more": msgspec.json.encode(more).decode()}
    if features is not None or own is not None:
        found["features"] = as_halves(own) if features is None else features
    return found


def with_scores(
    project: Project, rows: Sequence[PoolRow], run_id: str | None, *, features: bool = True
) -> Iterator[PoolRow]:
    """``rows`` (in ``scan_id`` order) with all scores of the run, a page at a time.

    For strategies that need more than the entropy. ``features``: with those, as float16.
    """
    if run_id is None:
        yield from rows
        return
    for start in range(0, len(rows), _PAGE):
        page = rows[start : start + _PAGE]
        stored = project.store.tuples(
            f"SELECT scan_id, more, {'features' if features else 'NULL'} FROM scores "
            "WHERE run_id = ? AND scan_id BETWEEN ? AND ?",
            (run_id, page[0].scan_id, page[-1].scan_id),
        )
        scores = {scan_id: rest for scan_id, *rest in stored}
        for row in page:
            if row.scan_id not in scores:
                yield row
                continue
            more, halves = scores[row.scan_id]
            one = msgspec.convert({"entropy": 0.0} | msgspec.json.decode(more), ScanScores)
            yield msgspec.structs.replace(
                row,
                class_entropy=one.class_entropy or None,
                bald=one.bald,
                foreground_entropy=one.foreground,
                boundary_entropy=one.boundary,
                features=halves,
            )


def runs_newest_first(project: Project) -> list[Row]:
    """``run_id``, ``train_scans`` and ``validation_scans`` (sets) of each run."""
    rows = project.store.rows(
        "SELECT run_id, train_scans, validation_scans FROM runs "
        "ORDER BY created_at DESC, run_id DESC"
    )
    sets = ("train_scans", "validation_scans")
    return [row | {name: frozenset(json.loads(row[name])) for name in sets} for row in rows]


def entropy_file(project: Project, run_id: str, scan_id: str) -> Path | None:
    """The run's entropy map of a scan, if it was kept."""
    return _map_file(project.run_folder(run_id) / "predictions" / "entropy", scan_id)


def entropy_beside(prediction: Path, scan_id: str) -> Path | None:
    """The entropy map that was kept with a predicted label map, if any."""
    return _map_file(prediction.parent / "entropy", scan_id)


def _map_file(folder: Path, scan_id: str) -> Path | None:
    paths = (folder / f"{plain_name(scan_id, 'scan id')}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def prediction_file(project: Project, run_id: str | None, scan_id: str) -> Path | None:
    """The run's predicted label map of a scan, if it exists."""
    if run_id is None:
        return None
    return _map_file(project.run_folder(run_id) / "predictions", scan_id)


def cross_fitted_file(project: Project, run_id: str, scan_id: str) -> Path | None:
    """The label map of a labelled scan by a network of the run that did not see it, if any."""
    return _map_file(project.run_folder(run_id) / CROSS_FITTED_FOLDER, scan_id)


def out_of_sample(project: Project, run: Row, scan_id: str) -> tuple[Path, str] | None:
    """A prediction by a network of the run that did not train on the scan, and the split it is of.

    ``run`` is a row of ``runs_newest_first``. None when there is none.
    """
    crossed = cross_fitted_file(project, run["run_id"], scan_id)
    if scan_id in run["train_scans"]:
        return None if crossed is None else (crossed, CROSS_FITTED)
    predicted = prediction_file(project, run["run_id"], scan_id) or crossed
    if predicted is None:
        return None
    return predicted, FROZEN if scan_id in run["validation_scans"] else TEST_THEN_TRAIN


def imported_model(project: Project, run_id: str | None) -> str | None:
    """The name of the model whose maps a run was imported from; None for a run trained here."""
    value = project.store.value(
        "SELECT json_extract(summary, '$.imported') FROM runs WHERE run_id = ?", (run_id,)
    )
    return None if value is None else str(value)
