"""What holds for every kind of server: clear errors, and nothing lost when a process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest

import coldal_tui.connectors.cvat as cvat_module
import coldal_tui.connectors.label_studio as label_studio_module
import coldal_tui.connectors.monai_label as monai_label_module
from coldal_tui.connectors.cvat_api import Api
from coldal_tui.connectors.web import Web
from coldal_tui.errors import ColdalError
from coldal_tui.project.export.exporting import Wanted
from tests.project.servers.conftest import Lab
from tests.project.servers.test_cvat import BOX, LOGIN, Seven, connected
from tests.project.servers.test_label_studio import authors
from tests.project.servers.test_monai_label import INFO, png
from tests.support.cvat import Cvat
from tests.support.label_studio import proxied
from tests.support.monai_label import Datastore, play, save_label
from tests.support.played_server import Reply, played

TOKEN = "a-secret-token"
KINDS = ("label-studio", "monai-label", "cvat")


@pytest.fixture
def quick(monkeypatch):
    """Nothing is tried twice, and nothing waits."""
    monkeypatch.setenv("COLDAL_TOKEN_LAB", TOKEN)
    web = partial(Web, pause=lambda seconds: None, tries=1)
    for module in (label_studio_module, monai_label_module):
        monkeypatch.setattr(module, "Web", web)
    monkeypatch.setattr(cvat_module, "Api", partial(Api, tries=0, period=0.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(401, b"{}"), "server-login"),
        (Reply(404, b"{}"), "server-missing"),
        (Reply(429, b"{}"), "server-busy"),
        (Reply(500, b"oops"), "server"),
        (Reply(302, b"", {"Location": "/user/login/"}), "server-page"),
        (Reply(200, LOGIN), "server-page"),
        (Reply(200, b"\x00garbage"), "server-garbage"),
        (Reply(200, b'{"some": ["other", "interface"]}'), "server-garbage"),
    ],
)
def test_whatever_else_answers_gets_a_clear_error(queued, quick, kind, reply, code):
    if kind == "cvat":
        pytest.importorskip("cvat_sdk", reason="CVAT's SDK is not installed: make extras")
    with played(lambda asked: reply) as server:
        made = Lab(queued, Seven(), server.url, kind=kind)
        for work in (made.pull, lambda: made.push(Wanted())):
            with pytest.raises(ColdalError) as caught:
                work()
            said = caught.value
            assert said.code == code, said
            assert TOKEN not in str(said)
            assert said.remedy


MONAI_KILLS = (
    ("push", "GET", "/datastore/"),  # exported, nothing sent
    ("push", "PUT", "/datastore/image"),  # an image is there, and nobody noted it
    ("pull", "GET", "/datastore/label"),  # read, not imported
)
CVAT_KILLS = (
    ("push", "POST", "/api/tasks"),  # a task without pictures
    ("push", "POST", "/data"),  # pictures sent
    ("push", "PATCH", "/api/tasks/"),  # made, and nobody noted it
    ("pull", "GET", "/annotations"),
)


class Killed:
    """Runs the program, which is killed when the server has done what a kill names."""

    def __init__(self, root):
        self.root, self.victim = root, {}

    def done(self, method, path):
        victim: dict[str, Any] = self.victim
        if victim and victim["method"] == method and victim["path"] in path:
            os.kill(victim["process"].pid, signal.SIGKILL)

    def run(self, action):
        command = [sys.executable, "-m", "coldal_tui", action, str(self.root)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def kill(self, action, method, path):
        process = self.run(action)
        self.victim.update(process=process, method=method, path=path)
        process.communicate()
        self.victim.clear()
        assert process.returncode == -signal.SIGKILL

    def finish(self, action):
        process = self.run(action)
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()


ALL = [("scan_0", "ana"), ("scan_1", "ana"), ("scan_2", "ana")]


def test_processes_killed_at_monai_label_lose_nothing_and_do_nothing_twice(queued, tmp_path):
    folder = tmp_path / "studies"
    folder.mkdir()
    killed = Killed(queued)
    with (
        played(lambda asked: play(folder, asked)) as server,
        proxied(server.url, done=killed.done) as proxy,
    ):
        store = Datastore(folder, proxy.url)
        Lab(queued, store, proxy.url, kind="monai-label")
        for kill in MONAI_KILLS[:2]:
            killed.kill(*kill)
        killed.finish("push")
        assert sorted(store.objects()) == ["0001-scan_0", "0002-scan_1", "0003-scan_2"]
        for name in store.objects():
            save_label(folder, name, "final", ".png", png(BOX.astype(np.uint8)),
                       {**INFO, "client_id": "ana"})  # fmt: skip
        killed.kill(*MONAI_KILLS[2])
        assert authors(queued) == []
        killed.finish("pull")
        killed.finish("pull")
    assert authors(queued) == ALL


def test_processes_killed_at_cvat_lose_nothing_and_do_nothing_twice(queued, monkeypatch):
    masks = pytest.importorskip("cvat_sdk.masks", reason="CVAT's SDK is not installed: make extras")
    monkeypatch.setenv("COLDAL_TOKEN_LAB", TOKEN)
    cvat, killed = Cvat(), Killed(queued)
    with played(cvat.play) as server, proxied(server.url, done=killed.done) as proxy:
        connected(queued, proxy.url)
        for kill in CVAT_KILLS[:3]:
            killed.kill(*kill)
        killed.finish("push")
        assert [task["name"] for task in cvat.tasks.values()] == ["0001-0003"]
        assert len(cvat.jobs) == 3
        points = [float(one) for one in masks.encode_mask(BOX)]
        for job in list(cvat.jobs):
            shape = {"type": "mask", "label_id": cvat.labels[0]["id"], "frame": 0}
            cvat.draw(job, {**shape, "points": points}, person="ana")
        killed.kill(*CVAT_KILLS[3])
        assert authors(queued) == []
        killed.finish("pull")
        killed.finish("pull")
    assert authors(queued) == ALL
