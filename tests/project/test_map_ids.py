"""The scan ids of a map: a sequence, and the places of ids in it."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.maps import ScanIds, load_map

IDS = ("a", "a1", "b", "lang-ä", "lang-ö", "Ω")


def test_it_is_the_sequence_it_was_made_of() -> None:
    ids = ScanIds(IDS)
    assert len(ids) == 6
    assert tuple(ids) == IDS
    assert ids[0] == "a"
    assert ids[-1] == "Ω"
    assert type(ids[2]) is str
    assert ids[1:3] == ("a1", "b")
    with pytest.raises(IndexError):
        ids[6]
    assert ids == ScanIds(IDS)
    assert ids != ScanIds(IDS[:-1])
    assert ids == IDS
    assert ids != IDS[:-1]


def test_ids_have_their_places_alone_and_together() -> None:
    ids = ScanIds(IDS)
    assert [ids.places[name] for name in IDS] == list(range(6))
    assert [ids.places.get(name) for name in ("", "a0", "lang", "ΩΩ")] == [None] * 4
    asked = ["Ω", "", "b", "a-much-longer-name-than-any-of-them", "a1"]
    assert ids.rows(asked).tolist() == [5, -1, 2, -1, 1]
    assert ids.rows([]).tolist() == []
    assert ScanIds([]).rows(["a"]).tolist() == [-1]
    assert "a" not in ScanIds([]).places


def test_numbers_of_scans_in_their_order() -> None:
    pages = [[("b", 1.0), ("elsewhere", 7.0), ("a", None)], [("b", 2.0), ("b", 3.0), ("Ω", 0.5)]]
    found = ScanIds(IDS).numbers(pages)
    assert found.tolist() == pytest.approx([np.nan, np.nan, 3.0, np.nan, np.nan, 0.5], nan_ok=True)


@pytest.mark.parametrize("ids", [("b", "a"), ("a", "a")])
def test_ids_out_of_order_are_refused(ids: tuple[str, ...], tmp_path) -> None:
    with pytest.raises(ValueError, match="order"):
        ScanIds(ids)
    file = tmp_path / "map.npz"
    np.savez(file, scan_ids=np.array(ids), xy=np.zeros((2, 2)))
    with pytest.raises(ColdalError, match="order") as refused:
        load_map(file)
    assert refused.value.code == "map"
