"""The ``:`` line: what is the app's own, what goes to the command line, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from coldal_tui.cli import COMMANDS
from coldal_tui.tui.shell.command_parser import (
    CLI_COMMANDS,
    DETACHED,
    OWN,
    READING,
    REFUSED,
    Command,
    CommandSuggester,
    ask_command_line,
    parse,
)


@pytest.mark.parametrize(
    ("text", "own", "words"),
    [
        ("q", "quit", ()),
        ("quit", "quit", ()),
        ("theme light", "theme", ("light",)),
        ("filter cluster:3 'big one'", "filter", ("cluster:3", "big one")),
        ("goto p01", "goto", ("p01",)),
        ("", None, ()),
        ("coldal-tui", None, ()),
        (
            "queue skip s1 --reason 'too dark'",
            None,
            ("queue", "skip", "s1", "--reason", "too dark"),
        ),
        ("coldal-tui why s1", None, ("why", "s1")),
        ("next --batch 3", None, ("next", "--batch", "3", "--detach")),
        ("next --detach", None, ("next", "--detach")),
        ("train --help", None, ("train", "--help")),
    ],
)
def test_lines_are_understood(text: str, own: str | None, words: tuple[str, ...]) -> None:
    line = parse(text, readonly=False)
    assert (line.own, line.words, line.problem) == (own, words, "")


@pytest.mark.parametrize("text", ["why 'open", "open /tmp/other", "demo", "jobs logs -f 3"])
def test_what_can_not_be_done_here_is_said(text: str) -> None:
    line = parse(text, readonly=False)
    assert line.problem
    assert not line.words


@pytest.mark.parametrize(
    "text",
    [
        "status",
        "queue",
        "queue --json",
        "why s1",
        "labels",
        "labels list",
        "jobs logs 3",
        "doctor",
        "next --help",
        "help",
    ],
)
def test_read_only_sessions_may_look(text: str) -> None:
    assert not parse(text, readonly=True).problem


@pytest.mark.parametrize(
    "text",
    ["queue skip s1", "labels reject s1", "jobs cancel 3", "undo", "select", "import-masks d",
     "encoder use x", "index", "queue pin s1", "evaluate --masks d"],
)  # fmt: skip
def test_read_only_sessions_change_nothing(text: str) -> None:
    assert parse(text, readonly=True).problem.startswith("read only: ")


def test_every_name_is_a_command_of_the_command_line() -> None:
    named = {name.split()[0] for name in (*CLI_COMMANDS, *READING, *REFUSED)}
    named |= {*DETACHED} - {"simulate"}
    assert named <= {*COMMANDS}


def test_completion_prefers_what_was_typed_before() -> None:
    history = ["queue skip s1", "status"]

    def suggest(value: str) -> str | None:
        return asyncio.run(CommandSuggester(lambda: history).get_suggestion(value))

    assert suggest("queue s") == "queue skip s1"
    assert suggest("exp") == "export-queue"
    assert suggest("th") == "theme"
    assert suggest("zzz") is None
    assert suggest("") is None


def test_a_command_runs_in_the_project_and_tells_line_by_line(queued: Path) -> None:
    lines: list[str] = []
    status = Command(["queue"], queued).follow(lines.append)
    assert status == 0
    assert any("scan_0" in line and "medoid" in line for line in lines)


def test_a_wrong_command_ends_with_its_status_and_why(queued: Path) -> None:
    lines: list[str] = []
    status = Command(["why", "nobody"], queued).follow(lines.append)
    assert status == 2
    assert "no such scan" in "\n".join(lines)


def test_a_command_can_be_ended(queued: Path) -> None:
    command = Command(["status", "--watch"], queued)
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        command.end()

    assert command.follow(told) != 0
    assert lines


def test_the_own_words_are_explained() -> None:
    assert all(words for words in OWN.values())


def test_scans_and_files_are_completed(tmp_path: Path) -> None:
    (tmp_path / "returned").mkdir()
    (tmp_path / "returned" / "ana.zip").write_text("")
    suggester = CommandSuggester(lambda: (), lambda: ("p07_s1", "p07_s2"), tmp_path)

    def suggest(value: str) -> str | None:
        return asyncio.run(suggester.get_suggestion(value))

    assert suggest("queue skip p0") == "queue skip p07_s1"
    assert suggest("why p07_s1") is None
    assert suggest("import-masks ret") == "import-masks returned/"
    assert suggest("import-masks returned/a") == "import-masks returned/ana.zip"
    assert suggest("import-masks nowhere/a") is None
    assert suggest("queue skip ") is None


def test_options_and_their_values_come_from_the_command_line_which_is_asked_once(
    tmp_path: Path,
) -> None:
    asked: list[tuple[list[str], str]] = []

    def ask(words: Sequence[str], start: str, root: Path) -> list[str]:
        asked.append(([*words], start))
        return ["--reason", "--round", "--to"] if start else ["ana", "zoe"]

    suggester = CommandSuggester(lambda: (), lambda: ("p07_s1",), tmp_path, ask)

    def suggest(value: str) -> str | None:
        return asyncio.run(suggester.get_suggestion(value))

    assert suggest("queue assign p07_s1 --r") == "queue assign p07_s1 --reason"
    assert suggest("queue assign p07_s1 --ro") == "queue assign p07_s1 --round"
    assert suggest("queue assign p07_s1 --x") is None
    assert suggest("queue assign p07_s1 --to z") == "queue assign p07_s1 --to zoe"
    assert suggest("queue assign 'p07 --x") is None
    assert suggest("theme li") == "theme light"
    words = ["queue", "assign", "p07_s1"]
    assert asked == [(words, "--"), ([*words, "--to"], "")]


def test_the_command_line_knows_its_options(queued: Path) -> None:
    assert "--reason" in ask_command_line(["queue", "skip"], "--", queued)
