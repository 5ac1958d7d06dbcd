"""DICOM scans: pixels agree with pydicom and SimpleITK; stacks are split, sorted, refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.frames import even_step
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.indexing import IndexResult, index_folder
from coldal_tui.imaging.reading import read_scan
from tests.support.places import DATA

RNG = np.random.default_rng(13)
DX = "1.2.840.10008.5.1.4.1.1.1.1"
US_FILM = "1.2.840.10008.5.1.4.1.1.3.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
OBLIQUE = [0.8, 0.6, 0.0, -0.6, 0.8, 0.0]


def dataset(
    values: np.ndarray, *, sop_class: str = CTImageStorage, modality: str = "CT"
) -> Dataset:
    """A minimal image object of ``values`` (rows, columns) or (frames, rows, columns)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.Modality, ds.PatientID, ds.PatientName = modality, "p1", "Doe^Jane"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.3", "1.2.3.4", "7"
    ds.Rows, ds.Columns = values.shape[-2:]
    if values.ndim == 3:
        ds.NumberOfFrames = len(values)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = values.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(values.dtype.kind == "i")
    ds.PixelData = values.tobytes()
    return ds


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def placed(ds: Dataset, point: np.ndarray | list[float], orientation: list[float]) -> Dataset:
    ds.ImagePositionPatient = [round(float(v), 6) for v in point]
    ds.ImageOrientationPatient = orientation
    ds.PixelSpacing = [0.5, 0.75]
    return ds


def write_stack(
    folder: Path,
    heights: list[float],
    *,
    orientation: list[float] | None = None,
    change: Callable[[int, Dataset], None] | None = None,
) -> np.ndarray:
    """A CT series whose slices lie at ``heights`` mm; files in an order unlike the positions."""
    turn = orientation or [1.0, 0, 0, 0, 1, 0]
    normal = np.cross(turn[:3], turn[3:])
    values = RNG.integers(-1000, 1000, (len(heights), 5, 6)).astype(np.int16)
    for n, height in enumerate(heights):
        ds = placed(dataset(values[n]), np.array([10, 20, 30]) + height * normal, turn)
        ds.InstanceNumber = n + 1
        if change:
            change(n, ds)
        save(ds, folder / f"{(n * 7) % 11:02d}-{n}.dcm")
    return values


def read(path: Path) -> ScanImage:
    image = read_scan(ScanRef("dicom", (str(path),)))
    assert image.array.dtype.name == image.header.dtype
    return image


def code_of(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_scan(ScanRef("dicom", (str(path),)))
    return caught.value.code


def only_scan(root: Path) -> ScanImage:
    found = index_folder(root)
    assert len(found.scans) == 1, found.problems
    return read_scan(found.scans[0].ref)


def codes(found: IndexResult) -> set[str]:
    return {p.code for p in found.problems}


def test_stack_is_sorted_along_its_normal(tmp_path: Path) -> None:
    values = write_stack(tmp_path, [6.0, 0.0, 3.0, 9.0])
    image = only_scan(tmp_path)
    np.testing.assert_array_equal(image.array[..., 0], values[[1, 2, 0, 3]].transpose(2, 1, 0))


@pytest.mark.parametrize("orientation", [[1.0, 0, 0, 0, 1, 0], OBLIQUE, [0.0, 1, 0, 0, 0, -1]])
def test_stack_geometry_agrees_with_itk(tmp_path: Path, orientation: list[float]) -> None:
    write_stack(tmp_path, [0.0, 3.0, 6.0, 9.0], orientation=orientation)
    header = only_scan(tmp_path).header
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    itk = sitk.ReadImage(names)
    lps = np.array(itk.TransformIndexToPhysicalPoint((4, 3, 2)))
    ours = np.asarray(header.affine) @ [4, 3, 2, 1]
    np.testing.assert_allclose(ours[:3], lps * [-1, -1, 1], atol=1e-4)
    assert header.spacing == (0.75, 0.5, 3.0)


def test_gantry_tilt_is_kept_in_the_affine(tmp_path: Path) -> None:
    def tilt(n: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [10, 20 + 1.0 * n, 30 + 3.0 * n]

    write_stack(tmp_path, [0.0, 3.0, 6.0], change=tilt)
    header = only_scan(tmp_path).header
    np.testing.assert_allclose(np.asarray(header.affine)[:3, 2], [0, -1, 3])
    assert header.meta["gantry_tilt"] == "18.4 degrees"  # atan(1/3)


def test_a_missing_slice_is_refused_with_its_place(tmp_path: Path) -> None:
    write_stack(tmp_path, [0.0, 3.0, 6.0, 12.0, 15.0])
    found = index_folder(tmp_path)
    assert not found.scans
    assert {p.code for p in found.problems} == {"missing-slice"}
    assert "1 slice is missing between 36.00 and 42.00 mm" in found.problems[0].reason


def test_one_missing_slice_of_two_hundred_is_noticed() -> None:
    heights = [1.25 * n for n in range(200) if n != 77]
    points = np.array([[0.0, 0.0, h] for h in heights])
    assert even_step(points, points[:, 2])[1].startswith("1 slice is missing between 95.00")


def test_rounded_positions_are_even(tmp_path: Path) -> None:
    write_stack(tmp_path, [0.0, 3.33, 6.67, 10.0])
    assert only_scan(tmp_path).header.shape == (6, 5, 4)


def test_two_slices_far_apart_are_no_volume(tmp_path: Path) -> None:
    def thin(n: int, ds: Dataset) -> None:
        ds.SliceThickness = 2.0

    write_stack(tmp_path, [0.0, 40.0], change=thin)
    assert codes(index_folder(tmp_path)) == {"missing-slice"}


def test_a_lone_slice_is_a_flat_scan(tmp_path: Path) -> None:
    values = write_stack(tmp_path, [3.0])
    image = only_scan(tmp_path)
    assert (image.header.shape, image.header.spacing) == ((5, 6), (0.5, 0.75))
    np.testing.assert_array_equal(image.array[..., 0], values[0])
    place = np.asarray(image.header.affine) @ [2, 1, 0, 1]  # i is the column, j the row
    np.testing.assert_allclose(place[:3], [-(10 + 2 * 0.75), -(20 + 0.5), 33])


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoTime", (10.0, 20.0)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("AcquisitionNumber", (1, 2)),
        ("TriggerTime", (0.0, 40.0)),
    ],
)
def test_a_series_is_split_by(tmp_path: Path, keyword: str, values: tuple[float, ...]) -> None:
    def mark(n: int, ds: Dataset) -> None:
        setattr(ds, keyword, values[n % 2])

    pixels = write_stack(tmp_path, [0.0, 0.0, 3.0, 3.0, 6.0, 6.0], change=mark)
    found = index_folder(tmp_path)
    stacks = [read_scan(s.ref).array[..., 0] for s in found.scans]
    expected = [pixels[::2].transpose(2, 1, 0), pixels[1::2].transpose(2, 1, 0)]
    assert len(stacks) == 2
    assert all(any(np.array_equal(a, b) for b in stacks) for a in expected)


def test_repeated_positions_are_split_by_instance_order(tmp_path: Path) -> None:
    pixels = write_stack(tmp_path, [0.0, 3.0, 6.0, 0.0, 3.0, 6.0])
    found = index_folder(tmp_path)
    first = read_scan(found.scans[0].ref).array[..., 0]
    assert len(found.scans) == 2
    np.testing.assert_array_equal(first, pixels[:3].transpose(2, 1, 0))


def test_slices_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    write_stack(tmp_path, [0.0, 3.0, 3.0, 6.0])
    found = index_folder(tmp_path)
    assert (len(found.scans), codes(found)) == (0, {"duplicate-position"})


def test_orientations_are_split(tmp_path: Path) -> None:
    def turn(n: int, ds: Dataset) -> None:
        if n == 3:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    write_stack(tmp_path, [0.0, 3.0, 6.0, 9.0], change=turn)
    shapes = sorted(s.header.shape for s in index_folder(tmp_path).scans)
    assert shapes == [(5, 6), (6, 5, 3)]


def test_slices_without_positions_are_refused(tmp_path: Path) -> None:
    def strip(n: int, ds: Dataset) -> None:
        del ds.ImagePositionPatient

    write_stack(tmp_path, [0.0, 3.0, 6.0], change=strip)
    assert codes(index_folder(tmp_path)) == {"no-position"}


def test_the_same_instance_twice_is_listed_as_a_copy(tmp_path: Path) -> None:
    write_stack(tmp_path / "a", [0.0, 3.0, 6.0])
    one = sorted((tmp_path / "a").iterdir())[0]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / one.name).write_bytes(one.read_bytes())
    found = index_folder(tmp_path)
    assert [s.header.shape for s in found.scans] == [(6, 5, 3)]
    assert [(p.rel_path, p.code) for p in found.problems] == [
        (f"b/{one.name}", "duplicate-instance")
    ]


def test_pictures_that_share_an_instance_uid_by_mistake_are_all_found(tmp_path: Path) -> None:
    for n in range(3):
        ds = dataset(RNG.integers(0, 4096, (5, 6)).astype(np.uint16), sop_class=DX, modality="DX")
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
        save(ds, tmp_path / f"{n}.dcm")
    assert len(index_folder(tmp_path).scans) == 3


def test_pet_slopes_differ_per_slice(tmp_path: Path) -> None:
    def scale(n: int, ds: Dataset) -> None:
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        ds.Modality = "PT"
        ds.RescaleSlope, ds.RescaleIntercept = 0.5 * (n + 1), 0

    values = write_stack(tmp_path, [0.0, 3.0, 6.0], change=scale)
    expected = values * np.array([0.5, 1.0, 1.5])[:, None, None]
    np.testing.assert_allclose(only_scan(tmp_path).array[..., 0], expected.transpose(2, 1, 0))


def test_hounsfield_units_are_whole_numbers(tmp_path: Path) -> None:
    stored = RNG.integers(0, 4096, (5, 6)).astype(np.uint16)
    ds = dataset(stored)
    ds.BitsStored, ds.HighBit = 12, 11
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    image = read(save(ds, tmp_path / "a.dcm"))
    assert image.header.dtype == "int16"
    np.testing.assert_array_equal(image.array[..., 0], stored.astype(int) - 1024)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    stored = RNG.integers(0, 4096, (5, 6)).astype(np.uint16)
    ds = dataset(stored, sop_class=DX, modality="DX")
    ds.BitsStored, ds.HighBit = 12, 11
    ds.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(
        read(save(ds, tmp_path / "a.dcm")).array[..., 0], 4095 - stored.astype(int)
    )


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_transfer_syntax_is_read(tmp_path: Path, syntax: str) -> None:
    values = RNG.integers(-1000, 1000, (5, 6)).astype(np.int16)
    ds = dataset(values)
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = values.byteswap().tobytes()
        ds["PixelData"].VR = "OW"
    np.testing.assert_array_equal(read(save(ds, tmp_path / "a")).array[..., 0], values)


def test_rle_is_read(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (5, 6)).astype(np.int16)
    ds = dataset(values)
    ds.compress(RLELossless)
    np.testing.assert_array_equal(read(save(ds, tmp_path / "a.dcm")).array[..., 0], values)


def test_a_file_without_preamble_is_recognised(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (5, 6)).astype(np.int16)
    whole = save(dataset(values), tmp_path / "whole.dcm").read_bytes()
    length = int.from_bytes(whole[140:144], "little")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bare").write_bytes(whole[144 + length :])
    np.testing.assert_array_equal(only_scan(tmp_path / "in").array[..., 0], values)


def test_a_tiff_preamble_does_not_hide_dicom(tmp_path: Path) -> None:
    path = save(dataset(np.zeros((5, 6), np.int16)), tmp_path / "a.dcm")
    path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    assert index_folder(tmp_path).scans[0].ref.kind == "dicom"


def test_planar_colour_is_interleaved(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    ds = dataset(values[..., 0], sop_class="1.2.840.10008.5.1.4.1.1.7", modality="OT")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 1
    ds.PixelData = values.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read(save(ds, tmp_path / "a.dcm")).array, values)


def test_a_film_is_a_volume_without_world(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (4, 5, 6), dtype=np.uint8)
    header = read(
        save(dataset(values, sop_class=US_FILM, modality="US"), tmp_path / "a.dcm")
    ).header
    assert (header.shape, header.affine, header.spacing) == ((6, 5, 4), None, None)


def enhanced(values: np.ndarray, heights: list[float]) -> Dataset:
    """An enhanced CT whose frames lie at ``heights``, with an intercept per frame."""
    ds = dataset(values, sop_class=ENHANCED_CT)
    shared, measures, turn = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 3
    turn.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([turn])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for n, height in enumerate(heights):
        frame, place, scale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [10, 20, 30 + height]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 1, 10 * n, "HU"
        frame.PlanePositionSequence = Sequence([place])
        frame.PixelValueTransformationSequence = Sequence([scale])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return ds


def test_enhanced_frames_are_sorted_and_rescaled(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (3, 5, 6)).astype(np.int16)
    image = read(save(enhanced(values, [6.0, 0.0, 3.0]), tmp_path / "a.dcm"))
    shifted = values + np.array([0, 10, 20])[:, None, None]
    np.testing.assert_array_equal(image.array[..., 0], shifted[[1, 2, 0]].transpose(2, 1, 0))
    expected = [[-0.75, 0, 0, -10], [0, -0.5, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.header.affine, expected)


def test_enhanced_frames_at_equal_places_are_channels(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 6), np.int16)
    header = read(save(enhanced(values, [0.0, 0.0, 3.0, 3.0]), tmp_path / "a.dcm")).header
    assert (header.shape, header.channels) == ((6, 5, 2), 2)


def test_enhanced_object_with_a_missing_frame_is_refused(tmp_path: Path) -> None:
    ds = enhanced(np.zeros((4, 5, 6), np.int16), [0.0, 3.0, 9.0, 12.0])
    assert code_of(save(ds, tmp_path / "a.dcm")) == "missing-slice"


def test_cut_pixels_are_truncated(tmp_path: Path) -> None:
    path = save(dataset(np.zeros((5, 6), np.int16)), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-10])
    assert code_of(path) == "truncated"


def test_cut_compressed_pixels_are_truncated(tmp_path: Path) -> None:
    ds = dataset(RNG.integers(-1000, 1000, (5, 6)).astype(np.int16))
    ds.compress(RLELossless)
    path = save(ds, tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-20])
    assert codes(index_folder(tmp_path)) == {"truncated"}


def test_detector_spacing_is_row_then_column(tmp_path: Path) -> None:
    ds = dataset(np.zeros((5, 6), np.uint16), sop_class=DX, modality="DX")
    ds.ImagerPixelSpacing = [0.2, 0.1]
    assert read(save(ds, tmp_path / "a.dcm")).header.spacing == (0.2, 0.1)


def test_names_are_not_kept(tmp_path: Path) -> None:
    save(dataset(np.zeros((5, 6), np.int16)), tmp_path / "series" / "a.dcm")
    scan = index_folder(tmp_path).scans[0]
    assert "Doe" not in repr(scan)
    assert (scan.header.patient_id, scan.name) == ("p1", "series-s7")


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    ["MR_small_jp2klossless", "SC_rgb_rle", "examples_rgb_color", "JPEGLSNearLossless_16"],
)
def test_real_pixels_agree_with_pydicom(name: str) -> None:
    path = DATA / "dicom/pydicom" / f"{name}.dcm"
    if not path.exists():
        pytest.skip("../shared/data is not here")
    expected = pydicom.dcmread(path).pixel_array
    array = read(path).array
    np.testing.assert_array_equal(array.reshape(expected.shape), expected)
