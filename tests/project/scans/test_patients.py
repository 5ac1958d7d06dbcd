"""Whose scan is it: the CSV, the pattern, and what neither knows."""

from __future__ import annotations

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.scans.patients import PatientRule, read_patients_csv
from coldal_tui.project.settings.config import ImagesSection


@pytest.fixture
def table(tmp_path):
    def read(text: str, encoding: str = "utf-8"):
        path = tmp_path / "meta.csv"
        path.write_bytes(text.encode(encoding))
        return read_patients_csv(path)

    return read


@pytest.mark.parametrize(
    "text",
    [
        "filename,patient_id,sex\na.png,P1,F\n",
        "\ufefffilename,patient_id,sex\na.png,P1,F\n",
        "filename;patient_id;sex\r\na.png;P1;F\r\n",
        "sep=;\r\nfilename;patient_id;sex\r\na.png;P1;F\r\n",
        "filename\tpatient_id\tsex\na.png\tP1\tF\n",
        ' FileName , Patient_ID ,sex\n"a.png" , P1 , F \n'.replace('"a.png" ', '"a.png"'),
        'sex,"patient_id","filename"\nF,P1,a.png',
    ],
    ids=[
        "plain",
        "bom",
        "semicolon and crlf",
        "Excel says which",
        "tab",
        "other case and blanks",
        "order and quotes",
    ],
)
def test_ways_to_write_the_table(table, text):
    assert table(text).lookup("a.png") == ("P1", {"sex": "F"})


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ("a.png", "a.png"),
        ("a.png", "site/p1/a.png"),
        ("p1/a.png", "site/p1/a.png"),
        ("p1\\a.png", "p1/a.png"),
        ("./p1/a.png", "p1/a.png"),
        ("/data/cxr/p1/a.png", "p1/a.png"),
        ("images/a.png", "a.png"),
        ("a", "a.png"),
        ("brain", "p1/brain.nii.gz"),
        ("p1/brain", "p1/brain.nii.gz"),
        ("A.PNG", "a.png"),
        ("Brain", "p1/brain.nii.gz"),
        ("Stu\u0308ck.png", "St\u00fcck.png"),
    ],
)
def test_ways_to_name_the_file(table, row, path):
    assert table(f"filename,patient_id\n{row},P1\n").lookup(path) == ("P1", {})


def test_the_longest_name_decides(table):
    rows = table("filename,patient_id\na.png,short\np1/a.png,P1\np2/a.png,P2\n")
    assert rows.lookup("p1/a.png") == ("P1", {})
    assert rows.lookup("p2/a.png") == ("P2", {})
    assert rows.lookup("p3/a.png") == ("short", {})


def test_a_name_that_fits_two_rows_fits_none(table):
    rows = table("filename,patient_id\np1/a.png,P1\np2/a.png,P2\n")
    assert rows.lookup("a.png") is None
    assert rows.lookup("p3/a.png") is None


def test_case_tells_two_rows_apart(table):
    rows = table("filename,patient_id\na.png,P1\nA.png,P2\n")
    assert rows.lookup("a.png") == ("P1", {})
    assert rows.lookup("A.png") == ("P2", {})
    assert rows.lookup("A.PNG") is None


def test_a_line_break_in_a_cell(table):
    rows = table('filename,patient_id,note\na.png,P1,"two\nlines"\nb.png,P2,\n')
    assert rows.lookup("a.png") == ("P1", {"note": "two\nlines"})
    assert rows.lookup("b.png") == ("P2", {})


def test_the_same_row_twice_is_no_error(table):
    rows = table("filename,patient_id\na.png,P1\na.png,P1\n,\n")
    assert rows.lookup("a.png") == ("P1", {})


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "no column called filename or patient_id; it has: nothing"),
        ("file,patient_id\na,b\n", 1, "no column called filename; it has: file, patient_id"),
        ("filename,patient_id\na.png,P1\nb.png,\n", 3, "b.png has no patient_id"),
        ("filename,patient_id\nb.png\n", 2, "b.png has no patient_id"),
        ("filename,patient_id\na,P1\n\na,P2\n", 4, "a is listed for two patients (P1 and P2)"),
    ],
)
def test_a_wrong_table_is_answered_with_its_line(table, tmp_path, text, line, what):
    with pytest.raises(ColdalError) as caught:
        table(text)
    assert caught.value.what == what
    assert caught.value.where == f"{tmp_path}/meta.csv, line {line}"
    assert caught.value.code == "bad-patients"


def test_a_table_that_is_missing_or_not_text(table, tmp_path):
    with pytest.raises(ColdalError, match="No such file"):
        read_patients_csv(tmp_path / "none.csv")
    with pytest.raises(ColdalError, match="not UTF-8"):
        table("filename,patient_id\nä,P1\n", "latin-1")


def rule(tmp_path, **section: str) -> PatientRule:
    return PatientRule(ImagesSection(dir="x", **section), tmp_path)


@pytest.mark.parametrize(
    ("pattern", "path", "patient"),
    [
        ("^(?P<patient>[^_]+)_", "p7_scan.png", "p7"),
        ("^([^/]+)/", "p7/scan.png", "p7"),
        ("(site[0-9])/(?P<patient>[a-z]+)", "site1/anna.png", "anna"),
        ("^(?:x_(a)|y_(b))", "y_b.png", "b"),
    ],
)
def test_a_pattern_captures_the_patient(tmp_path, pattern, path, patient):
    assert rule(tmp_path, patients_pattern=pattern).patient(path, "s", None) == (patient, {})


def test_a_scan_that_the_rule_does_not_know_is_its_own_patient(tmp_path):
    by_pattern = rule(tmp_path, patients_pattern="^(p[0-9]+)_")
    assert by_pattern.patient("scan.png", "s1", None) == ("scan:s1", {})
    assert by_pattern.unmatched == ["scan.png"]


def test_a_scan_that_the_rule_does_not_know_is_who_its_header_says(tmp_path):
    (tmp_path / "meta.csv").write_text("filename,patient_id\na.png,P1\n")
    by_table = rule(tmp_path, patients_csv="meta.csv")
    assert by_table.patient("b.dcm", "s1", "H9") == ("H9", {})
    assert by_table.patient("a.png", "s2", "H9") == ("P1", {})
    assert by_table.unmatched == []


def test_without_a_rule_the_header_decides(tmp_path):
    none = rule(tmp_path)
    assert none.patient("b.dcm", "s1", "H9") == ("H9", {})
    assert none.patient("b.png", "s1", None) == ("scan:s1", {})
    assert none.unmatched == []


def test_a_pattern_that_blows_up_is_stopped_and_named():
    from coldal_tui.project.scans.pattern_search import search_in_time

    assert search_in_time(r"^(?P<patient>p\d+)_|(x)", ["p7_a.png", "x", "none"], 20) == {
        "p7_a.png": "p7",
        "x": "x",
        "none": None,
    }
    with pytest.raises(ColdalError) as caught:
        search_in_time(r"^(a+)+$", ["a" * 60 + "b"], 0.5)
    assert caught.value.code == "slow-pattern"
    assert "(a+)+$" in str(caught.value)
