"""``[connections.NAME]`` of coldal.toml: servers that scans go to and drawings come from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

DICOMWEB = "dicomweb"
"""The kind of connection that is an archive of images, not a server of labelers."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LINE = r"^[^\x00-\x1f\x7f]+$"
Word = Annotated[str, Meta(pattern=_LINE, description="one line of text")]


class ConnectionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server of labelers, or an archive of images. Its token is never in this file.

    ``kind``: which connector. ``project``: the project's number there. ``ca``: certificates of a
    private authority. ``folder``, ``document_root``: a folder of this machine that the server
    serves images from, and the server's root above it; without them images are uploaded.
    ``deidentify``: every push is de-identified, with dates removed or shifted; "never": names go
    there. ``query``: which series of an archive, ``Modality=MR``.
    """

    kind: Word
    url: Word
    project: str = ""
    ca: Word | None = None
    folder: Word | None = None
    document_root: Word | None = None
    deidentify: Literal["remove", "shift", "never"] | None = None
    query: Word | None = None


CONNECTIONS_TEMPLATE = """\

#: [connections]             # servers, made by: coldal-tui connect add; their tokens are elsewhere
#: lab = {{ kind = "label-studio", url = "https://labels.example.org", project = "12" }}
"""
