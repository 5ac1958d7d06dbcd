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
SCREENS = ours("tui", "cli")
ABOVE_PROJECT = (*ours("scheduler"), *SCREENS)
ARROWS = {
    "coldal_tui": BACKENDS,
    "coldal_tui.selection": (
        *ours("project", "imaging", "jobs", "exchange", "encoders", "simulation"),
        *ABOVE_PROJECT,
    ),
    "coldal_tui.imaging": (
        *ours("project", "jobs", "exchange", "selection", "encoders", "simulation"),
        *ABOVE_PROJECT,
    ),
    "coldal_tui.jobs": (*ours("project", "exchange", "encoders"), *ABOVE_PROJECT),
    "coldal_tui.encoders": (*ours("project", "exchange", "selection"), *ABOVE_PROJECT),
    "coldal_tui.simulation": (*ours("project", "exchange", "encoders"), *ABOVE_PROJECT),
    "coldal_tui.connectors": (
        *ours("project", "jobs", "selection", "imaging", "encoders", "simulation"),
        *ABOVE_PROJECT,
    ),
    "coldal_tui.exchange": (
        *ours("project", "jobs", "selection", "encoders", "simulation", "connectors"),
        *ABOVE_PROJECT,
    ),
    "coldal_tui.project": ABOVE_PROJECT,
    "coldal_tui.scheduler": SCREENS,
    "coldal_tui.tui": ours("cli"),
    "coldal_compute": (*ours("project", "scheduler", "cli", "tui"), "apsw", "coldal_launch"),
    "coldal_launch": (*ours("project", "scheduler", "cli", "tui"), "apsw"),
}
"""What no module of a package may import, not even inside a function or for a type alone."""

BETWEEN = {
    **{
        ("project", folder, base): "the state that all of the project stands on"
        for folder in (
            "scans",
            "queue",
            "labels",
            "export",
            "hooks",
            "models",
            "release",
            "views",
            "minutes",
            "enough",
        )
        for base in ("database", "settings")
    },
    ("project", "export", "models"): "pre-labels of other models go out with the scans",
    ("project", "labels", "hooks"): "an import of masks is told to the user's program",
    ("project", "models", "labels"): "masks of models are matched and placed as labels are",
    ("project", "models", "queue"): "which scans are labelled is read where budgets are",
    ("project", "models", "scans"): "names of folders are made as those of scans",
    ("project", "export", "labels"): "a dispute goes to a third person with both drawings",
    ("project", "export", "queue"): "an export hands out what is queued, shared among people",
    ("project", "export", "minutes"): "an export says how long its drawings will take",
    ("project", "export", "scans"): "names of files are made as those of scans",
    ("project", "export", "views"): "an export's rows are those that the queue shows",
    ("project", "minutes", "labels"): "what drawings took says what the next ones will take",
    ("project", "enough", "labels"): "the agreement of people stands beside a gain",
    ("project", "enough", "minutes"): "a gain is shown with what its labels take",
    ("project", "enough", "queue"): "a gain is that of the next round",
    ("project", "views", "minutes"): "views read all of the project and change nothing",
    ("project", "queue", "minutes"): "a budget of minutes is read where budgets are",
    ("project", "labels", "queue"): "what is labelled is read where budgets are",
    ("project", "labels", "scans"): "masks are matched to the scans' names, UIDs and patients",
    ("project", "programs", "settings"): "the state that all of the project stands on",
    ("project", "programs", "hooks"): "what a program said at its end is told as that of a hook",
    ("project", "programs", "labels"): "a program of the user gets a copy of the scan's label",
    ("project", "programs", "models"): "a program of the user gets a copy of the pre-label",
    ("project", "release", "labels"): "a release is made of the labels that count",
    ("project", "release", "queue"): "a release says how its scans were chosen, and holds out",
    ("project", "scans", "queue"): "a scan that is labelled is never dropped by an index",
    ("project", "servers", "database"): "the state that all of the project stands on",
    ("project", "servers", "settings"): "the state that all of the project stands on",
    ("project", "servers", "export"): "a push sends a finished export",
    ("project", "servers", "labels"): "what is pulled goes through the import of files",
    ("project", "servers", "scans"): "names of files are made as those of scans",
    ("project", "views", "servers"): "views read all of the project and change nothing",
    ("project", "views", "hooks"): "views read all of the project and change nothing",
    ("project", "views", "labels"): "views read all of the project and change nothing",
    ("project", "views", "queue"): "views read all of the project and change nothing",
    ("project", "views", "scans"): "views read all of the project and change nothing",
    ("exchange", "exporters", "masks"): "one codec for masks that come and masks that go",
    ("exchange", "importers", "masks"): "one codec for masks that come and masks that go",
    ("exchange", "incoming", "masks"): "what was drawn is compared on the scan's grid",
    ("exchange", "incoming", "importers"): "an import asks the formats for what they find",
    ("exchange", "release", "exporters"): "a release writes the formats of the exports",
    ("exchange", "exporters", "deidentify"): "images are cleaned as they are copied",
    **{
        ("tui", pane, below): "panes are made of widgets and drawings"
        for pane in (
            "budget",
            "clusters",
            "jobs",
            "labels",
            "loop",
            "map",
            "queue",
            "raters",
            "runs",
            "scan",
        )
        for below in ("widgets", "drawing")
    },
    **{
        ("tui", "shell", pane): "the shell puts the app together"
        for pane in (
            "budget",
            "clusters",
            "jobs",
            "labels",
            "loop",
            "map",
            "queue",
            "raters",
            "runs",
            "scan",
        )
    },
    ("tui", "loop", "raters"): "the next step may be a dispute",
    ("tui", "shell", "programs"): "the shell puts the app together",
    ("tui", "shell", "widgets"): "the shell puts the app together",
    ("tui", "shell", "drawing"): "the shell puts the app together",
    ("tui", "widgets", "drawing"): "a widget shows what is drawn",
    ("tui", "start", "drawing"): "the questions that make a project are a small app of their own",
}
"""Sub-folders that import others of their package: which, and why. Never both ways."""

MOST_MODULES = 17
"""In a folder; about 15 are still looked over at once."""
FULL_FOLDERS = {
    "coldal_tui/cli": "a file for each command",
    "coldal_tui/exchange/importers": "a file for each format",
    "coldal_tui/exchange/exporters": "a file for each format",
}
SAME_NAMES = {
    "pane.py": "each pane of the app, and what all panes are",
    "rows.py": "the rows of a pane's table; of selection: the rows of the pool",
    "text.py": "a pane's words",
    "columns.py": "columns of the queue, and of any table",
    "changes.py": "what people change in the queue; what changed since an export",
    "files.py": "files in general, of labels, of encoders",
    "geometry.py": "of an image's grid, and of points",
    "picture.py": "a scan as an image: its pixels, its cells, its widget",
    "indexing.py": "files to scans, and scans into the project",
    "importing.py": "masks to verdicts, and verdicts into the project",
    "journal.py": "of the database; of a step's progress",
    "layout.py": "of the project's folder; of the panes",
    "prelabels.py": "the command; pre-labels of other models",
    "queue.py": "the command; the queue of jobs",
    "steps.py": "commands that run a step; the steps",
    "why.py": "the facts; the pane that shows them",
    "simulation_view.py": "the facts; the command line's table of them",
    "grids.py": "of a simulation's cells; of a network's input",
    "folder.py": "the format; a job's folder",
    "label_studio.py": "the format, and its server",
    "charts.py": "cells of a terminal; shapes of a picture file",
    **dict.fromkeys(
        ("coco.py", "cvat.py", "dicom_seg.py", "metaimage.py", "monai_label.py", "nifti.py",
         "nnunet.py", "nrrd.py", "raster.py", "seg_nrrd.py"),
        "one format, read as an image, as a mask, and written",
    ),
}  # fmt: skip
"""File names that occur more than once, and what they mean there."""


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


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for _, path in modules():
        text = path.read_text("utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def module_of(name: str, known: frozenset[str]) -> str:
    """The module that an imported name belongs to; empty for other packages' names."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (strongly connected, Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    found = []

    def visit(one: str) -> None:
        number[one] = lowest[one] = len(number)
        waiting.append(one)
        for other in sorted(edges.get(one, ())):
            if other not in number:
                visit(other)
                lowest[one] = min(lowest[one], lowest[other])
            elif other in waiting:
                lowest[one] = min(lowest[one], number[other])
        if lowest[one] == number[one]:
            at = waiting.index(one)
            group = waiting[at:]
            del waiting[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for one in sorted(edges):
        if one not in number:
            visit(one)
    return found


def test_circles_are_seen() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "f": {"d"}}
    assert circles(edges) == [["a", "b", "c"]]


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = frozenset(module for module, _ in modules())
    edges: dict[str, set[str]] = {module: set() for module in known}
    for one in IMPORTS:
        other = module_of(one.name, known)
        if other and other != one.importer:
            edges[one.importer].add(other)
    assert circles(edges) == []


def between_folders() -> dict[tuple[str, str, str], list[str]]:
    """Where a sub-folder of a package imports another one."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for package in ("project", "tui", "exchange"):
        inside = {p.name for p in (ROOT / "coldal_tui" / package).iterdir() if p.is_dir()}
        for one in IMPORTS:
            source, target = one.importer.split("."), one.name.split(".")
            if source[:2] == target[:2] == ["coldal_tui", package]:
                pair = (package, *source[2:3], *target[2:3])
                if len(pair) == 3 and pair[1] != pair[2] and inside.issuperset(pair[1:]):
                    found.setdefault(pair, []).append(one.place)
    return found


def test_sub_folders_import_each_other_as_is_written_down() -> None:
    assert {k: v for k, v in between_folders().items() if k not in BETWEEN} == {}


def test_no_two_sub_folders_import_each_other() -> None:
    assert [one for one in BETWEEN if (one[0], one[2], one[1]) in BETWEEN] == []


def test_a_folder_can_be_looked_over() -> None:
    counts: dict[str, int] = {}
    for _, path in modules():
        folder = str(path.parent.relative_to(ROOT))
        counts[folder] = counts.get(folder, 0) + (path.name != "__init__.py")
    full = {folder: count for folder, count in counts.items() if count > MOST_MODULES}
    assert {folder: n for folder, n in full.items() if folder not in FULL_FOLDERS} == {}


def test_a_file_name_means_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for _, path in modules():
        if path.name != "__init__.py":
            places.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if name not in SAME_NAMES} == {}
