"""The files that a scoring leaves: written from its journal, one scan at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coldal_compute.scored import FEATURES_FILE, JOURNAL_FILE, SCORES_FILE, ScoreJournal
from coldal_tui.errors import ColdalError
from coldal_tui.scheduler.score_files import ScoreFiles
from coldal_tui.simulation.cells import ScanScores

FIRST = ScanScores(0.25, (0.5,), None, 0.75, 0.125, (1.5, -2.0, 1e9))
SECOND = ScanScores(0.5, (0.25,), 0.1, 0.3, 0.2, (0.0, 0.25, -65504.0))


@pytest.fixture
def journal(tmp_path: Path) -> ScoreJournal:
    made = ScoreJournal(tmp_path, "model")
    assert made.entropies() == {}
    made.append("b", SECOND)
    made.append("a", ScanScores(0.9))
    # Scored again: the later line counts.
    made.append("a", FIRST)
    return made


def test_scores_and_features_are_written_in_the_order_asked_for(
    journal: ScoreJournal, tmp_path: Path
) -> None:
    assert journal.entropies() == {"b": 0.5, "a": 0.25}
    assert journal.write(("a", "b")) == (SCORES_FILE, FEATURES_FILE)
    written = json.loads((tmp_path / SCORES_FILE).read_text())
    assert list(written) == ["a", "b"]
    assert written["a"] == {
        "entropy": 0.25, "class_entropy": [0.5], "foreground": 0.75, "boundary": 0.125,
    }  # fmt: skip
    features = np.load(tmp_path / FEATURES_FILE, allow_pickle=False)
    assert features.dtype == np.float16
    # What is too large for float16 is its largest number, not infinity.
    assert features.tolist() == [[1.5, -2.0, 65504.0], [0.0, 0.25, -65504.0]]


def test_a_commit_reads_what_was_written(journal: ScoreJournal, tmp_path: Path) -> None:
    journal.write(("a", "b"))
    files = ScoreFiles(tmp_path / SCORES_FILE, tmp_path / FEATURES_FILE)
    scores, features = files.of("b")
    assert scores == ScanScores(0.5, (0.25,), 0.1, 0.3, 0.2)
    assert features == np.array([0.0, 0.25, -65504.0], dtype="<f2").tobytes()
    assert files.of("c") == (None, None)


def test_without_features_there_is_no_array(tmp_path: Path) -> None:
    journal = ScoreJournal(tmp_path, "model")
    journal.read()
    journal.append("a", ScanScores(0.5))
    assert journal.write(("a",)) == (SCORES_FILE,)
    assert ScoreFiles(tmp_path / SCORES_FILE, None).of("a") == (ScanScores(0.5), None)
    assert journal.write(()) == (SCORES_FILE,)
    assert json.loads((tmp_path / SCORES_FILE).read_text()) == {}
    assert ScoreFiles(None, None).of("a") == (None, None)


def test_a_journal_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """It held features as numbers; a line cut off by a crash is scored again."""
    (tmp_path / JOURNAL_FILE).write_text(
        '{"model":"model"}\n'
        '{"scan_id":"a","entropy":0.25,"features":[1.5,2.0,3.0]}\n'
        '{"scan_id":"b","entr'
    )
    journal = ScoreJournal(tmp_path, "model")
    assert journal.entropies() == {"a": 0.25}
    journal.append("b", SECOND)
    assert journal.read()["a"] == ScanScores(0.25, features=(1.5, 2.0, 3.0))
    journal.write(("a", "b"))
    found = np.load(tmp_path / FEATURES_FILE, allow_pickle=False)
    assert found.tolist() == [[1.5, 2.0, 3.0], [0.0, 0.25, -65504.0]]


@pytest.mark.parametrize("harm", ["short", "kind"])
def test_a_damaged_array_is_refused(journal: ScoreJournal, tmp_path: Path, harm: str) -> None:
    journal.write(("a", "b"))
    file = tmp_path / FEATURES_FILE
    if harm == "short":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        np.save(file, np.zeros((2, 3)))
    with pytest.raises(ColdalError, match="damaged") as caught:
        ScoreFiles(tmp_path / SCORES_FILE, file)
    assert caught.value.where == str(file)
