"""Encoder weights on this machine: where they are stored, and how they are installed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from coldal_tui.encoders.catalogue import OWN_FILE, EncoderInfo
from coldal_tui.encoders.download import Progress, fetch
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.extras import install
from coldal_tui.files import atomic_write, disk_error, not_json, sha256_file

RECEIPT = "installed.json"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Installed(msgspec.Struct, frozen=True):
    """One encoder's weights as they were put here; ``source`` is a file or an address.

    ``checked``: the hash was known beforehand, from the catalogue, the hub or the user. Otherwise
    it is what came, and the project that uses it pins that.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    source: str
    installed_at: str
    checked: bool = False


def encoders_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where weights lie for all projects of a person.

    ``$COLDAL_ENCODERS``, else ``coldal-tui/encoders`` below ``$XDG_DATA_HOME`` or
    ``~/.local/share``. A group may share one folder; nothing in it changes once it is there.
    """
    named = environ.get("COLDAL_ENCODERS")
    if named:
        return Path(named).absolute()
    base = environ.get("XDG_DATA_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return home / "coldal-tui" / "encoders"


def installed(info: EncoderInfo, folder: Path) -> Installed | None:
    """The installed weights of an encoder; None when they are missing or incomplete.

    Size and receipt are compared; the hash is checked when the weights are loaded.
    """
    try:
        found = msgspec.json.decode((folder / info.name / RECEIPT).read_bytes(), type=Installed)
        whole = (folder / info.name / found.file).stat().st_size == found.bytes
    except not_json(OSError):
        return None
    return found if whole else None


def checked_weights(info: EncoderInfo, folder: Path) -> Path | None:
    """The installed weights, once more compared with the hash that they were installed with.

    Raises ColdalError (``weights-hash``) where they are not what came.
    """
    found = installed(info, folder)
    if found is None:
        return None
    path = folder / info.name / found.file
    if sha256_file(path) != found.sha256:
        raise ColdalError(
            "these weights have changed since they were installed",
            where=str(path),
            remedy=f"install them again: coldal-tui encoder install {info.name}",
            code="weights-hash",
        )
    return path


def install_from_file(
    info: EncoderInfo, source: Path, folder: Path, sha256: str | None = None
) -> Installed:
    """Copy a weights file to the encoders' folder, completely or not at all.

    Raises
    ------
    UsageError : an encoder that has no weights to install, no such file, a malformed hash.
    ColdalError : the file has another hash than it should (``weights-hash``), or ``disk``.
    """
    wanted = _wanted(info, sha256)
    if not source.is_file():
        raise UsageError("no such file", where=str(source), remedy="check --from")
    digest = sha256_file(source)
    if wanted is not None and digest != wanted:
        raise ColdalError(
            f"the file has SHA-256 {digest}, expected {wanted}",
            where=str(source),
            remedy="name the file that was published for this encoder",
            code="weights-hash",
        )
    name = info.hub_file if source.name == RECEIPT else source.name
    target = folder / info.name / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, target.parent) from error
    with source.open("rb") as stream:
        atomic_write(target, lambda out: shutil.copyfileobj(stream, out, 1 << 20))
    if sha256_file(target) != digest:
        target.unlink()
        raise ColdalError(
            "the file changed while it was copied",
            where=str(source),
            remedy="wait until it is wholly there, then install it again",
            code="weights-hash",
        )
    return _keep(info, folder, target, digest, str(source.absolute()), wanted is not None)


def install_from_url(
    info: EncoderInfo,
    url: str,
    folder: Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Installed:
    """Fetch an encoder's weights (see ``fetch``) and keep them where encoders lie."""
    wanted = _wanted(info, sha256)
    target = folder / info.name / info.hub_file
    fetched = fetch(url, target, sha256=wanted, progress=progress, secrets=secrets or {})
    # What follows the question mark may be a signature.
    address = url.split("?")[0]
    return _keep(info, folder, fetched.path, fetched.sha256, address, wanted is not None)


class OnHub(msgspec.Struct, frozen=True):
    """An encoder's file on the hub: its address, the SHA-256 that the hub states, and the headers
    with a person's token, which are for that address alone."""

    url: str
    sha256: str | None
    secrets: dict[str, str] = {}


def hub_file(info: EncoderInfo) -> OnHub:
    """Where an encoder's file is on the Hugging Face hub.

    The library huggingface_hub knows the hub's address, follows ``HF_ENDPOINT`` to a mirror, and
    finds the token of ``HF_TOKEN`` or of its own login, which repositories with terms ask for.

    Raises
    ------
    ColdalError : the library is not installed (``no-hub``), or the hub does not answer
        (``download``).
    """
    if not info.hub:
        raise UsageError("this encoder is on no hub", where=info.name, remedy=f"{info.get}")
    try:
        from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
    except ImportError as error:
        raise ColdalError(
            "huggingface_hub is not installed, so the hub can't be asked",
            where=info.name,
            remedy=f"{install('encoders')}, or bring the file yourself: "
            f"coldal-tui encoder install {info.name} --from FILE",
            code="no-hub",
        ) from error
    url = hf_hub_url(info.hub, info.hub_file)
    token = get_token()
    try:
        etag = get_hf_file_metadata(url, token=token or False).etag or ""
    except Exception as error:
        # Its own errors, those of its HTTP library, and offline mode: all mean that nothing came.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ColdalError(
            f"the hub does not answer ({reason})",
            where=info.hub,
            remedy="check the connection, or bring the file yourself: "
            f"coldal-tui encoder install {info.name} --from FILE",
            code="download",
        ) from error
    secrets = {"Authorization": f"Bearer {token}"} if token else {}
    return OnHub(url, etag.lower() if _SHA256.fullmatch(etag) else None, secrets)


def _wanted(info: EncoderInfo, sha256: str | None) -> str | None:
    if not info.needs_file:
        raise UsageError(
            "this encoder comes with coldal-tui"
            if info.family != "plug-in"
            else "this encoder comes with its package",
            where=info.name,
            remedy=f"use it: coldal-tui encoder use {info.name}",
        )
    if info.name == OWN_FILE.name:
        raise UsageError(
            "a model of yours is used from where it lies",
            where=info.name,
            remedy="coldal-tui encoder use file --weights FILE --size PIXELS",
        )
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise UsageError(
            "this is no SHA-256", where=sha256, remedy="give its 64 hexadecimal digits"
        )
    return (sha256 or info.sha256 or "").lower() or None


def _keep(
    info: EncoderInfo, folder: Path, path: Path, digest: str, source: str, checked: bool
) -> Installed:
    """The receipt is written last: without it nothing is installed."""
    found = Installed(
        info.name,
        path.name,
        digest,
        path.stat().st_size,
        source,
        datetime.now(UTC).isoformat(timespec="seconds"),
        checked,
    )
    content = msgspec.json.format(msgspec.json.encode(found))
    atomic_write(folder / info.name / RECEIPT, lambda stream: stream.write(content))
    return found
