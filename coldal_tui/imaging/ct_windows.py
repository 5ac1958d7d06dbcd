"""CT windows by name: width and level in Hounsfield units. Imports no numpy."""

from __future__ import annotations

SOFT_TISSUE = (400.0, 40.0)
"""Default CT window: width and level in Hounsfield units."""

WINDOWS: dict[str, tuple[float, float]] = {
    "soft-tissue": SOFT_TISSUE,
    "lung": (1500.0, -600.0),
    "bone": (1800.0, 400.0),
    "brain": (80.0, 40.0),
    "liver": (150.0, 30.0),
}
"""Usual CT windows by name: (width, level) in Hounsfield units."""
