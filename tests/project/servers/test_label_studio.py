"""A real Label Studio: scans pushed, drawn by two people, pulled, pixel by pixel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from coldal_tui.cli.pull import pull_command
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label
from coldal_tui.project.export.exporting import Wanted
from coldal_tui.project.labels.files import checked_label
from coldal_tui.project.labels.raters.adjudication import adjudicate
from coldal_tui.project.project import Project
from coldal_tui.project.views.snapshot import read_queue, take_snapshot
from coldal_tui.trust_store import TrustStore
from tests.support.label_studio import ANA, BEN, LOSE, PASS, SWALLOW, brush, outline, proxied

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("label-studio")]

BOX = np.zeros((8, 8), bool)
BOX[2:5, 2:6] = True
RING = [(1, 1), (7, 1), (7, 7), (1, 7), (1, 1), (3, 3), (3, 5), (5, 5), (5, 3), (3, 3)]
"""A square of 6 × 6 pixels with a hole of 2 × 2, joined to the outside by a line of no width."""
RING_PIXELS = np.zeros((8, 8), bool)
RING_PIXELS[1:7, 1:7] = True
RING_PIXELS[3:5, 3:5] = False


def label_of(root, scan_id):
    with Project(root) as opened:
        file = opened.store.value(
            "SELECT file FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,)
        )
        return read_label(opened.root / file)


def authors(root):
    with Project(root) as opened:
        rows = opened.store.rows("SELECT scan_id, author FROM labels ORDER BY scan_id, author")
        return [(row["scan_id"], row["author"]) for row in rows]


def test_two_people_draw_and_every_pixel_comes_back(lab, queued):
    made = lab(queued)
    report = made.push(Wanted(people=("ana", "BEN@lab.org"), overlap=1))
    assert report.new == ("scan_0", "scan_1", "scan_2")
    assert report.people == {ANA: 2, BEN: 2}
    tasks = made.tasks()
    assert list(tasks) == ["scan_0", "scan_1", "scan_2"]  # the order of the ranks
    with Project(queued) as opened:
        items = read_queue(opened)
    assert {item.status for item in items} == {"exported"}
    people = {item.scan_id: item.assignee.split(",") for item in items}
    assert {scan: len(names) for scan, names in people.items()} == {
        scan: task["overlap"] for scan, task in tasks.items()
    }
    (shared,) = [scan for scan, names in people.items() if len(names) == 2]
    drawn, skipped = [scan for scan in people if scan != shared]

    server = made.server
    server.draw(ANA, tasks[shared]["id"], brush(BOX), lead_time=30)
    server.draw(BEN, tasks[shared]["id"], outline(RING, 8, 8), lead_time=90)
    note = {"id": "c", "type": "textarea", "from_name": "comment", "to_name": "image"}
    note["value"] = {"text": ["blurred"]}
    (one,), (other,) = people[drawn], people[skipped]
    server.draw(one, tasks[drawn]["id"], outline(RING, 8, 8), brush(BOX), note, lead_time=60)
    server.draw(other, tasks[skipped]["id"], was_cancelled=True)

    pulled = made.pull()
    assert pulled.drawn == 3
    assert pulled.minutes == pytest.approx(3.0)
    assert [(w.scan_id, w.person) for w in pulled.skipped] == [(skipped, other)]
    assert [(w.scan_id, w.person, w.text) for w in pulled.comments] == [(drawn, one, "blurred")]
    # Two people's drawings of a scan stand side by side, each under its person and with its time.
    assert drawings(queued, shared) == {ANA: (BOX.tolist(), 0.5), BEN: (RING_PIXELS.tolist(), 1.5)}
    np.testing.assert_array_equal(label_of(queued, drawn) == 1, BOX | RING_PIXELS)
    before = authors(queued)
    assert not made.pull().news
    assert authors(queued) == before


def drawings(root, scan_id):
    """The pixels and the minutes of each person's drawing."""
    query = "SELECT * FROM labels WHERE scan_id = ? AND author != ''"
    with Project(root) as opened:
        rows = opened.store.rows(query, (scan_id,))
        return {
            row["author"]: ((read_label(checked_label(opened, row)) == 1).tolist(), row["minutes"])
            for row in rows
        }


def test_a_changed_drawing_is_a_new_version_and_a_skip_may_follow(lab, queued):
    made = lab(queued)
    made.push(Wanted(top=1))
    task = made.tasks()["scan_0"]["id"]
    made.server.draw(ANA, task, brush(BOX))
    assert made.pull().drawn == 1
    (drawn,) = made.tasks()["scan_0"]["annotations"]
    made.server.call("PATCH", f"/api/annotations/{drawn['id']}/", {"result": [brush(RING_PIXELS)]})
    pulled = made.pull(options=ImportOptions(conflict=ConflictRule.parse("newest")))
    assert pulled.drawn == 1
    np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, RING_PIXELS)


def test_pictures_in_a_folder_that_the_server_reads(lab, queued, label_studio):
    folder = label_studio.root / "coldal"
    made = lab(queued, folder=str(folder), document_root=str(label_studio.root))
    made.push(Wanted(top=2))
    task = made.tasks()["scan_0"]
    assert task["data"]["image"].startswith("/data/local-files/?d=coldal/")
    made.server.draw(BEN, task["id"], brush(BOX))
    made.pull()
    np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, BOX)


def test_a_second_push_sends_nothing_twice_and_a_dry_run_nothing_at_all(lab, queued):
    made = lab(queued)
    report = made.push(Wanted(), dry_run=True)
    assert report.new == ("scan_0", "scan_1", "scan_2")
    assert made.tasks() == {}
    made.push(Wanted(top=2))
    report = made.push(Wanted(again=True))
    assert (report.new, report.before) == (("scan_2",), ("scan_0", "scan_1"))
    assert len(made.server.tasks(made.number)) == 3
    with pytest.raises(UsageError) as caught:
        made.push(Wanted())
    assert caught.value.code == "nothing"


def test_a_person_who_is_no_user_of_the_server(lab, queued):
    made = lab(queued)
    with pytest.raises(UsageError) as caught:
        made.push(Wanted(people=("zoe",)))
    assert BEN in caught.value.remedy
    assert made.tasks() == {}


def test_a_config_that_lacks_a_class_is_refused_before_anything_is_sent(lab, queued):
    made = lab(queued)
    config = (
        '<View><Image name="i" value="$pic"/><BrushLabels name="b" toName="i">'
        '<Label value="other"/></BrushLabels></View>'
    )
    made.server.call("PATCH", f"/api/projects/{made.number}/", {"label_config": config})
    with pytest.raises(ColdalError) as caught:
        made.push(Wanted())
    assert caught.value.code == "labeling-config"
    fitting = config.replace("other", "foreground")
    made.server.call("PATCH", f"/api/projects/{made.number}/", {"label_config": fitting})
    report = made.push(Wanted())  # the export was made; now it is sent
    assert report.resumed == 3
    assert "pic" in made.tasks()["scan_0"]["data"]


@pytest.mark.parametrize("kind", [LOSE, SWALLOW])
def test_a_line_cut_at_every_request_of_a_push_and_a_pull(lab, queued, label_studio, kind):
    fates = {"at": 0}

    def fate(number, method, path):
        return kind if number == fates["at"] else PASS

    with proxied(label_studio.url, fate) as proxy:
        made = lab(queued, url=proxy.url)
        whole = until_done(lambda: made.push(Wanted(people=(ANA, BEN))), proxy, fates)
        assert whole >= 6
        assert sorted(made.tasks()) == ["scan_0", "scan_1", "scan_2"]
        assert len(made.server.tasks(made.number)) == 3
        for scan_id, task in made.tasks().items():
            who = BEN if scan_id == "scan_1" else ANA
            made.server.draw(who, task["id"], brush(BOX))
        until_done(made.pull, proxy, fates)
    assert authors(queued) == [("scan_0", ANA), ("scan_1", BEN), ("scan_2", ANA)]


def until_done(work, proxy, fates):
    """Do it with a line that is cut one request later each time; returns how often it was cut."""
    cuts = 0
    while True:
        asked = len(proxy.asked)
        fates["at"] = asked + cuts + 1
        try:
            work()
        except UsageError as error:
            if error.code != "nothing":
                raise
        except ColdalError as error:
            if error.code != "connection":
                raise
        if len(proxy.asked) < fates["at"]:
            return cuts
        cuts += 1


def test_a_deidentified_push_tells_no_name(lab, queued, label_studio):
    with proxied(label_studio.url) as proxy:
        made = lab(queued, url=proxy.url, deidentify="remove")
        report = made.push(Wanted(people=(ANA, BEN)))
        sent = b"\n".join(body + path.encode() for _, path, body in proxy.asked)
    # What names the connection's address changes; what was pushed stays known.
    made.connect(label_studio.url)
    for secret in ("scan_0", "scan_1", ANA, str(queued)):
        assert secret.encode() not in sent
    assert report.new == ("scan_0", "scan_1", "scan_2")
    assert set(report.pseudonyms) == {ANA, BEN}
    (task, *_) = made.server.tasks(made.number)
    made.server.draw(BEN, task["id"], brush(BOX))
    pulled = made.pull()
    assert pulled.report is not None
    assert [one.scan_id for one in pulled.report.accepted] == ["scan_0"], pulled.report.unmatched
    np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, BOX)
    # The project has de-identified exports now: a push with names needs a person's word.
    made.section.pop("deidentify")
    made.connect(label_studio.url)
    with pytest.raises(UsageError) as caught:
        made.push(Wanted(again=True))
    assert caught.value.code == "identified"


def test_the_token_is_in_no_file_of_the_project(lab, queued, label_studio):
    made = lab(queued)
    made.push(Wanted())
    secret = label_studio.tokens[ANA].encode()
    for file in queued.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes(), file
    assert "token" not in json.dumps(made.section)


def test_a_volume_comes_back_when_all_its_slices_are_drawn(lab, volume):
    made = lab(volume)
    made.push(Wanted())
    tasks = made.tasks()
    assert list(tasks) == ["vol__z0000", "vol__z0001", "vol__z0002"]
    drawn = {}
    for number, (name, task) in enumerate(tasks.items()):
        mask = np.zeros((6, 5), bool)  # pictures are shown row by row
        mask[1 + number, 2:4] = True
        drawn[name] = mask
        if number < 2:
            made.server.draw(ANA, task["id"], brush(mask))
    pulled = made.pull()
    assert [(one.scan_id, one.person) for one in pulled.partly] == [("vol", ANA)]
    assert pulled.report is None
    made.server.draw(ANA, tasks["vol__z0002"]["id"], brush(drawn["vol__z0002"]), lead_time=6)
    made.server.draw(BEN, tasks["vol__z0000"]["id"], brush(drawn["vol__z0000"]))
    pulled = made.pull()
    assert pulled.minutes == pytest.approx(0.1)
    assert [one.scan_id for one in pulled.report.accepted] == ["vol"], pulled.report
    counts = [int((label_of(volume, "vol")[:, :, k] == 1).sum()) for k in range(3)]
    assert counts == [2, 2, 2]
    assert len(np.unique(np.argwhere(label_of(volume, "vol") == 1), axis=0)) == 6


MAJORITY = ImportOptions(conflict=ConflictRule.parse("majority"))
KILLS = (
    ("push", "GET", "/api/projects/"),  # exported, nothing sent
    ("push", "POST", "commit_to_project=false"),  # pictures sent
    ("push", "POST", "return_task_ids=true"),  # tasks made, and nobody noted it
    ("pull", "GET", "/export"),  # read, not imported
)


def test_processes_killed_in_the_middle_lose_nothing_and_do_nothing_twice(
    lab, queued, label_studio
):
    victim: dict[str, Any] = {}

    def done(method, path):
        if victim and victim["method"] == method and victim["path"] in path:
            os.kill(victim["process"].pid, signal.SIGKILL)

    def run(action, *words):
        command = [sys.executable, "-m", "coldal_tui", action, str(queued), *words]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def killed(action, method, path):
        process = run(action)
        victim.update(process=process, method=method, path=path)
        process.communicate()
        victim.clear()
        return process.returncode

    def finished(action):
        process = run(action)
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()

    with proxied(label_studio.url, done=done) as proxy:
        made = lab(queued, url=proxy.url)
        for action, method, path in KILLS[:3]:
            assert killed(action, method, path) == -signal.SIGKILL
        finished("push")
        tasks = made.server.tasks(made.number)
        assert [task["data"]["scan_id"] for task in tasks] == ["scan_0", "scan_1", "scan_2"]
        for task in tasks:
            made.server.draw(BEN, task["id"], brush(BOX))
        assert killed(*KILLS[3]) == -signal.SIGKILL
        assert authors(queued) == []
        finished("pull")
        finished("pull")
    assert authors(queued) == [("scan_0", BEN), ("scan_1", BEN), ("scan_2", BEN)]


def test_two_people_who_differ_are_joined_by_the_rule_and_the_loop_goes_on(lab, queued):
    made = lab(queued)
    made.push(Wanted(top=1, people=(ANA, BEN), overlap=1))
    task = made.tasks()["scan_0"]["id"]
    made.server.draw(ANA, task, brush(BOX))
    waiting = made.pull(options=MAJORITY)
    assert [one.author for one in waiting.report.waiting] == [ANA]
    with Project(queued) as opened:
        assert take_snapshot(opened).budget.labelled == 0
    made.server.draw(BEN, task, outline(RING, 8, 8))
    made.pull(options=MAJORITY)
    # Of two people, what both drew is drawn, and what one of them drew has no majority.
    expected = np.where(BOX != RING_PIXELS, IGNORE_LABEL, (BOX & RING_PIXELS).astype(np.uint8))
    np.testing.assert_array_equal(label_of(queued, "scan_0"), expected)
    with Project(queued) as opened:
        snapshot = take_snapshot(opened)
        assert (snapshot.budget.labelled, snapshot.budget.queued) == (1, 2)
        assert {item.scan_id: item.status for item in read_queue(opened)}["scan_0"] == "labelled"
    # The next two go out without what is done.
    assert made.push(Wanted()).new == ("scan_1", "scan_2")


def test_two_people_who_differ_wait_for_a_person_where_no_rule_is_named(lab, queued):
    made = lab(queued)
    made.push(Wanted(top=1, people=(ANA, BEN), overlap=1))
    task = made.tasks()["scan_0"]["id"]
    made.server.draw(ANA, task, brush(BOX))
    made.server.draw(BEN, task, outline(RING, 8, 8))
    report = made.pull().report
    assert sorted(one.author for one in report.disputed) == [ANA, BEN]
    with Project(queued) as opened:
        adjudicate(opened, ["scan_0"], BEN)
    np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, RING_PIXELS)


def test_a_watch_at_its_own_pace_brings_a_drawing(lab, queued, record_property):
    """The time from Submit to the label is told, not asserted: python -m pytest -rP shows it."""
    made = lab(queued)
    made.push(Wanted(top=1))
    words = [sys.executable, "-m", "coldal_tui", "pull", str(queued), "--watch", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            task = made.tasks()["scan_0"]["id"]
            begun = time.monotonic()
            made.server.draw(ANA, task, brush(BOX))
            told = json.loads(process.stdout.readline())
            took = time.monotonic() - begun
        finally:
            process.kill()
    record_property("seconds_from_submit_to_label", round(took, 1))
    print(f"from Submit to the label: {took:.1f} s")  # noqa: T201
    assert [one["scan_id"] for one in told["import"]["accepted"]] == ["scan_0"]
    np.testing.assert_array_equal(label_of(queued, "scan_0") == 1, BOX)
    # Half of the ten seconds are the pause; the rest is for the questions of one pull.
    (every,) = [one for one in pull_command.params if one.name == "every"]
    assert every.default == 5.0


def test_a_project_of_somebody_else_pushes_nothing_before_it_is_trusted(lab, queued):
    made = lab(queued)
    TrustStore().forget(queued)
    with pytest.raises(ColdalError) as caught:
        made.push(Wanted())
    assert caught.value.code == "not-trusted"
    assert made.server.url in caught.value.what
