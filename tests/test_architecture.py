"""The house's arrows: which package may import which, and what no module imports at its top."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import ROOT

PACKAGES = {
    "coldal_tui": ROOT / "coldal_tui",
    "coldal_compute": ROOT / "backends" / "coldal_compute",
    "coldal_launch": ROOT / "backends" / "coldal_launch",
}
MOST_LINES = 450


@dataclass(frozen=True)
class Import:
    """One import: the full name of what is imported, and where."""

    importer: str
    name: str
    top: bool
    place: str


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(p for p in parts if p != "__init__"))), path


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: relative imports hide where they point"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def is_deferred(node: ast.AST) -> bool:
    """Whether what is inside does not run when the module is imported."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def imports_in(tree: ast.Module) -> Iterator[tuple[ast.AST, str, bool]]:
    """Every import; ``top`` is false inside functions and ``if TYPE_CHECKING``."""

    def walk(node: ast.AST, top: bool) -> Iterator[tuple[ast.AST, str, bool]]:
        for child in ast.iter_child_nodes(node):
            for name in names_of(child):
                yield child, name, top
            yield from walk(child, top and not is_deferred(child))

    return walk(tree, True)


def all_imports() -> list[Import]:
    found = []
    for module, path in modules():
        tree = ast.parse(path.read_text("utf-8"))
        for node, name, top in imports_in(tree):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            found.append(Import(module, name, top, place))
    return found


IMPORTS = all_imports()


def below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def offences(source: str, targets: tuple[str, ...], *, only_top: bool = False) -> list[str]:
    return [
        f"{one.place}: {one.importer} imports {one.name}"
        for one in IMPORTS
        if below(one.importer, (source,)) and below(one.name, targets) and (one.top or not only_top)
    ]


def ours(*names: str) -> tuple[str, ...]:
    return tuple(f"coldal_tui.{name}" for name in names)


BACKENDS = ("coldal_compute", "coldal_launch")
DEEP_LEARNING = ("torch", "monai", "lightning")
ARROWS = {
    "coldal_tui": BACKENDS,
    "coldal_tui.selection": ours("project", "imaging", "jobs", "exchange", "tui", "cli"),
    "coldal_tui.imaging": ours("project", "jobs", "exchange", "selection", "tui", "cli"),
    "coldal_tui.exchange": ours("project", "jobs", "selection", "tui", "cli"),
    "coldal_tui.project": ours("tui", "cli"),
    "coldal_tui.jobs": ours("tui", "cli"),
    "coldal_tui.tui": ours("cli"),
    "coldal_compute": (*ours("project", "cli", "tui"), "apsw", "coldal_launch"),
    "coldal_launch": ours("project", "cli", "tui"),
}


@pytest.mark.parametrize("source", ARROWS)
def test_no_arrow_points_the_wrong_way(source: str) -> None:
    assert offences(source, ARROWS[source]) == []


def test_the_light_package_never_imports_deep_learning() -> None:
    # The conformance test of an encoder runs its network; nothing of the product imports it.
    found = offences("coldal_tui", DEEP_LEARNING)
    assert [one for one in found if "coldal_tui/testing.py" not in one] == []
    users = {one.importer for one in IMPORTS if below(one.name, ("coldal_tui.testing",))}
    assert users == set()


def test_the_light_package_imports_nothing_heavy_at_module_level() -> None:
    heavy = (*DEEP_LEARNING, "sklearn", "scipy", "numba", "openTSNE")
    assert offences("coldal_tui", heavy, only_top=True) == []


def test_only_the_screens_import_textual() -> None:
    users = {one.importer for one in IMPORTS if below(one.name, ("textual",))}
    assert {name for name in users if not below(name, ("coldal_tui.tui",))} == set()


def test_readers_of_images_are_imported_inside_functions() -> None:
    readers = ("nibabel", "pydicom", "tifffile", "PIL", "nrrd", "gdcm")
    assert offences("coldal_tui", readers, only_top=True) == []


def test_the_parser_sees_what_it_has_to_see() -> None:
    source = (
        "import torch.nn as nn\n"
        "from coldal_tui import project\n"
        "class A:\n    from scipy import stats\n"
        "try:\n    import numba\nexcept ImportError:\n    pass\n"
        "def f():\n    from coldal_tui.cli import common\n"
        "if TYPE_CHECKING:\n    import apsw\n"
    )
    seen = {name: top for _, name, top in imports_in(ast.parse(source))}
    assert seen == {
        "torch.nn": True,
        "coldal_tui.project": True,
        "scipy.stats": True,
        "numba": True,
        "coldal_tui.cli.common": False,
        "apsw": False,
    }


def test_nothing_prints_but_the_command_line() -> None:
    printed = []
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                printed.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert printed == []


def test_no_file_is_too_long_to_read() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for _, path in modules()}
    long = {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n > MOST_LINES}
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for _, path in modules():
        text = path.read_text("utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []
