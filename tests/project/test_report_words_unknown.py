"""What a report says of values that nobody has explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.project.labels.importing import ImportReport
from coldal_tui.project.report_words import _unknown


def report(*keys: str) -> ImportReport:
    waiting = Verdict("quarantined", Path("a.png"), unknown=keys)
    return ImportReport("x", (), (), (waiting,), (), (), (), False)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["3"], "say what they mean: --map 3=CLASS"),
        (["a b", "#ff0000"], "say what they mean: --map 'a b=CLASS' --map '#ff0000=CLASS'"),
        (
            [str(n) for n in range(1, 118)],
            "say what they mean: --map 1=CLASS --map 2=CLASS --map 3=CLASS --map 4=CLASS "
            "--map 5=CLASS --map 6=CLASS … --map '*=background' (or '*=CLASS') for all others",
        ),
    ],
)
def test_a_few_values_are_named_and_the_star_stands_for_many(keys, line):
    assert _unknown(report(*keys), 20) == [line]


def test_nothing_unknown_is_no_line():
    assert _unknown(report(), 20) == []
