"""Where mask formats are registered, and how a plug-in joins or fails."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace

import pytest

from coldal_tui import plugins as loader
from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.importers import Importer, load_registry
from coldal_tui.exchange.incoming.survey import survey_source
from tests.support.import_plan import plan_import


class ListImporter:
    """A format with a key file and parts beside it."""

    name = "list"
    priority = 1000
    endings: dict[str, str] = {}  # noqa: RUF012

    def recognise(self, path, head):
        return "list" if head.startswith(b"LIST") else None

    def belongings(self, path):
        return frozenset({path.with_name("part.png")})

    def candidates(self, path):
        yield Candidate(path, path.name, "list", lambda: None)


@pytest.fixture
def plugins(monkeypatch):
    """Installs entry points by their load functions."""

    def install(**loaders) -> None:
        points = [
            SimpleNamespace(name=name, load=load, value=name) for name, load in loaders.items()
        ]
        monkeypatch.setattr("coldal_tui.plugins.entry_points", lambda group: points)

    return install


def test_the_built_in_formats():
    assert {importer.name for importer in load_registry().importers} >= {"nifti", "raster"}


def test_built_in_importers_fulfil_the_protocol():
    assert all(isinstance(importer, Importer) for importer in load_registry().importers)


def test_a_plug_in_comes_first_where_it_says_so(plugins):
    plugins(list=lambda: ListImporter)

    assert load_registry().importers[0].name == "list"


def test_a_failing_plug_in_is_reported_and_left_out(plugins):
    def fail():
        raise ImportError("no module named 'lists'")

    plugins(broken=fail, list=ListImporter)

    registry = load_registry()

    assert [(f.name, f.message) for f in registry.failures] == [
        ("broken", "ImportError: no module named 'lists'")
    ]
    assert registry.importers[0].name == "list"


def test_what_is_no_importer_is_refused(plugins):
    plugins(odd=lambda: object())

    assert "it lacks name" in load_registry().failures[0].message


def test_real_entry_points_are_asked_for_by_group():
    points = EntryPoints([EntryPoint("x", "os:sep", loader.IMPORTER.group)])

    assert points.select(group="coldal_tui.importers").names == {"x"}


class TwoRaters(ListImporter):
    """One file with two people's masks of one scan."""

    def candidates(self, path):
        for author in ("Anna", "Ben"):
            yield Candidate(path, "a.png", "list", lambda: None, author=author)


def test_two_people_s_masks_in_one_file_are_a_conflict(tmp_path, plugins):
    plugins(list=TwoRaters)
    (tmp_path / "all.list").write_bytes(b"LIST")

    result = plan_import(tmp_path, [ScanTarget("a", (6, 9), ("a.png",))], ("lung",), None)

    assert [v.message for v in result.quarantined] == [
        "2 masks claim scan 'a': this one and all.list by Ben",
        "2 masks claim scan 'a': this one and all.list by Anna",
    ]


def test_parts_of_another_format_are_no_masks_on_their_own(tmp_path, plugins):
    plugins(list=ListImporter)
    (tmp_path / "all.list").write_bytes(b"LIST")
    (tmp_path / "part.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    survey = survey_source(tmp_path, load_registry().importers)

    assert [path.name for path, _ in survey.files] == ["all.list"]
    assert [(i.path.name, i.reason) for i in survey.ignored] == [("part.png", "part of all.list")]
