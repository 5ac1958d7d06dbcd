"""Names of planes and letters at edges, against nibabel's own axis codes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.imaging.image import ScanHeader
from coldal_tui.imaging.orientation import EdgeLetters, edge_letters, plane_names
from coldal_tui.imaging.picture import slice_view

OPPOSITE = dict(zip("LRAPSI", "RLPAIS", strict=True))


def header(matrix: np.ndarray | None, shape: tuple[int, ...] = (4, 5, 6)) -> ScanHeader:
    affine = None if matrix is None else tuple(tuple(map(float, row)) for row in matrix)
    return ScanHeader(shape, 1, "uint8", affine=affine)


def test_axial_slices_show_the_patients_right_on_the_left_and_the_front_on_top() -> None:
    known = header(np.eye(4))
    assert plane_names(known) == ("sagittal", "coronal", "axial")
    assert edge_letters(known, slice_view(known, 2)) == EdgeLetters("R", "L", "A", "P")


def test_coronal_and_sagittal_slices_have_the_head_on_top() -> None:
    known = header(np.eye(4))
    assert edge_letters(known, slice_view(known, 1)) == EdgeLetters("R", "L", "S", "I")
    assert edge_letters(known, slice_view(known, 0)) == EdgeLetters("A", "P", "S", "I")


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL", "ASL"])
def test_the_letters_follow_the_voxels_wherever_the_file_puts_them(codes: str) -> None:
    """A bright voxel at the end of each axis comes out at the edge with nibabel's letter."""
    turned = nib.orientations.axcodes2ornt(tuple(codes))
    matrix = nib.orientations.inv_ornt_aff(turned, (4, 5, 6))
    known = header(np.linalg.inv(matrix))
    assert "".join(nib.aff2axcodes(np.asarray(known.affine))) == codes
    for axis in range(3):
        view = slice_view(known, axis)
        volume = np.zeros((4, 5, 6))
        end = [0, 0, 0]
        end[view.column_axis] = volume.shape[view.column_axis] - 1
        volume[tuple(end)] = 1
        column = np.argwhere(view.displayed(volume, 0))[0][1]
        edges = edge_letters(known, view)
        at_right = column == volume.shape[view.column_axis] - 1
        assert (edges.right if at_right else edges.left) == codes[view.column_axis]
        assert OPPOSITE[edges.left] == edges.right


def test_a_flat_picture_goes_by_the_direction_of_its_columns_and_rows() -> None:
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = (0, -1, 0), (0, 0, -1), (1, 0, 0)
    assert edge_letters(header(matrix, (4, 5))) == EdgeLetters("A", "P", "S", "I")


def test_without_an_affine_nothing_is_claimed() -> None:
    known = header(None)
    assert plane_names(known) == ("across i", "across j", "across k")
    assert edge_letters(known, slice_view(known, 2)) == EdgeLetters()
