"""A log in rows, and what is asked for when."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.tui.jobs.log_view import LogAnswer, LogRequest, LogRows, LogView


def test_a_log_is_read_in_rows(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("abcdefghijkl\n\x1b[1mshort\x1b[0m\n")
    answer = LogRequest(file, 10, -1).read()
    assert answer == LogAnswer(file, 10, ("abcdefghij", "kl", "short"), 27, False)
    assert LogRequest(file, 10, 27).read() is None


def test_rows_are_known_by_number() -> None:
    rows = LogRows("log.txt", ["one", "two"])
    assert (rows.row_count, rows.key(1), rows.find("1"), rows.find("2")) == (2, "1", 1, None)
    assert rows.cells(1) == ("two",)


def test_without_a_file_nothing_is_asked_for() -> None:
    assert LogView().request(80) is None
