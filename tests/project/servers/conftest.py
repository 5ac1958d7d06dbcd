"""Small projects with a connection to a Label Studio project."""

from __future__ import annotations

from functools import partial

import nibabel as nib
import numpy as np
import pytest

import coldal_tui.connectors.label_studio as module
from coldal_tui.connectors.web import Web
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.servers.connections import add_connection, entered, remove_connection
from coldal_tui.project.servers.pulling import pull
from coldal_tui.project.servers.pushing import push
from coldal_tui.project.settings.config_connections import ConnectionSection
from coldal_tui.project.trust_questions import agree
from tests.support.label_studio import ANA, label_studio
from tests.support.monai_label import datastore, real_datastore
from tests.support.small_projects import images, plain_template, project, queued, queued_template


class Lab:
    """One project, connected to one project of a server by an address that may change."""

    def __init__(self, root, server, url=None, **section):
        self.root, self.server = root, server
        self.number = section.pop("project", None) or server.project()
        self.section = {"kind": "label-studio", "project": self.number, **section}
        self.connect(url or server.url)

    def connect(self, url):
        with Project(self.root) as opened:
            if "lab" in opened.config.connections:
                remove_connection(opened, "lab")
            add_connection(opened, "lab", ConnectionSection(url=url, **self.section))
            agree(opened.layout, opened.config)

    def push(self, wanted, **options):
        with Project(self.root) as opened, entered(opened, "lab") as connection:
            return push(opened, connection, wanted, progress=silent, **options)

    def pull(self, **options):
        with Project(self.root) as opened, entered(opened, "lab") as connection:
            return pull(opened, connection, progress=silent, **options)

    def tasks(self):
        """The tasks on the server by scan id."""
        return {task["data"]["scan_id"]: task for task in self.server.tasks(self.number)}


@pytest.fixture
def volume(tmp_path):
    """A project with one volume of three slices of 5 × 6 voxels, queued."""
    (tmp_path / "images").mkdir()
    voxels = np.random.default_rng(1).integers(0, 900, (5, 6, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1, 3, 1])), tmp_path / "images" / "vol.nii.gz")
    with Project.create(tmp_path / "ct", tmp_path / "images") as made:
        reindex(made)
        row = {"round": 0, "cluster": 0, "status": "queued", "terms": {}}
        made.store.insert("queue", scan_id="vol", rank=1, role="medoid", **row)
    return tmp_path / "ct"


def silent(done, total, name):
    """Progress that nobody watches."""


@pytest.fixture
def lab(label_studio, monkeypatch):
    """Makes a :class:`Lab`; a cut line ends what it cut."""
    monkeypatch.setenv("COLDAL_TOKEN_LAB", label_studio.tokens[ANA])
    monkeypatch.setattr(module, "Web", partial(Web, pause=lambda seconds: None, tries=1))
    return partial(Lab, server=label_studio)


__all__ = [
    "datastore",
    "images",
    "lab",
    "label_studio",
    "plain_template",
    "project",
    "queued",
    "queued_template",
    "real_datastore",
]
