"""``import-masks``: class maps, rules for several masks, archives, a watched folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from coldal_tui.project.settings.config import load_config
from tests.support.small_projects import Call, write_mask


def coco(path: Path, *images: str, name: str = "Tumor") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "images": [
            {"id": n, "file_name": image, "height": 8, "width": 8} for n, image in enumerate(images)
        ],
        "annotations": [
            {"image_id": n, "category_id": 7, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]}
            for n in range(len(images))
        ],
        "categories": [{"id": 7, "name": name}],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("mapping", ["Tumor=1", "tumor=foreground"])
def test_a_class_is_mapped_by_name_and_the_map_is_kept(
    mapping: str, call: Call, queued: Path, tmp_path: Path
) -> None:
    file = coco(tmp_path / "drawn" / "x.json", "scan_0.png", "scan_1.png")
    assert "say what they mean: --map Tumor=CLASS\n" in call("import-masks", queued, file).out

    done = call("import-masks", queued, file, "--map", mapping)

    assert (done.status, "accepted: 2 masks\n" in done.out) == (0, True)
    assert f"kept in coldal.toml: {mapping.replace('=', ' = ')}" in done.out
    assert call("import-masks", queued, coco(tmp_path / "y.json", "scan_2.png")).status == 0


def test_a_dry_run_keeps_no_map(call: Call, queued: Path, tmp_path: Path) -> None:
    file = coco(tmp_path / "x.json", "scan_0.png")

    call("import-masks", queued, file, "--map", "Tumor=1", "--dry-run")

    assert load_config(queued / "coldal.toml").classes.map == {}


@pytest.mark.parametrize("mapping", ["Tumor", "=1", "Tumor=", "Tumor=liver", "Tumor=7"])
def test_a_wrong_map_changes_nothing(
    mapping: str, call: Call, queued: Path, tmp_path: Path
) -> None:
    before = (queued / "coldal.toml").read_bytes()

    done = call("import-masks", queued, coco(tmp_path / "x.json", "scan_0.png"), "--map", mapping)

    assert done.status == 2
    assert (queued / "coldal.toml").read_bytes() == before


def test_masks_of_many_in_one_file_are_named(call: Call, queued: Path, tmp_path: Path) -> None:
    file = coco(tmp_path / "x.json", "scan_0.png", "nobody.png")

    done = call("import-masks", queued, file, "--json").json

    assert done["saw"] == "1 COCO file"
    assert done["unknown"] == {"Tumor": 1}
    assert [(one["key"], one["code"]) for one in done["quarantined"]] == [
        ("scan_0.png", "unknown-value")
    ]
    assert [one["key"] for one in done["unmatched"]] == ["nobody.png"]
    assert "x.json [scan_0.png] (unknown-value): Unknown class 'Tumor' (12 pixels)" in (
        call("import-masks", queued, file).out
    )


def test_the_agreement_is_shown_by_pair_and_class(call: Call, queued: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    for scan in ("scan_0", "scan_1"):
        write_mask(drawn / f"{scan}_anna.png")
        write_mask(drawn / f"{scan}_ben.png", 255)
    words = ("--match", "{stem}_{annotator}", "--conflict", "majority")

    done = call("import-masks", queued, drawn, *words)
    told = call("import-masks", queued, drawn, *words, "--json").json

    assert "accepted: 2 masks\n" in done.out
    assert "kept as versions beside the one that counts: 2" in done.out
    assert "anna and ben, foreground: Dice 1.000, HD95 0.0 px (2 scans)" in done.out
    assert told["agreement"][0]["raters"] == ["anna", "ben"]


def test_a_rule_that_there_is_not(call: Call, queued: Path, tmp_path: Path) -> None:
    done = call("import-masks", queued, tmp_path, "--conflict", "oldest")

    assert done.status == 2
    assert "annotator:NAME, majority, staple or union" in done.err


def test_an_archive_is_a_path_like_any_other(call: Call, queued: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "scan_0.png")
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.write(tmp_path / "scan_0.png", "masks/scan_0.png")

    told = call("import-masks", queued, tmp_path / "m.zip", "--json").json

    assert told["saw"] == "1 PNG mask in an archive"
    assert told["accepted"][0]["file"] == f"{tmp_path}/m.zip/masks/scan_0.png"


def test_a_watch_imports_what_arrives_and_ends_with_ctrl_c(queued: Path, tmp_path: Path) -> None:
    incoming = queued / "incoming"
    command = [sys.executable, "-m", "coldal_tui", "import-masks", str(queued), "--watch", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            assert str(incoming) in process.stderr.readline()
            write_mask(tmp_path / "scan_0.png")
            (tmp_path / "scan_0.png").replace(incoming / "scan_0.png")
            told = json.loads(process.stdout.readline())
            time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=600)
    assert [one["scan_id"] for one in told["accepted"]] == ["scan_0"]
    assert process.returncode == 130


def test_a_watch_changes_nothing_in_a_dry_run(call: Call, queued: Path) -> None:
    assert call("import-masks", queued, "--watch", "--dry-run").status == 2


def test_what_is_no_mask_within_a_file_is_told(call: Call, queued: Path, tmp_path: Path) -> None:
    tasks = [{"id": n, "data": {"image": f"scan_{n}.png"}, "annotations": []} for n in range(3)]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))

    done = call("import-masks", queued, tmp_path / "tasks.json")

    assert "  3: nobody has drawn this task yet" in done.out


def test_what_to_do_about_many_masks_is_said_once(call: Call, queued: Path, tmp_path: Path) -> None:
    for number in range(3):
        write_mask(tmp_path / "drawn" / f"scan_{number}.png", value=7)
    write_mask(tmp_path / "drawn" / "nobody.png")

    out = call("import-masks", queued, tmp_path / "drawn").out

    assert out.count("Say what they mean with --map 7=CLASS") == 1
    assert "  → 3 of them: Say what they mean" in out
    assert "  scan_2.png (unknown-value): Unknown value 7 (12 pixels)" in out
    assert "  nobody.png: No scan of the project has the file name 'nobody';" in out


def test_an_import_that_takes_nothing_says_why_and_is_a_failure(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    source = tmp_path / "returned"
    source.mkdir()
    for name in ("a.txt", "b.txt"):
        (source / name).write_text("no mask")
    done = call("import-masks", queued, source)
    assert done.status == 1
    assert "passed over: 2 files\n  2: no mask format that is known (such as a.txt)\n" in done.out
    assert "nothing came in. Formats that are known: " in done.out
    assert call("import-masks", queued, source, "--dry-run").status == 1


def test_masks_that_were_left_out_for_their_names_are_of_a_known_format(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    write_mask(tmp_path / "drawn" / "scan_0.png")

    done = call("import-masks", queued, tmp_path / "drawn", "--match", "{stem}_seg")

    assert done.status == 1
    assert "its name does not fit --match '{stem}_seg'" in done.out
    assert "nothing came in\n" in done.out


def test_what_was_joined_and_what_overlapped_is_told(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    source = tmp_path / "drawn"
    for number in range(3):
        write_mask(source / "left" / f"scan_{number}.png")
        write_mask(source / "right" / f"scan_{number}.png")
    (source / "notes.txt").write_text("done")
    done = call("import-masks", queued, source)
    assert done.status == 0
    told = [line for line in done.out.splitlines() if "joined from 2 files" in line]
    assert len(told) == 1
    assert told[0].endswith("(and 2 more like it)")
    assert "passed over: 1 file\n  notes.txt: no mask format that is known\n" in done.out


def test_masks_and_images_are_named_by_what_they_share(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    for number in (0, 2):
        write_mask(tmp_path / "back" / f"drawn-{number}.png")

    without = call("import-masks", queued, tmp_path / "back", "--image", "scan_{case}")
    done = call(
        "import-masks", queued, tmp_path / "back", "--match", "drawn-{case}", "--image",
        "scan_{case}", "--json",
    )  # fmt: skip

    assert (without.status, "--image says how images are named" in without.err) == (2, True)
    assert done.status == 0
    assert [one["scan_id"] for one in done.json["accepted"]] == ["scan_0", "scan_2"]
