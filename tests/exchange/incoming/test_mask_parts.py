"""One mask in several files: joined within a class, in the project's order, told and counted."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.importing import ImportOptions, examine

AFFINE = np.array([[-1.4, 0.2, 0, 40], [0.2, 1.4, 0, -30], [0, 0, 3, 5], [0, 0, 0, 1.0]])
ORGANS = ("liver", "spleen", "kidney_left")
CT = tuple(
    ScanTarget(name, (8, 7, 5), (f"{name}.nii.gz",), tuple(map(tuple, AFFINE.tolist())))
    for name in ("s0001", "s0002")
)
XRAYS = (ScanTarget("m1", (6, 9), ("m1.png",)), ScanTarget("m2", (6, 9), ("m2.png",)))


def nifti(path, value: int = 1, *boxes: tuple[slice, slice, slice]) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((8, 7, 5), np.uint8)
    for box in boxes:
        array[box] = value
    nib.save(nib.Nifti1Image(array, AFFINE), path)
    return array


def picture(path, rows: slice, columns: slice, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((6, 9), np.uint8)
    array[rows, columns] = value
    Image.fromarray(array).save(path)


def label(*boxes: tuple[int, slice, slice]) -> np.ndarray:
    expected = np.zeros((6, 9), np.uint8)
    for value, rows, columns in boxes:
        expected[rows, columns] = value
    return expected


def run(source, scans=CT, classes=ORGANS, ignore=None, match=None, **options):
    options = ImportOptions(**options)
    return list(examine(source, scans, classes, ignore, match=match, options=options))


def accepted(verdicts) -> dict[str, np.ndarray]:
    return {v.scan_id: v.label for v in verdicts if v.status == "accepted"}


LIVER, SPLEEN = np.s_[1:4, 1:3, 1:4], np.s_[3:6, 2:5, 1:3]


@pytest.fixture
def organs(tmp_path):
    """Liver and spleen overlap in 1 × 1 × 2 voxels; an aorta that nobody asked for; s0002 has none
    of the kidney."""
    for scan in CT:
        folder = tmp_path / "seg" / scan.scan_id / "segmentations"
        nifti(folder / "liver.nii.gz", 1, LIVER)
        nifti(folder / "spleen.nii.gz", 1, SPLEEN)
        nifti(folder / "aorta.nii.gz", 1, np.s_[7:8, 6:7, 0:1])
    nifti(tmp_path / "seg/s0001/segmentations/kidney_left.nii.gz", 1, np.s_[6:8, 5:7, 4:5])
    nifti(tmp_path / "seg/s0002/segmentations/kidney_left.nii.gz", 1)
    return tmp_path / "seg"


@pytest.mark.parametrize("match", [None, "{stem}/segmentations/{class}", "{scan_id}/*/{class}"])
def test_a_file_for_each_class(organs, match):
    verdicts = run(organs, match=match)
    found = accepted(verdicts)
    one = np.zeros((8, 7, 5), np.uint8)
    one[LIVER], one[SPLEEN] = 1, 2  # the later class keeps what both claim
    two = one.copy()
    one[6:8, 5:7, 4:5] = 3
    np.testing.assert_array_equal(found["s0001"], one)
    np.testing.assert_array_equal(found["s0002"], two)
    first = next(v for v in verdicts if v.scan_id == "s0001")
    assert "joined from 3 files: kidney_left.nii.gz, liver.nii.gz, spleen.nii.gz" in first.notes
    assert any("2 pixels were claimed twice: 2 of 'spleen' over 'liver'" in n for n in first.notes)
    second = next(v for v in verdicts if v.scan_id == "s0002")
    assert second.notes[0].endswith("nothing is drawn in 1 of them")
    others = [v.message for v in verdicts if v.status == "ignored"]
    assert others == ["the project has no class 'aorta'"] * 2


def test_the_priority_of_classes_counts_between_files(organs):
    found = accepted(run(organs, priority=("liver",)))["s0001"]
    assert (found[LIVER] == 1).all()
    assert (found == 2).sum() == 3 * 3 * 2 - 2


def test_each_class_keeps_its_place_where_its_file_has_another_grid(tmp_path):
    """A crop, and a file with two axes turned round: as Slicer and dcm2niix write them."""
    folder = tmp_path / "s0001"
    whole = nifti(folder / "liver.nii.gz", 1, LIVER)
    spleen = np.zeros((8, 7, 5), np.uint8)
    spleen[SPLEEN] = 1
    turn = np.diag([-1.0, -1, 1, 1])
    turn[:2, 3] = 7, 6
    nib.save(nib.Nifti1Image(spleen[::-1, ::-1], AFFINE @ turn), folder / "spleen.nii.gz")
    start = np.eye(4)
    start[:3, 3] = 6, 5, 4
    nib.save(
        nib.Nifti1Image(np.ones((2, 2, 1), np.uint8), AFFINE @ start), folder / "kidney_left.nii.gz"
    )
    found = accepted(run(tmp_path))["s0001"]
    expected = whole.copy()
    expected[SPLEEN] = 2
    expected[6:8, 5:7, 4:5] = 3
    np.testing.assert_array_equal(found, expected)


def test_one_class_alone_is_that_class(tmp_path):
    nifti(tmp_path / "s0001" / "spleen.nii.gz", 1, SPLEEN)
    for match in (None, "{stem}/spleen", "{stem}/{class}"):
        (verdict,) = run(tmp_path, match=match)
        assert set(np.unique(verdict.label)) == {0, 2}
        assert "class spleen by its name" in verdict.notes


@pytest.mark.parametrize(
    "names", ["{scan}_{organ}.nii.gz", "{organ}/{scan}.nii.gz", "{organ}_{scan}.nii.gz"]
)
def test_the_class_at_the_end_in_front_or_as_a_folder(tmp_path, names):
    for organ, box in (("liver", LIVER), ("spleen", SPLEEN)):
        nifti(tmp_path / names.format(scan="s0001", organ=organ), 1, box)
    nifti(tmp_path / names.format(scan="s0002", organ="spleen"), 1, SPLEEN)
    nifti(tmp_path / names.format(scan="s0002", organ="aorta"), 1, LIVER)
    verdicts = run(tmp_path)
    found = accepted(verdicts)
    expected = np.zeros((8, 7, 5), np.uint8)
    expected[LIVER], expected[SPLEEN] = 1, 2
    np.testing.assert_array_equal(found["s0001"], expected)
    assert sorted(np.unique(found["s0002"])) == [0, 2]
    # What shows the aorta is the label of nothing.
    (other,) = [v for v in verdicts if v.status != "accepted"]
    assert other.status in ("ignored", "unmatched")


def test_a_label_map_in_a_folder_that_is_called_like_a_class_stays_one(tmp_path):
    both = nifti(tmp_path / "spleen" / "s0001.nii.gz", 1, LIVER)
    both[SPLEEN] = 2
    nib.save(nib.Nifti1Image(both, AFFINE), tmp_path / "spleen" / "s0001.nii.gz")
    (verdict,) = run(tmp_path)
    np.testing.assert_array_equal(verdict.label, both)


def test_a_name_and_a_value_that_contradict_each_other_are_not_guessed(tmp_path):
    nifti(tmp_path / "s0001" / "spleen.nii.gz", 3, SPLEEN)
    (verdict,) = run(tmp_path)
    assert (verdict.status, verdict.code) == ("quarantined", "class-unclear")
    assert "shows 'spleen', and it is drawn as 3 = 'kidney_left'" in verdict.message


def test_one_bad_file_is_the_reason_for_all_and_the_scan_gets_no_half_label(organs):
    (organs / "s0001/segmentations/spleen.nii.gz").write_bytes(b"\x1f\x8bbroken")
    verdicts = [v for v in run(organs) if v.status == "quarantined"]
    assert accepted(run(organs)).keys() == {"s0002"}
    assert "one of 3 files of a mask, and spleen.nii.gz does not fit" in verdicts[0].message


def test_parts_that_are_all_empty_are_an_empty_mask(tmp_path):
    nifti(tmp_path / "s0001" / "liver.nii.gz")
    nifti(tmp_path / "s0001" / "spleen.nii.gz")
    (verdict,) = run(tmp_path)
    assert (verdict.code, verdict.remedy.split(",")[1]) == (
        "empty",
        " import it again with --confirm-empty.",
    )
    (verdict,) = run(tmp_path, confirm_empty=True)
    assert verdict.status == "accepted"


@pytest.mark.parametrize("folders", [("leftMask", "rightMask"), ("left", "right")])
def test_left_and_right_in_two_folders(tmp_path, folders):
    picture(tmp_path / folders[0] / "m1.png", np.s_[1:4], np.s_[0:3])
    picture(tmp_path / folders[1] / "m1.png", np.s_[2:5], np.s_[5:9])
    (verdict,) = run(tmp_path, XRAYS, ("lung",))
    expected = label((1, np.s_[1:4], np.s_[0:3]), (1, np.s_[2:5], np.s_[5:9]))
    np.testing.assert_array_equal(verdict.label, expected)
    assert verdict.notes[0] == f"joined from 2 files: {folders[0]}/m1.png, {folders[1]}/m1.png"


def test_left_and_right_where_they_are_classes(tmp_path):
    for side, columns in (("right", np.s_[5:9]), ("left", np.s_[0:3])):
        picture(tmp_path / f"{side}Mask" / "m1.png", np.s_[1:4], columns)
    (verdict,) = run(tmp_path, XRAYS, ("right lung", "left lung"))
    expected = label((1, np.s_[1:4], np.s_[5:9]), (2, np.s_[1:4], np.s_[0:3]))
    np.testing.assert_array_equal(verdict.label, expected)


def test_one_side_alone_says_that_the_other_is_missing(tmp_path):
    picture(tmp_path / "leftMask" / "m1.png", np.s_[1:4], np.s_[0:3])
    (verdict,) = run(tmp_path, XRAYS, ("lung",))
    assert verdict.warnings == ("only its part 'leftMask' came: the other side is missing",)


def test_numbered_masks_beside_one_without_a_number(tmp_path):
    """As in BUSI: ``benign (1)_mask.png`` and ``benign (1)_mask_1.png``."""
    scans = (ScanTarget("b1", (6, 9), ("benign (1).png",)),)
    picture(tmp_path / "benign (1)_mask.png", np.s_[0:2], np.s_[0:2])
    picture(tmp_path / "benign (1)_mask_1.png", np.s_[3:5], np.s_[4:6])
    picture(tmp_path / "benign (1)_mask_2.png", np.s_[4:6], np.s_[5:9])
    (verdict,) = run(tmp_path, scans, ("lesion",))
    expected = label(
        (1, np.s_[0:2], np.s_[0:2]), (1, np.s_[3:5], np.s_[4:6]), (1, np.s_[4:6], np.s_[5:9])
    )
    np.testing.assert_array_equal(verdict.label, expected)


def test_two_numbers_without_a_first_may_be_two_people(tmp_path):
    for number, rows in ((1, np.s_[0:2]), (2, np.s_[0:3])):
        picture(tmp_path / f"m1_mask_{number}.png", rows, np.s_[0:4])
    verdicts = run(tmp_path, XRAYS, ("lung",))
    assert [v.code for v in verdicts] == ["conflict"] * 2
    (joined,) = run(tmp_path, XRAYS, ("lung",), match="{stem}_mask_*")
    np.testing.assert_array_equal(joined.label, label((1, np.s_[0:3], np.s_[0:4])))
    (joined,) = run(tmp_path, XRAYS, ("lung",), conflict=ConflictRule("union"))
    assert (joined.label == 1).sum() == 12


def test_parts_of_two_people_stay_apart(tmp_path):
    for person, rows in (("ana", np.s_[0:2]), ("ben", np.s_[0:3])):
        picture(tmp_path / person / "m1_lung.png", rows, np.s_[0:4])
        picture(tmp_path / person / "m1_heart.png", np.s_[4:6], np.s_[0:2])
    verdicts = run(tmp_path, XRAYS, ("lung", "heart"), match="{annotator}/{stem}_{class}")
    assert [(v.code, v.author) for v in verdicts] == [("conflict", "ana"), ("conflict", "ben")]
    verdicts = run(
        tmp_path,
        XRAYS,
        ("lung", "heart"),
        match="{annotator}/{stem}_{class}",
        conflict=ConflictRule("annotator", "ben"),
    )
    expected = label((1, np.s_[0:3], np.s_[0:4]), (2, np.s_[4:6], np.s_[0:2]))
    np.testing.assert_array_equal(accepted(verdicts)["m1"], expected)


@pytest.mark.parametrize("rule", ["majority", "staple"])
def test_a_consensus_is_never_empty_unasked(tmp_path, rule):
    for person, columns in (("ana", np.s_[0:2]), ("ben", np.s_[3:5]), ("carl", np.s_[6:8])):
        picture(tmp_path / person / "m1.png", np.s_[0:4], columns)
    verdicts = run(tmp_path, XRAYS, ("lung",), conflict=ConflictRule(rule))
    assert [v.code for v in verdicts] == ["conflict"] * 3
    assert f"their {rule} is empty" in verdicts[0].message


def test_a_table_says_scan_and_class(tmp_path):
    picture(tmp_path / "a" / "x1.png", np.s_[0:2], np.s_[0:4])
    picture(tmp_path / "a" / "x2.png", np.s_[4:6], np.s_[0:2])
    picture(tmp_path / "b" / "x1.png", np.s_[0:1], np.s_[0:1])
    table = tmp_path / "masks.csv"
    table.write_text("mask,scan_id,class\na/x1.png,m1,lung\na/x2,m1,Heart\nb/x1.png,m9,lung\n")
    verdicts = run(tmp_path, XRAYS, ("lung", "heart"), match=str(table))
    expected = label((1, np.s_[0:2], np.s_[0:4]), (2, np.s_[4:6], np.s_[0:2]))
    np.testing.assert_array_equal(accepted(verdicts)["m1"], expected)
    (lost,) = [v for v in verdicts if v.status == "unmatched"]
    assert "scan id 'm9', which the table gives it" in lost.message


def test_conflicting_files_are_told_apart_by_folder(tmp_path):
    for person, rows in (("first", np.s_[0:2]), ("second", np.s_[0:3])):
        picture(tmp_path / person / "m1.png", rows, np.s_[0:4])
    message = run(tmp_path, XRAYS, ("lung",))[0].message
    assert "this one (first/m1.png) and second/m1.png" in message


def test_files_that_name_one_structure_each_are_one_mask(oblique, volume, save_segments, tmp_path):
    """As a DICOM segmentation or a Slicer file for each structure."""
    voxels = sitk.GetArrayFromImage(oblique)
    for number, name in ((1, "tumour"), (2, "organ")):
        one = sitk.GetImageFromArray((voxels == number).astype(np.uint8))
        one.CopyInformation(oblique)
        save_segments(one, [(name, 0, 1)], f"brain{'_seg' * (number - 1)}.seg.nrrd")
    (verdict,) = run(tmp_path, [volume], ("organ", "tumour"))
    expected = np.where(voxels == 1, 2, np.where(voxels == 2, 1, 0)).transpose(2, 1, 0)
    np.testing.assert_array_equal(verdict.label, expected)


def test_files_that_name_the_same_structure_are_two_opinions(
    oblique, volume, save_segments, tmp_path
):
    voxels = sitk.GetArrayFromImage(oblique)
    for number in (1, 2):
        one = sitk.GetImageFromArray((voxels == number).astype(np.uint8))
        one.CopyInformation(oblique)
        save_segments(one, [("organ", 0, 1)], f"brain{'_seg' * (number - 1)}.seg.nrrd")
    verdicts = run(tmp_path, [volume], ("organ", "tumour"))
    assert [v.code for v in verdicts] == ["conflict"] * 2


def test_what_a_person_said_is_not_left_out_beside_a_folder_of_a_class(tmp_path):
    picture(tmp_path / "lung" / "m1.png", np.s_[0:2], np.s_[0:4])
    picture(tmp_path / "later" / "m2.png", np.s_[0:3], np.s_[0:4])
    by_name = run(tmp_path, XRAYS, ("lung",))
    assert [(v.status, v.message) for v in by_name if v.status != "accepted"] == [
        ("ignored", "the project has no class 'later'")
    ]
    assert accepted(run(tmp_path, XRAYS, ("lung",), match="*/{stem}")).keys() == {"m1", "m2"}


def test_a_class_that_another_covers_whole_is_warned_of(tmp_path):
    picture(tmp_path / "m1_liver.png", slice(1, 3), slice(1, 3))
    picture(tmp_path / "m1_spleen.png", slice(0, 5), slice(0, 6))

    (found,) = run(tmp_path, XRAYS)

    np.testing.assert_array_equal(found.label, label((2, slice(0, 5), slice(0, 6))))
    assert found.warnings == ("nothing is left of 'liver': other classes cover all 4 pixels of it",)


def test_a_scan_that_the_table_does_not_know_is_told_beside_files_of_one_class(tmp_path):
    """Only names in folders, never a table, tell that a file shows another class."""
    for name in ("x1", "x2", "x3"):
        picture(tmp_path / f"{name}.png", np.s_[0:2], np.s_[0:4])
    table = tmp_path / "masks.csv"
    table.write_text("mask,scan_id,class\nx1.png,m1,lung\nx2.png,m1,heart\nx3.png,m9,\n")

    verdicts = run(tmp_path, XRAYS, ("lung", "heart"), match=str(table))

    (lost,) = [v for v in verdicts if v.file.name == "x3.png"]
    assert lost.status == "unmatched"
    assert "scan id 'm9', which the table gives it" in lost.message


def test_a_class_that_folder_and_file_both_name_is_one_part(tmp_path):
    picture(tmp_path / "Lung" / "m1_lung_mask.png", np.s_[0:2], np.s_[0:4])
    picture(tmp_path / "Heart" / "m1_heart_mask.png", np.s_[4:6], np.s_[0:2])

    verdicts = run(tmp_path, XRAYS, ("lung", "heart"))

    expected = label((1, np.s_[0:2], np.s_[0:4]), (2, np.s_[4:6], np.s_[0:2]))
    np.testing.assert_array_equal(accepted(verdicts)["m1"], expected)


def test_a_side_that_folder_and_file_both_name_is_one_part(tmp_path):
    picture(tmp_path / "left" / "m1_left.png", np.s_[0:2], np.s_[0:4])
    picture(tmp_path / "right" / "m1_right.png", np.s_[4:6], np.s_[0:2])

    verdicts = run(tmp_path, XRAYS, ("lung",))

    expected = label((1, np.s_[0:2], np.s_[0:4]), (1, np.s_[4:6], np.s_[0:2]))
    np.testing.assert_array_equal(accepted(verdicts)["m1"], expected)


LEFT, RIGHT = (np.s_[0:2], np.s_[0:3]), (np.s_[0:2], np.s_[5:9])
HEART = np.s_[4:6], np.s_[3:6]


@pytest.mark.parametrize(
    "names",
    [
        ("left lung/m1", "right lung/m1", "heart/m1"),
        ("Lung_Left/m1", "Lung_Right/m1", "Heart/m1"),
        ("m1_left_lung", "m1_right_lung", "m1_heart"),
        ("m1_lung_left", "m1_lung_right", "m1_heart"),
        ("m1/lung_left", "m1/lung_right", "m1/heart"),
    ],
)
def test_left_and_right_of_a_class_are_joined_with_the_other_classes(tmp_path, names):
    """As the SCR set of chest X-rays and TotalSegmentator write them."""
    for name, box in zip(names, (LEFT, RIGHT, HEART), strict=True):
        picture(tmp_path / f"{name}.png", *box)

    verdicts = run(tmp_path, XRAYS, ("lung", "heart"))

    expected = label((1, *LEFT), (1, *RIGHT), (2, *HEART))
    np.testing.assert_array_equal(accepted(verdicts)["m1"], expected)
    assert not [v for v in verdicts if v.status == "ignored"]


def test_left_and_right_stay_apart_where_a_class_is_of_a_side(tmp_path):
    picture(tmp_path / "left lung" / "m1.png", *LEFT)
    picture(tmp_path / "right lung" / "m1.png", *RIGHT)

    verdicts = run(tmp_path, XRAYS, ("left lung", "lung"))

    np.testing.assert_array_equal(accepted(verdicts)["m1"], label((1, *LEFT)))
    assert [v.message for v in verdicts if v.status == "ignored"] == [
        "the project has no class 'right lung'"
    ]
