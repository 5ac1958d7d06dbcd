"""``prelabels``: import, list, remove, and wrong calls."""

from __future__ import annotations

from tests.support.small_projects import write_mask


def test_masks_of_a_model_are_imported_listed_handed_out_and_removed(queued, call):
    masks = queued.parent / "masks"
    write_mask(masks / "scan_0.png")
    write_mask(masks / "scan_1.png", shape=(4, 4))
    made = call("prelabels", queued, "import", masks, "--source", "VoxTell")
    assert made.status == 0
    assert "1 scan with a pre-label by VoxTell" in made.out
    assert "not used: scan_1.png: " in made.out
    listed = call("prelabels", queued, "--json").json["prelabels"]
    assert [(one["source"], one["scans"]) for one in listed] == [("VoxTell", ["scan_0"])]
    out = call("export-queue", queued)
    assert "with 1 pre-label by VoxTell" in out.out
    gone = call("prelabels", queued, "remove", "--source", "VoxTell", "--json")
    assert gone.json == {"source": "VoxTell", "removed": 1}
    assert "no pre-labels of other models" in call("prelabels", queued).out


def test_nothing_that_fits_fails(queued, call):
    masks = queued.parent / "masks"
    write_mask(masks / "nobody.png")
    made = call("prelabels", queued, "import", masks, "--source", "A", "--json")
    assert (made.status, made.json["scans"]) == (1, [])
    assert len(made.json["unused"]) == 1


def test_wrong_calls(queued, call):
    assert "which model is it?" in call("prelabels", queued, "import", queued.parent).err
    assert call("prelabels", queued, "import", "--source", "A").status == 2
    missing = call("prelabels", queued, "import", queued / "no", "--source", "A")
    assert "there is nothing here" in missing.err
    assert call("export-queue", queued, "--prelabels-from", "B").status == 2
