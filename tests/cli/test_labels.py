"""``export-queue``, ``import-masks`` and ``labels``: scans out, masks in, and what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.project.project import Project
from coldal_tui.trust_store import TrustStore
from tests.support.overlays import add_masks, add_run, square
from tests.support.small_projects import Call, write_mask


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Masks of scan_0 (good), scan_1 (empty), scan_2 (an unknown value); one of no scan."""
    write_mask(tmp_path / "drawn" / "scan_0.png")
    write_mask(tmp_path / "drawn" / "scan_1.png", value=0)
    write_mask(tmp_path / "drawn" / "scan_2.png", value=77)
    write_mask(tmp_path / "drawn" / "stranger.png")
    return tmp_path / "drawn"


@pytest.fixture
def quarantined(call: Call, queued: Path, drawn: Path) -> Path:
    """The project after the import: one label; number 1 (scan_1) and 2 (scan_2) in quarantine."""
    assert call("import-masks", queued, drawn).status == 0
    return queued


def labels_of(project: Path) -> list[str]:
    with Project(project) as opened:
        rows = opened.store.rows(
            "SELECT scan_id FROM labels WHERE state = 'active' ORDER BY scan_id"
        )
        return [row["scan_id"] for row in rows]


def test_export_says_where_it_is_and_who_has_what(call: Call, queued: Path, tmp_path: Path) -> None:
    out = tmp_path / "handed out"
    done = call("export-queue", queued, "--out", out, "--assign", "ana, ben")
    assert done.status == 0
    assert done.out.splitlines() == [
        f"exported 3 scans to {out}",
        "  ana: 2",
        "  ben: 1",
        f"when masks are back: coldal-tui import-masks {queued} DIR",
    ]


def test_export_json(call: Call, queued: Path, tmp_path: Path) -> None:
    told = call("export-queue", queued, "--out", tmp_path / "x", "--top", 2, "--json").json
    assert told["scans"] == ["scan_0", "scan_1"]
    assert told["folder"] == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--assign", "ana,"], "--assign has an empty name"),
        (["--assign", ""], "--assign has an empty name"),
        (["--to", "nonsense"], "'nonsense'"),
        (["--round", "5"], "nothing is queued"),
    ],
)
def test_a_wrong_export_hands_nothing_out(
    words: list[str], reason: str, call: Call, queued: Path
) -> None:
    done = call("export-queue", queued, *words)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err
    assert {i["status"] for i in call("queue", queued, "--json").json} == {"queued"}


def test_export_of_an_empty_queue_says_what_to_do(call: Call, project: Path) -> None:
    done = call("export-queue", project)
    assert done.status == 2
    assert "pick scans: coldal-tui select" in done.err


def test_import_json_has_the_keys_that_scripts_rely_on(
    call: Call, queued: Path, drawn: Path
) -> None:
    told = call("import-masks", queued, drawn, "--json").json
    assert [one["scan_id"] for one in told["accepted"]] == ["scan_0"]
    assert [Path(one["file"]).name for one in told["quarantined"]] == ["scan_1.png", "scan_2.png"]
    assert all(one["code"] and one["message"] for one in told["quarantined"])
    assert [Path(one["file"]).name for one in told["unmatched"]] == ["stranger.png"]


def test_import_in_words(call: Call, queued: Path, drawn: Path) -> None:
    done = call("import-masks", queued, drawn)
    assert "accepted: 1 mask\n" in done.out
    assert "quarantined: 2\n" in done.out
    assert "no scan found for: 1 (they wait in quarantine)\n" in done.out


def test_a_dry_run_changes_nothing(call: Call, queued: Path, drawn: Path) -> None:
    done = call("import-masks", queued, drawn, "--dry-run")
    assert "would be accepted: 1 mask" in done.out
    assert labels_of(queued) == []


def test_an_import_from_which_nothing_came_is_a_failure(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    write_mask(tmp_path / "drawn" / "stranger.png")
    assert call("import-masks", queued, tmp_path / "drawn").status == 1


def test_importing_the_same_again_is_no_failure(call: Call, queued: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "drawn" / "scan_0.png")
    call("import-masks", queued, tmp_path / "drawn")
    done = call("import-masks", queued, tmp_path / "drawn")
    assert done.status == 0
    assert "in the project before, unchanged: 1" in done.out


@pytest.mark.parametrize("name", ["[red]x.png", "x\x1b[2J.png", "x\ny.png"])
def test_names_of_masks_are_shown_literally(
    name: str, call: Call, queued: Path, tmp_path: Path
) -> None:
    write_mask(tmp_path / "drawn" / name)
    done = call("import-masks", queued, tmp_path / "drawn")
    shown = name.replace("\x1b", r"\x1b").replace("\n", r"\n")
    assert f"  {shown}: " in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "which masks?"),
        (["a", "b"], "2 paths; name one, or a folder: coldal-tui"),
        (["drawn", "--map", "128"], "write VALUE=CLASS, such as 128=foreground"),
        (["drawn", "--format", "nonsense"], "no mask format is called 'nonsense'"),
    ],
)
def test_a_wrong_import_is_a_wrong_call(
    words: list[str], reason: str, call: Call, queued: Path
) -> None:
    write_mask(queued / "drawn" / "scan_0.png")
    done = call("import-masks", *words, cwd=queued)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err


@pytest.mark.parametrize("pair", ["77=foreground", "77=1"])
def test_values_are_mapped_by_class_or_number(
    pair: str, call: Call, queued: Path, drawn: Path
) -> None:
    done = call("import-masks", queued, drawn, "--map", pair, "--json")
    assert "scan_2" in [one["scan_id"] for one in done.json["accepted"]]


def test_labels_of_an_empty_project(call: Call, project: Path) -> None:
    assert call("labels", project).out == "no labels yet\n"
    assert call("labels", project, "--json").json == {"labels": [], "quarantine": []}
    assert call("labels", project, "check").out == "no labels yet\n"
    assert call("labels", project, "check", "--json").json == []
    assert call("labels", project, "retry").out == "the quarantine is empty\n"


def test_labels_are_checked_the_worst_first(call: Call, queued: Path, tmp_path: Path) -> None:
    """scan_1 has a speck; of scan_0 the model predicts 6 of 12 pixels: Dice 12 / 18."""
    whole = square(rows=(2, 5), columns=(2, 6))
    speckled = square(rows=(2, 5), columns=(2, 6))
    speckled[7, 7] = 1
    with Project(queued) as opened:
        add_masks(opened, tmp_path / "drawn", {"scan_0": whole, "scan_1": speckled})
        add_run(opened, "run-001", {"scan_0": square(rows=(2, 5), columns=(2, 4))})
    done = call("labels", queued, "check")
    assert done.status == 0
    words = [line.split() for line in done.out.splitlines()]
    assert words[0] == ["scan", "score", "Dice", "measured", "findings"]
    assert words[2][:3] == ["scan_0", "0.67", "0.67"]
    assert words[2][3] == "test-then-train"
    assert " ".join(words[3]) == (
        "scan_1 0.85 – – foreground: 1 speck; foreground: 9% of the outline is the image's border"
    )
    told = call("labels", queued, "check", "--json").json
    assert [one["scan_id"] for one in told] == ["scan_0", "scan_1"]
    assert told[0] | {"score": 0} == {
        "scan_id": "scan_0",
        "score": 0,
        "agreement": 2 / 3,
        "findings": [],
        "compared": "test-then-train",
    }
    said = " ".join(call("labels", queued, "check").err.split())
    assert "of 2 labels, 1 scored by shape alone: no network has predicted them" in said
    assert "coldal-tui crossfit" in said


def test_labels_are_checked_where_nothing_can_be_written(
    call: Call, queued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project(queued) as opened:
        add_masks(opened, tmp_path / "drawn", {"scan_0": square(rows=(2, 5), columns=(2, 6))})

    def only_reads(self: Project, root: Path, *, readonly: bool = False) -> None:
        assert readonly
        init(self, root, readonly=readonly)

    init = Project.__init__
    monkeypatch.setattr(Project, "__init__", only_reads)
    (told,) = call("labels", queued, "check", "--json").json
    assert told["scan_id"] == "scan_0"


def test_the_list_shows_labels_and_quarantine(call: Call, quarantined: Path, drawn: Path) -> None:
    lines = call("labels", quarantined).out.splitlines()
    # The drawn square is 3 by 4 pixels.
    assert lines[2].split() == ["scan_0", "1", "medoid", "foreground", "12", "match"]
    assert lines[4] == "Quarantine"
    assert lines[5].startswith("  1  scan_1  (")
    assert lines[6] == f"     {drawn}/scan_1.png"
    assert lines[8].startswith("  2  scan_2  (")


def test_an_empty_mask_is_confirmed(call: Call, quarantined: Path) -> None:
    done = call("labels", quarantined, "confirm-empty", 1)
    assert (done.status, done.out) == (0, "1: accepted as the label of scan_1\n")
    assert labels_of(quarantined) == ["scan_0", "scan_1"]


def test_what_still_does_not_fit_stays_and_is_a_failure(call: Call, quarantined: Path) -> None:
    done = call("labels", quarantined, "accept", 2)
    assert done.status == 1
    assert done.out.startswith("2: still in quarantine: ")


def test_retry_after_mending(call: Call, quarantined: Path, drawn: Path) -> None:
    """The project of the tests is a copy, and a copy is nobody's before somebody made it."""
    write_mask(drawn / "scan_2.png")
    refused = call("labels", quarantined, "retry", "--json").json
    assert [one["accepted"] for one in refused] == [False, False]
    assert "import it again" in refused[1]["message"]
    with Project(quarantined, readonly=True) as opened:
        TrustStore().note_made(quarantined, opened.config.project.id or "")
    done = call("labels", quarantined, "retry", "--json")
    assert done.status == 0
    assert [(one["quarantine_id"], one["accepted"]) for one in done.json] == [(1, False), (2, True)]


def test_a_label_is_taken_back_by_its_scan(call: Call, quarantined: Path) -> None:
    done = call("labels", quarantined, "reject", "scan_0")
    assert done.out == "took back 1 label; the files are kept\n"
    assert labels_of(quarantined) == []


def test_a_mask_is_rejected_by_its_number(call: Call, quarantined: Path) -> None:
    done = call("labels", quarantined, "reject", 2, "--json")
    assert done.json == {"labels": [], "quarantine": [2]}
    told = call("labels", quarantined, "--json").json
    assert [row["quarantine_id"] for row in told["quarantine"]] == [1]


def test_a_number_that_is_a_scan_and_a_mask_is_asked_back(call: Call, quarantined: Path) -> None:
    with Project(quarantined) as opened:
        for table in ("scans", "queue", "labels"):
            opened.store.update(table, {"scan_id": "scan_0"}, scan_id="2")
    done = call("labels", quarantined, "reject", 2)
    assert (done.status, done.out) == (2, "")
    assert "labels reject --scan 2" in done.err
    assert call("labels", quarantined, "reject", "--scan", 2, "--json").json == {
        "labels": ["2"],
        "quarantine": [],
    }


def test_one_wrong_word_of_several_rejects_nothing(call: Call, quarantined: Path) -> None:
    before = call("labels", quarantined, "--json").json
    assert call("labels", quarantined, "reject", 1, "scan_0", "nobody").status == 2
    assert call("labels", quarantined, "--json").json == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["hide"], "no such action 'hide'"),
        (["accept"], "which one?"),
        (["reject"], "which one?"),
        (["accept", "9"], "9: nothing in quarantine under this name"),
        (["reject", "scan_5"], "scan_5: this scan has no label"),
        (["accept", "1", "2", "--scan", "scan_4"], "--scan names the scan of one mask"),
        (["accept", "1", "--scan", "nobody"], "nobody: no such scan"),
        (["check", "scan_0"], "unexpected argument 'scan_0'"),
        (["list", "scan_0"], "unexpected argument 'scan_0'"),
    ],
)
def test_a_wrong_call_of_labels(
    words: list[str], reason: str, call: Call, quarantined: Path
) -> None:
    done = call("labels", *words, cwd=quarantined)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--scan", "scan_0"),
        ("check", "--same-grid"),
        ("inbox", "--seg-frames", "source"),
        ("list", "--reason", "blurred"),
        ("accept", 1, "--reason", "blurred"),
    ],
)
def test_an_option_of_another_action_is_a_wrong_call(
    call: Call, quarantined: Path, words: tuple[object, ...]
) -> None:
    done = call("labels", quarantined, *words)
    assert done.status == 2
    assert "of labels" in done.err
