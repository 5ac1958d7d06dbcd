"""A whole import: every file gets a verdict, and no file stops the others."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.importing import ImportOptions, examine, examine_file
from coldal_tui.imaging.labelfile import write_label
from tests.support.import_plan import plan_import

CLASSES = ("lung",)


def target(name: str, **more) -> ScanTarget:
    return ScanTarget(name, (6, 9), (f"{name}.png",), **more)


def draw(path, columns: int = 3, value: int = 1) -> None:
    """A mask of 6×9 pixels with ``columns`` columns of ``value``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((6, 9), np.uint8)
    array[:, :columns] = value
    Image.fromarray(array).save(path)


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def plan(source, *names, classes=CLASSES, ignore=None, targets=None, **more):
    return plan_import(source, targets or [target(n) for n in names], classes, ignore, **more)


def by_name(verdicts) -> dict[str, str]:
    return {v.file.name: v.code or v.scan_id for v in verdicts}


def test_a_folder_of_good_bad_and_foreign_files(tmp_path):
    draw(tmp_path / "a.png", 2)
    draw(tmp_path / "sub" / "b.png", 3)
    draw(tmp_path / "c.png", 4, value=9)
    (tmp_path / "d.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    draw(tmp_path / "nobody.png")
    (tmp_path / "notes.txt").write_text("drawn on Monday")

    result = plan(tmp_path, "a", "b", "c", "d")

    assert result.saw == "5 PNG masks in a folder"
    assert by_name(result.accepted) == {"a.png": "a", "b.png": "b"}
    assert by_name(result.quarantined) == {"c.png": "unknown-value", "d.png": "unreadable"}
    assert by_name(result.unmatched) == {"nobody.png": "unmatched"}
    assert by_name(result.ignored) == {"notes.txt": "ignored"}


def test_a_verdict_holds_what_the_store_needs(tmp_path):
    draw(tmp_path / "a.png", 2)

    (verdict,) = examine(tmp_path, [target("a")], CLASSES, None)

    assert (verdict.status, verdict.scan_id, verdict.geometry) == ("accepted", "a", "match")
    assert verdict.sha256 == digest(tmp_path / "a.png")
    assert verdict.matched_by == "file name" or verdict.matched_by == "scan id"
    assert verdict.label.sum() == 12


def test_a_quarantined_verdict_explains_itself(tmp_path):
    draw(tmp_path / "a.png", 2, value=9)

    (verdict,) = plan(tmp_path, "a").quarantined

    assert verdict.sha256 == digest(tmp_path / "a.png")
    assert verdict.scan_id == "a"
    assert verdict.explanation.startswith("Unknown value 9 (12 pixels); the project knows")
    assert verdict.explanation.endswith("or correct the mask.")


def test_a_single_file_is_a_source(tmp_path):
    draw(tmp_path / "a.png")

    result = plan(tmp_path / "a.png", "a")

    assert (result.saw, len(result.accepted)) == ("1 PNG mask", 1)


def test_a_missing_source_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError) as caught:
        plan(tmp_path / "gone", "a")

    assert caught.value.code == "missing"


def test_a_contradicting_project_is_found_before_the_first_file(tmp_path):
    draw(tmp_path / "a.png")

    with pytest.raises(UsageError, match="ignore value 1"):
        examine(tmp_path, [target("a")], CLASSES, 1)


def test_formats_are_told_by_content_not_by_ending(tmp_path):
    draw(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.nii.gz")

    result = plan(tmp_path, "a")

    assert result.saw == "1 PNG mask in a folder"
    assert by_name(result.accepted) == {"a.nii.gz": "a"}


def test_a_format_that_was_named_is_the_only_one(tmp_path):
    draw(tmp_path / "a.png")

    result = plan(tmp_path, "a", format="nifti")

    assert by_name(result.ignored) == {"a.png": "ignored"}


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, "a", format="dwg")

    assert "nifti" in caught.value.remedy
    assert "raster" in caught.value.remedy


def test_two_different_masks_of_one_scan_are_a_conflict(tmp_path):
    draw(tmp_path / "anna" / "a.png", 2)
    draw(tmp_path / "ben" / "a_mask.png", 3)

    result = plan(tmp_path, "a")

    assert by_name(result.quarantined) == {"a.png": "conflict", "a_mask.png": "conflict"}
    assert "a_mask.png" in result.quarantined[0].message
    assert not result.accepted


def test_equal_files_for_one_scan_count_once(tmp_path):
    draw(tmp_path / "x" / "a.png", 2)
    draw(tmp_path / "y" / "a.png", 2)

    result = plan(tmp_path, "a")

    assert len(result.accepted) == 1
    assert [v.message for v in result.ignored] == ["a copy of a.png, byte for byte"]


def test_equal_masks_of_two_scans_are_pointed_out(tmp_path):
    draw(tmp_path / "a.png", 2)
    draw(tmp_path / "b.png", 2)

    result = plan(tmp_path, "a", "b")

    assert [v.warnings for v in result.accepted] == [
        (),
        ("it equals the mask of another scan, 'a' (a.png): one may be misnamed",),
    ]


def test_equal_empty_masks_are_nothing_odd(tmp_path):
    draw(tmp_path / "a.png", 0)
    draw(tmp_path / "b.png", 0)

    result = plan(tmp_path, "a", "b", options=ImportOptions(confirm_empty=True))

    assert [v.warnings for v in result.accepted] == [(), ()]


def test_the_images_themselves_are_no_masks(tmp_path):
    draw(tmp_path / "images" / "a.png", 5)
    draw(tmp_path / "masks" / "a.png", 2)
    image = tmp_path / "images" / "a.png"

    result = plan(tmp_path, targets=[target("a", files=(str(image),))])

    assert [v.file for v in result.accepted] == [tmp_path / "masks" / "a.png"]
    assert [v.message for v in result.ignored] == ["it is the image itself"]


def test_a_copy_of_the_image_is_no_mask(tmp_path):
    draw(tmp_path / "copy" / "a.png", 5)
    draw(tmp_path / "masks" / "a.png", 2)
    image = digest(tmp_path / "copy" / "a.png")

    result = plan(tmp_path, targets=[target("a", sha256=image)])

    assert [v.file for v in result.accepted] == [tmp_path / "masks" / "a.png"]


@pytest.mark.parametrize("name", ["a.png", "b.png"])
def test_a_lone_copy_of_the_image_is_no_mask(tmp_path, name):
    draw(tmp_path / name, 5)

    (verdict,) = plan(tmp_path, targets=[target("a", sha256=digest(tmp_path / name))]).ignored

    assert verdict.message == "it is the image itself"


def test_names_that_do_not_fit_the_template_are_listed_as_ignored(tmp_path):
    draw(tmp_path / "a_1stHO.png", 2)
    draw(tmp_path / "a_2ndHO.png", 3)

    result = plan(tmp_path, "a", match="{stem}_1stHO")

    assert by_name(result.accepted) == {"a_1stHO.png": "a"}
    assert "does not fit --match '{stem}_1stHO'" in result.ignored[0].message


def test_hidden_files_links_and_pipes_are_safe(tmp_path):
    draw(tmp_path / "m" / "a.png")
    (tmp_path / "m" / "loop").symlink_to(tmp_path / "m")
    (tmp_path / "m" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "m" / ".hidden.png").write_bytes(b"")
    (tmp_path / "m" / "__MACOSX").mkdir()
    os.mkfifo(tmp_path / "m" / "pipe.png")

    result = plan(tmp_path / "m", "a")

    assert by_name(result.accepted) == {"a.png": "a"}
    assert {v.file.name: v.message for v in result.ignored} == {
        "loop": "a link to a folder that was visited",
        "gone.png": "a broken link",
        ".hidden.png": "hidden",
        "__MACOSX": "hidden",
        "pipe.png": "not a plain file",
    }


def test_an_archive_says_what_to_do(tmp_path):
    (tmp_path / "masks.zip").write_bytes(b"PK\x03\x04" + b"\0" * 30)

    assert "import it by its own path" in plan(tmp_path, "a").ignored[0].message


def test_progress_counts_masks(tmp_path):
    draw(tmp_path / "a.png", 2)
    draw(tmp_path / "b.png", 3)
    seen = []

    plan(tmp_path, "a", "b", progress=lambda *step: seen.append(step))

    assert seen == [(1, 2, "a.png"), (2, 2, "b.png")]


def test_labels_are_not_kept_by_a_plan(tmp_path):
    draw(tmp_path / "a.png", 2)

    assert plan(tmp_path, "a").accepted[0].label is None


@pytest.fixture
def prelabelled(tmp_path) -> ScanTarget:
    label = np.zeros((6, 9), np.uint8)
    label[:, :2] = 1
    write_label(tmp_path / "pre.png", label, None)
    return target("a", prelabel=tmp_path / "pre.png")


def test_an_unedited_prelabel_is_pointed_out(tmp_path, prelabelled):
    draw(tmp_path / "m" / "a.png", 2, value=255)

    (verdict,) = plan(tmp_path / "m", targets=[prelabelled]).accepted

    assert verdict.warnings == ("it equals the exported pre-label: accepted without edits",)


def test_a_mask_far_from_its_prelabel_is_pointed_out(tmp_path, prelabelled):
    (tmp_path / "m").mkdir()
    mask = np.zeros((6, 9), np.uint8)
    mask[:, 7:] = 1
    Image.fromarray(mask).save(tmp_path / "m" / "a.png")

    (verdict,) = plan(tmp_path / "m", targets=[prelabelled]).accepted

    assert verdict.warnings == ("it hardly overlaps the exported pre-label (Dice 0.00)",)


def test_an_edited_prelabel_is_nothing_odd(tmp_path, prelabelled):
    draw(tmp_path / "m" / "a.png", 3)

    assert plan(tmp_path / "m", targets=[prelabelled]).accepted[0].warnings == ()


def test_a_quarantined_file_can_be_judged_again(tmp_path):
    draw(tmp_path / "1f3a.png", 0)
    scan = target("a")

    before = examine_file(tmp_path / "1f3a.png", scan, CLASSES, None)
    after = examine_file(
        tmp_path / "1f3a.png", scan, CLASSES, None, ImportOptions(confirm_empty=True)
    )

    assert (before.code, after.status, after.scan_id) == ("empty", "accepted", "a")


def test_a_file_without_a_mask_can_not_be_judged_again(tmp_path):
    (tmp_path / "notes.txt").write_text("")

    with pytest.raises(UsageError, match="it holds 0 masks"):
        examine_file(tmp_path / "notes.txt", target("a"), CLASSES, None)


def test_a_wrong_value_map_is_the_callers_error(tmp_path):
    draw(tmp_path / "a.png")

    with pytest.raises(UsageError, match="names 'liver'"):
        plan(tmp_path, "a", options=ImportOptions(values={5: "liver"}))


def test_an_unreadable_file_is_reported(tmp_path, monkeypatch):
    draw(tmp_path / "a.png", 2)
    draw(tmp_path / "b.png", 3)

    def broken(*_args):
        raise MemoryError("too big for this machine")

    monkeypatch.setattr("coldal_tui.exchange.importers.raster.decode_plain_grey", broken)

    result = plan(tmp_path, "a", "b")

    assert by_name(result.quarantined) == {"a.png": "unreadable", "b.png": "unreadable"}
    assert "too big for this machine" in result.quarantined[0].message


def test_no_link_is_followed_out_of_the_folder(tmp_path):
    draw(tmp_path / "home" / "secret.png", 5)
    folder = tmp_path / "m"
    draw(folder / "deep" / "b.png", 5)
    (folder / "a.png").symlink_to(tmp_path / "home" / "secret.png")
    (folder / "all").symlink_to(tmp_path / "home")
    (folder / "c.png").symlink_to(folder / "deep" / "b.png")

    result = plan(folder, "a", "b", "c")

    told = "a link that leads out of the folder: put the file itself there"
    assert {v.file.name: v.message for v in result.ignored} == {"a.png": told, "all": told}
    assert sorted(v.file.name for v in result.accepted) == ["b.png", "c.png"]


def test_a_scan_may_lie_in_the_labelers_folder_by_link(tmp_path):
    draw(tmp_path / "images" / "a.png", 5)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.png").symlink_to(tmp_path / "images" / "a.png")
    scan = target("a", files=(str(tmp_path / "images" / "a.png"),))

    result = plan(tmp_path / "m", targets=[replace(scan)])

    assert [v.message for v in result.ignored] == [
        "a link that leads out of the folder: put the file itself there"
    ]
