"""Class names from files beside a label map: ITK-SNAP's descriptions and BIDS tables."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.shared.itksnap_names import parse_description
from coldal_tui.exchange.incoming.geometry_policy import decide
from coldal_tui.exchange.incoming.importing import examine

HEAD = """################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
"""
CLASSES = ("anterior", "posterior")


def description(*names: str) -> str:
    """A file as ITK-SNAP 4 writes it; ``names`` from value 0 on."""
    lines = [
        f"{n:>5}  {255 if n else 0:>3}    0    0        {min(n, 1)}  {min(n, 1)}  {min(n, 1)}"
        f'    "{name}"'
        for n, name in enumerate(names)
    ]
    return HEAD + "\n".join(lines) + "\n"


@pytest.fixture
def names_of(tmp_path, recognised):
    """Writes a small NIfTI mask and returns the names that its values get."""

    def find(name: str = "brain.nii.gz") -> tuple[dict[int, str] | None, list[str]]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)), path)
        candidate = recognised(path)
        return candidate.load().names, [part.name for part in candidate.parts]

    return find


def test_names_come_from_the_description_beside_the_mask(tmp_path, names_of):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "anterior", "the rest"))

    assert names_of() == ({0: "Clear Label", 1: "anterior", 2: "the rest"}, ["labels.txt"])


def test_a_label_takes_the_class_of_its_name(tmp_path, volume, oblique, recognised):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "posterior", "anterior"))
    sitk.WriteImage(oblique, str(tmp_path / "brain.nii.gz"))

    decision = decide(volume, recognised(tmp_path / "brain.nii.gz"), CLASSES, None)

    expected = np.choose(sitk.GetArrayFromImage(oblique).T, [0, 2, 1])
    np.testing.assert_array_equal(decision.label, expected)
    assert decision.notes == ("class names from labels.txt",)


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_other_volume_formats_are_named_too(tmp_path, oblique, recognised, ending):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "a", "b"))
    sitk.WriteImage(oblique, str(tmp_path / f"brain.{ending}"))

    assert recognised(tmp_path / f"brain.{ending}").load().names[2] == "b"


@pytest.mark.parametrize("own", ["brain.txt", "brain_labels.txt", "brain.label"])
def test_a_mask_s_own_description_comes_first(tmp_path, names_of, own):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "general"))
    (tmp_path / own).write_text(description("Clear Label", "special"))

    assert names_of()[0][1] == "special"


def test_the_description_of_another_mask_is_not_taken(tmp_path, names_of):
    names_of("other.nii.gz")
    (tmp_path / "other.txt").write_text(description("Clear Label", "special"))

    assert names_of() == (None, [])


def test_descriptions_that_disagree_are_refused(tmp_path, names_of):
    """To read the values by number would be a guess."""
    (tmp_path / "a.txt").write_text(description("Clear Label", "this"))
    (tmp_path / "b.txt").write_text(description("Clear Label", "that"))

    with pytest.raises(ImageError, match=r"a\.txt and b\.txt name its values differently"):
        names_of()


@pytest.mark.parametrize("name", ["tissue.lbl", "names.labels", "label_descriptions.txt"])
def test_a_description_of_any_name_counts(tmp_path, names_of, name):
    (tmp_path / name).write_text(description("Clear Label", "posterior", "anterior"))

    assert names_of()[0] == {0: "Clear Label", 1: "posterior", 2: "anterior"}


def test_a_description_above_the_folder_of_masks_counts(tmp_path, names_of):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "posterior", "anterior"))

    assert names_of("masks/brain.nii.gz")[1] == ["labels.txt"]
    assert names_of("deeper/masks/brain.nii.gz") == (None, [])


def test_the_nearest_description_counts(tmp_path, names_of):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "above"))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "names.txt").write_text(description("Clear Label", "near"))

    assert names_of("masks/brain.nii.gz")[0][1] == "near"


SLICER = """# Color table file Segmentation-label_ColorTable.ctbl
# 3 values
0 Background 0 0 0 0
1 posterior 128 174 128 255
2 anterior 241 214 145 255
"""
SLICER_CSV = """# Color: R,G,B,A
LabelValue,Name,Color_R,Color_G,Color_B,Color_A
1,posterior,128,174,128,255
2,anterior,241,214,145,255
"""
FREESURFER = "#No. Label Name: R G B A\n\n1 posterior 70 130 180 0\n2   anterior  245 245 245 0\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("brain_ColorTable.ctbl", SLICER),
        ("Segmentation-label_ColorTable.txt", SLICER),
        ("brain_ColorTable.csv", SLICER_CSV),
        ("FreeSurferColorLUT.txt", FREESURFER),
    ],
)
def test_colour_tables_name_values_too(tmp_path, names_of, name, text):
    (tmp_path / name).write_text(text)

    names, sources = names_of()

    assert ({n: names[n] for n in (1, 2)}, sources) == ({1: "posterior", 2: "anterior"}, [name])


def test_names_that_the_program_makes_up_say_nothing(tmp_path, names_of):
    (tmp_path / "labels.txt").write_text(description("Clear Label", "Label 1", "Label 2"))

    assert names_of() == (None, [])


def test_other_text_is_no_description(tmp_path, names_of):
    (tmp_path / "notes.txt").write_text("1 255 0 0 1 1 1 drawn on Monday\n")

    assert names_of() == (None, [])


def test_a_changed_description_is_read_again(tmp_path, names_of):
    path = tmp_path / "labels.txt"
    path.write_text(description("Clear Label", "before"))
    names_of()
    path.write_text(description("Clear Label", "after!"))
    os.utime(path, ns=(1, 1))

    assert names_of()[0][1] == "after!"


def test_alpha_may_be_a_fraction_and_names_may_hold_quotes():
    text = '1 10 20 30 0.35 1 0 "the "left" one"'

    assert parse_description(text) == {1: 'the "left" one'}


def test_a_bids_table_beside_the_mask(tmp_path, names_of):
    (tmp_path / "sub-01_dseg.tsv").write_text("index\tname\tcolor\n1\tgrey matter\t#ff53bb\n")

    assert names_of("sub-01_dseg.nii.gz") == ({1: "grey matter"}, ["sub-01_dseg.tsv"])


def test_a_bids_table_is_inherited_from_the_data_set(tmp_path, names_of):
    (tmp_path / "set" / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "set" / "dataset_description.json").write_text("{}")
    (tmp_path / "set" / "desc-tumour_dseg.tsv").write_text("index\tname\n1\ttumour\n")
    (tmp_path / "set" / "desc-tissue_dseg.tsv").write_text("index\tname\n1\ttissue\n")
    (tmp_path / "desc-tumour_dseg.tsv").write_text("index\tname\n1\toutside\n")

    found = names_of("set/sub-01/anat/sub-01_desc-tumour_dseg.nii.gz")

    assert found == ({1: "tumour"}, ["desc-tumour_dseg.tsv"])


def test_a_bids_table_is_for_dseg_files_only(tmp_path, names_of):
    (tmp_path / "dseg.tsv").write_text("index\tname\n1\ttumour\n")

    assert names_of("sub-01_mask.nii.gz") == (None, [])


@pytest.mark.parametrize("above", [False, True])
def test_the_names_of_labelme_s_voc_export_count(tmp_path, above):
    values = np.zeros((6, 9), np.uint8)
    values[1:3, 1:4], values[4, 5:8] = 1, 2
    folder = tmp_path / "SegmentationClassPNG"
    folder.mkdir()
    Image.fromarray(values).save(folder / "photo.png")
    place = tmp_path if above else folder
    (place / "class_names.txt").write_text("_background_\ncat\ndog\n")
    scan = ScanTarget("photo", (6, 9), ("photo.png",))

    found = [v for v in examine(tmp_path, [scan], ("dog", "cat"), None) if v.label is not None]

    np.testing.assert_array_equal(found[0].label, np.choose(values, [0, 2, 1]))
    assert "class names from class_names.txt" in found[0].notes


def test_a_list_that_does_not_begin_with_the_background_names_nothing(tmp_path):
    Image.fromarray(np.eye(6, 9, dtype=np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "class_names.txt").write_text("cat\ndog\n")
    scan = ScanTarget("photo", (6, 9), ("photo.png",))

    found = [v for v in examine(tmp_path, [scan], ("dog", "cat"), None) if v.label is not None]

    assert found[0].notes == ()


def test_the_file_that_named_the_values_is_no_unknown_format(tmp_path):
    Image.fromarray(np.eye(6, 9, dtype=np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "class_names.txt").write_text("_background_\ncat\n")
    (tmp_path / "notes.txt").write_text("nothing")
    scan = ScanTarget("photo", (6, 9), ("photo.png",))

    found = examine(tmp_path, [scan], ("cat",), None)

    assert {v.file.name: v.message for v in found if v.status == "ignored"} == {
        "class_names.txt": "read with photo.png",
        "notes.txt": "no mask format that is known",
    }


@pytest.mark.parametrize("name", ["photo.txt", "labels.txt", "../labels.txt"])
def test_a_description_beside_a_picture_names_its_values(tmp_path, name):
    values = np.zeros((6, 9), np.uint8)
    values[1:3, 1:4], values[4, 5:8] = 1, 2
    folder = tmp_path / "masks"
    folder.mkdir()
    Image.fromarray(values).save(folder / "photo.png")
    (folder / "other.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    (folder / name).write_text(description("Clear Label", "posterior", "anterior"))
    scan = ScanTarget("photo", (6, 9), ("photo.png",))

    found = [v for v in examine(tmp_path, [scan], CLASSES, None) if v.label is not None]

    np.testing.assert_array_equal(found[0].label, np.choose(values, [0, 2, 1]))
