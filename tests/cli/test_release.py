"""``release`` and ``release verify`` as a shell sees them."""

from __future__ import annotations

import pytest

from tests.support.small_projects import write_mask


@pytest.fixture
def labelled(project, call):
    for number in range(4):
        write_mask(project.parent / "masks" / f"scan_{number}.png")
    assert call("import-masks", project, project.parent / "masks").status == 0
    return project


def test_a_release_is_made_and_verified(labelled, call, tmp_path):
    out = tmp_path / "Dataset101_Lungs"
    made = call("release", labelled, out, "--to", "nnunet", "--licence", "CC0", "--json")
    assert made.status == 0
    assert {key: made.json[key] for key in ("scans", "patients", "folds", "format")} == {
        "scans": 4,
        "patients": 4,
        "folds": [1, 1, 1, 1],
        "format": "nnunet",
    }
    good = call("release", labelled, "verify", out, "--json")
    assert (good.status, good.json["whole"]) == (0, True)
    assert good.json["recorded"] == good.json["digest"] == made.json["digest"]
    label = out / "labelsTr" / "scan_0.png"
    label.chmod(0o644)
    write_mask(label, 0)
    bad = call("release", "verify", out, cwd=tmp_path)
    assert bad.status == 1
    assert "changed: 1 file: labelsTr/scan_0.png" in bad.out


def test_a_list_that_was_written_anew_is_told_from_the_one_in_the_log(labelled, call, tmp_path):
    out = tmp_path / "out"
    call("release", labelled, out)
    listing = out / "checksums.sha256"
    listing.chmod(0o644)
    lines = listing.read_text().splitlines(keepends=True)
    listing.write_text("".join(lines[::-1]))
    assert call("release", "verify", out, cwd=tmp_path).status == 0
    told = call("release", "verify", out, cwd=labelled)
    assert told.status == 1
    assert "not the one that the project made" in told.out


def test_wrong_calls(labelled, call, tmp_path):
    assert "where to?" in call("release", labelled).err
    (tmp_path / "there").mkdir()
    result = call("release", labelled, tmp_path / "there")
    assert result.status == 2
    assert "Name a new folder." in result.err
    assert call("release", "verify", tmp_path / "there", cwd=tmp_path).status == 1


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--dates", "shift"), "add --deidentify"),
        (("--no-deidentify", "--dates", "remove"), "add --deidentify"),
        (("--bids-suffix", "T1w"), "add --to bids"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(labelled, call, tmp_path, words, remedy):
    done = call("release", labelled, tmp_path / "out", *words)
    assert done.status == 2
    assert remedy in done.err
    assert not (tmp_path / "out").exists()
