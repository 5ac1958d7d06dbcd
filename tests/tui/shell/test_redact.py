"""With ``--redact`` no pane, window, notice or typed line shows a planted name, cut or whole."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldal_tui.project.views.names_to_hide import NamesToHide
from coldal_tui.project.views.queue_table import read_queue_table
from coldal_tui.redaction import NOTE, Redactor, redact_with, revealed
from coldal_tui.tui.queue.filter import matching
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.pane_manager import PANES
from coldal_tui.tui.shell.services import AppServices
from coldal_tui.tui.shell.session_state import Memory
from tests.support.lab import Lab
from tests.support.pane_app import until
from tests.support.planted_names import MARK, PERSON, planted


@pytest.fixture
def hides(lab: Lab) -> Iterator[Redactor]:
    """A redactor that knows the planted project."""
    planted(lab).close()
    redactor = Redactor()
    names = NamesToHide(redactor, [lab.root])
    names.learn()
    redactor.learn_more = names.learn_more
    redact_with(redactor)
    yield redactor
    redact_with(None)


def screen(app: ColdalApp) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


@pytest.mark.parametrize("size", [(80, 24), (150, 50)])
def test_no_pane_shows_a_planted_name(
    lab: Lab,
    hides: Redactor,
    tmp_path: Path,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    really = AppServices.tell

    def tell(self: AppServices, text: str, *, error: bool = False) -> None:
        told.append(text)
        really(self, text, error=error)

    monkeypatch.setattr(AppServices, "tell", tell)
    memory = Memory(lab.root, tmp_path / "state", tmp_path / "config")
    app = ColdalApp(lab.root, memory=memory)
    leaks: list[tuple[str, str]] = []
    seen: set[str] = set()

    async def look(pilot, what: str) -> None:
        await pilot.pause()
        for line in screen(app):
            seen.add(line)
            if MARK in line.casefold() or "123456" in line or "1980-02" in line:
                leaks.append((what, line))

    async def session() -> None:
        async with app.run_test(size=size) as pilot:
            ready = app.panes.made
            await until(pilot, lambda: len(ready) == len(PANES) or app._exception is not None)
            await look(pilot, "start")
            for number in range(1, 9):
                await pilot.press(str(number), "down")
                await look(pilot, f"pane {number}")
                await pilot.press("enter")
                await look(pilot, f"pane {number}, entered")
                await pilot.press("escape", "escape")
            await pilot.press("1", "slash")
            for line in ("to:", "patient:", "physician:", "nothing:x"):
                await pilot.press(*("colon" if key == ":" else key for key in line))
                await look(pilot, f"filter {line}")
                await pilot.press("right")
                await look(pilot, f"filter {line} completed")
                await pilot.press("ctrl+u")
            await pilot.press("escape")
            await pilot.press("colon", *"goto", "space")
            await look(pilot, "goto")
            await pilot.press("tab")
            await look(pilot, "goto completed")
            await pilot.press("escape")
            await pilot.press("F")
            await look(pilot, "files")
            await pilot.press("escape", "ctrl+p")
            await look(pilot, "palette")
            await pilot.press("escape")
            app.services.tell(f"told of {PERSON}")
            app.services.fail(OSError(2, "gone", f"{lab.images}/ZQWARD/x.png"))
            await look(pilot, "told")
            await pilot.press("escape", "6", "down", "l")
            await look(pilot, "log")

    asyncio.run(session())
    assert app._exception is None
    assert leaks == []
    text = "\n".join(seen)
    assert "scan 001" in text
    assert "person A" in text
    assert NOTE in told


def test_what_is_typed_with_pseudonyms_finds_the_scans(lab: Lab, hides: Redactor) -> None:
    with lab.open() as project:
        table = read_queue_table(project, "all")
        patients = dict(project.store.tuples("SELECT scan_id, patient_id FROM scans"))
    scan = next(iter(table.scan_id))
    shown, patient = hides.named(scan), hides.named(patients[scan])
    assert shown != scan
    for typed in (f'patient:"{patient}"', f"patient:{patient}", f'scan:"{shown}"'):
        mask = matching(table, typed)
        assert [name for name, there in zip(table.scan_id, mask, strict=True) if there] == [scan]
    assert shlex.split(revealed(f"queue pin {shown} --undo")) == ["queue", "pin", scan, "--undo"]
