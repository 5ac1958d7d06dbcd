"""Shares work among Ray actors, in pieces that are repeated when an actor dies.

An actor has its network loaded once and is given one piece of scans after the other. Results come
in the order of the scans, so that what is written is what one process would have written.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from coldal_launch.ray_cluster import first_line
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import EmbedSpec, Reporter, ScanInput, ScoreSpec

Result = TypeVar("Result")

AT_ONCE = 2
"""Pieces that an actor has at a time: one that it works on, and the next."""
AHEAD = 4
"""Pieces per actor that may be begun before the oldest one is done: what is kept in memory."""
MOST_DEATHS = 3
LOOK_S = 1.0
PATIENCE_S = 60.0


class Worker:
    """What an actor is: a network, and what it makes of scans."""

    def __init__(self, spec: EmbedSpec | ScoreSpec, folder: str) -> None:
        self._spec = spec
        self._folder = folder
        self._work: Callable[[Sequence[ScanInput]], Any] | None = None

    def load(self) -> None:
        """Load the network; not when the actor is made, whose errors Ray tells in its own words."""
        if isinstance(self._spec, EmbedSpec):
            from coldal_compute.embedding import load_embedder

            self._work = load_embedder(self._spec)
        else:
            from coldal_compute.score_step import Scorer

            self._work = Scorer(self._spec, Path(self._folder))

    def work(self, scans: Sequence[ScanInput]) -> list[Any]:
        """One result for each scan, in their order."""
        assert self._work is not None
        return list(self._work(scans))


@dataclass(frozen=True)
class Piece:
    """Scans that an actor works on in one go; ``first`` is the place of the first of them.

    ``deaths`` counts the actors that died while they had this piece.
    """

    first: int
    scans: tuple[ScanInput, ...]
    deaths: int = 0


@dataclass
class _Actor:
    handle: Any
    ready: bool = False
    pieces: dict[Any, Piece] = field(default_factory=dict)


class Sharing(Generic[Result]):
    """Runs scans through actors.

    Parameters
    ----------
    make : starts an actor; Ray places it where there is room, now or later.
    actors : how many.
    piece : scans in a piece.
    lost : the result for a scan over which actors die, again and again.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        actors: int,
        piece: int,
        lost: Callable[[ScanInput], Result],
        report: Reporter,
    ) -> None:
        self._make = make
        self._count = actors
        self._piece = piece
        self._lost = lost
        self._report = report
        self._actors: dict[Any, _Actor] = {}
        self._stillborn = 0

    def __call__(self, scans: Sequence[ScanInput]) -> Generator[Result]:
        """One result for each scan, in their order.

        Raises
        ------
        ColdalError : what an actor raised, or no actor could be started (code ``ray``).
        """
        todo = deque(self._pieces(scans))
        results: dict[int, list[Result]] = {}
        given = 0
        for _ in range(min(self._count, len(todo))):
            self._start()
        try:
            while given < len(scans):
                self._deal(todo, given)
                for piece in self._await(results):
                    todo.extendleft(reversed(self._again(piece, results)))
                while given in results:
                    found = results.pop(given)
                    yield from found
                    given += len(found)
        finally:
            for actor in self._actors.values():
                ray.kill(actor.handle)
            self._actors.clear()

    def _pieces(self, scans: Sequence[ScanInput]) -> list[Piece]:
        firsts = range(0, len(scans), self._piece)
        return [Piece(first, tuple(scans[first : first + self._piece])) for first in firsts]

    def _start(self) -> None:
        handle = self._make()
        self._actors[handle.load.remote()] = _Actor(handle)

    def _deal(self, todo: deque[Piece], given: int) -> None:
        """Give pieces to actors that are ready, the emptiest first, but not too far ahead."""
        limit = given + AHEAD * self._count * self._piece
        while todo and todo[0].first < limit:
            free = [a for a in self._actors.values() if a.ready and len(a.pieces) < AT_ONCE]
            if not free:
                return
            actor = min(free, key=lambda one: len(one.pieces))
            piece = todo.popleft()
            actor.pieces[actor.handle.work.remote(piece.scans)] = piece

    def _await(self, results: dict[int, list[Result]]) -> list[Piece]:
        """Wait until something happens; pieces of actors that have died, in order."""
        refs = [ref for a in self._actors.values() for ref in a.pieces]
        refs += [ref for ref, actor in self._actors.items() if not actor.ready]
        began = time.monotonic()
        told = False
        while True:
            done, _ = ray.wait(refs, num_returns=1, timeout=LOOK_S)
            if done:
                break
            idle = not any(actor.ready for actor in self._actors.values())
            if idle and not told and time.monotonic() - began > PATIENCE_S:
                told = True
                self._report.log("no node of the Ray cluster has room yet")
        left: list[Piece] = []
        for ref in done:
            left += self._take(ref, results)
        return sorted(left, key=lambda piece: piece.first)

    def _take(self, ref: Any, results: dict[int, list[Result]]) -> list[Piece]:
        born = next(key for key, a in self._actors.items() if key == ref or ref in a.pieces)
        actor = self._actors[born]
        try:
            found = ray.get(ref)
        except RayTaskError as error:
            raise _cause(error) from error
        except RayError as error:
            # Its node is gone, or it was killed, or what it had made went with its node.
            return self._died(born, error)
        self._stillborn = 0
        if ref == born:
            actor.ready = True
        else:
            results[actor.pieces.pop(ref).first] = found
        return []

    def _died(self, born: Any, error: RayError) -> list[Piece]:
        """Another actor in the place of one that died; what it had is to be done again."""
        actor = self._actors.pop(born)
        ray.kill(actor.handle)
        self._report.log(f"an actor died: {first_line(error)}")
        self._stillborn += not actor.ready
        if self._stillborn > MOST_DEATHS * self._count:
            raise ColdalError(
                f"actors on the Ray cluster die before they begin: {first_line(error)}",
                remedy="is coldal-tui installed on its nodes, and their memory large enough?",
                code="ray",
            )
        self._start()
        # Only the piece that it worked on can be what it died of.
        return [
            Piece(piece.first, piece.scans, piece.deaths + (number == 0))
            for number, piece in enumerate(actor.pieces.values())
        ]

    def _again(self, piece: Piece, results: dict[int, list[Result]]) -> list[Piece]:
        """A piece whose actor died is repeated, then split into single scans, then given up."""
        if piece.deaths < MOST_DEATHS:
            return [piece]
        if len(piece.scans) == 1:
            results[piece.first] = [self._lost(piece.scans[0])]
            return []
        return [Piece(piece.first + n, (scan,), 1) for n, scan in enumerate(piece.scans)]


def _cause(error: RayTaskError) -> ColdalError:
    """The error that an actor raised, as it raised it."""
    cause = error.cause
    if isinstance(cause, ColdalError):
        return cause
    return ColdalError(f"an actor on the Ray cluster failed: {first_line(cause)}", code="ray")
