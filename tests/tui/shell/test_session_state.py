"""What the app remembers: the view of a project, re-mapped keys; damage is passed over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from coldal_tui.tui.shell import session_state
from coldal_tui.tui.shell.session_state import Memory, SessionSaver


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "project", tmp_path / "state", tmp_path / "config")


def test_a_view_comes_back(memory: Memory) -> None:
    memory.save({"here": "s1", "panes": {"map": {"zoom": 2.0}}})
    kept = memory.load()
    assert kept["here"] == "s1"
    assert kept["panes"] == {"map": {"zoom": 2.0}}
    assert [path.suffix for path in memory.view_file.parent.iterdir()] == [".json"]


def test_projects_have_views_of_their_own(memory: Memory, tmp_path: Path) -> None:
    other = Memory(tmp_path / "other", memory.state_folder, memory.config_folder)
    memory.save({"here": "s1"})
    assert other.load() == {}


@pytest.mark.parametrize("damage", ["", "{", "[1]", "\x00"])
def test_a_damaged_view_is_no_view(memory: Memory, damage: str) -> None:
    memory.save({"here": "s1"})
    memory.view_file.write_text(damage)
    assert memory.load() == {}


def test_a_folder_that_can_not_be_made_is_no_error(memory: Memory) -> None:
    memory.state_folder.write_text("a file is in the way")
    memory.save({"here": "s1"})
    assert memory.load() == {}


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = Memory.of(tmp_path)
    assert found.state_folder == tmp_path / "s" / "coldal-tui"
    assert found.config_folder == tmp_path / "home" / ".config" / "coldal-tui"


def write_keys(memory: Memory, text: str) -> None:
    memory.config_folder.mkdir()
    memory.keys_file.write_text(text)


def test_keys_are_read(memory: Memory) -> None:
    assert memory.keys() == ({}, "")
    write_keys(memory, '[keys]\n"queue.skip" = "d"\n')
    assert memory.keys() == ({"queue.skip": "d"}, "")


@pytest.mark.parametrize("text", ["[keys", "keys = 3", '[keys]\n"queue.skip" = 3\n'])
def test_a_wrong_keys_file_is_said(memory: Memory, text: str) -> None:
    write_keys(memory, text)
    keys, problem = memory.keys()
    assert keys == {}
    assert problem.startswith(str(memory.keys_file))


def test_what_can_not_be_saved_yet_is_saved_soon(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that came while the panes were being made count, too."""
    monkeypatch.setattr(session_state, "SAVE_AFTER_S", 0.01)
    answers: list[dict[str, Any] | None] = [None, None, {"zoomed": True}]
    saved: list[dict[str, Any]] = []
    monkeypatch.setattr(Memory, "save", lambda _, state: saved.append(state))

    async def session() -> None:
        app: App[None] = App()
        async with app.run_test() as pilot:
            SessionSaver(app, memory, lambda: answers.pop(0), lambda work: work()).soon()
            while not saved:
                await pilot.pause(0.01)

    asyncio.run(asyncio.wait_for(session(), 60))
    assert saved == [{"zoomed": True}]
    assert answers == []
