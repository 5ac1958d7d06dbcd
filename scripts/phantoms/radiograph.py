"""Shadows of a made-up thorax: how much each ray is weakened, and where the lungs are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phantoms.fields import Field, band, disc, ribbons, smooth_noise, step
from phantoms.findings import Findings, effusions, hardware, opacities
from phantoms.thorax import (
    Thorax,
    body_half_width,
    diaphragm,
    heart_radius,
    lung_region,
    mediastinal_half_width,
)


@dataclass(frozen=True)
class Pose:
    """How the chest lies on the detector.

    ``unit``: pixels per thorax unit; ``centre``: (column, row) of u = 0, v = 0.8; ``turn``:
    rotation in the picture, in degrees; ``yaw``: shift of the midline by turning the trunk;
    ``arms``: 0 out of the way, 1 beside the trunk.
    """

    unit: float
    centre: tuple[float, float]
    turn: float
    yaw: float
    arms: float

    def to_thorax(self, shape: tuple[int, int]) -> tuple[Field, Field]:
        """Thorax coordinates (u, v) of every pixel."""
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
        x, y = (columns - self.centre[0]) / self.unit, (rows - self.centre[1]) / self.unit
        cosine, sine = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        return cosine * x + sine * y, -sine * x + cosine * y + 0.8

    def to_pixels(self, u: Field, v: Field) -> Field:
        """Pixel positions (n, 2: column, row) of points in thorax coordinates."""
        cosine, sine = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        x, y = cosine * u - sine * (v - 0.8), sine * u + cosine * (v - 0.8)
        return np.stack([self.centre[0] + self.unit * x, self.centre[1] + self.unit * y], axis=1)


@dataclass(frozen=True)
class Shadow:
    """What the rays met: ``density`` (1 is the thickest trunk), ``lungs`` and ``ignore`` (0/1)."""

    density: Field
    lungs: Field
    ignore: Field


def cast_shadow(
    body: Thorax,
    pose: Pose,
    findings: Findings,
    shape: tuple[int, int],
    anatomy_rng: np.random.Generator,
    scan_rng: np.random.Generator,
) -> Shadow:
    """The density image of one chest of ``shape`` pixels.

    ``anatomy_rng`` draws what a patient keeps from scan to scan, ``scan_rng`` what changes.
    """
    u, v = pose.to_thorax(shape)
    bend = 0.16 * pose.unit
    u_in = u + 0.020 * smooth_noise(anatomy_rng, shape, bend) - pose.yaw * step(v - 0.3, 1.0)
    v_in = v + 0.025 * smooth_noise(anatomy_rng, shape, bend)
    lungs = np.maximum(
        lung_region(body, u_in, v_in, left=False), lung_region(body, u_in, v_in, left=True)
    )
    lungs = np.asarray(ndimage.median_filter(lungs, 5), dtype=np.float64)
    depth = ndimage.distance_transform_edt(lungs) / pose.unit
    air = lungs * (0.62 + 0.38 * step(depth - 0.09, 0.24))
    vessels = _vessels(body, pose, shape, anatomy_rng)
    texture = smooth_noise(scan_rng, shape, 1.6) + smooth_noise(scan_rng, shape, 3.5)
    illness = np.clip(opacities(findings, body, u, v, scan_rng), 0, 1)
    illness = np.maximum(illness, np.clip(effusions(findings, body, u_in, v_in), 0, 1))
    density = _trunk(body, pose, u, v) + _core(body, u_in, v_in)
    density -= 0.50 * air * (1.0 - 0.88 * illness)
    density += lungs * (1 - 0.7 * illness) * (0.15 * vessels + 0.010 * texture)
    density += _bones(body, pose, u, shape)
    lines, box = hardware(findings, shape, pose.unit, scan_rng)
    return Shadow(np.asarray(density + lines), lungs, box)


def _trunk(body: Thorax, pose: Pose, u: Field, v: Field) -> Field:
    """Soft tissue of trunk, neck, shoulders and arms, and the breasts."""
    half = body_half_width(body, v)
    density = 0.92 * disc((0.86 * u / half) ** 2) * step(half - np.abs(u), 0.03)
    for side in (-1.0, 1.0):
        s = np.linspace(0, 1, 3)
        reach = np.stack([side * (1.02 + 0.30 * s), 0.02 + (0.2 + 1.4 * pose.arms) * s], axis=1)
        away = _to_segment(u, v, reach[0], reach[-1])
        density = np.maximum(density, 0.52 * disc((away / 0.21) ** 2))
        if body.female and not body.child:
            low = ((u - side * 0.56) / 0.42) ** 2 + ((v - 1.08) / 0.40) ** 2
            density += 0.10 * disc(low) * step(v - 0.9, 0.6)
    return np.asarray(ndimage.gaussian_filter(density, 0.02 * pose.unit))


def _to_segment(u: Field, v: Field, start: Field, end: Field) -> Field:
    """Distance of each point to the line from ``start`` to ``end``."""
    run = end - start
    length = float(run @ run) or 1.0
    t = np.clip(((u - start[0]) * run[0] + (v - start[1]) * run[1]) / length, 0, 1)
    return np.asarray(np.hypot(u - start[0] - t * run[0], v - start[1] - t * run[1]))


def _core(body: Thorax, u: Field, v: Field) -> Field:
    """Heart, great vessels, spine, windpipe and the organs below the diaphragm."""
    density = 0.14 * disc(heart_radius(body, u, v))
    for left in (False, True):
        out = u if left else -u
        width = np.where(v < 0.3, body.mediastinum, mediastinal_half_width(body, v, left=left))
        density += 0.12 * step(width - out, 0.05) * (out > 0) * step(v + 0.05, 0.3)
        below = v - diaphragm(body, u, left=left)
        organ = 0.20 if not left else 0.15
        density += organ * step(below, 0.03) * step(out, 0.3) * (0.7 + 0.3 * step(below - 0.2, 0.5))
    vertebrae = 0.75 + 0.25 * np.cos(2 * np.pi * v / (0.9 * body.rib_pitch)) ** 2
    density += 0.16 * step(0.115 - np.abs(u), 0.05) * vertebrae
    windpipe = step(0.055 - np.abs(u + 0.01), 0.03) * step(0.62 - v, 0.1)
    density -= 0.10 * windpipe
    bubble = ((u - 0.5) / 0.20) ** 2 + ((v - body.dome[1] - 0.20) / 0.10) ** 2
    density -= 0.20 * disc(bubble) ** 0.5
    if body.child:
        for at_u, at_v in ((-0.1, 0.5), (0.25, 0.62), (-0.5, 0.72), (0.62, 0.5)):
            gas = ((u - at_u) / 0.16) ** 2 + ((v - body.dome[0] - at_v) / 0.1) ** 2
            density -= 0.18 * disc(gas)
    return np.asarray(density)


def _bones(body: Thorax, pose: Pose, u: Field, shape: tuple[int, int]) -> Field:
    """Ribs (front halves fainter), collar bones, shoulder blades and upper arms."""
    density = np.zeros(shape)
    width = body.rib_width
    back, front = np.linspace(0.07, 0.5, 40), np.linspace(0.5, 0.80, 24)
    for rib in range(10):
        top = -0.10 + body.rib_pitch * rib
        reach = min(0.97, 0.52 + 0.22 * rib**0.75) + 0.02
        drop = body.rib_drop * min(1.0, 0.45 + 0.14 * rib)
        for side in (-1.0, 1.0):
            for part, weight in ((back, 0.105), (front, 0.060)):
                turn = np.pi * part
                x = side * reach * np.sin(turn) ** 0.85
                y = top + drop * (1 - np.cos(turn)) / 2 - 0.05 * np.sin(2 * turn)
                if part is front and rib > 6:
                    continue
                curve = pose.to_pixels(x, y)
                bone = band(shape, curve, width * pose.unit)
                marrow = band(shape, curve, 0.62 * width * pose.unit)
                density += 1.15 * weight * (bone - 0.38 * marrow)
    s = np.linspace(0, 1, 40)
    for side in (-1.0, 1.0):
        x = side * (0.10 + 0.86 * s)
        y = 0.20 + body.clavicle - 0.24 * s + 0.05 * np.sin(2 * np.pi * s)
        curve = pose.to_pixels(x, y)
        thick = pose.unit * (0.045 + 0.018 * (np.abs(s - 0.5) * 2) ** 2)
        density += 0.13 * (band(shape, curve, thick) - 0.4 * band(shape, curve, 0.6 * thick))
        blade_u = 1.10 - 0.16 * pose.arms
        blade = np.array([[blade_u, 0.0], [blade_u + 0.22, 0.06], [blade_u - 0.04, 0.86]])
        edge = np.stack([side * blade[:, 0], blade[:, 1]], axis=1)
        outline = pose.to_pixels(
            np.interp(s * 2, [0, 1, 2], edge[:, 0]), np.interp(s * 2, [0, 1, 2], edge[:, 1])
        )
        density += 0.07 * band(shape, outline, 0.025 * pose.unit)
        arm = pose.to_pixels(side * (1.10 + 0.32 * s), 0.02 + (0.1 + 1.3 * pose.arms) * s)
        density += 0.15 * (
            band(shape, arm, 0.075 * pose.unit) - 0.4 * band(shape, arm, 0.05 * pose.unit)
        )
    return np.asarray(ndimage.gaussian_filter(density, 0.008 * pose.unit))


def _vessels(body: Thorax, pose: Pose, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Branching vessels that leave both hila and thin out towards the border, 0 to about 1."""
    tree: list[tuple[Field, Field, float]] = []
    for side in (-1.0, 1.0):
        for heading in np.linspace(-1.25, 1.45, 9) + rng.normal(0, 0.12, 9):
            start = np.array([side * (body.mediastinum + 0.02), 0.82 + 0.12 * heading])
            _branch(tree, pose, start, heading, side, 0.030, 3, rng)
    tree.sort(key=lambda vessel: vessel[2])
    density = ribbons(shape, tree)
    return np.asarray(np.clip(ndimage.gaussian_filter(density, 0.010 * pose.unit), 0, 1.2))


def _branch(
    tree: list[tuple[Field, Field, float]],
    pose: Pose,
    start: Field,
    heading: float,
    side: float,
    width: float,
    left: int,
    rng: np.random.Generator,
) -> None:
    """Append one vessel and its branches to ``tree``: curve and half width in pixels, density."""
    s = np.linspace(0, 1, 12)
    bend = heading + rng.normal(0, 0.2) * s
    length = rng.uniform(0.16, 0.28)
    path_u = start[0] + side * length * np.cumsum(np.cos(bend)) / len(s)
    path_v = start[1] + length * np.cumsum(np.sin(bend)) / len(s)
    thin = width * (1 - 0.35 * s) * pose.unit
    tree.append((pose.to_pixels(path_u, path_v), thin, 0.9 * (width / 0.03) ** 0.6))
    if left:
        tip = np.array([path_u[-1], path_v[-1]])
        for fork in (-0.38, 0.34):
            turn = float(bend[-1]) + fork + rng.normal(0, 0.15)
            _branch(tree, pose, tip, turn, side, 0.62 * width, left - 1, rng)
