"""Images from a DICOMweb archive: read once into the project's images folder; labels back to it.

The folder is a bounded copy: scans stay readable when the archive is away.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.connectors import Address
from coldal_tui.connectors.dicomweb import (
    DicomWeb,
    Series,
    connect_dicomweb,
    failures,
    parse_query,
)
from coldal_tui.connectors.tokens import find_token
from coldal_tui.connectors.web import check_url, is_loopback
from coldal_tui.errors import ColdalError
from coldal_tui.exchange.exporters.dicom_seg import in_frames, seg_source
from coldal_tui.exchange.exporters.seg_object import segmentation_bytes
from coldal_tui.files import disk_error, make_folder
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.imaging.readers.limits import decoding
from coldal_tui.project.labels.files import checked_label
from coldal_tui.project.project import Project
from coldal_tui.project.scans.new_ids import safe_name
from coldal_tui.project.servers.connections import DICOMWEB, entered_archive
from coldal_tui.project.settings.config_connections import ConnectionSection

Progress = Callable[[int, int, str], None]

MOST_BYTES = 100 << 30
_ROOM = 1 << 30
"""Bytes that are left free on the disk."""
_LABELS_ROUND = -1
"""The round of rows that note a stored label; queued scans have rounds from 0."""


ARCHIVE = "archive"
"""The name of the connection to the archive that a project's images come from."""
_SCHEME = "dicomweb://"


def parse_archive(said: str) -> ConnectionSection | None:
    """``dicomweb://server/path?query`` as a connection; None for anything else.

    https, and http to this machine. Raises UsageError for a bad address or query.
    """
    if not said.startswith(_SCHEME):
        return None
    rest, _, query = said.removeprefix(_SCHEME).partition("?")
    plain = is_loopback(f"http://{rest}")
    url = check_url(f"{'http' if plain else 'https'}://{rest.rstrip('/')}")
    parse_query(query)
    return ConnectionSection(kind=DICOMWEB, url=url, query=query or None)


def first_fetch(root: Path, section: ConnectionSection, *, progress: Progress) -> FetchReport:
    """Read an archive's images into the folder of a project that is about to be made."""
    address = Address(ARCHIVE, section.url, token=find_token(ARCHIVE, section.url))
    images = root / "images"
    try:
        make_folder(images)
    except OSError as error:
        raise disk_error(error, images) from error
    return fetch_series(connect_dicomweb(address), images, section.query or "", progress=progress)


@dataclass(frozen=True)
class FetchReport:
    """What was read from an archive. ``left_out``: series that no room was left for.

    ``refused``: series that could not be read, each with the reason; ``away``: why the archive was
    not asked to the end.
    """

    new: int = 0
    there: int = 0
    left_out: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    away: ColdalError | None = None


def fetch_series(
    archive: DicomWeb,
    folder: Path,
    query: str = "",
    *,
    progress: Progress,
    most_bytes: int = MOST_BYTES,
) -> FetchReport:
    """Read every series that is not in ``folder`` yet, each whole or not at all.

    A series lies in ``PATIENT/DATE-DESCRIPTION-DIGITS/0001.dcm``, …, so that scans are named for
    people; one that has more instances now is read anew.

    Raises
    ------
    ColdalError : the archive can't be reached or refuses; what was read stays.
    """
    found = list(archive.series(parse_query(query)))
    used = sum(path.stat().st_size for path in folder.rglob("*.dcm")) if folder.is_dir() else 0
    new = there = left_out = 0
    refused: list[tuple[str, str]] = []
    for number, series in enumerate(found, start=1):
        place = folder / place_of(series)
        held = len(list(place.glob("*.dcm"))) if place.is_dir() else 0
        if held and (not series.instances or held >= series.instances):
            there += 1
        elif used >= most_bytes or shutil.disk_usage(_existing(folder)).free < _ROOM:
            left_out += 1
        else:
            try:
                files = archive.fetch(series)
            except ColdalError as error:
                if error.code not in ("server-garbage", "server-missing", "server-refused"):
                    raise
                refused.append((str(place.relative_to(folder)), error.what))
            else:
                _put(place, files)
                used += sum(map(len, files))
                new += 1
        progress(number, len(found), series.description or series.uid)
    return FetchReport(new, there, left_out, tuple(refused))


def place_of(series: Series) -> Path:
    """The folder of a series below the images."""
    digits = hashlib.sha256(series.uid.encode()).hexdigest()[:6]
    words = [series.date, series.description or series.modality, digits]
    name = "-".join(safe_name(word) for word in words if word)
    return Path(safe_name(series.patient or "unknown")) / name


def refresh_images(project: Project, *, progress: Progress) -> FetchReport | None:
    """Look for new series in the project's archive; None for a project without one.

    An archive that is away is told in the report: the scans that were read stay.
    """
    names = [n for n, one in project.config.connections.items() if one.kind == DICOMWEB]
    if not names or not project.images.is_relative_to(project.root):
        return None
    name = names[0]
    query = project.config.connections[name].query or ""
    try:
        with entered_archive(project, name) as archive:
            return fetch_series(archive, project.images, query, progress=progress)
    except ColdalError as error:
        if error.code in ("connection", "server", "server-busy"):
            return FetchReport(away=error)
        raise


@dataclass(frozen=True)
class StoreReport:
    """Labels that went to an archive as DICOM segmentations.

    ``empty`` show nothing, and ``no_dicom`` are of scans that are no DICOM: neither can be stored.
    """

    connection: str
    stored: tuple[str, ...] = ()
    before: int = 0
    empty: tuple[str, ...] = ()
    no_dicom: tuple[str, ...] = ()
    requests: int = 0


def store_labels(project: Project, name: str, *, progress: Progress) -> StoreReport:
    """Store every accepted label that the archive does not have in this version.

    Raises
    ------
    ColdalError : the archive can't be reached, or did not take all (code ``store-failed``); what
        it took is noted.
    """
    rows = project.store.rows("SELECT * FROM labels WHERE state = 'active' ORDER BY scan_id")
    query = "SELECT scan_id, state FROM server_items WHERE connection = ? AND round = ?"
    known = {
        row["scan_id"]: row["state"] for row in project.store.rows(query, (name, _LABELS_ROUND))
    }
    stored, empty, no_dicom, before = [], [], [], 0
    refused: dict[str, str] = {}
    with entered_archive(project, name) as archive:
        for number, row in enumerate(rows, start=1):
            scan = project.scan(row["scan_id"])
            if scan.kind != "dicom":
                no_dicom.append(scan.scan_id)
            elif known.get(scan.scan_id) == row["sha256"]:
                before += 1
            else:
                label = read_label(checked_label(project, row))
                files = [Path(file) for file in scan.ref(project.images).files]
                source = seg_source(files, scan.header())
                made = segmentation_bytes(
                    in_frames(label),
                    source,
                    project.config.classes.names,
                    row["created_at"],
                    "coldal-tui",
                    accepted=True,
                )
                if made is None:
                    empty.append(scan.scan_id)
                    continue
                failed = archive.store(str(source.dataset.StudyInstanceUID), [made])
                if failed:
                    refused |= {scan.scan_id: next(iter(failed.values()))}
                    continue
                stored.append(scan.scan_id)
                project.store.replace(
                    "server_items",
                    connection=name,
                    scan_id=scan.scan_id,
                    round=_LABELS_ROUND,
                    tasks=[],
                    state=row["sha256"],
                    pushed_at=project.store.now(),
                )
            progress(number, len(rows), scan.scan_id)
        requests = archive.requests
    if refused:
        raise failures(refused, name)
    return StoreReport(name, tuple(stored), before, tuple(empty), tuple(no_dicom), requests)


def _put(place: Path, files: list[bytes]) -> None:
    """Write a series beside its place, then put it there at once."""
    beside = place.with_name(f".{place.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        make_folder(beside)
        order = sorted(files, key=_instance_number)
        for number, content in enumerate(order, start=1):
            (beside / f"{number:04d}.dcm").write_bytes(content)
        if place.exists():
            shutil.rmtree(place)
        beside.rename(place)
    except OSError as error:
        raise disk_error(error, place) from error


def _instance_number(content: bytes) -> tuple[int, str]:
    """Where a file stands in its series, by what its header says."""
    import io

    from pydicom import dcmread

    with decoding(Path("instance.dcm")):
        found = dcmread(
            io.BytesIO(content),
            specific_tags=["InstanceNumber", "SOPInstanceUID"],
            stop_before_pixels=True,
        )
    number = str(found.get("InstanceNumber") or "")
    return (int(number) if number.isdigit() else 0), str(found.get("SOPInstanceUID"))


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())
