"""Finds what a project would run or access outside itself, and whether the user trusts it.

A project may come from an untrusted source. Its own files are only read as data; this module lists
everything beyond that.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.files import sha256_file
from coldal_tui.project.layout import Layout
from coldal_tui.project.settings.config import BackendSection, Config
from coldal_tui.project.settings.config_hooks import EVENTS
from coldal_tui.project.settings.config_keys import own_command
from coldal_tui.trust_store import TrustStore, not_trusted

READ_AS_DATA = (".onnx", ".safetensors")
"""Endings of weights in which no code runs."""
SHIPPED_BACKENDS = ("local", "slurm", "ray")


@dataclass(frozen=True)
class Reach:
    """One such access: its description, and the content that the user agrees to."""

    what: str
    content: str


def reaches(layout: Layout, config: Config) -> list[Reach]:
    """All that the project would run, or read and write outside itself, in a fixed order."""
    return [
        *_of_backend(config.backend),
        *_of_connections(config),
        *_of_hooks(config),
        *_of_keys(config),
        *_of_weights(layout, config),
        *patients_elsewhere(layout, config),
        *linked_folders(layout),
    ]


def _of_connections(config: Config) -> list[Reach]:
    """Where scans may be sent: an address belongs to the agreement, with all that is said of it."""
    found = []
    for name, one in sorted(config.connections.items()):
        where = f" (project {one.project})" if one.project else ""
        what = f"exchange scans and drawings with {one.url}{where}, by the connector {one.kind!r}"
        content = json.dumps([name, *(getattr(one, key) for key in one.__struct_fields__)])
        found.append(Reach(what, f"connection={content}"))
    return found


def _of_backend(backend: BackendSection) -> list[Reach]:
    """List accesses of every backend section: a waiting job may name any backend."""
    found = []
    if backend.name not in SHIPPED_BACKENDS:
        what = f"run jobs by the plug-in backend {backend.name!r}"
        found.append(Reach(what, f"backend={backend.name}"))
    for line in backend.slurm.setup:
        found.append(Reach(f"run this shell line before every job: {line}", f"setup={line}"))
    for program in (backend.slurm.python, backend.ray.python):
        if program:
            found.append(Reach(f"run jobs by this program: {program}", f"python={program}"))
    for key, value in sorted(backend.slurm.extra.items()):
        found.append(Reach(f"give sbatch the option {key} = {value}", f"extra={key}={value}"))
    if backend.ray.address:
        what = f"send jobs to the cluster at {backend.ray.address}"
        found.append(Reach(what, f"address={backend.ray.address}"))
    return found


def _of_hooks(config: Config) -> list[Reach]:
    """Programs that run when something has happened."""
    found = []
    for event in EVENTS:
        line = getattr(config.hooks, event)
        if line is not None:
            what = f"run this program at {event.replace('_', ' ')}: {line}"
            found.append(Reach(what, f"hook={event}={line}"))
    return found


def _of_keys(config: Config) -> list[Reach]:
    """Programs that run when a person presses a key in the app."""
    found = []
    for name, value in sorted(config.keys.items()):
        command = own_command(value)
        how = " on the terminal" if command.terminal else ""
        what = f"run this program{how} when you press {name}: {command.run}"
        found.append(Reach(what, f"key={name}={command.terminal}={command.run}"))
    return found


def _of_weights(layout: Layout, config: Config) -> list[Reach]:
    section = config.encoder
    if section.name != "file" or not section.weights or section.weights.endswith(READ_AS_DATA):
        return []
    file = Path(layout.root, section.weights)
    try:
        found = file.stat()
        digest = _digest(file, found.st_size, found.st_mtime_ns)
    except OSError:
        # There is nothing to run; the embedding job reports what is missing.
        return []
    return [Reach(f"run the network in {file} (TorchScript is a program)", f"weights={digest}")]


def patients_elsewhere(layout: Layout, config: Config) -> list[Reach]:
    """A table of patients that lies neither in the project nor beside the images."""
    section = config.images
    if not section.patients_csv:
        return []
    real = os.path.realpath(Path(layout.root, section.patients_csv))
    for folder in (layout.root, Path(layout.root, section.dir)):
        if real.startswith(os.path.realpath(folder).rstrip("/") + "/"):
            return []
    return [Reach(f"read the table of patients {real}", f"patients_csv={real}")]


@functools.lru_cache(maxsize=16)
def _digest(file: Path, _size: int, _time: int) -> str:
    """The hash of a file; cached, because every check of waiting jobs needs it."""
    return sha256_file(file)


def linked_folders(layout: Layout) -> list[Reach]:
    """Folders of the project that are links to places outside it."""
    home = os.path.realpath(layout.root).rstrip("/") + "/"
    found = []
    for folder in layout.folders():
        real = os.path.realpath(folder)
        if not real.startswith(home):
            what = f"read and write {real} ({layout.relative(folder)} is a link)"
            found.append(Reach(what, f"link={real}"))
    return found


def digest_of(found: list[Reach]) -> str:
    """The digest that an agreement is bound to: changed content needs a new agreement."""
    return hashlib.sha256(json.dumps([one.content for one in found]).encode()).hexdigest()


def open_questions(layout: Layout, config: Config, store: TrustStore | None = None) -> list[Reach]:
    """The accesses not agreed to yet; empty for a project that this user made by ``init``."""
    store = store or TrustStore()
    if store.is_own(layout.root, config.project.id) and not _others_may_write(layout.config):
        return []
    found = reaches(layout, config)
    if not found:
        return []
    return [] if store.is_trusted(layout.root, digest_of(found)) else found


def _others_may_write(config: Path) -> bool:
    """Whether other users could have written the file."""
    found = config.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o002:
        return True
    return bool(found.st_mode & 0o020) and not _private_group(found.st_gid)


def _private_group(gid: int) -> bool:
    """Whether the group has only this user, as the private groups of most systems do."""
    import grp
    import pwd

    try:
        person, group = pwd.getpwuid(os.getuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == person.pw_gid and set(group.gr_mem) <= {person.pw_name}


def require_trust(layout: Layout, config: Config, store: TrustStore | None = None) -> None:
    """ColdalError (code ``not-trusted``) when the project needs an agreement that is missing."""
    found = open_questions(layout, config, store)
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        command = f"coldal-tui trust {shlex.quote(str(layout.root))}"
        raise not_trusted(f"{found[0].what}{more}", layout.root, command)


def agree(layout: Layout, config: Config, store: TrustStore | None = None) -> list[Reach]:
    """Trust the project as it is now; return what was agreed to."""
    found = reaches(layout, config)
    (store or TrustStore()).agree(layout.root, digest_of(found))
    return found
