"""DICOMweb: which series an archive has (QIDO-RS), their files (WADO-RS), and new ones (STOW-RS).

Source: DICOM PS3.18 10.4 (Retrieve), 10.5 (Store), 10.6 (Search). Seen with Orthanc 1.10 and its
DICOMweb plug-in 1.7.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from coldal_tui.connectors import Address, Person
from coldal_tui.connectors.web import Answer, Web, not_json, read_json_answer
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.visible import counted

_PAGE = 200
_STUDY, _SERIES = "0020000D", "0020000E"
_PATIENT, _DATE, _DESCRIPTION = "00100020", "00080020", "0008103E"
_MODALITY, _COUNT = "00080060", "00201209"
_ASKED = (_PATIENT, _DATE, _DESCRIPTION, _MODALITY, _COUNT)
_FAILED, _REFERENCED_UID, _REASON = "00081198", "00081155", "00081197"
_NO_IMAGES = frozenset({"SEG", "SR", "RTSTRUCT", "RTDOSE", "RTPLAN", "KO", "PR", "REG", "DOC"})
_UID = re.compile(r"[0-9.]{1,64}")
_MAGIC_AT = 128


@dataclass(frozen=True)
class Series:
    """A series of an archive, as far as the archive tells; ``instances`` is 0 where it does not."""

    study: str
    uid: str
    patient: str = ""
    date: str = ""
    description: str = ""
    modality: str = ""
    instances: int = 0


def connect_dicomweb(address: Address) -> DicomWeb:
    """The connection to a DICOMweb service. Asks nothing yet."""
    return DicomWeb(address, Web(address.url, ca=address.ca))


def parse_query(text: str) -> dict[str, str]:
    """``Modality=MR&PatientID=7`` as QIDO-RS takes it.

    Raises
    ------
    UsageError : it has no such form.
    """
    try:
        found = dict(parse_qsl(text, strict_parsing=True)) if text else {}
    except ValueError as error:
        raise UsageError(
            "no query of an archive", where=text, remedy="write Modality=MR&StudyDate=20260101-"
        ) from error
    if {"limit", "offset", "includefield"} & {key.lower() for key in found}:
        raise UsageError("limit, offset and includefield are set by themselves", where=text)
    return found


class DicomWeb:
    """One archive. ``token`` is ``user:password``, or a token for ``Bearer``; empty: none."""

    def __init__(self, address: Address, web: Web) -> None:
        self._address = address
        self._web = web

    @property
    def requests(self) -> int:
        return self._web.requests

    def check(self) -> str:
        """Enter the archive."""
        found = self._search({}, 0, 1)
        return f"a DICOMweb archive with {'images' if found else 'no series that can be seen'}"

    def people(self) -> tuple[Person, ...]:
        """An archive has no labelers."""
        return ()

    def series(self, query: Mapping[str, str]) -> Iterator[Series]:
        """Every series that fits and may hold images, each once."""
        seen: set[str] = set()
        offset = 0
        while some := self._search(query, offset, _PAGE):
            fresh = [one for one in some if _value(one, _SERIES) not in seen]
            for one in fresh:
                seen.add(_value(one, _SERIES))
                found = _series(one)
                if found is not None and found.modality not in _NO_IMAGES:
                    yield found
            # A server that knows no offset would send the first page for ever.
            if not fresh or len(some) < _PAGE:
                return
            offset += len(some)

    def fetch(self, series: Series) -> list[bytes]:
        """The files of a series, as they are stored.

        Raises
        ------
        ColdalError : also for an answer that holds something else (code ``server-garbage``).
        """
        path = f"/studies/{quote(series.study)}/series/{quote(series.uid)}"
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        answer = self._ask("GET", path, accept)
        files = parts_of(answer)
        if not files or not all(one[_MAGIC_AT : _MAGIC_AT + 4] == b"DICM" for one in files):
            raise not_json(answer.body, self._address.url)
        return files

    def store(self, study: str, files: Sequence[bytes]) -> dict[str, str]:
        """Store files in a study; the instances that the archive did not take, with its reasons."""
        boundary = f"coldal-{secrets.token_hex(16)}"
        parts = []
        for one in files:
            parts += [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(), one]
            parts.append(b"\r\n")
        parts.append(f"--{boundary}--\r\n".encode())
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        # The same instance stored twice is one.
        answer = self._ask(
            "POST",
            f"/studies/{quote(study)}",
            "application/dicom+json",
            body=b"".join(parts),
            kind=kind,
            again=True,
        )
        found = read_json_answer(answer, self._address.url)
        report = found[0] if isinstance(found, list) and found else found
        if not isinstance(report, dict):
            raise not_json(answer.body, self._address.url)
        failed = report.get(_FAILED)
        items = failed.get("Value") if isinstance(failed, dict) else None
        return {
            _value(one, _REFERENCED_UID): f"failure reason {_value(one, _REASON) or 'unknown'}"
            for one in (items or [])
            if isinstance(one, dict)
        }

    def _search(self, query: Mapping[str, str], offset: int, limit: int) -> list[dict[str, Any]]:
        asked: dict[str, str | Sequence[str]] = {
            **query,
            "includefield": list(_ASKED),
            "limit": str(limit),
            "offset": str(offset),
        }
        answer = self._ask("GET", "/series", "application/dicom+json", query=asked)
        if answer.status == 204 or not answer.body:
            return []
        found = read_json_answer(answer, self._address.url)
        if not isinstance(found, list):
            raise not_json(answer.body, self._address.url)
        return [one for one in found if isinstance(one, dict)]

    def _ask(
        self,
        method: str,
        path: str,
        accept: str,
        *,
        query: Mapping[str, str | Sequence[str]] | None = None,
        body: bytes | None = None,
        kind: str = "",
        again: bool | None = None,
    ) -> Answer:
        headers = {"Accept": accept}
        if kind:
            headers["Content-Type"] = kind
        token = self._address.token
        if ":" in token:
            headers["Authorization"] = f"Basic {base64.b64encode(token.encode()).decode()}"
        elif token:
            headers["Authorization"] = f"Bearer {token}"
        headed: Callable[[], Mapping[str, str]] = lambda: headers  # noqa: E731
        return self._web.ask(method, path, query=query, headers=headed, body=body, again=again)


def parts_of(answer: Answer) -> list[bytes]:
    """The parts of a ``multipart/related`` answer (RFC 2387), as bytes; empty for anything else."""
    kind = next((v for k, v in answer.headers.items() if k.lower() == "content-type"), "")
    said = re.search(r'boundary="?([^";,]+)"?', kind)
    if not kind.lower().startswith("multipart/related") or said is None:
        return []
    mark = b"\r\n--" + said[1].strip().encode()
    found = []
    # The first boundary may stand at the very beginning, without a line before it.
    for piece in (b"\r\n" + answer.body).split(mark)[1:]:
        if piece.startswith(b"--"):
            break
        head, gap, content = piece.partition(b"\r\n\r\n")
        if gap:
            found.append(content)
        del head
    return found


def _series(one: Mapping[str, Any]) -> Series | None:
    study, uid = _value(one, _STUDY), _value(one, _SERIES)
    if not _UID.fullmatch(study) or not _UID.fullmatch(uid):
        return None
    count = _value(one, _COUNT)
    return Series(
        study,
        uid,
        _value(one, _PATIENT),
        _value(one, _DATE),
        _value(one, _DESCRIPTION),
        _value(one, _MODALITY).upper(),
        int(count) if count.isdigit() else 0,
    )


def _value(one: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON (PS3.18 F.2), as text; empty without one."""
    held = one.get(tag)
    values = held.get("Value") if isinstance(held, dict) else None
    first = values[0] if isinstance(values, list) and values else None
    return str(first) if isinstance(first, (str, int, float)) else ""


def failures(refused: Mapping[str, str], where: str) -> ColdalError:
    """The error of an archive that did not take everything."""
    uid, why = next(iter(refused.items()))
    return ColdalError(
        f"the archive did not take {counted(len(refused), 'object')}: {uid}: {why}",
        where=where,
        remedy="look at the archive's own log; what it took is noted, and the same command sends "
        "the rest",
        code="store-failed",
    )
