"""Extracts the searchable content of an exported file: bytes, compressed parts and texts."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from coldal_tui.imaging.dicom.attributes import quiet_pydicom
from coldal_tui.imaging.recognise import is_dicom

_PNG = b"\x89PNG\r\n\x1a\n"
_DEEPEST = 4
_NIFTI_HEADER = 1 << 16
_NUMBERS = frozenset({"counts", "rle", "points", "left", "top", "width", "height", "id", "z_order"})
"""Keys and attributes whose values are numbers or encoded pixels."""
_NUMBER_COLUMNS = frozenset({"rank", "shape", "spacing", "cluster", "score", "round"})
_TEXT_VRS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE")
_PATIENT_GROUP = 0x0010


@dataclass(frozen=True)
class Layer:
    """A part of a file's content, raw or decompressed; ``where`` names the part.

    ``texts`` are the words that a person or a program wrote into it. ``values`` are whole values
    of attributes that identify a patient.
    """

    where: str
    data: bytes
    texts: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def layers(path: Path) -> Iterator[Layer]:
    """A file's bytes and its inner content: gzip, zip, PNG text chunks, DICOM attributes."""
    yield from _layers(path.read_bytes(), path.name, "", 0)


def _layers(data: bytes, name: str, where: str, depth: int) -> Iterator[Layer]:
    values: tuple[str, ...] = ()
    if is_dicom(data[:4096]):
        texts, values, inflated = _dicom(data)
        if inflated is not None:
            yield Layer(f"{where}inflated ", inflated)
    else:
        texts = _texts(data, name)
    yield Layer(where, data, texts, values)
    if depth >= _DEEPEST:
        return
    for inner, inner_name, inner_where in _unpacked(data, name):
        yield from _layers(inner, inner_name, f"{where}{inner_where} ", depth + 1)


def _unpacked(data: bytes, name: str) -> Iterator[tuple[bytes, str, str]]:
    """The decompressed content of the bytes: (bytes, name, where)."""
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data), name.removesuffix(".gz"), "unpacked"
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield member.encode(), "names.txt", "names in the archive"
                yield archive.read(member), member, member
            yield archive.comment, "comment.txt", "comment of the archive"
    elif data[:8] == _PNG:
        yield from _png_texts(data)


def _png_texts(data: bytes) -> Iterator[tuple[bytes, str, str]]:
    """The text chunks of a PNG, inflated (PNG specification, section 11.3.3)."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"):
            yield _chunk_text(kind, content), "chunk.txt", kind.decode()
        at += length + 12


def _chunk_text(kind: bytes, content: bytes) -> bytes:
    keyword, _, rest = content.partition(b"\0")
    if kind == b"zTXt":
        return keyword + b" " + zlib.decompress(rest[1:])
    if kind == b"iTXt":
        packed = rest[:1] == b"\1"
        language, _, rest = rest[2:].partition(b"\0")
        translated, _, text = rest.partition(b"\0")
        text = zlib.decompress(text) if packed else text
        return b" ".join((keyword, language, translated, text))
    return content


def _texts(data: bytes, name: str) -> tuple[str, ...]:
    ending = name.lower().rpartition(".")[2]
    if ending == "json":
        return tuple(_json_strings(json.loads(data)))
    if ending == "xml" and b"<!" not in data:
        return tuple(_xml_strings(ElementTree.fromstring(data)))  # nosec B314
    if ending == "csv":
        return tuple(_csv_cells(data.decode("utf-8", "replace")))
    if ending in ("md", "txt", "py", "toml", "yaml", "yml", "html", "xml"):
        return (data.decode("utf-8", "replace"),)
    if data[:4] == b"NRRD":
        return (data.partition(b"\n\n")[0].decode("utf-8", "replace"),)
    if len(data) > 348 and data[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0"):
        return (_nifti_head(data).decode("latin-1"),)
    return ()


def _nifti_head(data: bytes) -> bytes:
    """The header and its extensions: everything before the voxels (nifti1.h, nifti2.h)."""
    second = data[:4] == b"\x1c\x02\0\0"
    order = ">" if data[:2] == b"\0\0" else "<"
    if second:
        offset = struct.unpack_from("<q", data, 168)[0]
    else:
        offset = int(struct.unpack_from(f"{order}f", data, 108)[0])
    return data[: min(max(offset, 352), len(data), _NIFTI_HEADER)]


def _json_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            if key not in _NUMBERS:
                yield from _json_strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _json_strings(inner)


def _xml_strings(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.tag
        yield from (text for text in (element.text, element.tail) if text and text.strip())
        yield from (value for key, value in element.attrib.items() if key not in _NUMBERS)


def _csv_cells(text: str) -> Iterator[str]:
    for row in csv.DictReader(io.StringIO(text)):
        for column, cell in row.items():
            if isinstance(cell, str) and column not in _NUMBER_COLUMNS:
                yield cell


def _dicom(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...], bytes | None]:
    """Texts of all attributes, values of those about the patient, and the inflated data set."""
    pydicom = quiet_pydicom()
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    inflated = None
    if str(dataset.file_meta.get("TransferSyntaxUID")) == "1.2.840.10008.1.2.1.99":
        inflated = _inflated(data)
    texts: list[str] = []
    values: list[str] = []
    for part in (dataset.file_meta, dataset):
        _attributes(part, texts, values)
    return tuple(texts), tuple(values), inflated


def _attributes(dataset: Any, texts: list[str], values: list[str]) -> None:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _attributes(item, texts, values)
        elif element.VR in _TEXT_VRS and element.value:
            parts = [element.value]
            if element.VR != "PN" and not isinstance(element.value, str):
                parts = list(element.value)
            texts += [str(part) for part in parts]
            if element.tag.group == _PATIENT_GROUP or element.VR == "PN":
                values += [str(part).strip() for part in parts]


def _inflated(data: bytes) -> bytes:
    """The inflated data set; only the file meta information before it is plain (PS3.5 A.5)."""
    length = struct.unpack_from("<I", data, 140)[0]
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[144 + length :])
