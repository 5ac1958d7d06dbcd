"""CVAT by its SDK, against a played server in the shapes of the SDK's own models: experimental."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

import coldal_tui.connectors.cvat as module
from coldal_tui.connectors.cvat_api import Api
from coldal_tui.errors import ColdalError
from coldal_tui.project.export.exporting import Wanted
from coldal_tui.project.project import Project
from tests.project.servers.conftest import Lab
from tests.project.servers.test_label_studio import authors, label_of, until_done
from tests.support.cvat import Cvat
from tests.support.label_studio import LOSE, PASS, SWALLOW, proxied
from tests.support.played_server import played

pytestmark = pytest.mark.skipif(
    find_spec("cvat_sdk") is None, reason="CVAT's SDK is not installed: make extras"
)

BOX = np.zeros((8, 8), bool)
BOX[2:5, 2:6] = True


class Seven:
    """The one project of the played server."""

    def project(self):
        return "7"


@pytest.fixture
def quick(monkeypatch):
    """A cut line ends what it cut, and nothing waits."""
    monkeypatch.setenv("COLDAL_TOKEN_LAB", "an-access-token")
    monkeypatch.setattr(module, "Api", partial(Api, tries=0, period=0.0))


def connected(root, url, **more):
    return Lab(root, Seven(), url, kind="cvat", **more)


def mask(drawn, label, frame=0):
    """As CVAT's own SDK encodes one."""
    from cvat_sdk.masks import encode_mask

    points = [float(one) for one in encode_mask(drawn)]
    return {"type": "mask", "label_id": label, "frame": frame, "points": points}


def test_scans_go_by_person_and_finished_jobs_come_back(queued, quick):
    cvat = Cvat()
    with played(cvat.play) as server:
        made = connected(queued, server.url)
        report = made.push(Wanted(people=("ana", "ben")))
        assert report.new == ("scan_0", "scan_2", "scan_1")  # ana's task, then ben's
        assert [task["name"] for task in cvat.tasks.values()] == ["0001-0003 ana", "0002-0002 ben"]
        assert len(cvat.jobs) == 3
        assert [one["name"] for one in cvat.labels] == ["foreground"]
        label = cvat.labels[0]["id"]
        assert made.pull().drawn == 0  # nothing is finished
        ring = {"type": "polygon", "label_id": label, "frame": 0, "z_order": 1}
        ring["points"] = [1.0, 1.0, 7.0, 1.0, 7.0, 7.0, 1.0, 7.0]
        cvat.draw(cvat.job_of("scan_0"), ring)
        cvat.draw(cvat.job_of("scan_1"), mask(BOX, label), person="ben")
        pulled = made.pull()
        assert pulled.drawn == 2
        square = np.zeros((8, 8), bool)
        square[1:7, 1:7] = True
        np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, square)
        np.testing.assert_array_equal(label_of(queued, "scan_1") == 1, BOX)
        assert not made.pull().news
        again = made.push(Wanted(again=True))
        assert (again.new, again.before) == ((), ("scan_2",))
        assert len(cvat.tasks) == 2
    for asked in server.asked:
        assert str(queued.parent).encode() not in asked.body  # no path of this machine


def test_a_volume_is_one_job_and_comes_back_slice_by_slice(volume, quick):
    cvat = Cvat()
    with played(cvat.play) as server:
        made = connected(volume, server.url)
        made.push(Wanted())
        (job,) = cvat.jobs.values()
        assert job["frame_count"] == 3
        label = cvat.labels[0]["id"]
        drawn = np.zeros((6, 5), bool)  # pictures are shown row by row
        drawn[1, 2:4] = True
        cvat.draw(job["id"], mask(drawn, label, 0), mask(drawn, label, 2))
        assert [one.scan_id for one in made.pull().report.accepted] == ["vol"]
    counts = [int((label_of(volume, "vol")[:, :, k] == 1).sum()) for k in range(3)]
    assert counts == [2, 0, 2]


def test_a_scan_for_two_people_is_a_job_for_each_and_comments_come_along(queued, quick):
    cvat = Cvat()
    with played(cvat.play) as server:
        made = connected(queued, server.url)
        made.push(Wanted(top=1, people=("ana", "ben"), overlap=1))
        label = cvat.labels[0]["id"]
        first, second = (cvat.job_of("scan_0", who) for who in ("ana", "ben"))
        assert first != second
        cvat.jobs[first]["issues"]["count"] = 1
        cvat.comments[first] = ["blurred"]
        cvat.draw(first, mask(BOX, label), person="ana")
        cvat.draw(second, mask(BOX, label), person="ben")
        pulled = made.pull()
    assert [(one.person, one.text) for one in pulled.comments] == [("ana", "blurred")]
    np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, BOX)
    with Project(queued) as opened:
        rows = opened.store.rows("SELECT author FROM labels WHERE author != '' ORDER BY author")
        assert {row["author"] for row in rows} >= {"ana", "ben"}


def test_a_deidentified_push_assigns_nobody_and_is_not_sent_twice(queued, quick):
    cvat = Cvat()
    with played(cvat.play) as server:
        made = connected(queued, server.url, deidentify="remove")
        made.push(Wanted(top=1, people=("ana", "ben"), overlap=1))
        assert [task["assignee"] for task in cvat.tasks.values()] == [None, None]
        assert made.push(Wanted(again=True, top=1)).before == ("scan_0",)
        assert len(cvat.tasks) == 2
        first, second = cvat.jobs
        for job in (first, second):
            cvat.jobs[job]["task_name"] = cvat.tasks[cvat.jobs[job]["task_id"]]["name"]
        cvat.draw(first, mask(BOX, cvat.labels[0]["id"]))
        cvat.draw(second, mask(BOX, cvat.labels[0]["id"]))
        made.pull()
        for asked in server.asked:
            assert b"scan_0" not in asked.body
    with Project(queued) as opened:
        rows = opened.store.rows("SELECT author FROM labels WHERE author != ''")
        assert {row["author"] for row in rows} >= {"ana", "ben"}


def test_another_projects_push_that_is_at_work_is_left_alone(queued, quick):
    cvat = Cvat()
    cvat.tasks[1] = {
        "id": 1, "name": "0001-0003 (being filled, 00000000)", "project_id": 7, "assignee": None,
        "jobs": {"count": 0, "completed": 0, "validation": 0, "url": ""}, "labels": {"url": ""},
    }  # fmt: skip
    cvat.last = 1
    with played(cvat.play) as server:
        made = connected(queued, server.url)
        made.push(Wanted())
    assert len(cvat.tasks) == 2


def test_a_project_that_lacks_a_class_is_refused_before_anything_is_made(queued, quick):
    cvat = Cvat(labels=[{"id": 1, "name": "other", "type": "any"}])
    with played(cvat.play) as server:
        made = connected(queued, server.url)
        with pytest.raises(ColdalError, match="lacks the labels foreground") as caught:
            made.push(Wanted())
    assert caught.value.code == "labeling-config"
    assert cvat.tasks == {}


@pytest.mark.parametrize("kind", [LOSE, SWALLOW])
def test_a_line_cut_at_every_request_of_a_push_and_a_pull(queued, quick, kind):
    cvat, fates = Cvat(), {"at": 0}

    def fate(number, method, path):
        return kind if number == fates["at"] else PASS

    with played(cvat.play) as server, proxied(server.url, fate) as proxy:
        made = connected(queued, proxy.url)
        until_done(lambda: made.push(Wanted()), proxy, fates)
        assert len(cvat.jobs) == 3
        assert not any("filled" in task["name"] for task in cvat.tasks.values())
        for number in list(cvat.jobs):
            cvat.draw(number, mask(BOX, cvat.labels[0]["id"]), person="ana")
        until_done(made.pull, proxy, fates)
    assert authors(queued) == [("scan_0", "ana"), ("scan_1", "ana"), ("scan_2", "ana")]


LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
