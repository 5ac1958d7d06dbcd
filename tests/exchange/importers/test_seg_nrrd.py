"""3D Slicer segmentations: segments, layers, overlap, what old and foreign writers leave out."""

from __future__ import annotations

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importers.seg_nrrd import read_segmentation
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions, decide

CLASSES = ("anterior", "posterior")


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image).T


@pytest.fixture
def layered(oblique) -> sitk.Image:
    """Two layers, each with label value 1: the anterior part, and a posterior one over its end."""
    second = np.zeros_like(sitk.GetArrayFromImage(oblique))
    second[2, 4:8, 2:4] = 1
    other = sitk.GetImageFromArray(second)
    other.CopyInformation(oblique)
    return sitk.Compose(oblique == 1, other)


def test_segments_are_told_by_layer_and_value(volume, layered, save_segments, recognised):
    path = save_segments(layered, [("anterior", 0, 1), ("posterior", 1, 1)])

    decision = decide(volume, recognised(path), CLASSES, None)

    first, second = voxels(layered)
    np.testing.assert_array_equal(decision.label, np.where(second, 2, first))
    overlap = int((first & second).sum())
    assert overlap == 4
    assert decision.notes[0].startswith(f"{overlap} pixels were claimed twice")


def test_names_may_be_mapped(volume, oblique, save_segments, recognised):
    path = save_segments(oblique, [("Front", 0, 1), ("Back", 0, 2)])
    options = ImportOptions(values={"front": "posterior", "Back": "anterior"})

    decision = decide(volume, recognised(path), CLASSES, None, options)

    np.testing.assert_array_equal(decision.label, np.choose(voxels(oblique), [0, 2, 1]))


def test_values_do_not_matter_where_segments_have_names(volume, oblique, save_segments, recognised):
    path = save_segments(oblique, [("posterior", 0, 1), ("anterior", 0, 2)])

    decision = decide(volume, recognised(path), CLASSES, None)

    np.testing.assert_array_equal(decision.label, np.choose(voxels(oblique), [0, 2, 1]))


def test_an_unknown_segment_is_told_by_name(volume, oblique, save_segments, recognised):
    path = save_segments(oblique, [("anterior", 0, 1), ("Läsion", 0, 2)])

    decision = decide(volume, recognised(path), CLASSES, None)

    assert decision.code == "unknown-value"
    assert "'Läsion'" in decision.message


def test_an_undrawn_segment_asks_for_nothing(volume, oblique, save_segments, recognised):
    path = save_segments(oblique, [("anterior", 0, 1), ("posterior", 0, 2), ("never drawn", 0, 3)])

    assert decide(volume, recognised(path), CLASSES, None).geometry == "match"


def test_voxels_of_no_segment_are_refused(volume, oblique, save_segments, recognised):
    path = save_segments(oblique, [("anterior", 0, 1)])

    assert decide(volume, recognised(path), CLASSES, None).code == "unknown-value"


def test_old_files_have_one_layer_per_segment_and_no_values(volume, layered, tmp_path, recognised):
    header = {
        "type": "unsigned char",
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.vstack(
            [[np.nan] * 3, (direction(layered) * layered.GetSpacing()).T]
        ),
        "space origin": np.array(layered.GetOrigin()),
        "Segment0_ID": "Segment_1",
        "Segment0_Name": "anterior",
        "Segment1_ID": "Segment_2",
        "Segment1_Name": "posterior",
    }
    nrrd.write(str(tmp_path / "brain.seg.nrrd"), voxels(layered), header)

    decision = decide(volume, recognised(tmp_path / "brain.seg.nrrd"), CLASSES, None)

    first, second = voxels(layered)
    np.testing.assert_array_equal(decision.label, np.where(second, 2, first))


def direction(image: sitk.Image) -> np.ndarray:
    return np.array(image.GetDirection()).reshape(3, 3)


def test_a_single_voxel_means_empty(volume, save_segments, recognised):
    path = save_segments(sitk.Image(1, 1, 1, sitk.sitkUInt8), [])

    decision = decide(volume, recognised(path), CLASSES, None)

    assert decision.code == "empty"


def test_a_single_voxel_may_be_confirmed_as_empty(volume, save_segments, recognised):
    path = save_segments(sitk.Image(1, 1, 1, sitk.sitkUInt8), [])

    decision = decide(volume, recognised(path), CLASSES, None, ImportOptions(confirm_empty=True))

    assert decision.label.shape == volume.shape
    assert not decision.label.any()


def test_content_counts_and_not_the_name(volume, oblique, save_segments, recognised):
    path = save_segments(oblique, [("posterior", 0, 1), ("anterior", 0, 2)], "brain.nrrd")

    assert recognised(path).format == "3D Slicer segmentation"


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        ([("a", 0, 1), ("b", 0, 1)], "share label value 1 on layer 0"),
        ([("a", 3, 1)], "lies on layer 3; the file has 1"),
        ([("a", "top", 1)], "is no number"),
    ],
)
def test_contradictions_in_the_header_are_refused(oblique, save_segments, segments, why):
    with pytest.raises(ImageError, match=why) as caught:
        read_segmentation(save_segments(oblique, segments))

    assert caught.value.code == "damaged"


def test_more_layers_than_an_image_has_channels_are_read(
    volume, oblique, save_segments, recognised
):
    layers = [oblique == 1] + [oblique == 2] * 39
    segments = [("anterior", 0, 1), *((f"{n}", n, 1) for n in range(1, 40))]
    path = save_segments(sitk.Compose(layers), segments)
    options = ImportOptions(values={str(n): "posterior" for n in range(1, 40)})

    decision = decide(volume, recognised(path), CLASSES, None, options)

    np.testing.assert_array_equal(decision.label, voxels(oblique))
