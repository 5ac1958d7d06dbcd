"""The window of the first queue: size, strategy, and the advice that the embeddings give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from textual.pilot import Pilot
from textual.widgets import Input, Select

from coldal_tui.project.project import Project
from coldal_tui.tui.loop.first_queue import FirstQueueWindow
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory
from tests.support.pane_app import screen, until
from tests.support.small_projects import add_embeddings

Step = Callable[[ColdalApp, Pilot[None]], Awaitable[None]]


def ask_for_the_first_queue(root: Path, steps: Step) -> list[tuple[str, dict[str, Any]]]:
    """Press n, do ``steps`` in the window; the jobs that were submitted, with their requests."""
    home = root.parent / "home"
    app = ColdalApp(root, memory=Memory(root, home / "state", home / "config"))

    async def session() -> None:
        async with app.run_test(size=(100, 34)) as pilot:
            await until(pilot, lambda: app.view is not None)
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, FirstQueueWindow))
            await pilot.pause()
            await steps(app, pilot)
            await until(pilot, lambda: not isinstance(app.screen, FirstQueueWindow))
            await pilot.pause()
            await pilot.app.workers.wait_for_complete()

    asyncio.run(session())
    with Project(root, readonly=True) as opened:
        rows = opened.store.rows("SELECT kind, request FROM jobs ORDER BY job_id")
        return [
            (
                row["kind"],
                json.loads(row["request"]) if isinstance(row["request"], str) else row["request"],
            )
            for row in rows
        ]


def test_the_default_size_is_filled_in_and_escape_submits_nothing(project: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        assert app.screen.query_one(Input).value == "20"
        assert app.screen.query_one(Select).value == "coldstart"
        assert "ctrl+e embeds it and picks" in screen(app)
        await pilot.press("ctrl+t")  # there is no advice to take
        assert app.screen.query_one(Select).value == "coldstart"
        await pilot.press("escape")

    assert ask_for_the_first_queue(project, steps) == []


def test_a_pool_that_is_not_embedded_can_be_embedded_alone(project: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+e")

    assert [kind for kind, _ in ask_for_the_first_queue(project, steps)] == ["embed"]


def test_a_size_that_is_no_number_is_told(project: Path) -> None:
    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await pilot.press("0", "enter")
        await until(pilot, lambda: "0: write a whole number, at least 1" in screen(app))
        await pilot.press("escape")

    assert ask_for_the_first_queue(project, steps) == []


def test_the_advice_arrives_and_is_taken_only_by_its_key(project: Path) -> None:
    # Two kinds, (1, 0) and (0, 1), four scans and two: k-means for k = 2 is stable.
    vectors = np.array([[1, 0]] * 4 + [[0, 1]] * 2, np.float32)
    vectors += np.random.default_rng(0).normal(0, 0.02, vectors.shape).astype(np.float32)
    add_embeddings(project, vectors)

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "the aim 'average': herding  (ctrl+t takes it)" in screen(app))
        assert "2 clusters of embeddings (67%, 33%" in screen(app)
        assert app.screen.query_one(Select).value == "coldstart"
        await pilot.press("ctrl+t")
        assert app.screen.query_one(Select).value == "herding"
        await pilot.press("3", "enter")

    submitted = ask_for_the_first_queue(project, steps)
    assert [kind for kind, _ in submitted] == ["embed", "map", "select"]
    assert (submitted[-1][1]["budget"], submitted[-1][1]["strategy"]) == (3, "herding")


def test_why_there_is_no_advice_is_said(project: Path) -> None:
    add_embeddings(project, np.eye(6, dtype=np.float32))
    (project / ".coldal/embeddings/shard.npy").write_bytes(b"other")

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "no advice: " in screen(app))
        assert "missing or was changed" in screen(app)
        await pilot.press("escape")

    assert ask_for_the_first_queue(project, steps) == []
