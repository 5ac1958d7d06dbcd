"""Class names in headers go by name: the project has its classes in another order."""

from __future__ import annotations

import json

import nibabel as nib
import nrrd
import numpy as np
import pytest

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers.shared.label_xml import caret_labels, mitk_label
from coldal_tui.exchange.incoming.importing import ImportOptions, examine

SHAPE = (4, 5, 3)
AFFINE = np.diag([-1.0, -2.0, 3.0, 1.0])
TARGET = ScanTarget("a", SHAPE, ("a.nii.gz",), tuple(map(tuple, AFFINE.tolist())))
CLASSES = ("tumour", "liver")
"""The files name 1 liver and 2 tumour."""

SPACE = {
    "space": "left-posterior-superior",
    "space directions": np.diag([1.0, 2.0, 3.0]),
    "space origin": np.zeros(3),
    "kinds": ["domain", "domain", "domain"],
}


def values() -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[0, :, 1], drawn[2, 1:3, 2] = 1, 2
    return drawn


def verdict(path, classes=CLASSES, **options):
    (found,) = examine(path, [TARGET], classes, None, options=ImportOptions(**options))
    return found


def mitk(path, drawn, groups, **header):
    told = [
        {"labels": [{"name": name, "value": value, "locked": True} for value, name in one.items()]}
        for one in groups
    ]
    about = {
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.labelgroups": json.dumps(told),
    }
    nrrd.write(str(path), drawn, SPACE | about | header)
    return path


def old_mitk(path, drawn, names):
    """As MITK 2022 wrote it: each label is an XML of properties (mitkLegacyLabelSetImageIO)."""
    about = {"modality": "org.mitk.image.multilabel", "layers": "1", "layer_000": str(len(names))}
    for number, (value, name) in enumerate(names.items()):
        about[f"org.mitk.label_000_{number:05d}"] = (
            '<?xml version="1.0" ?><Label><property key="locked" type="BoolProperty"><bool '
            'value="1"/></property><property key="name" type="StringProperty"><string '
            f'value="{name}"/></property><property key="value" type="IntProperty"><int '
            f'value="{value}"/></property></Label>'
        )
    nrrd.write(str(path), drawn, SPACE | about)
    return path


@pytest.mark.parametrize("write", ["new", "old"])
def test_mitk_s_labels_go_by_name(tmp_path, write):
    names = {1: "Liver", 2: "tumour"}
    path = tmp_path / "a.nrrd"
    if write == "new":
        mitk(path, values(), [names])
    else:
        old_mitk(path, values(), {0: "Exterior"} | names)

    found = verdict(path)

    np.testing.assert_array_equal(found.label, np.choose(values(), [0, 2, 1]))
    assert (found.format, found.tool) == ("mitk", "MITK")


def test_groups_of_mitk_are_layers_with_names_of_their_own(tmp_path):
    """The same value means another label in the second group."""
    first, second = values(), np.zeros(SHAPE, np.uint8)
    first[first == 2] = 0
    second[0, 0, 1] = 1
    kinds = {"kinds": ["vector", "domain", "domain", "domain"]}
    space = {"space directions": np.vstack([[np.nan] * 3, np.diag([1.0, 2.0, 3.0])])}
    path = mitk(
        tmp_path / "a.nrrd",
        np.stack([first, second]),
        [{1: "liver"}, {1: "tumour"}],
        **kinds | space,
    )

    found = verdict(path, ("liver", "tumour"))

    expected = np.where(first == 1, 1, 0)
    expected[0, 0, 1] = 2
    np.testing.assert_array_equal(found.label, expected)
    assert any("1 pixel was claimed twice" in note for note in found.notes)


def test_a_mitk_file_that_names_too_few_groups_is_refused(tmp_path):
    assert verdict(mitk(tmp_path / "a.nrrd", values(), [])).code == "damaged"


def test_a_label_that_mitk_names_and_the_project_lacks_is_asked_for(tmp_path):
    found = verdict(mitk(tmp_path / "a.nrrd", values(), [{1: "liver", 2: "cyst"}]))

    assert (found.code, found.unknown) == ("unknown-value", ("cyst",))


def with_table(path, names):
    """As TotalSegmentator's ``--ml`` writes it (nifti_ext_header.py)."""
    labels = "".join(
        f'<Label Key="{key}" Red="0.1" Green="0.2" Blue="0.3" Alpha="1"><![CDATA[{name}]]></Label>'
        for key, name in names.items()
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <VolumeInformation Index="0">   '
        f"<LabelTable>{labels}</LabelTable>  </VolumeInformation></CaretExtension>"
    )
    image = nib.Nifti1Image(values(), AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml.encode()))
    nib.save(image, path)
    return path


def test_a_label_table_in_a_nifti_goes_by_name(tmp_path):
    found = verdict(with_table(tmp_path / "a.nii.gz", {1: "liver", 2: "tumour"}))

    np.testing.assert_array_equal(found.label, np.choose(values(), [0, 2, 1]))
    assert "class names from the label table in its header" in found.notes


def test_one_class_of_a_label_table_is_taken_and_the_rest_are_background(tmp_path):
    path = with_table(tmp_path / "a.nii.gz", {1: "spleen", 2: "liver", 3: "stomach"})

    found = verdict(path, ("liver",), values={"*": "background"})

    np.testing.assert_array_equal(found.label, values() == 2)


def test_a_number_that_the_file_names_is_asked_for_by_name_and_not_lost_in_a_star(tmp_path):
    """2 = leber and all others background: but the file calls 2 liver."""
    path = with_table(tmp_path / "a.nii.gz", {1: "spleen", 2: "liver"})

    found = verdict(path, ("leber",), values={2: "leber", "*": "background"})

    assert (found.code, found.unknown) == ("unknown-value", ("liver",))
    assert "--map liver=CLASS" in found.remedy


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<LabelTable",
        b"<LabelTable></LabelTable>",
        b'<LabelTable><Label Key="x">a</Label></LabelTable>',
        b'<LabelTable><!ENTITY a "b"><Label Key="1">&a;</Label></LabelTable>',
        b'<LabelTable><Label Key="0">???</Label></LabelTable>',
    ],
)
def test_a_table_that_says_nothing_names_nothing(content):
    assert caret_labels([content]) is None


def test_xml_that_is_no_label_of_mitk_names_nothing():
    assert mitk_label("<Other/>") is None
    assert mitk_label('<Label><property key="name"><string value="a"/></property></Label>') is None
