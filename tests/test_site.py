"""The generated pages of the documentation site say what the program says."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from coldal_tui.cli import COMMANDS
from coldal_tui.project.settings.config import Config
from tests.support.places import ROOT

_spec = spec_from_file_location("docs_site", ROOT / "scripts" / "docs_site.py")
assert _spec is not None
assert _spec.loader is not None
site = module_from_spec(_spec)
_spec.loader.exec_module(site)


def test_every_command_has_its_help() -> None:
    page = site.commands_page()
    assert [name for name in COMMANDS if f"\n## coldal-tui {name}\n" not in page] == []
    assert "## coldal-tui jobs\n\n```text\nUsage: coldal-tui jobs [OPTIONS] [PROJECT] " in page


def test_every_key_of_the_settings_has_a_row() -> None:
    page = site.settings_page()
    shown = re.findall(r"^## \[(\w+)", page, re.MULTILINE)
    assert set(Config.__struct_fields__) <= set(shown)
    assert "| `alpha` | number, 0 to 1 | `0.5` |" in page
    assert '| `entropy` | "boundary", "foreground", "mean" | `"mean"` |' in page
    assert "| `dir` | text | must be given |" in page
    assert "## [backend.slurm]" in page


def test_messages_are_those_of_the_source() -> None:
    found = {each.what: each for each in site.messages()}
    full = found["the disk is full / can't write: …"]
    assert (full.code, full.remedy.startswith("free space")) == ("disk", False)
    assert found["a selection is under way (job …)"].remedy == (
        "follow it: coldal-tui jobs logs -f …, or end it: coldal-tui jobs cancel …"
    )
    assert len(found) > 400
    page = site.messages_page()
    assert page.count("\n| ") == len(set(site.messages())) + 1


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    hidden = ("soak", "results")  # reached from the pages that tell of them
    shown = [page for page in pages if page.parts[0] not in hidden]
    assert [str(page) for page in shown if f": {page}\n" not in menu] == []


def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    commands = pytest.importorskip("mkdocs.commands.build", reason="make extras installs mkdocs")
    from mkdocs.config import load_config

    commands.build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path)))
    assert (tmp_path / "reference" / "messages.html").stat().st_size > 10_000
