"""Plug-ins of other packages: found by entry point, loaded here and nowhere else.

A plug-in that can't be loaded never stops anything but its own use: whoever asks for it by name is
told what is wrong, lists leave it out, and ``coldal-tui doctor`` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

from coldal_tui.errors import ColdalError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

OURS = "coldal-tui"
T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """A kind of plug-in: its entry point group, and what people call one (``mask format``)."""

    group: str
    words: str


IMPORTER = Kind("coldal_tui.importers", "mask format")
EXPORTER = Kind("coldal_tui.exporters", "export format")
BACKEND = Kind("coldal_tui.backends", "backend")
STRATEGY = Kind("coldal_tui.strategies", "strategy")
ENCODER = Kind("coldal_tui.encoders", "encoder")
CONNECTOR = Kind("coldal_tui.connectors", "connector")


@dataclass(frozen=True)
class PluginFailure:
    """A plug-in that can't be used: its entry's name, why, and the package that brings it."""

    name: str
    message: str
    package: str = ""


@dataclass(frozen=True)
class Plugins(Generic[T]):
    """The plug-ins of a kind that work, by the names of their entries, and those that don't."""

    working: dict[str, T]
    failures: tuple[PluginFailure, ...]


def entry_points(*, group: str) -> EntryPoints:
    """All entry points of a group; the module that reads them is slow to load."""
    from importlib import metadata

    return metadata.entry_points(group=group)


def entries(kind: Kind) -> dict[str, EntryPoint]:
    """The entries of a kind by name, in the order of their names.

    Where two packages bring one name, the package whose name sorts first is taken.
    """
    return {name: found[0] for name, found in _by_name(kind).items()}


def package_of(entry: EntryPoint) -> str:
    """The name of the package that brings an entry; empty where nobody knows."""
    dist = getattr(entry, "dist", None)
    return str(dist.name) if dist is not None else ""


def version_of(entry: EntryPoint) -> str:
    """The version of the package that brings an entry; empty where nobody knows."""
    dist = getattr(entry, "dist", None)
    return str(dist.version) if dist is not None else ""


def load(kind: Kind, entry: EntryPoint, check: Callable[[object], T]) -> T:
    """What an entry names, as ``check`` returns it.

    ``check`` raises TypeError for what is no such plug-in.

    Raises
    ------
    ColdalError : it can't be loaded (code ``plug-in``), or its own ColdalError, which knows better
        what it lacks.
    """
    try:
        return check(entry.load())
    except ColdalError:
        raise
    except (Exception, SystemExit) as error:  # whatever another package's module does
        raise broken(kind, entry, error) from error


def named(
    kind: Kind, name: str, built_in: Mapping[str, tuple[str, str]], check: Callable[[object], T]
) -> T | None:
    """What is built in under a name, else the plug-in of that name; None where there is none.

    ``built_in`` maps names to ``module:attribute`` and a description. Raises as :func:`load`.
    """
    if name in built_in:
        module, _, attribute = built_in[name][0].partition(":")
        return check(getattr(import_module(module), attribute))
    entry = entries(kind).get(name)
    return load(kind, entry, check) if entry is not None else None


def broken(kind: Kind, entry: EntryPoint, error: BaseException) -> ColdalError:
    """The error of a plug-in that did what none may do."""
    package = package_of(entry)
    return ColdalError(
        f"the {kind.words} {entry.name!r} can't be loaded: {reason(error)}",
        where=entry.value,
        remedy=f"mend or remove the package {package or 'that brings it'}; all else works without",
        code="plug-in",
    )


def reason(error: BaseException) -> str:
    """An unexpected error in one line: ``ImportError: no module named 'lists'``."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def load_all(
    kind: Kind,
    check: Callable[[object], T],
    built_in: Collection[str] = (),
    skip: Collection[str] = (),
) -> Plugins[T]:
    """All plug-ins of a kind but those to ``skip``. None takes the place of a ``built_in`` one."""
    working: dict[str, T] = {}
    failures: list[PluginFailure] = []
    for name, (entry, *others) in _by_name(kind).items():
        if name in skip:
            continue
        if name in built_in:
            failures.append(_left_out(entry, f"{kind.words} {name!r} is built in"))
            continue
        try:
            working[name] = load(kind, entry, check)
        except ColdalError as error:
            cause = error.__cause__ if error.code == "plug-in" else None
            message = reason(cause) if cause is not None else error.what
            failures.append(PluginFailure(name, message, package_of(entry)))
        failures += [
            _left_out(other, f"{package_of(entry)} brings a {kind.words} {name!r}, too")
            for other in others
        ]
    return Plugins(working, tuple(failures))


def _left_out(entry: EntryPoint, why: str) -> PluginFailure:
    return PluginFailure(entry.name, f"it is left out: {why}", package_of(entry))


def _by_name(kind: Kind) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    order = sorted(
        entry_points(group=kind.group),
        key=lambda entry: (entry.name, package_of(entry) != OURS, package_of(entry)),
    )
    for entry in order:
        found.setdefault(entry.name, []).append(entry)
    return found
