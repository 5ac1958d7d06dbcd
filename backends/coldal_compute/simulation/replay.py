"""Runs one cell: pick, train, measure, and score the candidates of the next round."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch

from coldal_compute.segmentation.data import failure
from coldal_compute.segmentation.inference import Model, network_folder
from coldal_compute.segmentation.metrics import ClassMetrics, measure_scan
from coldal_compute.segmentation.plan import Plan
from coldal_compute.segmentation.scoring import score_image
from coldal_compute.segmentation.training import fit, seed_of_network
from coldal_compute.select_step import CLUSTERS_FILE, select
from coldal_compute.simulation.samples import Samples
from coldal_compute.simulation.seed_setup import SeedSetup
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import FailedScan, Reporter, SelectSpec, Silent, SimulateSpec
from coldal_tui.maps import load_clusters
from coldal_tui.selection.needs import ENSEMBLE
from coldal_tui.selection.strategies import strategy
from coldal_tui.simulation.cells import Cell, Measured, ScanScores, read_cell
from coldal_tui.simulation.design import CellId

_SEED_OF_DRAW = 1_000_003


@dataclass(frozen=True)
class Replay:
    """What all cells of a job share. ``made`` records versions and device."""

    spec: SimulateSpec
    plan: Plan
    samples: Samples
    device: torch.device
    made: dict[str, str]

    @property
    def store(self) -> Path:
        return Path(self.spec.store)

    def run(self, cell: CellId, shared: SeedSetup, folder: Path, report: Reporter) -> Cell:
        """Run one cell in its own ``folder``, which may hold an interrupted training.

        Raises ColdalError where the scans don't suffice, the training fails, or memory runs out.
        """
        clock = _Clock()
        before = self._before(cell)
        notes: list[str] = []
        picks = self._picks(cell, shared, before, folder, notes)
        earlier = before.train if before else ()
        train = (*earlier, *(pick["scan_id"] for pick in picks)) if picks else shared.split.pool
        clock.lap("select")
        model, loss, failed = self._train(cell, shared, train, folder, report)
        clock.lap("train")
        scans = self._measure(model, shared, failed, report)
        clock.lap("measure")
        scores = None
        needs = scored(self.spec).get(cell)
        if needs is not None:
            ensemble = [model]
            if "bald" in needs:
                ensemble += self._others(cell, shared, train, folder, report)
                clock.lap("ensemble")
            scores = self._score(ensemble, shared, train, needs, failed, report)
            clock.lap("score")
        return Cell(
            id=cell,
            setup=self.spec.setup,
            train=tuple(train),
            validation=shared.split.validation,
            picks=tuple(picks),
            scans=scans,
            foreground=self._foreground(shared, train),
            seconds=clock.laps,
            steps=self.plan.steps,
            loss=loss,
            scores=scores,
            failed=tuple(f"{one.scan_id}: {one.message}" for one in failed),
            notes=tuple(notes),
            made=self.made,
        )

    def _before(self, cell: CellId) -> Cell | None:
        if cell.before is None:
            return None
        found = read_cell(self.store, cell.before)
        if found is None or found.scores is None:
            raise ColdalError(
                "the round before has not been finished",
                where=cell.before.name,
                remedy="see why that one failed; then simulate --resume",
                code="no-round-before",
            )
        return found

    def _picks(
        self, cell: CellId, shared: SeedSetup, before: Cell | None, folder: Path, notes: list[str]
    ) -> list[dict[str, Any]]:
        """The picks as queue rows, by the same step that ``select`` and ``next`` run."""
        if cell.group == "full":
            return []
        watching = len(shared.split.validation)
        wanted = cell.batch if before else cell.labels - watching
        # Later rounds keep the clusters of the first queue, whoever made them.
        first, count = (cell.start, cell.round0) if before else (cell.strategy, cell.labels)
        clusters = shared.clusters(first, count - watching)
        spec = SelectSpec(
            round=cell.round,
            strategy=cell.strategy,
            budget=wanted,
            validation=0,
            seed=cell.seed + cell.round + cell.draw * _SEED_OF_DRAW,
            map=str(shared.map),
            pool=shared.rows(before.train, before.scores or {}) if before else shared.first_rows(),
            shards=shared.shards,
            alpha=0.5 if cell.alpha is None else cell.alpha,
            clusters=str(clusters) if _readable(clusters) else None,
            run_id=before.id.name if before else None,
            one_per_patient=self.spec.one_per_patient,
        )
        done = select(spec, folder, Silent()).result
        if spec.clusters is None:
            (folder / CLUSTERS_FILE).replace(clusters)
        picks: list[dict[str, Any]] = done["picks"]
        if len(picks) < wanted:
            raise ColdalError(
                f"{cell.strategy} could pick {len(picks)} of {wanted} scans",
                where=cell.name,
                remedy="ask for fewer labels, or lower --test-fraction",
                code="pool-too-small",
            )
        notes += done["notes"]
        return picks

    def _train(
        self,
        cell: CellId,
        shared: SeedSetup,
        train: tuple[str, ...],
        folder: Path,
        report: Reporter,
        number: int = 1,
    ) -> tuple[Model, float, list[FailedScan]]:
        # In the order of scan ids, as in a project: the patches that a training sees depend on
        # which scans there are, not on when they were picked.
        samples, failed = self.samples.training(sorted(train))
        watched, bad = self.samples.training(shared.split.validation)
        if not samples:
            raise ColdalError(
                "none of the picked scans can be read",
                where=cell.name,
                remedy=f"the first reason: {failed[0].message}" if failed else None,
                code="no-labels",
            )
        seed = seed_of_network(cell.seed, number)
        trained = fit(
            self.plan, samples, watched, self.spec.options, self.device, seed, folder, report
        )
        net = trained.net.to(self.device)
        model = Model(self.plan, net, self.device, self.spec.options.amp)
        return model, trained.final_loss, failed + bad

    def _others(
        self,
        cell: CellId,
        shared: SeedSetup,
        train: tuple[str, ...],
        folder: Path,
        report: Reporter,
    ) -> list[Model]:
        """Train the other networks of the ensemble separately, on the same labels."""
        models = []
        for number in range(2, ENSEMBLE + 1):
            own = network_folder(folder, number)
            own.mkdir(exist_ok=True)
            models.append(self._train(cell, shared, train, own, report, number)[0])
        return models

    def _measure(
        self, model: Model, shared: SeedSetup, failed: list[FailedScan], report: Reporter
    ) -> dict[str, dict[str, Measured]]:
        found: dict[str, dict[str, Measured]] = {}

        def measure(scan_id: str) -> None:
            scan = self.samples.scan(scan_id)
            label = self.samples.label(scan_id)
            predicted = model.labels(model.working_logits(self.samples.image(scan_id)), label.shape)
            measured = measure_scan(predicted, label, self.plan.classes, scan.spacing)
            found[scan_id] = {name: _plain(one) for name, one in measured.items()}

        self._each(shared.split.test, measure, "measuring", failed, report)
        if not found:
            raise ColdalError(
                "not one test scan could be measured",
                where=f"seed {shared.seed}",
                remedy=f"the first reason: {failed[0].message}" if failed else None,
                code="nothing-measured",
            )
        return found

    def _score(
        self,
        ensemble: list[Model],
        shared: SeedSetup,
        train: tuple[str, ...],
        needs: frozenset[str],
        failed: list[FailedScan],
        report: Reporter,
    ) -> dict[str, ScanScores]:
        """Entropies by the first network, which was measured; ``bald`` by all of them.

        If features are needed, labelled scans are scored, too: new ones are to differ from them.
        """
        scores: dict[str, ScanScores] = {}

        def score(scan_id: str) -> None:
            image = self.samples.image(scan_id)
            scores[scan_id] = score_image(ensemble, image, features="features" in needs)[1]

        asked = set(shared.split.pool) - set(train)
        if "features" in needs:
            asked |= {*train, *shared.split.validation}
        self._each(sorted(asked), score, "scoring", failed, report)
        return scores

    def _each(
        self,
        scan_ids: list[str] | tuple[str, ...],
        work: Callable[[str], None],
        message: str,
        failed: list[FailedScan],
        report: Reporter,
    ) -> None:
        for number, scan_id in enumerate(scan_ids, start=1):
            try:
                work(scan_id)
            except ColdalError as error:
                if error.code == "out-of-memory":
                    raise
                failed.append(failure(self.samples.scan(scan_id), error))
            except Exception as error:
                # One bad file never stops a batch; the true reason is kept.
                failed.append(failure(self.samples.scan(scan_id), error))
            report.progress(number, len(scan_ids), message)

    def _foreground(self, shared: SeedSetup, train: tuple[str, ...]) -> float:
        split = shared.split
        every = self.samples.foreground((*split.pool, *split.validation, *split.unused))
        labelled = self.samples.foreground((*train, *split.validation))
        return labelled / every if every else 0.0


def scored(spec: SimulateSpec) -> dict[CellId, frozenset[str]]:
    """Cells whose models score the pool for a later round, and the scores needed.

    The scores are those that strategies of these rounds need in the whole design, so that they do
    not depend on which job runs the cell.
    """
    found: dict[CellId, frozenset[str]] = {}
    for seed in spec.design.seeds:
        for cell in spec.design.cells(seed):
            if cell.before is not None:
                needs = frozenset(strategy(cell.strategy).needs)
                found[cell.before] = found.get(cell.before, frozenset()) | needs
    return found


def forget(folder: Path) -> None:
    """Remove the files of a finished cell: checkpoints of many megabytes."""
    shutil.rmtree(folder, ignore_errors=True)


def _readable(path: Path) -> bool:
    try:
        load_clusters(path)
    except ColdalError:
        return False
    return True


def _plain(one: ClassMetrics) -> Measured:
    return msgspec.convert(one, Measured, from_attributes=True)


@dataclass
class _Clock:
    """Measures the seconds of each part of a cell."""

    laps: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 3)
        self._last = now
