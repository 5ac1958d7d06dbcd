"""``raters`` and ``labels adjudicate``: people's figures, disputes, decisions."""

from __future__ import annotations

from pathlib import Path

from tests.support.small_projects import Call, write_mask


def two_people(call: Call, queued: Path, drawn: Path) -> None:
    """Anna and ben drew scan_0 differently: 4 × 3 pixels, and 8 × 8."""
    write_mask(drawn / "anna" / "scan_0.png")
    call("import-masks", queued, drawn, "--match", "{annotator}/{stem}")
    write_mask(drawn / "ben" / "scan_0.png")
    import numpy as np
    from PIL import Image

    Image.fromarray(np.ones((8, 8), np.uint8)).save(drawn / "ben" / "scan_0.png")
    done = call("import-masks", queued, drawn, "--match", "{annotator}/{stem}")
    assert "drawings in dispute: a person decides: 1" in done.out
    assert "scan_0 by ben: ben differs from the label by anna, which stays" in done.out


def test_people_and_their_disputes(call: Call, queued: Path, tmp_path: Path) -> None:
    assert "no drawing has a known author yet" in call("raters", queued).out
    two_people(call, queued, tmp_path / "drawn")

    shown = call("raters", queued).out
    told = call("raters", queued, "--json").json
    disputes = call("labels", queued, "adjudicate", "--json").json

    assert "anna, foreground: draws 81% less" in shown
    assert "ben, foreground: draws 433% more" in shown
    assert "1 scan in dispute: coldal-tui labels adjudicate" in shown
    assert [(p["name"], p["scans"], p["shared"]) for p in told["people"]] == [
        ("anna", 1, 1),
        ("ben", 1, 1),
    ]
    assert told["pairs"][0]["alike"]["classes"]["foreground"][0] == 2 * 12 / (12 + 64)
    assert disputes["disputes"][0] | {"dice": None} == {
        "scan_id": "scan_0",
        "people": ["anna", "ben"],
        "differing": 52,
        "dice": None,
        "label_by": "anna",
        "sent_to": [],
    }


def test_a_decision_ends_a_dispute_and_undo_brings_it_back(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    two_people(call, queued, tmp_path / "drawn")
    assert "A (anna) or B (ben)" in call("labels", queued, "adjudicate").out

    done = call("labels", queued, "adjudicate", "scan_0", "--pick", "ben")

    assert "scan_0: the label is the drawing of ben" in done.out
    assert "no scan is in dispute" in call("labels", queued, "adjudicate").out
    call("undo", queued, "--yes")
    assert "A (anna) or B (ben)" in call("labels", queued, "adjudicate").out
    every = call("labels", queued, "adjudicate", "--all", "--pick", "consensus")
    assert "scan_0: the label is majority of anna, ben" in every.out


def test_a_third_person_gets_the_disputes(call: Call, queued: Path, tmp_path: Path) -> None:
    two_people(call, queued, tmp_path / "drawn")
    out = tmp_path / "third"

    done = call("labels", queued, "adjudicate", "--all", "--send", "carla", "--out", out)

    assert "exported 1 scan for carla" in done.out
    assert sorted(p.name for p in (out / "carla" / "drawings").iterdir()) == [
        "scan_0.A.png",
        "scan_0.B.png",
    ]
    assert "sent to carla" in call("labels", queued, "adjudicate").out
    again = call("labels", queued, "adjudicate", "scan_0", "--send", "carla")
    assert again.status == 2
    assert "carla has this scan already" in again.err


def test_calls_that_are_wrong(call: Call, queued: Path) -> None:
    for words, said in (
        (("adjudicate", "--pick", "A"), "which scans?"),
        (("adjudicate", "scan_0"), "what about them?"),
        (("adjudicate", "scan_0", "--pick", "A", "--send", "b"), "exclude each other"),
        (("list", "--pick", "A"), "of labels adjudicate"),
    ):
        done = call("labels", queued, *words)
        assert (done.status, said in done.err) == (2, True)
    assert call("labels", queued, "adjudicate", "scan_0", "--pick", "A").status == 2
