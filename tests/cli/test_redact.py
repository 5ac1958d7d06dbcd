"""``--redact``: no planted name comes out of any command that reads, in any form."""

from __future__ import annotations

import sys
from io import StringIO

import pytest

from coldal_tui import cli
from coldal_tui.redaction import VARIABLE, Redactor, redact_with
from tests.support.lab import Lab
from tests.support.planted_names import MARK, planted

READING = (
    "status",
    "status --json",
    "queue",
    "queue --json",
    "queue --all",
    "why SCAN",
    "why SCAN --json",
    "advise",
    "labels",
    "labels list",
    "labels list --json",
    "labels check",
    "labels inbox",
    "raters",
    "raters --json",
    "jobs",
    "jobs list --json",
    "jobs show JOB",
    "jobs logs JOB",
    "log",
    "log --json",
    "index --problems",
    "index --problems --json",
    "trust",
    "trust --json",
    "backup --list",
    "doctor --json",
    "encoder list",
    "connect list",
    "prelabels list",
    "why no-such-scan",
    "import-masks MASKS --dry-run",
)


class Terminal(StringIO):
    """A narrow screen: tables are cut and folded there."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch):
    """Runs a call as ``main`` does; what it wrote."""
    monkeypatch.setenv(VARIABLE, "")

    def run(*words: str, columns: int = 10_000) -> tuple[int, str]:
        streams = Terminal(), Terminal()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["coldal-tui", *words])
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            redact_with(None)
            monkeypatch.setenv(VARIABLE, "")
        return int(ended.value.code or 0), streams[0].getvalue() + streams[1].getvalue()

    return run


@pytest.mark.parametrize("columns", [10_000, 60])
def test_no_reading_command_shows_a_planted_name(lab: Lab, call, columns: int) -> None:
    project = planted(lab)
    scan = str(project.store.value("SELECT scan_id FROM scans ORDER BY rowid LIMIT 1"))
    job = str(project.store.value("SELECT max(job_id) FROM jobs"))
    masks = str(lab.masks)
    project.close()
    leaks, bare = [], ""
    for line in READING if columns > 1000 else READING[::3]:
        words = [
            {"SCAN": scan, "JOB": job, "MASKS": masks}.get(word, word) for word in line.split()
        ]
        words[1:1] = [str(lab.root)]
        bare += call(*words, columns=columns)[1]
        _, shown = call(*words, "--redact", columns=columns)
        assert "defect" not in shown, (line, shown)
        leaks += [(line, one) for one in shown.splitlines() if MARK in one.casefold()]
        leaks += [(line, one) for one in shown.splitlines() if "123456" in one or "1980-02" in one]
    assert leaks == []
    assert MARK in bare.casefold()


def test_a_pseudonym_in_a_call_means_its_name(lab: Lab, call) -> None:
    planted(lab).close()
    status, shown = call("queue", str(lab.root), "pin", "scan 002", "--redact")
    assert status == 0, shown
    with lab.open() as project:
        pinned = project.store.tuples("SELECT scan_id FROM queue WHERE pinned = 1")
        second = project.store.tuples("SELECT scan_id FROM scans ORDER BY rowid LIMIT 1 OFFSET 1")
    assert pinned == second


def test_what_is_written_is_the_same(lab: Lab, call) -> None:
    """An export made while names are hidden holds them: only what is shown changes."""
    planted(lab).close()
    status, shown = call("export-queue", str(lab.root), "--redact")
    assert status == 0, shown
    assert MARK not in shown.casefold()
    made = [path.name for path in (lab.root / "exports").rglob("*")]
    assert any(MARK in name.casefold() for name in made)
    assert not any("scan 00" in name for name in made)


def test_without_its_names_nothing_is_shown(lab: Lab, call) -> None:
    planted(lab).close()
    (lab.root / ".coldal" / "project.db").write_bytes(b"ZQ no database")
    status, shown = call("status", str(lab.root), "--redact")
    assert status == 1
    assert "can't be hidden" in shown
    assert MARK not in shown.casefold()


def test_short_numbers_count_as_names_only_where_names_stand() -> None:
    redactor = Redactor()
    redactor.learn("patient", ["12", "12345", "MK", "Müller"])
    assert redactor("12 of 12345: MK, mk, MÜLLER, Müllers") == (
        "12 of patient 002: patient 003, mk, patient 004, patient 004s"
    )
    assert redactor.document({"patient": "12", "count": "12"}) == {
        "patient": "patient 001",
        "count": "12",
    }


def test_hiding_twice_changes_nothing_more() -> None:
    redactor = Redactor()
    redactor.learn("scan", ["a/b c", "001"])
    redactor.learn("patient", ["1001", "patient 7"])
    text = "a/b c of 1001 in /data/x y/a.nii.gz, patient 7, mail a.b@x.org, x.png, 1.2.840.1.2.3.4"
    once = redactor(text)
    assert redactor(once) == once
    assert once.startswith("scan 001 of patient 001 in path ")
    assert "patient 002, mail address " in once
    for left in ("/data", "b@", "x.png", "1.2.840", "nii"):
        assert left not in once


def test_what_looks_like_a_path_and_is_none_stays() -> None:
    text = "3/4 done; scans/s; I/O and/or n/a; 2026-01-02T03:04; coldal-tui queue pin; k = 3 / 4"
    assert Redactor()(text) == text
