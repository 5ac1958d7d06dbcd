"""Rows of scans as the arrays of a pool, and as the text that a job is given."""

from __future__ import annotations

import msgspec
import numpy as np

from coldal_tui.selection.assembly import assemble
from coldal_tui.selection.rows import PoolRow
from coldal_tui.simulation.cells import as_halves

NUMBERS = (0.5, -1.25, 3.0)


def test_features_are_the_same_numbers_however_they_are_given() -> None:
    rows = [
        PoolRow("a", "p", True, False, False, features=as_halves(NUMBERS)),
        PoolRow("b", "p", True, False, False),
        PoolRow("c", "p", True, False, False, features=NUMBERS),
    ]
    text = msgspec.json.encode(rows)
    again = msgspec.json.decode(text, type=list[PoolRow])
    assert again[0] == rows[0]
    index = {row.scan_id: n for n, row in enumerate(rows)}
    features = assemble(again, index, np.zeros((3, 2))).pool.features
    assert features is not None
    assert features.tolist()[0] == features.tolist()[2] == list(NUMBERS)
    assert np.isnan(features[1]).all()


def test_a_row_takes_no_room_for_what_was_not_measured() -> None:
    row = PoolRow("a", "p", True, False, False)
    expected = b'{"scan_id":"a","patient_id":"p","candidate":true,"covered":false,"labelled":false}'
    assert msgspec.json.encode(row) == expected
    older = expected[:-1] + b',"entropy":null,"features":null}'
    assert msgspec.json.decode(older, type=PoolRow) == row
