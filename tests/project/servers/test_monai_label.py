"""MONAI Label: scans into its datastore, final labels back, by folder and by server."""

from __future__ import annotations

import io
import os
from functools import partial

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import coldal_tui.connectors.monai_label as module
import coldal_tui.connectors.monai_label_stores as stores
from coldal_tui.connectors.web import Web
from coldal_tui.errors import ColdalError
from coldal_tui.project.export.exporting import Wanted
from tests.project.servers.conftest import Lab
from tests.project.servers.test_label_studio import authors, label_of, until_done
from tests.support.label_studio import LOSE, PASS, SWALLOW, proxied
from tests.support.monai_label import Datastore, play, save_label
from tests.support.played_server import played

BOX = np.zeros((8, 8), np.uint8)
BOX[2:5, 2:6] = 1
DOT = np.zeros((8, 8), np.uint8)
DOT[6, 1] = 1
INFO = {"label_info": [{"name": "foreground", "idx": 1}]}


def png(mask):
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def quick(monkeypatch):
    """A cut line ends what it cut."""
    monkeypatch.setattr(module, "Web", partial(Web, pause=lambda seconds: None, tries=1))


def connected(root, store, url=None, **more):
    return Lab(root, store, url or store.url, kind="monai-label", **more)


def by_scan(store):
    """Image ids by scan, in the server's own order."""
    return {name.split("-")[1]: name for name in sorted(store.objects())}


def test_scans_go_in_the_queues_order_and_final_labels_come_back(queued, datastore, quick):
    made = connected(queued, datastore)
    report = made.push(Wanted(people=("ana", "ben")))
    assert report.new == ("scan_0", "scan_1", "scan_2")
    assert sorted(datastore.objects()) == ["0001-scan_0", "0002-scan_1", "0003-scan_2"]
    ids = by_scan(datastore)
    info = datastore.objects()[ids["scan_0"]]["image"]["info"]
    assert (info["rank"], info["assignee"]) == (1, "ana")
    assert "strategy" not in info  # labelers are not told why a scan was chosen
    assert made.pull().report is None

    datastore.submit(ids["scan_0"], png(BOX), ".png", **INFO, client_id="user-xyz")
    datastore.submit(ids["scan_1"], png(DOT), ".png", **INFO)
    pulled = made.pull()
    assert pulled.drawn == 2
    np.testing.assert_array_equal(label_of(queued, "scan_0"), BOX)
    np.testing.assert_array_equal(label_of(queued, "scan_1"), DOT)
    assert authors(queued) == [("scan_0", "ana"), ("scan_1", "ben")]
    assert not made.pull().news
    again = made.push(Wanted(again=True))
    assert (again.new, again.before) == ((), ("scan_2",))  # the others have labels
    assert len(datastore.objects()) == 3

    datastore.submit(ids["scan_0"], png(DOT), ".png", **INFO)
    assert made.pull().drawn == 1
    for file in queued.glob("incoming/lab/*/datastore_v2.json"):
        assert "client_id" not in file.read_text()


def test_a_scan_for_two_people_is_an_image_for_each(queued, datastore, quick):
    made = connected(queued, datastore)
    made.push(Wanted(top=1, people=("ana", "ben"), overlap=1))
    assert sorted(datastore.objects()) == ["0001-scan_0--ana", "0001-scan_0--ben"]
    datastore.submit("0001-scan_0--ana", png(BOX), ".png", **INFO)
    assert [one.author for one in made.pull().report.waiting] == ["ana"]
    datastore.submit("0001-scan_0--ben", png(BOX), ".png", **INFO)
    made.pull()
    np.testing.assert_array_equal(label_of(queued, "scan_0"), BOX)


def test_a_volume_numbered_by_its_tool_comes_back_in_the_projects_classes(volume, datastore, quick):
    made = connected(volume, datastore)
    made.push(Wanted())
    (name,) = datastore.objects()
    voxels = np.zeros((5, 6, 3), np.uint8)
    voxels[1:3, 2, 1] = 7
    place = datastore.folder.parent / "drawn.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1, 3, 1])), place)
    info = {"label_info": [{"name": "foreground", "idx": 7}], "client_id": "zoe"}
    datastore.submit(name, place.read_bytes(), ".nii.gz", **info)
    report = made.pull().report
    assert [one.scan_id for one in report.accepted] == ["vol"], report
    np.testing.assert_array_equal(label_of(volume, "vol"), voxels // 7)
    assert authors(volume) == [("vol", "zoe")]  # nobody was asked: as the client says


def test_a_deidentified_push_tells_no_name_and_comes_back_to_its_scan(queued, datastore, quick):
    made = connected(queued, datastore, deidentify="remove")
    made.push(Wanted(top=1, people=("ana",)))
    ((name, entry),) = datastore.objects().items()
    assert "scan_0" not in name
    assert entry["image"]["info"]["assignee"] == "labeler-1"
    datastore.submit(name, png(BOX), ".png", **INFO)
    made.pull()
    np.testing.assert_array_equal(label_of(queued, "scan_0"), BOX)
    assert authors(queued) == [("scan_0", "ana")]


def test_other_peoples_images_are_left_alone(queued, datastore, quick):
    made = connected(queued, datastore)
    made.push(Wanted(top=1))
    datastore.add("0002-scan_1", png(DOT), ".png")
    datastore.submit("0002-scan_1", png(BOX), ".png", **INFO)
    assert made.push(Wanted(again=True, top=2)).new == ("scan_1",)
    assert (datastore.folder / "0002-scan_1.png").read_bytes() == png(DOT)
    pulled = made.pull()
    assert (pulled.drawn, pulled.strangers) == (0, 1)


@pytest.mark.parametrize("kind", [LOSE, SWALLOW])
def test_a_line_cut_at_every_request_of_a_push_and_a_pull(queued, tmp_path, quick, kind):
    folder = tmp_path / "studies"
    folder.mkdir()
    fates = {"at": 0}

    def fate(number, method, path):
        return kind if number == fates["at"] else PASS

    with played(lambda asked: play(folder, asked)) as server, proxied(server.url, fate) as proxy:
        store = Datastore(folder, proxy.url)
        made = connected(queued, store)
        assert until_done(lambda: made.push(Wanted(people=("ana",))), proxy, fates) >= 2
        assert sorted(store.objects()) == ["0001-scan_0", "0002-scan_1", "0003-scan_2"]
        for name in store.objects():
            save_label(folder, name, "final", ".png", png(BOX), dict(INFO))
        until_done(made.pull, proxy, fates)
    assert authors(queued) == [("scan_0", "ana"), ("scan_1", "ana"), ("scan_2", "ana")]


class Killed(BaseException):
    """What no handler of errors catches, like a kill."""


@pytest.mark.parametrize("step", ["atomic_write", "link", "unlink"])
def test_a_push_into_a_folder_that_is_killed_at_any_file_adds_nothing_twice(
    queued, tmp_path, monkeypatch, step
):
    folder = tmp_path / "studies"
    folder.mkdir()
    store = Datastore(folder, folder.as_uri())
    made = connected(queued, store)
    real = os.link
    left = [2]

    def killed(*words):
        left[0] -= 1
        if not left[0]:
            raise Killed
        real(*words)

    def refuse(*words):
        raise Killed

    with monkeypatch.context() as patched:
        if step == "atomic_write":
            patched.setattr(stores, step, refuse)
        else:
            patched.setattr(os, "link", killed)
        with pytest.raises(Killed):
            made.push(Wanted())
    assert made.push(Wanted(top=1) if step == "unlink" else Wanted(again=True)) is not None
    assert sorted(store.objects()) == ["0001-scan_0", "0002-scan_1", "0003-scan_2"]
    images = sorted(path.name for path in folder.glob("*.png"))
    assert images == ["0001-scan_0.png", "0002-scan_1.png", "0003-scan_2.png"]


def test_a_file_of_another_image_is_never_taken_for_a_scan(queued, tmp_path):
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "0001-scan_0.png").write_bytes(png(DOT))
    made = connected(queued, Datastore(folder, folder.as_uri()))
    with pytest.raises(ColdalError) as caught:
        made.push(Wanted(top=1))
    assert caught.value.code == "name-taken"
    assert not (folder / "datastore_v2.json").exists()


def test_a_folder_that_is_not_there_and_a_list_that_is_broken(queued, tmp_path):
    store = Datastore(tmp_path / "away", (tmp_path / "away").as_uri())
    made = connected(queued, store)
    with pytest.raises(ColdalError, match="is not there"):
        made.push(Wanted())
    store.folder.mkdir()
    (store.folder / "datastore_v2.json").write_text("{broken")
    with pytest.raises(ColdalError, match="can't be read") as caught:
        made.pull()
    assert caught.value.code == "server-garbage"
    assert (store.folder / "datastore_v2.json").read_text() == "{broken"
