"""The search for what was left: every place where a name could hide, and what is no leak."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pydicom.uid import DeflatedExplicitVRLittleEndian

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.deidentify.leak_check import find_leaks, refuse_leaks
from coldal_tui.exchange.deidentify.secrets import Secrets, written_dates, written_names
from coldal_tui.exchange.exporters import exporter
from tests.support import dicom_files
from tests.support import labelled_scans as scans

SECRETS = Secrets(
    names={"Döring^Ines"},
    ids={"MRN-4711", "Q7x", "118"},
    paths={"/data/clinic/doering"},
    dates={"19800203"},
    uids={"1.2.826.0.1.99.4711"},
)


def found(folder: Path, secrets: Secrets = SECRETS) -> list[tuple[str, str]]:
    return [(leak.kind, leak.secret) for leak in find_leaks(folder, secrets)]


@pytest.fixture
def place(tmp_path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_nothing_is_found_where_nothing_is(place):
    (place / "a.json").write_text('{"scan_id": "sabc"}')
    assert found(place) == []


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["MRN-4711", "mrn-4711", "Ines Döring", "DÖRING, INES"])
def test_raw_bytes_in_every_encoding_and_case(place, encoding, text):
    noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    (place / "blob.bin").write_bytes(noise + text.encode(encoding) + noise)
    assert found(place) == [("id", "MRN-4711")] if "4711" in text else [("name", "Döring^Ines")]


@pytest.mark.parametrize("offset", range(9))
def test_any_place_in_the_bytes(place, offset):
    (place / "blob.bin").write_bytes(b"\xfe" * offset + b"MRN-4711")
    assert found(place) == [("id", "MRN-4711")]


def test_across_the_blocks_that_are_read_at_once(place):
    data = bytearray(b"\xfe" * ((1 << 22) + 100))
    data[(1 << 22) - 4 : (1 << 22) + 4] = b"MRN-4711"
    (place / "blob.bin").write_bytes(data)
    assert found(place) == [("id", "MRN-4711")]


@pytest.mark.parametrize(
    "text",
    ["19800203", "1980-02-03", "03.02.1980", "02/03/1980", "3 Feb", "03 Feb 1980", "x1980-02-03"],
)
def test_dates_as_people_write_them(place, text):
    (place / "notes.txt").write_text(f"born {text}, says the note")
    expected = [] if text in ("3 Feb", "x1980-02-03") else [("date", "19800203")]
    assert found(place) == expected


def test_a_date_with_a_time_of_day(place):
    (place / "blob.bin").write_bytes(b"\xff\xff19800203101112\xff")
    assert found(place) == [("date", "19800203")]


@pytest.mark.parametrize("text", ["119800203", "0.19800203", "198002031", "a19800203f"])
def test_digits_of_other_numbers_are_no_date(place, text):
    (place / "blob.bin").write_bytes(b"\xff" + text.encode() + b"\xff")
    assert found(place) == []


def test_short_ids_are_found_as_words_in_texts_only(place):
    (place / "a.json").write_text(json.dumps({"note": "patient Q7X was here"}))
    (place / "pixels.bin").write_bytes(b"..q7x..")
    (place / "b.json").write_text(json.dumps({"note": "seq7xy"}))
    assert [leak.path for leak in find_leaks(place, SECRETS)] == ["a.json"]


def test_very_short_ids_are_found_where_dicom_names_the_patient(place):
    ds = dicom_files.write_series(place.parent / "s").slices[0]
    ds.PatientName, ds.PatientID = "x", "118"
    dicom_files.save(ds, place / "0001.dcm")
    (place / "table.csv").write_text("rank,shape\n118,118x118\n")
    assert [(leak.path, leak.secret) for leak in find_leaks(place, SECRETS)] == [
        ("0001.dcm", "118")
    ]


@pytest.mark.parametrize("name", ["MRN-4711.txt", "of_q7x.txt", "x_ines.txt", "Döring.png"])
def test_file_names(place, name):
    (place / name).write_bytes(b"")
    assert [leak.where for leak in find_leaks(place, SECRETS)] == ["name"]


def test_a_part_of_a_name_inside_another_word_is_none(place):
    (place / "lines_and_wines.txt").write_text("shines")
    assert found(place) == []


def test_folder_names(place):
    (place / "MRN-4711").mkdir()
    assert found(place) == [("id", "MRN-4711")]


def test_gzip_inside_gzip(place):
    (place / "x.bin.gz").write_bytes(gzip.compress(gzip.compress(b"of MRN-4711")))
    (leak,) = find_leaks(place, SECRETS)
    assert leak.where == "unpacked unpacked "


def test_the_name_that_gzip_keeps(place):
    with (place / "x.gz").open("wb") as raw, gzip.GzipFile("mrn-4711.nii", "wb", 9, raw) as packed:
        packed.write(b"0")
    assert found(place) == [("id", "MRN-4711")]


def test_zip_members_names_and_comment(place):
    with zipfile.ZipFile(place / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Q7x/a.txt", "nothing here")
        archive.writestr("b.json", json.dumps({"born": "1980-02-03"}))
        archive.comment = b"MRN-4711"
    assert set(found(place)) == {("id", "Q7x"), ("date", "19800203"), ("id", "MRN-4711")}


@pytest.mark.parametrize("packed", [False, True])
def test_texts_of_a_png(place, packed):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "MRN-4711", zip=packed)
    info.add_itxt("Author", "Ines Döring", zip=packed)
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(place / "x.png", pnginfo=info)
    assert set(found(place)) == {("id", "MRN-4711"), ("name", "Döring^Ines")}


def test_exif_of_a_jpeg(place):
    exif = Image.Exif()
    exif[270] = "scan of MRN-4711"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(place / "x.jpg", exif=exif)
    assert found(place) == [("id", "MRN-4711")]


def test_the_description_of_a_tiff(place):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(place / "x.tif", tiffinfo={270: "MRN-4711"})
    assert found(place) == [("id", "MRN-4711")]


@pytest.mark.parametrize("where", ["descrip", "aux_file", "extension"])
def test_headers_of_nifti_inside_gzip(place, where):
    image = nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4))
    if where == "extension":
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"of Q7x"))
    else:
        image.header[where] = b"of Q7x"
    nib.save(image, place / "x.nii.gz")
    assert found(place) == [("id", "Q7x")]


def test_key_values_of_nrrd(place):
    (place / "x.nrrd").write_bytes(b"NRRD0004\ntype: uchar\npatient:=Q7x\n\n\x00\x01")
    assert found(place) == [("id", "Q7x")]


def test_dicom_in_another_character_set(place):
    ds = dicom_files.write_series(place.parent / "s").slices[0]
    ds.SpecificCharacterSet, ds.PatientID = ["", "ISO 2022 IR 87"], "x"
    ds.PatientName = "X^Y=山田^太郎"
    dicom_files.save(ds, place / "a.dcm")
    assert "山田".encode() not in (place / "a.dcm").read_bytes()
    assert found(place, Secrets(names={"山田^太郎"})) == [("name", "山田^太郎")]


def test_dicom_that_is_deflated(place):
    ds = dicom_files.write_series(place.parent / "s").slices[0]
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.add_new(0x00091001, "UN", b"of MRN-4711 ")
    dicom_files.save(ds, place / "a.dcm")
    assert b"4711" not in (place / "a.dcm").read_bytes()
    assert found(place) == [("id", "MRN-4711")]


def test_a_uid_and_not_one_that_begins_alike(place):
    (place / "a.bin").write_bytes(b"\xff1.2.826.0.1.99.47112\xff")
    assert found(place) == []
    (place / "b.bin").write_bytes(b"\xff1.2.826.0.1.99.4711\x00")
    assert found(place) == [("UID", "1.2.826.0.1.99.4711")]


def test_numbers_of_packed_masks_are_no_ids(place):
    document = {"segmentation": {"counts": ";q7x;", "size": [4711, 118]}, "area": 118}
    (place / "annotations.json").write_text(json.dumps(document))
    assert found(place) == []


def test_words_that_exports_say_themselves_are_no_leak(tmp_path):
    """A file called image.nii of a patient called Mask can't be told from our own words."""
    item = scans.volume(tmp_path)
    result = exporter("slicer")(tmp_path / "out", [item], scans.META)
    secrets = Secrets(names={"Mask"}, ids={"segment"}, paths={"images"}, allowed={"brains"})
    assert found(result.folder, secrets) == []


def test_allowed_words_are_no_leak(place):
    (place / "a.json").write_text('{"class": "organ"}')
    assert found(place, Secrets(paths={"organ"})) == [("path", "organ")]
    assert found(place, Secrets(paths={"organ"}, allowed={"Organ"})) == []


def test_a_leak_is_refused_with_its_place(place):
    (place / "a.json").write_text('{"note": "MRN-4711"}')
    with pytest.raises(ColdalError, match=r"a\.json: id 'MRN-4711'") as caught:
        refuse_leaks(place, SECRETS)
    assert caught.value.code == "leak"


def test_a_file_that_can_not_be_read_back_is_refused(place):
    (place / "x.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    with pytest.raises(ColdalError) as caught:
        refuse_leaks(place, SECRETS)
    assert (caught.value.code, caught.value.where) == ("unreadable", "x.gz")


def test_forms_of_a_name():
    assert {"doe jane", "jane doe", "doe^jane", "doe, jane", "janedoe", "doe", "q"} <= {
        text.lower() for text in written_names("Doe^Jane^Q")
    }


def test_what_is_no_date_has_no_forms():
    assert list(written_dates("1980")) == []
