"""The exports that other programs have read: the same bytes, whoever makes them."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from coldal_tui.exchange.exporters import exporter, seg_object
from tests.support import labelled_scans as scans
from tests.support.telling_dicom import telling_file

READ = {
    "slicer": "prelabels/brain.seg.nrrd",
    "dicom-seg": "prelabels/ct.seg.dcm",
    "monai-label": "datastore_v2.json",
    "coco": "annotations/instances_default.json",
    "cvat": "annotations.xml",
    "label-studio": "tasks.json",
}
"""What other programs read of each format."""


def write_exports(folder: Path) -> None:
    """``folder/FORMAT/`` for every format, and ``contents.json`` with what its files say."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    # The version of the program is no part of what is read.
    seg_object.__version__ = "0"
    volume, picture, series = (
        scans.volume(sources),
        scans.picture(sources),
        scans.ct_series(sources),
    )
    telling_file(sources)
    contents = {}
    for name, file in READ.items():
        items = {"slicer": [volume], "dicom-seg": [series]}.get(name, [volume, picture])
        out = exporter(name)(folder / name, items, scans.META).folder
        contents[name] = content_digest(out / file)
    (folder / "contents.json").write_text(json.dumps(contents, indent=1) + "\n")


def content_digest(path: Path) -> str:
    """SHA-256 of what a file says: packed parts unpacked, for packers differ."""
    data = path.read_bytes()
    if path.name.endswith(".seg.nrrd"):
        head, _, packed = data.partition(b"\n\n")
        data = head + gzip.decompress(packed)
    if path.name == "datastore_v2.json":
        document = json.loads(data)
        for entry in document["objects"].values():
            for label in entry["labels"].values():
                label["info"].pop("checksum")
        data = json.dumps(document, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()
