"""Export formats of other packages: found by entry point, and never in the way when they fail."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from coldal_tui import plugins
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.exporters import export_formats, exporter, plugin_failures
from coldal_tui.exchange.exporters.folder import export_folder


def export_fax(out, items, meta, progress=None):
    """As much of an exporter as a look-up needs."""


@pytest.fixture
def installed(monkeypatch):
    """Pretends that packages bring these entries."""

    def install(**entries: str) -> None:
        found = [EntryPoint(name, value, plugins.EXPORTER.group) for name, value in entries.items()]
        monkeypatch.setattr(plugins, "entry_points", lambda group: found)

    return install


HERE = "fax_plugin:export_fax"


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    """A package with one good exporter."""
    module = ModuleType("fax_plugin")
    module.export_fax = export_fax
    monkeypatch.setitem(sys.modules, "fax_plugin", module)


def test_a_plug_in_is_found_by_its_name(installed):
    installed(fax=HERE)
    assert export_formats()[-1] == "fax"
    assert exporter("fax").__name__ == "export_fax"
    assert plugin_failures() == ()


def test_a_plug_in_does_not_take_a_built_in_formats_place(installed):
    installed(folder=HERE)
    assert exporter("folder") is export_folder
    assert export_formats().count("folder") == 1
    (failure,) = plugin_failures()
    assert failure.message == "it is left out: export format 'folder' is built in"


@pytest.mark.parametrize("value", ["no_such_module:x", "json:no_such_name", "json:decoder"])
def test_a_plug_in_that_fails_is_told_and_all_else_works(installed, value):
    installed(fax=value)
    assert exporter("folder") is export_folder
    (failure,) = plugin_failures()
    assert failure.name == "fax"
    with pytest.raises(ColdalError, match="'fax' can't be loaded") as caught:
        exporter("fax")
    assert (caught.value.code, caught.value.where) == ("plug-in", value)


def test_a_class_is_no_exporter(installed):
    installed(fax="decimal:Decimal")
    (failure,) = plugin_failures()
    assert failure.message == "TypeError: it is no function of out, items, meta and progress"


def test_an_unknown_name_lists_plug_ins_too(installed):
    installed(fax=HERE)
    with pytest.raises(UsageError) as caught:
        exporter("telex")
    assert "fax" in caught.value.remedy
