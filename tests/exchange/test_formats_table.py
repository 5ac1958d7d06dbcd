"""The tables of docs/formats.md: every cell is backed by tests, and every format has its row.

A cell that claims something and is not named here fails, as does a name without a test.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from coldal_tui.exchange.exporters import export_formats
from coldal_tui.exchange.importers import load_registry
from tests.support.places import ROOT

HERE = ROOT / "tests" / "exchange"
PAGE = ROOT / "docs" / "formats.md"
NOTHING = "–"

EVERY = "test_every_format::"
PICTURE = f"{EVERY}test_a_picture_with_two_classes_and_a_hole"
SLICES = f"{EVERY}test_slices_of_a_volume_come_back"
VOLUME = f"{EVERY}test_a_volume_with_two_classes_and_a_hole"
OVERLAP = f"{EVERY}test_of_drawings_that_overlap_the_later_class_wins"
SEG = "test_dicom_seg::"
RT = "test_rtstruct::"


def drawn(name: str, *, overlap: bool = True, holes: str = "") -> dict[str, str]:
    """What the tests of every format show of one that is drawn in flat pictures."""
    cells = {
        "2-D": f"{PICTURE}[{name}]",
        "3-D": f"{SLICES}[{name}]",
        "classes": f"{PICTURE}[{name}]",
        "holes": holes or f"{PICTURE}[{name}]",
    }
    return cells | ({"overlap": f"{OVERLAP}[{name}]"} if overlap else {})


def in_space(name: str, flat: str = "") -> dict[str, str]:
    cells = dict.fromkeys(("3-D", "classes", "holes"), f"{VOLUME}[{name}]")
    return cells | ({"2-D": flat} if flat else {})


IMPORT: dict[str, dict[str, str]] = {
    "nifti": in_space("nifti", f"{PICTURE}[nifti]"),
    "seg-nrrd": in_space("seg-nrrd")
    | {"overlap": "test_seg_nrrd::test_segments_are_told_by_layer_and_value"},
    "mitk": in_space("mitk")
    | {"overlap": "test_header_names::test_groups_of_mitk_are_layers_with_names_of_their_own"},
    "mitk-stack": dict.fromkeys(
        ("3-D", "classes", "overlap", "holes"),
        "test_mitk_stack::test_a_stack_is_one_mask_with_its_labels_by_name",
    ),
    "nrrd": in_space("nrrd"),
    "metaimage": in_space("metaimage"),
    "dicom-seg": {
        "2-D": f"{SEG}test_a_picture_needs_no_position",
        "3-D": f"{SEG}test_frames_land_on_their_slices_and_not_in_their_order",
        "classes": f"{SEG}test_segments_are_classes_by_their_labels",
        "overlap": f"{SEG}test_overlapping_segments_are_one_label",
        "holes": "test_dicom_seg_highdicom::test_label_maps_come_back",
    },
    "rtstruct": {
        "3-D": f"{RT}test_centres_inside_a_contour_are_drawn",
        "classes": f"{RT}test_structures_are_classes_by_their_names",
        "overlap": f"{RT}test_structures_are_classes_by_their_names",
        "holes": f"{RT}test_a_contour_in_a_contour_is_a_hole {RT}test_a_keyhole_is_a_hole",
    },
    "nnunet": in_space("nnunet", f"{PICTURE}[nnunet]"),
    # The same reader, only asked for by name.
    "nnunet-predictions": in_space("nnunet", f"{PICTURE}[nnunet]")
    | {"3-D": "test_nnunet::test_predictions_are_taken_where_they_are_asked_for"},
    "monai-label": in_space("monai-label", f"{PICTURE}[monai-label]"),
    "coco": drawn("coco"),
    "cvat": drawn("cvat"),
    "cvat-masks": drawn("cvat-masks", overlap=False),
    # The file beside the masks that says what their colours mean.
    "labelmap": drawn("cvat-masks", overlap=False),
    "labelstudio": drawn("labelstudio"),
    "labelstudio-masks": drawn("labelstudio-masks"),
    "labelme": drawn("labelme"),
    "labelme-xml": drawn("labelme-xml"),
    "darwin": drawn("darwin"),
    "datumaro": drawn("datumaro"),
    "qupath": drawn("qupath"),
    "supervisely": drawn("supervisely"),
    "via": drawn("via"),
    "mots": drawn("mots", overlap=False),
    "raster": drawn("raster", overlap=False)
    | {"3-D": "test_tiff_stacks::test_a_stack_lies_on_the_stack_it_was_drawn_on"},
    "numpy": dict.fromkeys(
        ("2-D", "classes", "holes"), "test_numpy_array::test_an_array_is_the_mask_of_a_picture"
    )
    | {"3-D": "test_numpy_array::test_arrays_of_both_libraries_lie_where_they_were_drawn"},
}

SPACE = "test_volume_exports::test_image_and_prelabel_lie_where_they_were_for_simpleitk"
BACK = "test_export_returns::test_a_corrected_volume_comes_back"
NIBABEL = f"{EVERY}test_nibabel_sees_every_voxel_where_it_belongs"
PILLOW = f"{EVERY}test_pillow_sees_the_pre_label_of_a_picture"
GOLDEN = "test_golden_exports::"
PIXELS = f"{GOLDEN}test_picture_readers_see_every_pixel"
PYNRRD = "test_volume_exports::test_pynrrd_reads_the_segments"
IN_WORLD = "test_volume_exports::test_simpleitk_finds_the_segments_in_world_space"
FRAMES = "test_dicom_exports::test_every_frame_lies_on_the_image_that_it_names"
DICOM = f"{GOLDEN}test_dicom_readers_see_every_voxel_in_its_place"


def same(test: str, *cells: str) -> dict[str, str]:
    return dict.fromkeys(cells or ("2-D", "3-D", "classes", "holes"), test)


EXPORT: dict[str, dict[str, str]] = {
    "folder": same(f"{NIBABEL}[folder]", "3-D", "classes", "holes", "nibabel")
    | same(f"{PILLOW}[folder]", "2-D", "Pillow"),
    "nifti": same(SPACE, "3-D", "classes", "holes", "SimpleITK")
    | {
        "2-D": "test_volume_exports::test_a_picture_becomes_one_slice_with_columns_first",
        "nibabel": f"{NIBABEL}[nifti]",
    },
    "slicer": same(IN_WORLD, "3-D", "classes", "holes", "SimpleITK")
    | {
        "2-D": f"{EVERY}test_pynrrd_sees_the_segments_of_a_picture",
        "pynrrd": PYNRRD,
        "slicerio": f"{GOLDEN}test_slicerio_sees_every_voxel_in_its_place",
    },
    "monai-label": same(SPACE, "3-D", "classes", "holes", "SimpleITK")
    | same(f"{PILLOW}[monai-label]", "2-D", "Pillow")
    | {
        "nibabel": f"{NIBABEL}[monai-label]",
        "monailabel": f"{GOLDEN}test_monai_label_finds_images_and_proposals_and_nothing_final",
    },
    "nnunet": same(SPACE, "3-D", "classes", "holes", "SimpleITK")
    | same(f"{PILLOW}[nnunet]", "2-D", "Pillow")
    | {"nibabel": f"{NIBABEL}[nnunet]"},
    "cvat": same(PIXELS) | {"datumaro": PIXELS, "cvat-sdk": PIXELS},
    "label-studio": same(PIXELS) | {"label-studio-sdk": PIXELS},
    "coco": same(PIXELS) | {"pycocotools": PIXELS, "datumaro": PIXELS},
    "dicom-seg": same(DICOM, "3-D", "classes", "holes", "highdicom", "dcmqi")
    | {
        "2-D": "test_dicom_exports::test_an_image_without_a_place_gets_a_segmentation_by_reference",
        "pydicom": FRAMES,
    },
}


def tables() -> list[list[dict[str, str]]]:
    """The tables of the page, each a list of rows by column."""
    found: list[list[dict[str, str]]] = []
    heads: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = cells
            found.append([])
        elif not set(line) <= set("|-"):
            found[-1].append(dict(zip(heads, cells, strict=True)))
    return found


@cache
def functions_of(module: str) -> frozenset[str]:
    """The functions of a test module."""
    (path,) = HERE.rglob(f"{module}.py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))


def shows(test: str, values: dict[str, set[str]]) -> bool:
    """Whether there is such a test, with that parameter where one is named."""
    name, _, parameter = test.partition("[")
    module, _, function = name.partition("::")
    if function not in functions_of(module):
        return False
    return not parameter or parameter.rstrip("]") in values[function]


@pytest.fixture(scope="module")
def parameters() -> dict[str, set[str]]:
    """Which formats the tests of every format run over."""
    from tests.exchange.importers import test_every_format as every

    found: dict[str, set[str]] = {}
    for name, test in vars(every).items():
        marks = getattr(test, "pytestmark", ()) if name.startswith("test_") else ()
        found[name] = {str(value) for mark in marks for value in mark.args[1]}
    return found


def rows(first: str) -> dict[str, dict[str, str]]:
    """Rows of the table whose first column has this head, by each name in that column."""
    (table,) = [one for one in tables() if first in one[0]]
    return {name: row for row in table for name in re.findall(r"`([^`]+)`", row[first])}


def problems(
    row: dict[str, str], backed: dict[str, str], columns: tuple[str, ...], values: dict
) -> list[str]:
    wrong = []
    claimed = {column for column in columns if row[column] != NOTHING}
    readers = {name.strip() for name in row.get("read back by", "").split(",")} - {""}
    wrong += [f"{cell}: no test is named for it" for cell in (claimed | readers) - backed.keys()]
    wrong += [f"{cell}: a test shows it, the page does not" for cell in backed.keys() - claimed
              - readers]  # fmt: skip
    for cell, named in backed.items():
        wrong += [f"{cell}: there is no {one}" for one in named.split() if not shows(one, values)]
    return wrong


def test_every_importer_has_a_row():
    names = {one.name for one in load_registry().select("auto")}
    assert set(rows("`--format`")) == names - {"monai-label-original"} == set(IMPORT)


def test_every_exporter_has_a_row():
    assert set(rows("`--to`")) == set(export_formats()) == set(EXPORT)


@pytest.mark.parametrize("name", IMPORT)
def test_what_the_page_says_of_an_import_is_shown(name, parameters):
    columns = ("2-D", "3-D", "classes", "overlap", "holes")
    assert problems(rows("`--format`")[name], IMPORT[name], columns, parameters) == []


@pytest.mark.parametrize("name", EXPORT)
def test_what_the_page_says_of_an_export_is_shown(name, parameters):
    columns = ("2-D", "3-D", "classes", "holes")
    assert problems(rows("`--to`")[name], EXPORT[name], columns, parameters) == []


def test_a_claim_without_a_test_is_found(parameters):
    row = {"2-D": "✓", "3-D": NOTHING, "read back by": "nibabel"}
    backed = {"3-D": f"{PICTURE}[coco]", "nibabel": f"{PICTURE}[bmp]"}
    assert problems(row, backed, ("2-D", "3-D"), parameters) == [
        "2-D: no test is named for it",
        "3-D: a test shows it, the page does not",
        f"nibabel: there is no {PICTURE}[bmp]",
    ]
