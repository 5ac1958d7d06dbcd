"""Key files: random, consistent, whole, and for their owner alone."""

from __future__ import annotations

import re
import stat

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.deidentify.keys import Keys, read_keys, write_keys


@pytest.fixture
def keys() -> Keys:
    made = Keys("shift")
    made.scan("brain-1", "doe")
    made.scan("brain-2", "doe")
    made.person("ana@example.org")
    made.uid("1.2.3")
    return made


def test_pseudonyms_say_nothing_and_differ(keys):
    first, second = keys.scans
    assert first != second
    assert all(re.fullmatch("s[a-z2-9]{9}", name) for name in (first, second, *keys.patients))


def test_scans_of_one_patient_share_a_pseudonym_and_a_shift(keys):
    (patient,) = keys.patients
    assert {key.patient for key in keys.scans.values()} == {patient}
    assert {keys.shift_of(name) for name in keys.scans} == {keys.shifts[patient]}


def test_people_are_numbered_and_known_again(keys):
    assert keys.person("ana@example.org") == "labeler-1"
    assert keys.person("ben") == "labeler-2"


def test_uids_are_random_and_consistent(keys):
    new = keys.uid("1.2.3")
    assert re.fullmatch(r"2\.25\.\d{1,39}", new)
    assert keys.uid("1.2.3") == new
    assert Keys().uid("1.2.3") != new


def test_without_shifting_there_are_no_shifts():
    made = Keys("remove")
    assert made.shift_of(made.scan("a", "p")) is None


def test_a_key_file_is_its_owners_alone(tmp_path, keys):
    path = tmp_path / "keys" / "export.json"
    write_keys(path, keys)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["export.json"]


def test_a_key_file_comes_back(tmp_path, keys):
    write_keys(tmp_path / "k.json", keys)
    found = read_keys(tmp_path / "k.json")
    assert (found.scans, found.patients, found.people) == (keys.scans, keys.patients, keys.people)
    assert (found.uids, found.shifts, found.dates) == (keys.uids, keys.shifts, "shift")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": "x"}', b"\xff"])
def test_another_file_is_no_key_file(tmp_path, content):
    (tmp_path / "k.json").write_bytes(content)
    with pytest.raises(ColdalError) as caught:
        read_keys(tmp_path / "k.json")
    assert caught.value.code == "damaged"


def test_a_missing_key_file_is_told(tmp_path):
    with pytest.raises(ColdalError, match="can't be read"):
        read_keys(tmp_path / "none.json")
