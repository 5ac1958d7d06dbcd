"""How long one cell of a simulation takes: pick, train, measure and score, at the usual length.

By default 20 labels of the sample data's pictures at 128 pixels. Wall-clock time depends on what
else the machine does, so the processor's time is told beside it.

    python benchmarks/simulation.py [--images DIR --masks DIR --classes a,b --patients CSV]
        [--labels 20] [--steps N] [--threads 2] [--ignore-value 127]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import msgspec
import torch

from coldal_compute.embedding import embed
from coldal_compute.map_step import read_vectors
from coldal_compute.simulation.step import simulate
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import EmbedSpec, InputCache, ShardRows, SimulateSpec, TrainOptions
from coldal_tui.project.labels.hidden_masks import hide_masks
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.settings.config import edit_config
from coldal_tui.sampledata import sample_data
from coldal_tui.simulation.cells import read_cell
from coldal_tui.simulation.design import Arm, CellId, Design, SplitRule


class Silent:
    """A reporter that nobody reads."""

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        pass

    def log(self, message: str) -> None:
        pass


def _project(root: Path, options: argparse.Namespace) -> Project:
    project = Project.create(root, options.images)
    settings: dict[tuple[str, str], object] = {("classes", "names"): options.classes.split(",")}
    if options.ignore_value is not None:
        settings["classes", "ignore_value"] = options.ignore_value
    if options.patients:
        settings["images", "patients_csv"] = str(options.patients.resolve())
    edit_config(project.layout.config, settings)
    project.reload_config()
    reindex(project)
    return project


def _vectors(project: Project, folder: Path) -> tuple[ShardRows, ...]:
    scans = tuple(scan.input(project.images) for scan in project.scans() if scan.usable)
    folder.mkdir()
    done = embed(EmbedSpec(scans, project.encoder, device="cpu"), folder, Silent())
    shards = tuple(
        ShardRows(
            str(folder / shard["file"]),
            sha256_file(folder / shard["file"]),
            tuple(shard["scan_ids"]),
            tuple(range(len(shard["scan_ids"]))),
        )
        for shard in done.result["shards"]
    )
    read_vectors(shards)
    return shards


def main() -> None:
    data = sample_data() / "cxr"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=data / "images")
    parser.add_argument("--masks", type=Path, default=data / "masks")
    parser.add_argument("--patients", type=Path)
    parser.add_argument("--classes", default="lung")
    parser.add_argument("--ignore-value", type=int)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.images == data / "images":
        options.patients, options.ignore_value = data / "metadata.csv", 127
    design = Design(
        seeds=(0,),
        cold=("coldstart",),
        budgets=(options.labels,),
        active=(Arm("entropy-diversity", 0.5),),
        start="coldstart",
        round0=options.labels,
        batch=5,
        rounds=1,
        full=False,
    )
    with (
        tempfile.TemporaryDirectory() as base,
        _project(Path(base) / "project", options) as project,
    ):
        hidden = hide_masks(project, options.masks)
        shards = _vectors(project, Path(base) / "vectors")
        spec = SimulateSpec(
            setup="benchmark",
            store=str(Path(base) / "store"),
            design=design,
            cells=(CellId(0, "cold", "coldstart", options.labels),),
            rule=SplitRule(max(2, options.labels // 5)),
            classes=tuple(options.classes.split(",")),
            scans=hidden.scans,
            shards=shards,
            encoder_hash="benchmark",
            options=TrainOptions(steps=options.steps, device="cpu", threads=options.threads),
            inputs=InputCache(str(Path(base) / "inputs"), 10**9),
        )
        for name, cells in (("first (nothing cached)", spec.cells), ("next round", None)):
            told = cells or (design.active_cell(0, design.active[0], 1),)
            began, worked = time.perf_counter(), time.process_time()
            simulate(msgspec.structs.replace(spec, cells=told), Path(base), Silent())
            wall, cpu = time.perf_counter() - began, time.process_time() - worked
            made = read_cell(Path(spec.store), told[0])
            assert made is not None
            parts = ", ".join(f"{part} {s:.1f}" for part, s in made.seconds.items())
            print(
                f"{name}: {wall:.1f} s, processor {cpu:.1f} s on {torch.get_num_threads()} threads "
                f"({parts}); {made.labels} labels, {len(made.scans)} test scans, {made.steps} steps"
            )


if __name__ == "__main__":
    main()
