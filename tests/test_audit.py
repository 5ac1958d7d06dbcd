"""What ``make audit`` makes of the answers about the pinned packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "audit.py"
WHOLE = {"name": "a", "version": "1", "vulns": []}
HOLED = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}]}
UNKNOWN = {"name": "c", "version": "3", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answers", "said", "bad"),
    [
        (None, "p: skipped, the index of advisories could not be asked", False),
        ([UNKNOWN], "p: skipped, the index knows none of 1 packages", False),
        ([WHOLE, UNKNOWN], "p: no known hole in 1 packages; the index does not know 1 more", False),
        ([WHOLE], "p: no known hole in 1 packages", False),
        ([WHOLE, HOLED], "p: b 2: PYSEC-1", True),
    ],
)
def test_a_hole_fails_and_what_could_not_be_asked_is_told(
    answers: list[dict[str, object]] | None, said: str, bad: bool
) -> None:
    spec = importlib.util.spec_from_file_location("audit_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.judged("p", answers) == (said, bad)
