"""Connectors: hand exports to labelers' servers and bring their drawings back.

A connector moves payloads and makes none: what it sends is a finished export of
``exchange.exporters``, what it brings back are files that ``exchange.importers`` reads. It knows no
project. Built-in ones are in ``_BUILT_IN``; another package adds one through the entry point group
``coldal_tui.connectors``, whose entries name functions that make a :class:`Connector` of an
:class:`Address`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast

from coldal_tui import plugins
from coldal_tui.errors import UsageError

Progress = Callable[[int, int, str], None]
"""Called with the number of scans done, the total, and the current scan."""

_BUILT_IN = {
    "label-studio": (
        "coldal_tui.connectors.label_studio:connect_label_studio",
        "a project of a Label Studio server",
    ),
    "monai-label": (
        "coldal_tui.connectors.monai_label:connect_monai_label",
        "the datastore of a MONAI Label server, or its folder",
    ),
    "cvat": (
        "coldal_tui.connectors.cvat:connect_cvat",
        "a project of a CVAT server (experimental)",
    ),
}

EXPERIMENTAL = {"cvat": "tried on the models of CVAT's SDK and on a played server, never on a CVAT"}
"""Kinds of servers that no test could meet, and what they were tried on."""


@dataclass(frozen=True)
class Address:
    """Where a server is and how to enter it. ``token`` never appears in a message.

    ``project`` is the server's own name or number of the project. ``ca``: a file with the
    certificates of a private authority. ``folder`` is a folder of this machine that the server
    reads, ``document_root`` the server's own root above it; None: images are uploaded.
    """

    name: str
    url: str
    project: str = ""
    token: str = field(default="", repr=False)
    ca: Path | None = None
    folder: Path | None = None
    document_root: Path | None = None


@dataclass(frozen=True)
class Item:
    """One scan of an export: its id there, the key that makes it unique on the server, its people.

    The key is the same whenever the same scan of the same round is pushed, under any pseudonym.
    """

    key: str
    scan_id: str
    rank: int
    people: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parcel:
    """A finished export to push: its folder (one labeler's, or that of all) and its scans."""

    folder: Path
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Sent:
    """A scan that is on the server, complete: its tasks there, and whether it was there before."""

    key: str
    tasks: tuple[str, ...]
    before: bool = False


@dataclass(frozen=True)
class Person:
    """A user of the server: the name under which drawings come back, and further names."""

    name: str
    others: tuple[str, ...] = ()


DrawingState = Literal["drawn", "partly", "skipped"]


@dataclass(frozen=True)
class Drawing:
    """What one person did with one scan.

    ``content`` is a file for the importers (empty unless ``drawn``), with ``suffix`` as its ending.
    A format of several files, which do not say who drew them, has them in ``files`` instead, with
    their paths: the pull puts them into a folder whose manifest names the scan and the person.
    ``partly``: some slices of a volume are still missing. ``minutes``: how long it took, where the
    server tells. ``updated`` is the server's own time.
    """

    key: str
    person: str
    state: DrawingState
    updated: str
    content: bytes = field(default=b"", repr=False)
    suffix: str = ".json"
    minutes: float | None = None
    comment: str = ""
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Pulled:
    """What changed since the last pull; ``cursor`` is where the next one goes on.

    ``strangers`` is the number of changed tasks that were not pushed from this project.
    """

    drawings: tuple[Drawing, ...]
    cursor: str
    strangers: int = 0


class Connector(Protocol):
    """Moves payloads between an export's folder and one server.

    ``exporter`` names the export format whose folders it sends. ``requests`` counts what it asked.
    Every method raises ColdalError when the server refuses or can't be reached; each may be called
    again then, and goes on where it was.
    """

    exporter: str

    @property
    def requests(self) -> int: ...

    def check(self) -> str:
        """Enter the server; return what is there, in words."""

    def people(self) -> tuple[Person, ...]:
        """The users of the server; none where it keeps no list, and any name will do."""

    def push(self, parcels: Sequence[Parcel], progress: Progress) -> Iterator[Sent]:
        """Bring every scan to the server that is not there; yield each when it is complete."""

    def pull(self, tasks: Mapping[str, Sequence[str]], since: str, progress: Progress) -> Pulled:
        """What people did since the cursor ``since`` (empty: ever).

        ``tasks`` are the tasks of each key, as :class:`Sent` told them.
        """


Connect = Callable[[Address], Connector]


def connector_kinds() -> dict[str, str]:
    """The kinds of servers, and what each is."""
    found = {name: words for name, (_, words) in _BUILT_IN.items()}
    for name, entry in plugins.entries(plugins.CONNECTOR).items():
        found.setdefault(name, f"brought by {plugins.package_of(entry) or 'another package'}")
    return found


def connector(kind: str) -> Connect:
    """The function that connects to a kind of server.

    Raises
    ------
    UsageError : there is none of that name.
    ColdalError : it is a plug-in that can't be loaded.
    """
    found = plugins.named(plugins.CONNECTOR, kind, _BUILT_IN, as_connect)
    if found is not None:
        return found
    raise UsageError(
        f"no kind of server is called {kind!r}",
        remedy=f"Use one of: {', '.join(connector_kinds())}.",
        code="connector",
    )


def plugin_failures() -> tuple[plugins.PluginFailure, ...]:
    """Plug-in connectors that failed to load, and why."""
    return plugins.load_all(plugins.CONNECTOR, as_connect, tuple(_BUILT_IN)).failures


def as_connect(loaded: object) -> Connect:
    """The function that a plug-in's entry names; raises TypeError if it is not a function."""
    if not callable(loaded):
        raise TypeError("it is no function of an address")
    return cast(Connect, loaded)
