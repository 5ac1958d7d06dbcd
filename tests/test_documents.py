"""What pages for carriers name is there: files, folders, functions, make's goals, docs' links."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.places import ROOT

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ROOMS = (ROOT, ROOT / "coldal_tui", ROOT / "backends", ROOT / "backends" / "coldal_compute")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def without_state(page: str) -> str:
    """The page without the table of a project's files: they lie in no repository."""
    before, _, rest = page.partition("\n## State\n")
    return before + rest[rest.index("\n## ") :] if rest else before


def named_paths(page: str) -> list[str]:
    return re.findall(r"`([\w./-]+(?:\.py|/))`", without_state(page))


def is_there(name: str) -> bool:
    """From the root, from a room, or a file of that name anywhere in the packages."""
    if any((room / name).exists() for room in ROOMS):
        return True
    folders = ("coldal_tui", "backends")
    return any(next((ROOT / folder).rglob(name.rstrip("/")), None) for folder in folders)


def test_the_page_names_many_files() -> None:
    assert len(named_paths(ARCHITECTURE)) > 60


@pytest.mark.parametrize("name", sorted(set(named_paths(ARCHITECTURE))))
def test_what_architecture_names_is_there(name: str) -> None:
    assert is_there(name)


@pytest.mark.parametrize("name", sorted(set(named_paths(CONTRIBUTING))))
def test_what_contributing_names_is_there(name: str) -> None:
    assert is_there(name)


def test_a_file_that_is_gone_would_be_seen() -> None:
    assert not is_there("project/labelling.py")
    assert not is_there("coldal_tui/project/pool.py")


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:scheduler|project)\.\w+\.\w+)`", ARCHITECTURE)))
)
def test_functions_that_architecture_names_are_there(name: str) -> None:
    module, _, function = name.rpartition(".")
    assert callable(getattr(import_module(f"coldal_tui.{module}"), function))


def test_goals_of_make_that_pages_name_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    goals = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        goal
        for page in PAGES
        for words in re.findall(r"`make ([a-z ]+)`", page.read_text("utf-8"))
        for goal in words.split()
    }
    assert named >= {"quick", "test", "demo"}
    assert named - goals == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [link for link in links if link and not link.startswith(("http", "mailto"))]
    assert [link for link in local if not (page.parent / link).exists()] == []
