"""The design of a simulation: arms, label counts, rounds, seeds, and the resulting cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

Group = Literal["cold", "active", "full"]

FULL = "all labels"
"""The arm that labels the whole pool: what labelling fewer is measured against."""
RANDOM = "random"
"""The strategy that every other one has to beat."""


class Arm(msgspec.Struct, frozen=True):
    """A strategy of the rounds after the first; ``alpha`` if it weights entropy by it."""

    strategy: str
    alpha: float | None = None

    @property
    def name(self) -> str:
        return self.strategy if self.alpha is None else f"{self.strategy} α={self.alpha:g}"


class CellId(msgspec.Struct, frozen=True):
    """One training and its evaluation.

    ``labels`` counts all labelled scans, validation among them; 0 for the whole pool. A cell of
    round 1 or later continues the cell ``before``; the rounds of all arms start from the same first
    queue: ``round0`` scans picked by the strategy ``start``.
    """

    seed: int
    group: Group
    strategy: str = ""
    labels: int = 0
    alpha: float | None = None
    round: int = 0
    start: str = ""
    round0: int = 0
    draw: int = 0

    @property
    def arm(self) -> str:
        return FULL if self.group == "full" else Arm(self.strategy, self.alpha).name

    @property
    def name(self) -> str:
        """A unique name, valid as a file name."""
        seed = f"s{self.seed:03d}-{self.group}"
        if self.group == "full":
            return seed
        weight = "" if self.alpha is None else f"-a{self.alpha:g}"
        arm = f"{self.strategy}{weight}-{self.labels:04d}"
        arm += f"-d{self.draw}" if self.draw else ""
        if self.group == "cold":
            return f"{seed}-{arm}"
        return f"{seed}-{self.start}-{self.round0:04d}-{arm}-r{self.round}"

    @property
    def batch(self) -> int:
        """How many scans each round after the first adds."""
        return (self.labels - self.round0) // self.round if self.round else 0

    @property
    def before(self) -> CellId | None:
        """The cell whose labels and model this one continues."""
        if self.round == 0:
            return None
        if self.round == 1:
            return CellId(self.seed, "cold", self.start, self.round0)
        return msgspec.structs.replace(self, round=self.round - 1, labels=self.labels - self.batch)


class Design(msgspec.Struct, frozen=True):
    """Which cells a simulation has.

    ``cold`` are strategies of the first round, each at every label count of ``budgets``;
    ``active`` are arms of the ``rounds`` after it, which add ``batch`` scans each. ``full``: one
    training on the whole pool for each seed. ``looks``: how often the answer is looked at, to stop
    before the last seed; intervals and p count for all of these times.
    """

    seeds: tuple[int, ...]
    cold: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    active: tuple[Arm, ...] = ()
    start: str = ""
    round0: int = 0
    batch: int = 0
    rounds: int = 0
    full: bool = True
    draws: int = 1
    further: tuple[int, ...] = ()
    looks: int = 1

    def first(self, seeds: int) -> Design:
        """The same with the first seeds only."""
        return msgspec.structs.replace(self, seeds=self.seeds[:seeds])

    def cells(self, seed: int) -> list[CellId]:
        """The cells of one seed, each after the one that it continues."""
        return list(dict.fromkeys(self._cells(seed)))

    def all_cells(self) -> list[CellId]:
        return [cell for seed in self.seeds for cell in self.cells(seed)]

    def _cells(self, seed: int) -> Iterator[CellId]:
        for labels in self.budgets:
            for strategy in self.cold:
                yield from self.cold_cells(seed, strategy, labels)
        if RANDOM in self.cold:
            for labels in self.further:
                yield from self.cold_cells(seed, RANDOM, labels)
        for arm in self.active:
            for number in range(self.rounds + 1):
                yield from self.active_cells(seed, arm, number)
        if self.full:
            yield CellId(seed, "full")

    def cold_cells(self, seed: int, strategy: str, labels: int) -> tuple[CellId, ...]:
        """The cells of a first queue: one, or for ``random`` one per draw."""
        count = self.draws if strategy == RANDOM else 1
        return tuple(CellId(seed, "cold", strategy, labels, draw=n) for n in range(count))

    def active_cells(self, seed: int, arm: Arm, number: int) -> tuple[CellId, ...]:
        """The cells of one round of an arm; round 0 is the first queue, shared by all arms."""
        if number == 0:
            return (CellId(seed, "cold", self.start, self.round0),)
        first = CellId(
            seed=seed,
            group="active",
            strategy=arm.strategy,
            labels=self.round0 + number * self.batch,
            alpha=arm.alpha,
            round=number,
            start=self.start,
            round0=self.round0,
        )
        count = self.draws if arm.strategy == RANDOM else 1
        return tuple(msgspec.structs.replace(first, draw=n) for n in range(count))

    def active_cell(self, seed: int, arm: Arm, number: int) -> CellId:
        """The cell of one round of an arm; for ``random`` that of its first draw."""
        return self.active_cells(seed, arm, number)[0]

    def curves(self, group: Group, seed: int) -> dict[str, list[tuple[CellId, ...]]]:
        """The cells of each arm of a group, by label count; several when an arm is random."""
        if group == "cold":
            counts = self.label_counts("cold")
            return {name: [self.cold_cells(seed, name, n) for n in counts] for name in self.cold}
        if group == "active":
            return {
                arm.name: [self.active_cells(seed, arm, n) for n in range(self.rounds + 1)]
                for arm in self.active
            }
        return {FULL: [(CellId(seed, "full"),)]} if self.full else {}

    def label_counts(self, group: Group) -> list[int]:
        """The label counts at which the arms of a group are measured, ascending."""
        if group == "cold":
            return sorted(set(self.budgets))
        return [self.round0 + n * self.batch for n in range(self.rounds + 1)]

    @property
    def random_counts(self) -> list[int]:
        """The label counts of the first queue at which ``random`` is measured, ascending."""
        return sorted({*self.budgets, *self.further}) if RANDOM in self.cold else []

    @property
    def smallest(self) -> int:
        """The fewest labels of any cell."""
        return min([*self.budgets, *([self.round0] if self.active else [])], default=0)

    @property
    def largest(self) -> int:
        """The most labels of any cell, except the whole pool."""
        counts = [*self.budgets, *self.further]
        counts += self.label_counts("active") if self.active else []
        return max(counts, default=0)

    def share(self, part: int, of: int) -> list[CellId]:
        """The cells of part ``part`` (from 0) of ``of``, as evenly as chains of rounds allow.

        Seeds stay together while there are enough of them. With more parts than seeds, the arms of
        one seed are divided, and each part repeats the first queue for its rounds.
        """
        if of <= len(self.seeds):
            seeds = self.seeds[part::of]
            return [cell for seed in seeds for cell in self.cells(seed)]
        chains = [chain for seed in self.seeds for chain in self._chains(seed)]
        return list(dict.fromkeys(cell for chain in chains[part::of] for cell in chain))

    def _chains(self, seed: int) -> list[list[CellId]]:
        """Chains of dependent cells, in order; an independent cell is a chain by itself."""
        active = [
            [cells[draw % len(cells)] for cells in rounds]
            for arm in self.active
            for rounds in [[self.active_cells(seed, arm, n) for n in range(self.rounds + 1)]]
            for draw in range(len(rounds[-1]))
        ]
        within = {cell for chain in active for cell in chain}
        return [*active, *([cell] for cell in self.cells(seed) if cell not in within)]


class SplitRule(msgspec.Struct, frozen=True):
    """How the scans of a simulation are divided.

    ``test_patients``, if given, are the test set of every seed; else ``test_fraction`` of the
    patients are drawn for each seed. ``validation`` is the number of patients drawn from the
    others; one scan of each is labelled for validation and their other scans are not used.
    """

    validation: int
    test_fraction: float = 0.3
    test_patients: tuple[str, ...] = ()


class Split(msgspec.Struct, frozen=True):
    """The split of one seed, as stored with the results: scan ids, each list in order.

    ``pool`` may be picked and trained on; ``validation`` monitors the training; ``unused`` are
    further scans of validation patients, and scans without an embedding.
    """

    seed: int
    test: tuple[str, ...]
    validation: tuple[str, ...]
    pool: tuple[str, ...]
    unused: tuple[str, ...] = ()
