"""Every strategy and everything that people do to a queue, in any order: the project stays whole.

A state machine: rounds are picked by the real selection, masks are imported by the real import;
only embedding, training and scoring are made up.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coldal_compute.select_step import select
from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import Silent
from coldal_tui.project import history
from coldal_tui.project.database.schema import UNDOABLE_TABLES
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.queue import actions, rerank
from coldal_tui.project.queue.add import queue_by_hand
from coldal_tui.project.queue.budget import labelled_scans, read_budget
from coldal_tui.project.queue.candidates import any_candidate, pool_rows, validation_patients
from coldal_tui.project.runs import latest_run, run_entropies
from coldal_tui.project.views.map_view import STATUSES, read_map_view
from coldal_tui.project.views.why.explain import explain
from coldal_tui.selection.strategies import strategies
from tests.support.lab import Lab

SCANS, PATIENTS = 24, 16
BUDGET = 18
COLD = [one.name for one in strategies("cold")]
ACTIVE = [one.name for one in strategies("active")]
EXPECTED = {
    "budget-spent",
    "frozen",
    "no-alpha",
    "no-free",
    "no-picks",
    "no-round",
    "not-a-candidate",
    "not-queued",
    "pool-empty",
    "status",
    "undo-conflict",
}
"""What may be refused; a strategy that misses what the pool should hold is a fault."""


class Game:
    """A lab and its moves. ``entropy`` is the project's choice of H, ``validation`` how many
    patients are frozen (auto: none, in rounds so small)."""

    def __init__(self, folder: Path, entropy: str, validation: str = '"auto"') -> None:
        self.lab = Lab(folder)
        names = [f"s{n:02d}" for n in range(SCANS)]
        self.lab.pictures(*names)
        patients = "".join(f"{name}.png,p{n % PATIENTS:02d}\n" for n, name in enumerate(names))
        (self.lab.images / "patients.csv").write_text("filename,patient_id\n" + patients, "utf-8")
        self.project = self.lab.start(
            '[images]\ndir = "../images"\npatients_csv = "../images/patients.csv"\n'
            '[classes]\nnames = ["lung"]\n'
            f"[budget]\ntotal = {BUDGET}\nround0 = 6\nbatch = 3\n"
            f'[selection]\nentropy = "{entropy}"\n'
            f"[validation]\npatients = {validation}\n"
        )
        self.rng = np.random.default_rng(5)
        self.lab.embed(self.project)
        points = self.rng.normal(size=(SCANS, 2)) * 3
        self.lab.map(self.project, {n: tuple(p) for n, p in zip(names, points, strict=True)})
        self.names = names

    def select(self, strategy: str) -> None:
        def write(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
            found = select(spec, folder, Silent())
            return found.result, list(found.files)

        self.lab.run_job(self.project, "select", write, {"strategy": strategy})

    def train_and_score(self) -> None:
        """A run that has measured all that any strategy may ask for, of every scan."""
        store = self.project.store
        run_id = f"run-{1 + int(store.value('SELECT count(*) FROM runs')):03d}"
        with store.action("train", undoable=False):
            store.insert(
                "runs",
                run_id=run_id,
                round=int(store.value("SELECT max(round) FROM rounds")),
                seed=0,
                train_scans=[],
                validation_scans=[],
                summary={},
                created_at=store.now(),
            )
            for name in self.names:
                mean, foreground, boundary, bald = self.rng.random(4).tolist()
                more = {
                    "class_entropy": [foreground / 2],
                    "bald": bald,
                    "foreground": foreground,
                    "boundary": boundary,
                }
                features = self.rng.random(3).astype("<f2").tobytes()
                store.insert(
                    "scores",
                    run_id=run_id,
                    scan_id=name,
                    entropy=mean,
                    more=json.dumps(more),
                    features=features,
                )

    def label(self, scan_id: str) -> None:
        shutil.rmtree(self.lab.masks)
        self.lab.masks.mkdir()
        count = int(self.project.store.value("SELECT count(*) FROM labels"))
        self.lab.mask(f"{scan_id}.png", columns=slice(0, 1 + count % 8), value=255)
        import_masks(self.project, self.lab.masks)

    def undo(self) -> None:
        history.undo(self.project, history.next_undo(self.project)["audit_id"])

    def labels_lie_right(self) -> bool:
        """Whether ``labels/`` holds exactly the active labels, each with its recorded content."""
        rows = self.project.store.rows("SELECT file, sha256 FROM labels WHERE state = 'active'")
        wanted = {row["file"].rpartition("/")[2]: row["sha256"] for row in rows}
        folder = self.project.layout.labels
        return {p.name: sha256_file(p) for p in folder.iterdir() if p.is_file()} == wanted

    def state(self) -> dict[str, list[Any]]:
        """Everything that an undo has to give back."""
        store = self.project.store
        return {
            table: sorted(
                json.dumps(row, sort_keys=True) for row in store.rows(f"SELECT * FROM {table}")
            )
            for table in UNDOABLE_TABLES
        }

    def in_queue(self, *statuses: str) -> list[str]:
        rows = self.project.store.rows("SELECT scan_id, status FROM queue ORDER BY scan_id")
        return [row["scan_id"] for row in rows if not statuses or row["status"] in statuses]


class Queues(RuleBasedStateMachine):
    template: ClassVar[Path | None] = None

    @initialize(
        entropy=st.sampled_from(["mean", "foreground", "boundary"]),
        strategy=st.sampled_from(COLD),
        validation=st.sampled_from(["2", '"auto"']),
    )
    def start(self, entropy: str, strategy: str, validation: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="queues-"))
        self.game = Game(self.folder, entropy, validation)
        self.states: list[dict[str, list[Any]]] = []
        self.act(self.game.select, strategy)

    def act(self, move: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """Make a move; one that is refused changes nothing."""
        before, refused = self.game.state(), None
        try:
            move(*arguments, **named)
        except ColdalError as error:
            refused = error
        after = self.game.state()
        if refused is not None:
            assert refused.code in EXPECTED, refused
            assert after == before
        elif after != before:
            self.states.append(before)

    @property
    def ready(self) -> bool:
        return hasattr(self, "game")

    @rule(cold=st.sampled_from(COLD), active=st.sampled_from(ACTIVE))
    def pick(self, cold: str, active: str) -> None:
        # The first round may have been taken back.
        first = self.game.project.store.value("SELECT count(*) FROM rounds") == 0
        if not first:
            self.game.train_and_score()
        self.act(self.game.select, cold if first else active)

    @rule(n=st.integers(0, 50), exclude=st.booleans())
    def take_out(self, n: int, exclude: bool) -> None:
        here = self.game.in_queue("queued", "exported")
        if here:
            move = actions.exclude if exclude else actions.skip
            self.act(move, self.game.project, [here[n % len(here)]], "torn")

    @rule(n=st.integers(0, 50))
    def exclude_any(self, n: int) -> None:
        self.act(actions.exclude, self.game.project, [self.game.names[n % SCANS]], None)

    @rule(n=st.integers(0, 50))
    def reopen(self, n: int) -> None:
        self.act(actions.reopen, self.game.project, [self.game.names[n % SCANS]])

    @rule(n=st.integers(0, 50))
    def add(self, n: int) -> None:
        self.act(queue_by_hand, self.game.project, [self.game.names[n % SCANS]])

    @rule(alpha=st.sampled_from([0.0, 0.3, 1.0]))
    def weigh_anew(self, alpha: float) -> None:
        def move() -> None:
            bench = rerank.read_bench(self.game.project)
            rerank.apply(self.game.project, bench, rerank.rerank(bench, alpha))

        self.act(move)

    @rule(n=st.integers(0, 50))
    def label(self, n: int) -> None:
        here = self.game.in_queue("queued", "exported")
        if here:
            self.act(self.game.label, here[n % len(here)])

    @precondition(lambda self: self.ready and self.states)
    @rule()
    def undo(self) -> None:
        before, now = self.states.pop(), self.game.state()
        self.game.undo()
        assert self.game.state() == before
        assert self.game.labels_lie_right()
        history.redo(self.game.project)
        assert self.game.state() == now
        assert self.game.labels_lie_right()
        self.game.undo()
        assert self.game.state() == before
        assert self.game.labels_lie_right()

    @invariant()
    def budget_adds_up(self) -> None:
        if not self.ready:
            return
        found = read_budget(self.game.project)
        assert found.spent == found.labelled + found.queued + found.exported
        assert found.spent <= BUDGET
        assert found.left == BUDGET - found.spent
        assert found.queued == len(self.game.in_queue("queued"))

    @invariant()
    def every_item_has_one_status(self) -> None:
        if not self.ready:
            return
        project = self.game.project
        labelled = labelled_scans(project)
        assert labelled == set(self.game.in_queue("labelled"))
        rows = {row.scan_id: row for row in pool_rows(project)}
        out = set(self.game.in_queue("queued", "exported"))
        # Scans that are only measured repel no pick, labelled or not.
        frozen = validation_patients(project)
        measured = {scan.scan_id for scan in project.scans() if scan.patient_id in frozen}
        trained = (labelled | out) & set(rows) - measured
        assert {name for name, row in rows.items() if row.covered} == trained
        assert {name for name, row in rows.items() if row.labelled} == labelled & trained
        candidates = {name for name, row in rows.items() if row.candidate}
        assert not candidates & set(self.game.in_queue())
        assert any_candidate(project) == bool(candidates)
        map_view = read_map_view(project)
        assert map_view is not None
        shown = {
            n
            for n, code in zip(map_view.scan_ids, map_view.status, strict=True)
            if STATUSES[code] == "candidate"
        }
        assert shown == candidates

    @invariant()
    def patients_stay_whole(self) -> None:
        if not self.ready:
            return
        project = self.game.project
        frozen = validation_patients(project)
        patient = {scan.scan_id: scan.patient_id for scan in project.scans()}
        for row in project.store.rows("SELECT scan_id, role, status FROM queue"):
            if row["status"] in ("queued", "exported", "labelled"):
                assert (patient[row["scan_id"]] in frozen) == (row["role"] == "validation"), row

    @invariant()
    def one_entropy_everywhere(self) -> None:
        """What ``why`` tells twice, the map and the pool: the same H."""
        if not self.ready:
            return
        project = self.game.project
        run = latest_run(project)
        if run is None:
            return
        wanted = run_entropies(project, run)
        map_view = read_map_view(project)
        assert map_view is not None
        drawn = dict(zip(map_view.scan_ids, map_view.entropy.tolist(), strict=True))
        assert drawn == pytest.approx(wanted)
        for row in pool_rows(project, run):
            assert row.entropy == wanted[row.scan_id]
        for name in self.game.names[::7]:
            told = explain(project, name)
            standing = told["standing"]
            of_run = {one["run_id"]: one["entropy"] for one in told["entropies"]}
            assert standing["entropy"] == pytest.approx(of_run[standing["run_id"]])

    def teardown(self) -> None:
        if self.ready:
            self.game.lab.close()
            shutil.rmtree(self.folder)


TestQueues = Queues.TestCase
TestQueues.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("strategy", ACTIVE)
@pytest.mark.parametrize("move", [actions.skip, actions.exclude])
def test_an_item_of_every_strategy_can_be_taken_out(
    strategy: str, move: Callable[..., list[actions.Change]], tmp_path: Path
) -> None:
    game = Game(tmp_path, "mean")
    try:
        game.select("coldstart")
        for name in game.in_queue("queued"):
            game.label(name)
        game.train_and_score()
        game.select(strategy)
        (first, *others) = game.in_queue("queued")
        (change,) = move(game.project, [first], "torn")
        assert change.replaced_by not in (None, first, *others)
        assert set(game.in_queue("queued")) == {change.replaced_by, *others}
    finally:
        game.lab.close()
