"""Where things lie that tests read: the checkout, its sample data, and real data beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"
DATA = ROOT.parent / "shared" / "data"
"""Real data; tests that need it skip where it is absent."""
