"""How people name masks of scans whose names they don't repeat, and what is never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.incoming.names.matching import Match, Matcher, NoMatch
from coldal_tui.exchange.incoming.names.name_readings import ClassWords

UID = "1.2.826.0.1.3680043.8.498.3839755272"


def mask(name: str, **hints) -> Candidate:
    return Candidate(Path(name), name, "NIfTI", lambda: None, **hints)  # type: ignore[arg-type]


def scans(*paths: str) -> list[ScanTarget]:
    return [ScanTarget(f"id{n}", (4, 4), (path,)) for n, path in enumerate(paths)]


def found(targets, name: str, template: str | None = None) -> str | None:
    match = Matcher(targets, template).match(mask(name))
    return match.scan_id if isinstance(match, Match) else None


@pytest.mark.parametrize(
    ("images", "name"),
    [
        (("volume-0.nii", "volume-1.nii"), "segmentation-1.nii"),
        (("sub-verse004_ct.nii.gz", "sub-verse005_ct.nii.gz"), "sub-verse005_seg-vert_msk.nii.gz"),
        (("im_1.png", "im_2.png"), "im_2_annot.png"),
        (("20_training.tif", "21_training.tif"), "21_manual1.gif"),
        (("BraTS20_000_flair.nii.gz", "BraTS20_001_flair.nii.gz"), "BraTS20_001_seg.nii.gz"),
        (("case_0/imaging.nii.gz", "case_1/imaging.nii.gz"), "case_1/segmentation.nii.gz"),
        (("sub-00/anat/sub-00_T1w.nii.gz", "sub-01/anat/sub-01_T1w.nii.gz"), "sub-01_dseg.nii.gz"),
        (
            ("sub-01_ses-1_T1w.nii.gz", "sub-01_ses-2_T1w.nii.gz"),
            "deriv/sub-01_ses-2_desc-aseg_dseg.nii.gz",
        ),
        (("c_0_0000.nii.gz", "c_1_0000.nii.gz"), "c_1.nii.gz"),
        (("img0001.png", "img0002.png"), "mask0002.png"),
        (("image_7.png", "image_8.png"), "label_8.png"),
        (("p1/scan.png", "p2/scan.png"), "p2/mask.png"),
        (("p1/a.nii.gz", "p2/b.nii.gz"), "p2/segmentations/mask.nii.gz"),
    ],
)
def test_names_of_public_data_sets(images, name):
    assert found(scans(*images), name) == "id1"


@pytest.mark.parametrize(
    ("images", "name"),
    [
        # Two images of one session: the mask names neither.
        (("sub-01_T1w.nii.gz", "sub-01_T2w.nii.gz"), "sub-01_dseg.nii.gz"),
        (("p1/flair.nii.gz", "p1/t1.nii.gz"), "p1/seg.nii.gz"),
        (("volume-1.nii", "image-1.nii"), "segmentation-1.nii"),
    ],
)
def test_where_two_scans_fit_both_are_named_and_none_is_taken(images, name):
    match = Matcher(scans(*images)).match(mask(name))
    assert isinstance(match, NoMatch)
    assert (match.code, match.nearest) == ("ambiguous", ("id0", "id1"))


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("test_001.png", "train_001_mask.png"),  # another part of the data set
        ("sub-01_ses-1_T1w.nii.gz", "sub-01_ses-2_dseg.nii.gz"),
        ("volume-1.nii", "segmentation-01.nii"),
        ("volume-1.nii", "segmentation-12.nii"),
        ("case_t1.nii.gz", "case_t2_seg.nii.gz"),
        ("volume-1.nii", "1.nii"),  # nothing says that it is a mask of it
    ],
)
def test_names_that_are_like_and_mean_another_scan(image, name):
    assert found(scans(image), name) is None


@pytest.fixture
def series() -> list[ScanTarget]:
    """Two series in folders of their own, a third beside the second one."""
    made = []
    for scan_id, folder, uid, patient in (
        ("a-s1", "LIDC-001/ct", f"{UID}.1", "P1"),
        ("b-s1", "LIDC-002/ct", f"{UID}.2", "P2"),
        ("b-s2", "LIDC-002/pet", f"{UID}.3", "P2"),
    ):
        files = tuple(f"/img/{folder}/im{n:03}.dcm" for n in range(3))
        made.append(
            ScanTarget(
                scan_id,
                (4, 4, 3),
                (f"{folder}/im000.dcm",),
                uids=(uid,),
                files=files,
                patient=patient,
            )
        )
    return made


@pytest.mark.parametrize(
    "name",
    [
        f"{UID}.1.nii.gz",
        f"ct_{UID}.1_seg.nii.gz",
        "P1.nii.gz",
        "p1_seg.nii.gz",
        "LIDC-001.nii.gz",
        "LIDC-001_mask.nii.gz",
        "LIDC-001/seg.nii.gz",
        "LIDC-001/ct/segmentation.nii.gz",
        "LIDC-001_Abdomen_3.0_B30f_20200101101010_2.nii.gz",
    ],
)
def test_masks_of_a_dicom_series(series, name):
    assert found(series, name) == "a-s1"


@pytest.mark.parametrize("name", ["P2.nii.gz", "LIDC-002.nii.gz", "LIDC-002/seg.nii.gz"])
def test_a_patient_of_two_series_is_not_guessed(series, name):
    match = Matcher(series).match(mask(name))
    assert isinstance(match, NoMatch)
    assert (match.code, match.nearest) == ("ambiguous", ("b-s1", "b-s2"))


@pytest.mark.parametrize(
    ("template", "name", "scan_id"),
    [
        ("{patient}_seg", "P1_seg.nii.gz", "a-s1"),
        ("{series_uid}", f"{UID}.3.nii.gz", "b-s2"),
        ("{folder}/{patient}", "pet/P2.nii.gz", "b-s2"),
        ("{patient}-{folder}", "P2-ct.nii.gz", "b-s1"),
        ("{folder}/*", "LIDC-001/whatever.nii.gz", "a-s1"),
    ],
)
def test_templates_may_name_what_a_series_is_called(series, template, name, scan_id):
    assert found(series, name, template) == scan_id


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("segmentation-{stem}", "segmentation-1.nii"),
        ("{stem}_seg", "1_seg.nii"),
        ("*-{scan_id}", "x-id1.nii"),
    ],
)
def test_the_word_of_a_template_may_be_what_names_have_in_common(template, name):
    assert found(scans("volume-0.nii", "volume-1.nii"), name, template) == "id1"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("sub-02_dseg.nii.gz", "sub-02_acq-highres_run-1_T1w"),
        ("sub-03 - Copy (2).png", "sub-03"),
        ("img1_cp_masks.png", "img1"),
    ],
)
def test_a_scan_is_near_that_has_all_words_of_the_name_or_no_other(name, nearest):
    known = ("sub-01_T1w", "sub-02_acq-highres_run-1_T1w", "sub-03", "img1", "img12")
    match = Matcher([ScanTarget(one, (4, 4), (f"{one}.png",)) for one in known]).match(mask(name))
    assert isinstance(match, NoMatch)
    assert match.nearest[0] == nearest


def test_the_nearest_names_are_told():
    targets = [
        ScanTarget(name, (4, 4), (f"{name}.png",)) for name in ("thorax_017", "thorax_018", "knee")
    ]
    match = Matcher(targets).match(mask("torax_017.png"))
    assert isinstance(match, NoMatch)
    assert match.nearest == ("thorax_017", "thorax_018")
    assert "nearest: 'thorax_017', 'thorax_018'" in match.message
    match = Matcher(targets).match(mask("zzz.png"))
    assert "the first scans: 'knee', 'thorax_017', 'thorax_018'" in match.message


@pytest.mark.parametrize(
    ("images", "template", "name", "scan"),
    [
        (("B1_flair.nii.gz", "B2_flair.nii.gz"), "{case}_seg = {case}_flair", "B2_seg.nii", "id1"),
        (("B1_t1.nii.gz", "B1_flair.nii.gz"), "{case}_seg = {case}_flair", "B1_seg.nii", "id1"),
        (("p1/T1/im.nii", "p2/T1/im.nii"), "{case}-Ground = {case}/T1/*", "p2-Ground.nii", "id1"),
        (("p1/T1/im.nii", "p2/T1/im.nii"), "{case}/Ground = {case}/*/im", "x/p2/Ground.nii", "id1"),
        (("10_a_t2w.nii", "10_b_t2w.nii"), "{case} = {case}_t2w", "10_b.nii.gz", "id1"),
        (("B1_flair.nii.gz", "x/B1_flair.nii.gz"), "{case}_seg = {case}_flair", "B1_seg.nii", None),
        (("B1_flair.nii.gz",), "{case}_seg = {case}_t1", "B1_seg.nii", None),
        (("B1_flair.nii.gz",), "{case}_seg = {case}_flair", "B2_seg.nii", None),
    ],
)
def test_what_masks_and_images_share_is_the_case(images, template, name, scan):
    assert found(scans(*images), name, template) == scan


@pytest.mark.parametrize(
    "template",
    ["{case}_seg", "{stem}_seg = {case}_flair", "{case}_seg = {stem}", "{case} = x", "{case} ="],
)
def test_a_case_is_read_from_both_names(template):
    with pytest.raises(UsageError) as wrong:
        Matcher(scans("a.png"), template)
    assert wrong.value.code == "template"


@pytest.mark.parametrize(
    "name",
    [f"{UID}/mask.nii.gz", f"x/{UID}/segmentations/liver.nii.gz", f"{UID}/seg/liver.nii.gz"],
)
def test_a_folder_named_by_the_series_uid_finds_the_series(name):
    targets = [
        ScanTarget("a", (4, 4, 4), ("ct1/1.dcm",), uids=(UID,)),
        ScanTarget("b", (4, 4, 4), ("ct2/1.dcm",), uids=(f"{UID}.7",)),
    ]
    match = Matcher(targets, None, ClassWords(("liver",))).match(mask(name))
    assert isinstance(match, Match)
    assert (match.scan_id, match.how) == ("a", "series UID of its folder")
    other = name.replace(UID, f"{UID}.8")
    assert isinstance(Matcher(targets, None, ClassWords(("liver",))).match(mask(other)), NoMatch)
