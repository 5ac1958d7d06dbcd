"""Pixel padding and overlay bits are no measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.intensity import to_unit
from coldal_tui.imaging.reading import read_scan, read_to_hand_out

CT, MR, MG = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "4", "1.2"))


def _written(
    folder: Path, pixels: np.ndarray, sop: str, modality: str, **more: Any
) -> tuple[Path, Dataset]:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID, ds.Modality, ds.PatientID = generate_uid(), modality, "p"
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    for name, value in more.items():
        setattr(ds, name, value)
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path, ds


def _read(path: Path) -> ScanImage:
    return read_scan(ScanRef("dicom", (str(path),)))


TISSUE = np.arange(1000, 1400, dtype=np.uint16).reshape(20, 20)


def _padded(value: int, kind: str = "uint16") -> np.ndarray:
    pixels = TISSUE.astype(kind)
    pixels[:, :8] = value
    return pixels


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_does_not_move_the_contrast(tmp_path: Path, photometric: str) -> None:
    """What is seen of the tissue is what would be seen if there were nothing else."""
    kinds = {"PhotometricInterpretation": photometric}
    path, _ = _written(tmp_path, _padded(65535), MG, "MG", PixelPaddingValue=65535, **kinds)
    alone, _ = _written(tmp_path, np.ascontiguousarray(TISSUE[:, 8:]), MG, "MG", **kinds)
    seen = to_unit(_read(path).array, "MG")
    np.testing.assert_allclose(seen[:, 8:], to_unit(_read(alone).array, "MG"), atol=1e-6)
    assert not seen[:, :8].any()


def test_a_range_of_padding_and_a_value_of_the_wrong_sign(tmp_path: Path) -> None:
    pixels = _padded(-32768, "int16")
    pixels[:, 4:8] = -32700
    path, ds = _written(
        tmp_path, pixels, MR, "MR", PixelPaddingValue=-32768, PixelPaddingRangeLimit=-32700
    )
    assert np.isnan(_read(path).array[:, :8]).all()
    # A writer that took the signed value for an unsigned one.
    ds["PixelPaddingValue"].VR = ds["PixelPaddingRangeLimit"].VR = "US"
    ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = 32768, 32836
    ds.save_as(path, enforce_file_format=True)
    found = _read(path).array
    assert np.isnan(found[:, :8]).all()
    assert not np.isnan(found[:, 8:]).any()


def test_ct_stays_whole_numbers_and_padding_is_never_bright(tmp_path: Path) -> None:
    path, _ = _written(
        tmp_path,
        _padded(4095),
        CT,
        "CT",
        BitsStored=12,
        HighBit=11,
        PixelPaddingValue=4095,
        RescaleIntercept=-1024,
    )
    image = _read(path)
    assert image.array.dtype == np.int16
    # The least of the rest: 1008 - 1024.
    assert set(image.array[:, :8].ravel()) == {-16}


def test_what_is_handed_out_has_whole_numbers_and_no_gap(tmp_path: Path) -> None:
    path, _ = _written(tmp_path, _padded(65535), MG, "MG", PixelPaddingValue=65535)
    image = read_to_hand_out(ScanRef("dicom", (str(path),)))
    assert (image.array.dtype, image.header.dtype) == (np.uint16, "uint16")
    assert set(image.array[:, :8].ravel()) == {1008}
    np.testing.assert_array_equal(image.array[:, 8:, 0], TISSUE[:, 8:])


def test_overlay_bits_of_jpeg_2000_are_masked(tmp_path: Path) -> None:
    """Twelve bits stored; an overlay lies in bit 15."""
    raw = TISSUE.copy()
    raw[2:9, 2:9] |= 0x8000
    path, ds = _written(tmp_path, raw, CT, "CT", BitsStored=12, HighBit=11, RescaleIntercept=-1024)
    np.testing.assert_array_equal(_read(path).array[..., 0], TISSUE.astype(int) - 1024)
    stream = imagecodecs.jpeg2k_encode(
        raw, codecformat="j2k", level=0, reversible=True, mct=False, bitspersample=16
    )
    ds.PixelData = encapsulate([bytes(stream)])
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds["PixelData"].VR = "OB"
    ds.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(_read(path).array[..., 0], TISSUE.astype(int) - 1024)
