"""A made-up thorax: where lungs, heart and diaphragm lie, drawn at random for each patient.

Coordinates: ``u`` runs across, 0 on the midline, -1 and 1 at the widest points of the rib cage
(negative is the patient's right, on the left of the picture); ``v`` runs down, 0 at the apex of
the lungs; one unit is half the width of the chest in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phantoms.fields import Field


@dataclass(frozen=True)
class Thorax:
    """One patient's anatomy, in thorax units. ``dome`` is per side: (right, left)."""

    child: bool
    female: bool
    apex: float
    shoulder: float
    fullness: float
    dome: tuple[float, float]
    dome_height: tuple[float, float]
    heart: tuple[float, float, float, float]
    heart_tilt: float
    mediastinum: float
    knob: float
    rib_drop: float
    rib_pitch: float
    rib_width: float
    fat: float
    clavicle: float


def random_thorax(rng: np.random.Generator, *, child: bool, female: bool) -> Thorax:
    """Draw a patient; children have a short wide chest, flat ribs and a large heart."""
    length = rng.uniform(1.02, 1.20) if child else rng.uniform(1.36, 1.74)
    big = rng.uniform(0.42, 0.50) if child else rng.uniform(0.33, 0.46)
    right = length + rng.normal(0, 0.03)
    return Thorax(
        child=child,
        female=female,
        apex=rng.uniform(0.36, 0.48),
        shoulder=rng.uniform(0.50, 0.74),
        fullness=rng.uniform(1.8, 2.7),
        dome=(right, right + rng.uniform(0.02, 0.12)),
        dome_height=(rng.uniform(0.18, 0.36), rng.uniform(0.16, 0.34)),
        heart=(rng.uniform(0.08, 0.17), length - rng.uniform(0.10, 0.20), big, big * 0.95),
        heart_tilt=rng.uniform(0.3, 0.7),
        mediastinum=rng.uniform(0.15, 0.21) + (0.07 if child else 0.0),
        knob=rng.uniform(0.02, 0.11) * (0.2 if child else 1.0),
        rib_drop=rng.uniform(0.24, 0.36) if child else rng.uniform(0.45, 0.72),
        rib_pitch=rng.uniform(0.155, 0.18) if child else rng.uniform(0.175, 0.21),
        rib_width=rng.uniform(0.036, 0.046),
        fat=rng.uniform(0.02, 0.07) if child else rng.uniform(0.04, 0.26),
        clavicle=rng.uniform(-0.06, 0.10),
    )


def heart_radius(body: Thorax, u: Field, v: Field) -> Field:
    """Squared distance from the heart's centre, 1 on its border: an ellipse tilted to the left."""
    centre_u, centre_v, radius_u, radius_v = body.heart
    cosine, sine = np.cos(body.heart_tilt), np.sin(body.heart_tilt)
    x, y = u - centre_u, v - centre_v
    along, aside = x * cosine + y * sine, -x * sine + y * cosine
    return np.asarray((along / radius_u) ** 2 + (aside / (0.8 * radius_v)) ** 2)


def mediastinal_half_width(body: Thorax, v: Field, *, left: bool) -> Field:
    """Half the width of the great vessels and the hilum at height ``v``, without the heart."""
    width = body.mediastinum + 0.05 * np.exp(-(((v - 0.85) / 0.2) ** 2))
    into_heart = np.clip((v - 0.62) / (body.heart[1] - 0.55), 0.0, 1.1) ** 1.5
    width = width + (0.8 if left else 0.15) * (body.heart[2] - 0.12) * into_heart
    if left:
        width = width + body.knob * np.exp(-(((v - 0.5) / 0.11) ** 2))
    flare = np.clip(1.0 - v / 0.34, 0.0, 1.0) ** 2.2
    return np.asarray(width + (body.apex - width) * flare)


def lateral_border(body: Thorax, v: Field) -> Field:
    """The outer border of the lung at height ``v``; it starts at the apex."""
    rise = np.clip(1.0 - v / (2.2 * body.shoulder), 0.0, 1.0)
    widen = np.clip(1.0 - rise**body.fullness, 0.0, 1.0) ** 0.62
    taper = 0.04 * np.clip(v - 0.9, 0.0, None)
    return np.asarray(body.apex + (0.96 - body.apex) * widen - taper)


def diaphragm(body: Thorax, u: Field, *, left: bool) -> Field:
    """The height at which a lung ends below: a dome that falls off to the costophrenic angle."""
    side = int(left)
    across = np.clip((np.abs(u) - 0.40) / 0.56, -1.0, 1.2)
    fall = np.where(across > 0, np.abs(across) ** 1.9, 0.45 * across**2)
    return np.asarray(body.dome[side] + body.dome_height[side] * fall)


def lung_region(body: Thorax, u: Field, v: Field, *, left: bool) -> Field:
    """1 inside one lung, 0 outside; the heart cuts into the left one."""
    out = u if left else -u
    inside = (v > 0) & (out > mediastinal_half_width(body, v, left=left))
    inside &= (out < lateral_border(body, v)) & (v < diaphragm(body, u, left=left))
    inside &= heart_radius(body, u, v) > 1.0
    return inside.astype(np.float64)


def body_half_width(body: Thorax, v: Field) -> Field:
    """Half the width of the trunk with its skin; neck above, shoulders at ``v`` around 0."""
    trunk = 1.06 + body.fat + 0.03 * np.sin(2.0 * v)
    neck = 0.34 + 0.25 * body.fat
    slope = np.clip((v + 0.42) / 0.42, 0.0, 1.0)
    return np.asarray(neck + (trunk + 0.12 - neck) * slope**1.7 - 0.12 * np.clip(v / 0.5, 0, 1))
