"""DICOMweb answers that no healthy archive gives."""

from __future__ import annotations

import json

import pytest

from coldal_tui.connectors import Address
from coldal_tui.connectors.dicomweb import Series, connect_dicomweb, parse_query, parts_of
from coldal_tui.connectors.web import Answer
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.servers.archive import parse_archive, place_of
from tests.support.played_server import Reply, played


def archive(server):
    return connect_dicomweb(Address("archive", server.url))


def test_parts_keep_every_byte():
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\na\r\n--\r\nb"
    body += b"\r\n--x\r\n\r\n\r\n\r\n--x--\r\n"
    kind = {"content-type": 'Multipart/related; type="application/dicom"; boundary="x"'}
    assert parts_of(Answer(200, kind, body)) == [b"a\r\n--\r\nb", b"\r\n"]
    assert parts_of(Answer(200, {"Content-Type": "text/html"}, body)) == []


def test_objects_that_are_not_taken_are_told_with_their_reasons():
    item = {"00081155": {"vr": "UI", "Value": ["1.2.3"]}, "00081197": {"vr": "US", "Value": [272]}}
    report = {"00081198": {"vr": "SQ", "Value": [item]}}
    with played(lambda asked: Reply(202, json.dumps(report).encode())) as server:
        assert archive(server).store("1.2", [b"x"]) == {"1.2.3": "failure reason 272"}
        assert b'type="application/dicom"' in server.asked[0].headers["Content-Type"].encode()


def test_an_archive_without_an_offset_ends():
    one = {
        "0020000D": {"Value": ["1.2"]},
        "0020000E": {"Value": ["1.3"]},
        "00080060": {"Value": ["MR"]},
        "00201209": {"Value": [7]},
    }
    page = [one | {"0020000E": {"Value": [f"1.3.{n}"]}} for n in range(200)]
    with played(lambda asked: Reply(body=json.dumps(page).encode())) as server:
        found = list(archive(server).series({"Modality": "MR"}))
        assert len(server.asked) == 2
    assert found[0] == Series("1.2", "1.3.0", modality="MR", instances=7)
    assert len(found) == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"<html><title>Login</title></html>", "server-page"), (b"\x00\x01", "server-garbage"),
     (b"{}", "server-garbage")],
)  # fmt: skip
def test_what_is_no_archive(body, code):
    with played(lambda asked: Reply(body=body)) as server:
        with pytest.raises(ColdalError) as caught:
            list(archive(server).series({}))
        assert caught.value.code == code
        with pytest.raises(ColdalError) as caught:
            archive(server).fetch(Series("1.2", "1.3"))
        assert caught.value.code in ("server-page", "server-garbage")


def test_uids_that_are_none_are_passed_over():
    bad = {"0020000D": {"Value": ["../../etc"]}, "0020000E": {"Value": ["1.3"]}}
    with played(lambda asked: Reply(body=json.dumps([bad]).encode())) as server:
        assert list(archive(server).series({})) == []


def test_a_series_lies_where_people_find_it():
    series = Series("1.2", "1.3", "../7 b", "20260102", "T1 ax/ial", "MR")
    assert place_of(series).parts[0] == "7_b"
    assert place_of(series).parts[1].startswith("20260102-T1_ax_ial-")
    assert place_of(Series("1.2", "1.3")).parts[0] == "unknown"
    assert place_of(series) != place_of(Series("1.2", "1.4", "../7 b", "20260102", "T1 ax/ial"))


def test_the_address_of_an_archive():
    assert parse_archive("/data/images") is None
    found = parse_archive("dicomweb://pacs.example.org/dicom-web/?Modality=MR")
    assert (found.url, found.query) == ("https://pacs.example.org/dicom-web", "Modality=MR")
    assert parse_archive("dicomweb://localhost:8042/a").url == "http://localhost:8042/a"
    assert parse_query("Modality=MR&PatientID=7") == {"Modality": "MR", "PatientID": "7"}
    for wrong in ("Modality", "limit=3"):
        with pytest.raises(UsageError):
            parse_query(wrong)
