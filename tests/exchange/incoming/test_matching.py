"""Which scan a mask belongs to: the order of identities, and what is left unmatched."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.incoming.names.matching import Match, Matcher, NoMatch
from coldal_tui.exchange.manifest import Manifest, ManifestEntry


def never() -> MaskPixels:
    raise AssertionError("matching must not decode")


def mask(name: str, **hints) -> Candidate:
    return Candidate(Path(name), name, "PNG", never, **hints)


def scan(scan_id: str, *names: str, **more) -> ScanTarget:
    return ScanTarget(scan_id, (4, 4), names or (f"{scan_id}.png",), **more)


def matched(targets, candidate, template=None, manifest=None):
    return Matcher(targets, template).match(candidate, manifest)


@pytest.mark.parametrize(
    ("image", "name", "how"),
    [
        ("photo.jpg", "photo.png", "file name"),
        ("deep/down/photo.jpg", "/somewhere/else/photo.png", "file name"),
        ("brain.nii.gz", "brain.nii", "file name"),
        ("brain.dcm", "brain.seg.nrrd", "file name"),
        ("10.1016-slash-j.healun.2020.04.jpg", "10.1016-slash-j.healun.2020.04.png", "file name"),
        ("1.2.840.113", "1.2.840.113.png", "file name"),
        ("case_7_0000.nii.gz", "case_7.nii.gz", "file name without its channel number"),
        ("photo.jpg", "photo.jpg.png", "full image name"),
        ("Photo.jpg", "pHOTO.png", "file name, other upper and lower case"),
        ("photo.jpg", "photo_mask.png", "file name without '_mask'"),
        ("brain.nii.gz", "brain-seg.nii.gz", "file name without '-seg'"),
        ("photo.jpg", "Photo_Label.png", "file name without '_Label'"),
        ("case_0000.nii.gz", "case_seg.nii.gz", "file name without '_seg'"),
        ("Mu\u0308ller.png", "M\u00fcller.png", "file name"),
    ],
)
def test_names_that_fit(image, name, how):
    assert matched([scan("s1", image), scan("s2", "other.png")], mask(name)) == Match("s1", how)


@pytest.mark.parametrize("name", ["other.png", "photo2.png", "photo_1.png", "hoto.png"])
def test_names_that_fit_nothing(name):
    found = matched([scan("s1", "photo.jpg")], mask(name))

    assert found.code == "unmatched"
    assert repr(Path(name).stem) in found.message
    assert "--match" in found.remedy


def test_exact_letters_win_over_folded_ones():
    targets = [scan("s1", "Photo.png"), scan("s2", "photo.png")]

    assert matched(targets, mask("photo.png")) == Match("s2", "file name")


def test_folded_letters_must_be_unique():
    targets = [scan("s1", "Photo.png"), scan("s2", "photo.png")]

    assert matched(targets, mask("PHOTO.png")).code == "ambiguous"


def test_an_exact_name_wins_over_a_dropped_suffix():
    targets = [scan("s1", "photo.png"), scan("s2", "photo_mask.png")]

    assert matched(targets, mask("photo_mask.png")) == Match("s2", "file name")


def test_an_ambiguous_stem_names_the_scans():
    targets = [scan("a", "x/photo.png"), scan("b", "y/photo.png")]

    found = matched(targets, mask("photo.png"))

    assert found.code == "ambiguous"
    assert found.message == "the name 'photo' fits 2 scans: 'a', 'b'"
    assert "{scan_id}" in found.remedy


def test_equal_folders_tell_equal_stems_apart():
    targets = [scan("a", "x/photo.png"), scan("b", "y/photo.png")]

    assert matched(targets, mask("/labels/y/photo.png")) == Match("b", "file name and folder")


def test_a_scan_id_that_is_another_scans_stem_is_ambiguous():
    # The first of two photos got the bare id: a mask "photo" may be of either.
    targets = [scan("photo", "x/photo.png"), scan("photo-2", "y/photo.png")]

    assert matched(targets, mask("photo.png")).code == "ambiguous"


def test_two_channels_of_one_case_are_ambiguous():
    targets = [scan("a", "case_0000.nii.gz"), scan("b", "case_0001.nii.gz")]

    assert matched(targets, mask("case.nii.gz")).code == "ambiguous"


def test_a_scan_id_is_a_name_too():
    assert matched([scan("scan-17", "IM0001")], mask("scan-17.png")) == Match("scan-17", "scan id")


def test_uids_come_first():
    targets = [scan("a", uids=("1.2.3",)), scan("b", uids=("1.2.4",))]

    assert matched(targets, mask("a.dcm", uids=("1.2.4",))) == Match("b", "UID")


def test_uids_of_two_scans_are_ambiguous():
    targets = [scan("a", uids=("1.2.3",)), scan("b", uids=("1.2.4",))]

    assert matched(targets, mask("a.dcm", uids=("1.2.3", "1.2.4"))).code == "ambiguous"


def test_an_image_name_with_its_ending_tells_formats_apart():
    targets = [scan("a", "photo.jpg"), scan("b", "photo.png")]

    assert matched(targets, mask("photo.png", names_image=True)) == Match("b", "image name")


def test_our_scan_id_in_the_file_comes_before_its_name():
    targets = [scan("a"), scan("b")]

    assert matched(targets, mask("a.png", scan_id="b")) == Match("b", "scan id in the file")


def manifest(**images: str) -> Manifest:
    entries = tuple(ManifestEntry(scan_id, image, "aa") for scan_id, image in images.items())
    return Manifest(Path("manifest.json"), entries)


def test_the_manifest_settles_what_names_can_not():
    targets = [scan("photo", "x/photo.png"), scan("photo-2", "y/photo.png")]
    exported = manifest(photo="images/photo.png")

    assert matched(targets, mask("photo.png"), manifest=exported) == Match("photo", "manifest")


def test_a_mask_of_another_version_of_the_image_is_not_matched():
    exported = manifest(photo="images/photo.png")

    found = matched([scan("photo", sha256="bb")], mask("photo.png"), manifest=exported)

    assert found.code == "other-image"
    assert "'photo'" in found.message


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{stem}_1stHO", "Image_01L_1stHO.png", "s1"),
        ("{stem}_1stHO.png", "Image_01L_1stHO.png", "s1"),
        ("m_{stem}", "m_Image_01L.png", "s1"),
        ("{scan_id}_a", "s1_a.png", "s1"),
        ("{stem}/mask", "x/Image_01L/mask.png", "s1"),
        ("rater2/{stem}", "x/rater2/Image_01L.png", "s1"),
    ],
)
def test_templates(template, name, expected):
    found = matched([scan("s1", "Image_01L.jpg")], mask(name), template)

    assert found == Match(expected, "--match")


@pytest.mark.parametrize(
    ("template", "name", "code"),
    [
        ("{stem}_1stHO", "Image_01L_2ndHO.png", "template"),
        ("{stem}_1stHO", "_1stHO.png", "template"),
        ("{stem}/mask", "mask.png", "template"),
        ("{stem}_1stHO", "Image_99_1stHO.png", "unmatched"),
        ("{stem}_a", "s1_a.png", "unmatched"),
        ("{scan_id}_a", "Image_01L_a.png", "unmatched"),
    ],
)
def test_templates_that_do_not_fit(template, name, code):
    found = matched([scan("s1", "Image_01L.jpg")], mask(name), template)

    assert isinstance(found, NoMatch)
    assert found.code == code


@pytest.mark.parametrize("template", ["mask", "{name}_x", "{stem}{scan_id}", "{stem}_{stem}"])
def test_a_template_has_one_field(template):
    with pytest.raises(UsageError) as caught:
        Matcher([], template)

    assert caught.value.code == "template"
    assert template in caught.value.what


def test_an_instance_tells_scans_of_one_series_apart():
    targets = [scan("a", uids=("1.5", "1.5.1", "1.5.2")), scan("b", uids=("1.5", "1.5.3"))]

    assert matched(targets, mask("x.dcm", uids=("1.5", "1.5.3"))) == Match("b", "UID")


def test_a_mask_of_instances_of_two_scans_is_ambiguous():
    targets = [scan("a", uids=("1.5", "1.5.1")), scan("b", uids=("1.5", "1.5.3"))]

    assert matched(targets, mask("x.dcm", uids=("1.5", "1.5.1", "1.5.3"))).code == "ambiguous"


def test_a_mask_of_a_foreign_series_is_not_matched_by_its_name():
    found = matched([scan("a", uids=("1.2.3",))], mask("a.dcm", uids=("9.9", "9.9.1")))

    assert found.code == "unmatched"
    assert "UID 9.9 (scan 'a' has its name only)" in found.message


def test_a_mask_with_uids_is_matched_by_name_to_a_scan_without():
    assert matched([scan("a")], mask("a.dcm", uids=("9.9",))) == Match("a", "scan id")


def test_an_orphan_is_told_with_its_series():
    found = matched([scan("a")], mask("b.dcm", uids=("9.9",)))

    assert found.message == "no scan of the project has the series it was drawn on, UID 9.9"


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("Image_04R_1stHO.png", "{stem}_1stHO"),
        ("drawn-Image_04R.png", "drawn-{stem}"),
        ("left.png", "{stem}_suffix"),
    ],
)
def test_the_remedy_is_the_template_that_fits_the_name(name, template):
    found = matched([scan("Image_04R"), scan("Image_04L")], mask(name))
    assert f"--match '{template}'" in found.remedy
