"""Own keys in the app: bound where free, run on the current scan, listed in the help."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from coldal_tui.project.layout import Layout
from coldal_tui.project.settings.config import edit_config, load_config
from coldal_tui.project.trust_questions import agree
from coldal_tui.tui.programs.own_keys import OwnKeyRunner
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.pane_manager import PANES
from coldal_tui.tui.shell.session_state import Memory
from tests.support.pane_app import screen, until


def drive(root: Path, steps: Callable[[ColdalApp, Pilot[None]], Awaitable[None]]) -> None:
    home = root.parent / "home"
    app = ColdalApp(root, memory=Memory(root, home / "state", home / "config"))

    async def session() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.view is not None and len(app.panes.made) == len(PANES))
            await steps(app, pilot)

    asyncio.run(session())


def set_keys(root: Path, **commands: object) -> None:
    """Write ``[keys]``, and agree to them: a copied project is not one's own."""
    file = root / "coldal.toml"
    edit_config(file, {("keys", key): command for key, command in commands.items()})
    agree(Layout(root), load_config(file))


def line_of(root: Path, start: str) -> int:
    lines = (root / "coldal.toml").read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.startswith(start))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every notice of the app."""
    found: list[str] = []
    monkeypatch.setattr(ColdalApp, "notify", lambda _, text, **__: found.append(text))
    return found


def test_a_key_runs_its_program_on_the_current_scan(queued: Path, tmp_path: Path) -> None:
    out, script = tmp_path / "out", tmp_path / "see.py"
    script.write_text(
        f"import json, sys\nopen({str(out)!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
    )
    run = f"{sys.executable} '{script}' {{scan}} {{image}}"
    set_keys(queued, f5=run)

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.programs.keys))
        await pilot.press("j")
        await until(pilot, lambda: app.here == "scan_1")
        await pilot.press("f5")
        await until(pilot, lambda: out.exists() and bool(out.read_text()))
        await pilot.press("question_mark")
        await until(pilot, lambda: "your own keys" in screen(app))
        assert f"f5 runs {sys.executable}" in screen(app)

    drive(queued, steps)
    assert json.loads(out.read_text()) == [
        "scan_1",
        str(queued.parent / "images" / "scan_1.png"),
    ]


def test_a_taken_key_is_refused_with_its_line_and_a_missing_program_told(
    queued: Path, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    set_keys(queued, x="see {image}", f6="no-such-program {image}")

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.programs.keys))
        assert [one.key for one in app.programs.keys] == ["f6"]
        taken = next(text for text in told if "the key x is taken: skip" in text)
        assert f"coldal.toml, line {line_of(queued, 'x =')}" in taken
        await until(pilot, lambda: app.here == "scan_0")
        await pilot.press("f6")
        await until(pilot, lambda: "f6 can't be run: no-such-program: No such file" in screen(app))
        # On the screen the line may be broken in two.
        assert f"line {line_of(queued, 'f6 =')}: f6" in caplog.text

    drive(queued, steps)


def test_keys_change_while_the_app_runs_and_a_persons_own_count_first(
    queued: Path, told: list[str]
) -> None:
    mine = queued.parent / "home" / "config" / "keys.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text('[keys]\n"queue.skip" = "f9"\nf5 = "mine {image}"\nx = "free {image}"\n')

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        # Skip has another key now: x is free.
        await until(pilot, lambda: len(app.programs.keys) == 2)
        set_keys(queued, f5="ours", f7="ours")
        await until(pilot, lambda: len(app.programs.keys) == 3)
        runs = {one.key: one.run for one in app.programs.keys}
        assert runs == {"f5": "mine {image}", "x": "free {image}", "f7": "ours"}
        mine.write_text("[keys]\nf5 = 'quote \"'\n")
        await until(pilot, lambda: any("its quotes are not closed" in text for text in told))
        assert [one.run for one in app.programs.keys] == ["ours", "ours"]

    drive(queued, steps)


def test_a_program_gets_the_terminal_where_it_asks_for_it(
    queued: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(OwnKeyRunner, "_on_terminal", lambda _, one: given.append(one.words[0]))
    run = {"run": "less {image}", "terminal": True}
    set_keys(queued, f8=run)

    async def steps(app: ColdalApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.programs.keys) and app.here is not None)
        await pilot.press("f8")
        await until(pilot, lambda: given == ["less"])

    drive(queued, steps)
