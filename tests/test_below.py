"""Stored paths: below their folder or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.below import below, plain_name
from coldal_tui.errors import ColdalError


@pytest.mark.parametrize("name", ["a.png", "p01/a.png", "..a/b..", "a/./b"])
def test_a_path_below_is_that_path(tmp_path: Path, name: str) -> None:
    assert below(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["/etc/passwd", "../a", "a/../../b", "", ".", "a\0b", "./"])
def test_a_path_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    for links in (False, True):
        with pytest.raises(ColdalError) as caught:
            below(tmp_path, name, links=links)
        assert caught.value.code == "outside"


def test_a_link_that_leads_out_is_refused_where_links_are_not_its_owners(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "home-of-another"
    home.mkdir()
    other.mkdir()
    (home / "out").symlink_to(other)
    (home / "in").mkdir()
    (home / "to-in").symlink_to(home / "in")
    assert below(home, "to-in/a") == home / "to-in" / "a"
    assert below(home, "out/a", links=True) == home / "out" / "a"
    with pytest.raises(ColdalError, match="leads out"):
        below(home, "out/a")


def test_a_folder_that_is_reached_by_a_link_is_a_folder_like_any(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert below(tmp_path / "link", "a") == tmp_path / "link" / "a"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_name_is_one_part_of_a_path(name: str) -> None:
    assert plain_name("scan_1", "scan id") == "scan_1"
    with pytest.raises(ColdalError, match="scan id"):
        plain_name(name, "scan id")
