"""What a made-up chest may show beside its anatomy: opacities, effusions, devices, cables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phantoms.fields import Field, band, polygon, smooth_noise, step
from phantoms.thorax import Thorax, diaphragm, lateral_border


@dataclass(frozen=True)
class Findings:
    """How ill the lungs look (0 to 1) and which side has fluid; lines and a device box if any."""

    haze: float
    effusion: tuple[float, float]
    cables: int
    tube: bool
    device: bool


def random_findings(rng: np.random.Generator, *, ill: float, bedside: bool) -> Findings:
    """Draw findings; ``ill`` is the chance that the lungs are clearly abnormal."""
    abnormal = rng.random() < ill
    fluid = rng.uniform(0.12, 0.50, 2) * (rng.random(2) < (0.5 if abnormal else 0.0))
    if abnormal and rng.random() < 0.15:
        fluid[rng.integers(2)] = rng.uniform(0.7, 1.2)
    return Findings(
        haze=float(rng.uniform(0.55, 1.0) if abnormal else rng.uniform(0.0, 0.22)),
        effusion=(float(fluid[0]), float(fluid[1])),
        cables=int(rng.integers(2, 5)) if bedside else 0,
        tube=bool(bedside and rng.random() < 0.6),
        device=bool(bedside and rng.random() < 0.2),
    )


def opacities(
    findings: Findings, body: Thorax, u: Field, v: Field, rng: np.random.Generator
) -> Field:
    """Added density of consolidations: cloudy patches, dense enough to hide the lung's border."""
    density = np.zeros_like(u)
    if findings.haze == 0:
        return density
    cloud = smooth_noise(rng, u.shape, 14.0) + 0.4 * smooth_noise(rng, u.shape, 5.0)
    for _ in range(2 + round(4 * findings.haze)):
        side = rng.choice([-1.0, 1.0])
        at_u, at_v = side * rng.uniform(0.35, 0.92), rng.uniform(0.35, 1.0) * body.dome[0]
        size = rng.uniform(0.14, 0.44)
        near = ((u - at_u) / size) ** 2 + ((v - at_v) / (1.2 * size)) ** 2
        density += rng.uniform(0.5, 1.4) * np.exp(-near) * (0.8 + 0.3 * np.tanh(cloud))
    return np.asarray(findings.haze * np.tanh(1.2 * density))


def effusions(findings: Findings, body: Thorax, u: Field, v: Field) -> Field:
    """Added density of fluid: it fills the costophrenic angle and climbs up the side wall."""
    density = np.zeros_like(u)
    for left in (False, True):
        height = findings.effusion[int(left)]
        if height == 0:
            continue
        out = u if left else -u
        wall = np.clip(lateral_border(body, v) - out, 0.0, None)
        level = diaphragm(body, u, left=left) - height + 0.5 * np.clip(wall - 0.06, 0, 0.5)
        density += np.where(out > 0.05, step(v - level + 0.1, 0.16), 0.0)
    return density


def hardware(
    findings: Findings, shape: tuple[int, int], unit: float, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Density of cables, tube and device box, and where the box lies (1 there).

    ``unit`` is the length of one thorax unit in pixels of ``shape``.
    """
    rows, columns = shape
    density, box = np.zeros(shape), np.zeros(shape)
    s = np.linspace(0.0, 1.0, 80)
    for _ in range(findings.cables):
        ends = rng.uniform([0.02, 0.05], [0.98, 1.0], (4, 2)) * [columns, rows]
        ends[0, 0] = rng.choice([0.0, 1.0]) * columns
        weights = np.stack([(1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s**2 * (1 - s), s**3], axis=1)
        curve = weights @ ends
        density += 0.16 * band(shape, curve, 0.009 * unit)
        end = np.hypot(*np.meshgrid(np.arange(columns) - ends[3, 0], np.arange(rows) - ends[3, 1]))
        density += 0.22 * (end < 0.05 * unit)
    if findings.tube:
        run = np.stack([columns * (0.5 + 0.02 * np.sin(5 * s)), rows * 0.38 * s], axis=1)
        density += 0.12 * (band(shape, run, 0.030 * unit) - 0.6 * band(shape, run, 0.018 * unit))
    if findings.device:
        at = (0.70 + 0.06 * rng.random()) * columns, (0.27 + 0.05 * rng.random()) * rows
        turn = np.linspace(0, 2 * np.pi, 60)
        power = 0.45
        outline = np.stack(
            [
                at[0] + 0.17 * unit * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power,
                at[1] + 0.14 * unit * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power,
            ],
            axis=1,
        )
        can = polygon(shape, outline)
        box = ndimage.binary_dilation(can, iterations=2).astype(np.float64)
        density += 0.45 * can
        lead_to = np.array([columns * 0.53, rows * 0.62])
        lead = np.outer(1 - s, at) + np.outer(s, lead_to)
        lead[:, 0] -= 0.10 * unit * np.sin(np.pi * s)
        density += 0.20 * band(shape, lead, 0.010 * unit)
    return density, box
