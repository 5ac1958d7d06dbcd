"""The files of a report: results.json, two CSVs, charts as SVG and PNG, one page in Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, disk_error
from coldal_tui.simulation.cells import Cell
from coldal_tui.simulation.charts import Picture, differences_of, draw, series_of
from coldal_tui.simulation.design import FULL, CellId
from coldal_tui.simulation.page import TITLES, page
from coldal_tui.simulation.words import Document
from coldal_tui.simulation.writers import to_png, to_svg

PAGE_FILE = "report.md"
RESULTS_FILE = "results.json"
_CHARTS = {"dice": "Dice", "hd95": "HD95"}


def write_report(folder: Path, results: Document, cells: Mapping[CellId, Cell]) -> list[Path]:
    """Write a report to ``folder``, over an earlier one; return the files, the page first.

    Raises ColdalError (code ``disk``) when the folder can't be written.
    """
    files: dict[str, bytes] = {}
    shown: list[tuple[str, str]] = []
    for stem, (words, picture) in charts(results).items():
        files[f"{stem}.svg"] = to_svg(picture).encode()
        files[f"{stem}.png"] = to_png(picture)
        shown.append((f"{stem}.svg", words))
    files[RESULTS_FILE] = msgspec.json.format(msgspec.json.encode(results), indent=1)
    files["points.csv"] = _csv(_point_rows(results))
    files["scans.csv"] = _csv(_scan_rows(cells.values()))
    files[PAGE_FILE] = page(results, shown).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    if not folder.is_dir():
        raise ColdalError("not a folder", where=str(folder), remedy="name another with --out")
    for name, content in files.items():
        _write(folder / name, content)
    return [folder / name for name in (PAGE_FILE, *(name for name in files if name != PAGE_FILE))]


def charts(results: Document) -> dict[str, tuple[str, Picture]]:
    """File stem → caption and chart: Dice and HD95 of each group of arms."""
    found = {}
    for group, compared in results["groups"].items():
        for measure, name in _CHARTS.items():
            if measure == "hd95" and not compared["unit"]:
                continue
            label = f"{name} ({compared['unit']})" if measure == "hd95" else name
            words = f"{TITLES[group]}: {label} by number of labels, with 95 % intervals"
            picture = draw(
                series_of(compared, measure),
                f"{TITLES[group]}: {name}",
                label,
                level=_level(results) if measure == "dice" else None,
            )
            found[f"{measure}-{group}"] = (words, picture)
        apart = differences_of(compared)
        if apart:
            title = f"{TITLES[group]}: Dice less that of random"
            words = f"{title}, with 95 % intervals of the paired difference"
            picture = draw(apart, title, "Dice", level=("random", 0.0))
            found[f"difference-{group}"] = (words, picture)
    return found


def _level(results: Document) -> tuple[str, float] | None:
    full = results["full"]
    return None if full is None else (f"{FULL} ({full['labels'][-1]})", full["dice"]["mean"])


def _point_rows(results: Document) -> Iterable[Sequence[Any]]:
    stats = ("mean", "low", "high")
    head = ["group", "arm", "labels", "class"]
    head += [f"{measure}_{stat}" for measure in ("dice", "hd", "hd95") for stat in stats]
    head += ["unit", "dice_sd_of_seeds", "minus_random", "minus_random_low", "minus_random_high"]
    head += ["p", "verdict", "random_needs", "random_needs_low", "random_needs_high"]
    head += ["foreground", "seconds", "seeds"]
    yield head
    for group, compared in results["groups"].items():
        for arm in compared["arms"]:
            for point in arm["points"]:
                for name, found in [("mean", point), *point["classes"].items()]:
                    row = [group, arm["arm"], point["labels"], name]
                    row += [found.get(m, {}).get(s) for m in ("dice", "hd", "hd95") for s in stats]
                    yield [*row, compared["unit"], *_of_mean(point, name, len(compared["seeds"]))]


def _of_mean(point: Document, name: str, seeds: int) -> list[Any]:
    """The columns that exist only for the mean over classes."""
    if name != "mean":
        return [None] * 11 + [seeds]
    gap = point.get("minus_random") or {}
    needs = point.get("random_needs") or {}
    return [
        point["spread"],
        *(gap.get(key) for key in ("mean", "low", "high", "p", "verdict")),
        *(
            f"> {needs['most']}" if needs and needs[key] is None else needs.get(key)
            for key in ("labels", "low", "high")
        ),
        point["foreground"],
        point["seconds"],
        seeds,
    ]


def _scan_rows(cells: Iterable[Cell]) -> Iterable[Sequence[Any]]:
    yield [
        *("seed", "group", "arm", "labels", "round", "scan_id", "class"),
        *("dice", "hd", "hd95", "unit", "note"),
    ]
    for cell in cells:
        start = [cell.id.seed, cell.id.group, cell.id.arm, cell.labels, cell.id.round]
        for scan_id, found in sorted(cell.scans.items()):
            for name, one in found.items():
                yield [*start, scan_id, name, one.dice, one.hd, one.hd95, one.unit, one.note]


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda stream: stream.write(content))
