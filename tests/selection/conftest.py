"""Makes the helper modules beside the tests of selection importable."""

from __future__ import annotations
