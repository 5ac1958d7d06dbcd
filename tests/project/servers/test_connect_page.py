"""docs/connect.md, from nothing to the first mask back: every command is run as it stands there."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from tests.cli.conftest import call
from tests.project.servers.test_label_studio import BOX, label_of
from tests.project.servers.test_monai_label import INFO, png
from tests.project.servers.test_orthanc import stored
from tests.support.cvat import Cvat
from tests.support.label_studio import ANA, brush
from tests.support.orthanc import orthanc
from tests.support.places import ROOT
from tests.support.played_server import played

PAGE = (ROOT / "docs" / "connect.md").read_text("utf-8")
FENCED = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(coldal-tui [^`\n]+)`")


def commands(title):
    """The commands of a section in their order, without its sub-sections."""
    (section,) = re.findall(rf"^## {title}.*?\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    found = [(one.start(), line) for one in FENCED.finditer(section) for line in one[1].split("\n")]
    plain = FENCED.sub(lambda one: " " * len(one[0]), section)
    found += [(one.start(), one[1]) for one in INLINE.finditer(plain)]
    lines = (line.partition(" #")[0].strip() for _, line in sorted(found, key=lambda one: one[0]))
    return [shlex.split(line)[1:] for line in lines if line.startswith("coldal-tui ")]


def run(call, cwd, words, changed):
    """Run a command with the test's own addresses; a watch is one pull."""
    words = [changed.get(word, word) for word in words if word != "--watch"]
    found = call(*words, cwd=cwd)
    assert found.status == 0, f"{words}: {found.err}"
    if words[:2] == ["connect", "add"]:
        # The project is a copy: nobody has agreed to its connections yet.
        assert call("trust", "--yes", cwd=cwd).status == 0
    return found.out + found.err


@pytest.mark.e2e
@pytest.mark.xdist_group("label-studio")
def test_label_studio(queued, label_studio, call, monkeypatch):
    monkeypatch.setenv("COLDAL_TOKEN_LAB", label_studio.tokens[ANA])
    number = label_studio.project()
    changed = {"https://labels.example.org": label_studio.url, "12": number}
    done = []
    for words in commands("Label Studio"):
        if words[0] == "next":
            continue  # it trains: that is tested elsewhere
        if words[0] == "pull":
            for task in label_studio.tasks(number):
                label_studio.draw(ANA, task["id"], brush(BOX))
        run(call, queued, words, changed)
        done.append(words[0])
    assert done == ["connect", "connect", "push", "push", "pull", "status"]
    np.testing.assert_array_equal(label_of(queued, "scan_2") == 1, BOX)


def test_monai_label(queued, datastore, call, monkeypatch):
    monkeypatch.delenv("COLDAL_TOKEN_SLICER", raising=False)
    by_folder = datastore.url.startswith("file:")
    changed = {"http://localhost:8000": datastore.url, "/srv/studies": str(datastore.folder)}
    adds = [words for words in commands("MONAI Label") if words[:2] == ["connect", "add"]]
    assert len(adds) == 2  # by its server, or by its folder
    for words in commands("MONAI Label"):
        if words in adds and words != adds[by_folder]:
            continue
        if words[0] == "pull":
            for name in datastore.objects():
                datastore.submit(name, png(BOX.astype(np.uint8)), ".png", **INFO)
        run(call, queued, words, changed)
    np.testing.assert_array_equal(label_of(queued, "scan_2") == 1, BOX)


def test_cvat(queued, call, monkeypatch):
    masks = pytest.importorskip("cvat_sdk.masks", reason="CVAT's SDK is not installed: make extras")
    monkeypatch.setenv("COLDAL_TOKEN_CVAT", "an-access-token")
    cvat = Cvat()
    with played(cvat.play) as server:
        for words in commands("CVAT"):
            if words[0] == "pull":
                points = [float(one) for one in masks.encode_mask(BOX)]
                shape = {"type": "mask", "label_id": cvat.labels[0]["id"], "frame": 0}
                for job in list(cvat.jobs):
                    cvat.draw(job, {**shape, "points": points})
            said = run(call, queued, words, {"https://cvat.example.org": server.url})
            if words[:2] == ["connect", "test"]:
                assert "experimental" in said
    np.testing.assert_array_equal(label_of(queued, "scan_2") == 1, BOX)


@pytest.mark.xdist_group("orthanc")
def test_an_archive(stored, tmp_path, call):
    address = stored.url.replace("http://", "dicomweb://")
    asked = "dicomweb://pacs.example.org/dicom-web?Modality=CT"
    for words in commands("An archive"):
        said = run(call, tmp_path, words, {asked: f"{address}?Modality=CT"})
        if words[0] == "init":
            assert "1 series read" in said
    assert "stored 0 labels" in said


__all__ = ["call", "orthanc", "stored"]
