"""Parses XML without declarations: documents, and class names in headers (Caret, MITK)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

_MOST_TEXT = 1 << 22
_DECLARATIONS = ("<!DOCTYPE", "<!ENTITY")


def caret_labels(extensions: Iterable[bytes]) -> dict[int, str] | None:
    """Value to name from the label table in a NIfTI's extensions (TotalSegmentator, CIFTI tools).

    ``<LabelTable><Label Key="5" …>liver</Label>…``; None where there is none.
    """
    for content in extensions:
        start, end = content.find(b"<LabelTable"), content.find(b"</LabelTable>")
        if start < 0 or end < start:
            continue
        root = parsed_xml(content[start : end + len(b"</LabelTable>")].decode("utf-8", "replace"))
        found = {
            value: (label.text or "").strip()
            for label in (root.iter("Label") if root is not None else ())
            if (value := _whole(label.get("Key"))) is not None
        }
        names = {value: name for value, name in found.items() if name and name != "???"}
        if names:
            return names
    return None


def mitk_label(text: str) -> tuple[int, str] | None:
    """Value and name of one label in the form that MITK wrote until 2022.

    ``<Label><property key="name" …><string value="liver"/></property>…``; None for other XML.
    """
    root = parsed_xml(text[text.find("<Label") :] if "<Label" in text else "")
    if root is None:
        return None
    fields = {
        one.get("key"): child.get("value")
        for one in root.iter("property")
        for child in list(one)[:1]
    }
    value = _whole(fields.get("value"))
    name = (fields.get("name") or "").strip()
    return (value, name) if value is not None and name else None


def parsed_xml(text: str) -> Any:
    """The root of an XML text; None where it is damaged, too long, or declares entities."""
    if not text or len(text) > _MOST_TEXT or any(word in text for word in _DECLARATIONS):
        return None
    try:
        return ElementTree.fromstring(text)  # nosec B314
    except ElementTree.ParseError:
        return None


def _whole(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
